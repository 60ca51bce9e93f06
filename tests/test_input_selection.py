"""Inputs of an unwatched job through the command line: nothing new, folders and patterns."""

from __future__ import annotations

import gzip
import os

import pytest

from tests.support.input_files import aged, emails, enrolled, flags, group, lay

# Nothing new


def test_check_of_a_finished_input_plans_and_ends_as_run_does(cli, sandbox):
    server = sandbox()
    source = lay(cli.folder / "leads.csv", *group("a"), ("nobody@example.com", ""), ("?", ""))
    assert cli("run", source, *flags(server)).code == 1
    lay(cli.folder / "copy.csv", *group("a"), ("nobody@example.com", ""), ("?", ""))
    for name in ("leads.csv", "copy.csv"):
        checked, run = cli("check", name, *flags(server)), cli("run", name, *flags(server))
        assert (checked.code, run.code) == (2, 2)
        assert "Plan of run" in checked.out
        assert "`run` would refuse this: This very input was sent to scenario 3 before" in checked.err
        found = cli("check", name, *flags(server), "--json").json
        assert (found["rows"], found["to_send"], found["refused_before"], found["exit_code"]) == (5, 0, 1, 2)
        assert [refusal["limit"] for refusal in found["refused"]] == ["already_finished"]
        checked, run = (cli(command, name, *flags(server), "--if-changed") for command in ("check", "run"))
        assert (checked.code, run.code) == (0, 0)
        assert f"Nothing new: {name} was enrolled by run" in checked.err
        assert "would refuse" not in checked.err
    assert cli("check", "leads.csv", *flags(server), "--again").code == 1
    lay(cli.folder / "leads.csv", *group("a"), *group("b"))
    assert cli("check", "leads.csv", *flags(server)).code == 0


def test_check_of_a_finished_input_without_an_erased_person_ends_as_run_does(cli, sandbox):
    server = sandbox()
    source = lay(cli.folder / "leads.csv", *group("a"))
    assert cli("run", source, *flags(server)).code == 0
    ledger = ("--ledger", "ledger/ledger.sqlite")
    assert cli("prune", "--forget-who", group("a")[0][0], "--yes", *ledger).code == 0
    assert [cli(command, source, *flags(server)).code for command in ("check", "run")] == [2, 2]


def test_if_changed_accepts_a_finished_input(cli, sandbox):
    server = sandbox()
    source = lay(cli.folder / "leads.csv", *group("a"), ("nobody@example.com", ""))
    first = cli("run", source, *flags(server), "--json").json
    second = cli("run", source, *flags(server), "--if-changed", "--json")
    assert second.code == 0
    (line,) = second.err.splitlines()
    quiet = cli("run", source, *flags(server), "--if-changed", "--quiet", "--log-file", "enroll.log")
    assert not quiet.err
    assert "exit_code=0" in (cli.folder / "enroll.log").read_text()
    assert line.startswith(f"Nothing new: leads.csv was enrolled by run {first['run']} on ")
    assert line.endswith("(3 success, 1 error).")
    assert (second.json["run"], second.json["status"], second.json["exit_code"]) == (first["run"], "unchanged", 0)
    assert set(second.json["counts"].values()) == {0}
    assert (second.json["earlier"]["counts"], second.json["earlier"]["run"]) == (first["counts"], first["run"])
    assert set(first) <= set(second.json)
    assert len(server.enrolments()) == 3


def test_if_changed_resumes_a_stopped_input_and_sends_new_rows(cli, sandbox):
    server = sandbox(faults="token_revoked@2+")
    source = lay(cli.folder / "leads.csv", *group("a"))
    command = ("run", source, *flags(server), "--if-changed", "--concurrency", "1", "--json")
    assert cli(*command).code == 3
    server.control(faults="", token_revoked=False)
    carried_on = cli(*command)
    assert (carried_on.code, carried_on.json["counts"]["success"]) == (0, 3)
    assert cli(*command).json["status"] == "unchanged"
    lay(source, *group("a"), *group("b"))
    changed = cli(*command)
    assert (changed.json["counts"]["success"], changed.json["counts"]["skipped"]) == (3, 3)
    assert enrolled(server) == emails("a", "b")


@pytest.mark.parametrize("name", ["new.csv", "drop", "drop/*.csv"])
def test_missing_file_with_if_changed_exits_0_otherwise_2(cli, sandbox, name):
    server = sandbox()
    (cli.folder / "drop").mkdir()
    none = cli("run", name, *flags(server))
    assert none.code == 2
    quiet = cli("run", name, *flags(server), "--if-changed", "--json", BATCH_ENROLL_TOKEN="")
    assert quiet.code == 0
    assert quiet.err.splitlines() == [f"Nothing new: there is no file to enroll in {name}."]
    assert (quiet.json["run"], quiet.json["status"], quiet.json["counts"]["rows"]) == (None, "unchanged", 0)
    assert not server.enrolments()


@pytest.mark.parametrize("command", ["run", "check"])
def test_file_without_rows_with_if_changed_exits_0_otherwise_2(cli, sandbox, command):
    server = sandbox()
    lay(cli.folder / "new.csv")
    plain = cli(command, "new.csv", *flags(server))
    assert (plain.code, "a header (line 1) but no rows" in plain.err) == (2, True), plain.err
    ended = cli(command, "new.csv", *flags(server), "--if-changed", "--json")
    assert (ended.code, ended.err.splitlines()) == (0, ["Nothing new: new.csv has no rows."])
    assert (ended.json["run"], ended.json["status"], ended.json["exit_code"]) == (None, "unchanged", 0)
    assert cli("runs", "--json", "--ledger", "ledger/ledger.sqlite").json == []
    lay(cli.folder / "new.csv", *group("a"))
    assert cli(command, "new.csv", *flags(server), "--if-changed").code == 0
    assert len(server.enrolments()) == (3 if command == "run" else 0)


def test_folder_with_a_file_without_rows_enrolls_the_others(cli, sandbox):
    server = sandbox()
    lay(cli.folder / "drop" / "a.csv", age_s=9_000)
    lay(cli.folder / "drop" / "b.csv", *group("b"), age_s=5_000)
    ended = cli("run", "drop", *flags(server), "--pick", "new", "--if-changed")
    assert ended.code == 0, ended.err
    assert enrolled(server) == emails("b")


@pytest.mark.parametrize("name", ["x" * 300, "\udcff*.csv", "in.csv/leads.csv", "[", "**/" * 50])
def test_invalid_name_is_one_error(cli, sandbox, name):
    lay(cli.folder / "in.csv", *group("a"))
    ended = cli("run", name, *flags(sandbox()), "--pick", "newest", "--settle", "365d")
    assert ended.code == 2
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("name", ["nowhere/new.csv", "nowhere/*.csv"])
def test_missing_folder_is_an_error(cli, sandbox, name):
    ended = cli("run", name, *flags(sandbox()), "--if-changed")
    assert ended.code == 2
    assert "nowhere" in ended.err


# Folders and patterns


@pytest.mark.parametrize("name", ["drop", "drop/leads-*.csv", "dr*/leads-[0-9].csv"])
def test_folder_with_several_files_needs_a_pick(cli, sandbox, name):
    server = sandbox()
    lay(cli.folder / "drop" / "leads-1.csv", *group("a"))
    one = cli("run", name, *flags(server), "--json")
    assert (one.code, one.json["input"]) == (0, "leads-1.csv")
    lay(cli.folder / "drop" / "leads-2.csv", *group("b"))
    several = cli("run", name, *flags(server), "--json")
    assert several.code == 2
    assert "leads-1.csv, leads-2.csv" in several.err
    assert "newest or new" in several.err
    assert enrolled(server) == emails("a")


def test_file_named_like_a_pattern_is_that_file(cli, sandbox):
    server = sandbox()
    lay(cli.folder / "leads [1].csv", *group("a"))
    assert cli("run", "leads [1].csv", *flags(server)).code == 0
    assert enrolled(server) == emails("a")


def test_pick_newest_takes_the_last_changed_file(cli, sandbox):
    server = sandbox()
    lay(cli.folder / "drop" / "z.csv", *group("z"), age_s=9_000)
    for name in ("b", "a"):
        lay(cli.folder / "drop" / f"{name}.csv", *group(name), age_s=5_000)
        os.utime(cli.folder / "drop" / f"{name}.csv", (1_700_000_000, 1_700_000_000))
    os.utime(cli.folder / "drop" / "z.csv", (1_600_000_000, 1_600_000_000))
    ended = cli("run", "drop", *flags(server), "--pick", "newest", "--json")
    assert (ended.code, ended.json["input"]) == (0, "b.csv")
    again = cli("run", "drop", *flags(server), "--pick", "newest")
    assert again.code == 2
    assert cli("run", "drop", *flags(server), "--pick", "newest", "--if-changed").code == 0
    assert enrolled(server) == emails("b")


def test_pick_new_enrolls_each_file_once_oldest_first(cli, sandbox):
    server = sandbox()
    drop = cli.folder / "drop"
    lay(drop / "b.csv", *group("b"), age_s=9_000)
    lay(drop / "a.csv", *group("a"), ("nobody@example.com", ""), age_s=5_000)
    command = ("run", "drop", *flags(server), "--pick", "new", "--json")
    both = cli(*command)
    assert both.code == 1
    assert [run["input"] for run in both.json["runs"]] == ["b.csv", "a.csv"]
    assert [run["exit_code"] for run in both.json["runs"]] == [0, 1]
    assert (both.json["counts"]["success"], both.json["counts"]["error"], both.json["counts"]["rows"]) == (6, 1, 7)
    assert (both.json["run"], both.json["status"], both.json["exit_code"], both.json["left"]) == (
        None,
        "finished",
        1,
        [],
    )
    assert {"duration_s", "requests", "files"} <= set(both.json)
    assert both.err.splitlines()[-1] == "2 inputs together: 6 success, 1 error; exit code 1."
    lay(drop / "copy of a.csv", *group("a"), ("nobody@example.com", ""))
    lay(drop / "c.csv", *group("c"))
    one = cli(*command)
    assert (one.code, one.json["input"]) == (0, "c.csv")
    assert "enrolled before" in one.err
    nothing = cli(*command, "--if-changed")
    assert (nothing.code, nothing.json["status"]) == (0, "unchanged")
    assert enrolled(server) == emails("a", "b", "c")


def test_pick_new_identifies_the_job_and_the_file(cli, sandbox):
    server = sandbox()
    lay(cli.folder / "drop" / "a.csv", *group("a"))
    assert cli("run", "drop", *flags(server), "--pick", "new").code == 0
    assert cli("run", "drop", *flags(server), "--pick", "new", "--limit", "2", "--json").json["counts"]["rows"] == 2
    assert cli("run", "drop", *flags(server), "--pick", "new", "--scenario", "5").code == 0
    assert set(server.enrolments(scenario=5)) == {f"email:{email}" for email in emails("a")}


def test_two_files_of_one_content_are_enrolled_once(cli, sandbox):
    server = sandbox()
    for name in ("a.csv", "b.csv"):
        lay(cli.folder / "drop" / name, *group("a"))
    ended = cli("run", "drop", *flags(server), "--pick", "new", "--json")
    assert (ended.code, [run["status"] for run in ended.json["runs"]]) == (0, ["finished", "unchanged"])
    assert enrolled(server) == emails("a")


def test_unsendable_file_does_not_block_the_others(cli, sandbox):
    server = sandbox()
    drop = cli.folder / "drop"
    lay(drop / "a.csv", *group("a"), age_s=9_000)
    drop.joinpath("b.csv").write_bytes(b"%PDF-1.7")
    aged(drop / "b.csv", 8_000)
    lay(drop / "c.csv", *group("c"), age_s=7_000)
    ended = cli("run", "drop", *flags(server), "--pick", "new", "--json")
    assert ended.code == 2
    assert [run["status"] for run in ended.json["runs"]] == ["finished", "refused", "finished"]
    assert "PDF" in ended.json["runs"][1]["stop_reason"]
    assert "drop/b.csv" in ended.err
    assert enrolled(server) == emails("a", "c")


def test_stopped_run_leaves_the_next_files_for_later(cli, sandbox):
    server = sandbox(faults="token_revoked@5+")
    for age, name in enumerate(("c", "b", "a"), start=1):
        lay(cli.folder / "drop" / f"{name}.csv", *group(name), age_s=age * 1_000)
    command = ("run", "drop", *flags(server), "--pick", "new", "--concurrency", "1", "--json")
    stopped = cli(*command)
    assert stopped.code == 3
    assert [run["status"] for run in stopped.json["runs"]] == ["finished", "stopped"]
    assert stopped.json["left"] == ["drop/c.csv"]
    assert "drop/c.csv" in stopped.err
    server.control(faults="", token_revoked=False)
    rest = cli(*command)
    assert (rest.code, [run["input"] for run in rest.json["runs"]]) == (0, ["b.csv", "c.csv"])
    assert enrolled(server) == emails("a", "b", "c")


def test_incomplete_inputs_are_skipped_and_listed(cli, sandbox):
    server = sandbox()
    drop = cli.folder / "drop"
    lay(drop / "leads.csv", *group("a"))
    lay(drop / "growing.csv", *group("b"), age_s=0)
    for name in (
        "leads.csv.part",
        "x.tmp",
        "~$leads.xlsx",
        ".leads.csv.Ab12",
        "old.1234.results.csv",
        "old.1234.failed.csv",
        "old.1234.unknown.csv",
        "old.1234.summary.json",
        "notes.toml",
    ):
        lay(drop / name, *group("b"))
    (drop / "done").mkdir()
    lay(drop / "done" / "older.csv", *group("b"))
    ended = cli("run", "drop", *flags(server), "--pick", "new", "--json")
    assert ended.code == 0, ended.err
    assert ended.json["input"] == "leads.csv"
    (said,) = [line for line in ended.err.splitlines() if line.startswith("Skipped")]
    assert "4 written by this program" in said
    assert ".results" not in said
    assert "4 temporary or hidden (" in said
    assert "1 changed less than 10 s ago (growing.csv)" in said
    assert "1 no table by the name (notes.toml)" in said
    assert enrolled(server) == emails("a")
    settled = cli("run", "drop", *flags(server), "--pick", "new", "--settle", "0s", "--json")
    assert settled.json["input"] == "growing.csv"


def test_files_of_the_job_are_not_inputs(cli, sandbox):
    server = sandbox()
    drop = cli.folder / "drop"
    lay(drop / "leads.csv", *group("a"))
    (drop / "enroll.txt").write_text("2026-11-30T03:00:00.000Z INFO run ended exit_code=0\n")
    aged(drop / "enroll.txt")
    first = lay(cli.folder / "first.csv", *group("c"))
    assert cli("run", first, *flags(server), "--results", "drop/out.csv").code == 0
    aged(drop / "out.csv")
    (drop / "token.txt").write_text("sandbox-token\n")
    (drop / "token.txt").chmod(0o600)
    aged(drop / "token.txt")
    more = ("--token-file", "drop/token.txt", "--results", "drop/out.csv", "--log-file", "drop/enroll.txt")
    ended = cli("run", "drop", *flags(server), *more, "--json", BATCH_ENROLL_TOKEN="")
    assert ended.code == 0, ended.err
    assert ended.json["input"] == "leads.csv"


def test_check_reads_each_picked_file(cli, sandbox):
    server = sandbox()
    lay(cli.folder / "drop" / "a.csv", *group("a"), age_s=9_000)
    lay(cli.folder / "drop" / "b.csv.gz", *group("b"))
    (cli.folder / "drop" / "b.csv.gz").write_bytes(gzip.compress(b"email,first_name\nTotal: 3,\nb@example.com,B\n"))
    aged(cli.folder / "drop" / "b.csv.gz")
    ended = cli("check", "drop", *flags(server), "--pick", "new", "--json")
    assert ended.code == 1
    assert [check["exit_code"] for check in ended.json["checks"]] == [0, 1]
    assert not server.enrolments()
    refused = cli("check", "drop", *flags(server), "--pick", "new", "--problems", "problems.csv")
    assert refused.code == 2
    assert "--problems" in refused.err


@pytest.mark.parametrize("command", ["run", "check"])
def test_picked_file_without_rows_is_nothing_new(cli, sandbox, command):
    server = sandbox()
    lay(cli.folder / "drop" / "a.csv", age_s=9_000)
    lay(cli.folder / "drop" / "b.csv", *group("b"))
    words = ("--pick", "new", "--if-changed", "--json")
    ended = cli(command, "drop", *flags(server), *words)
    assert ended.code == 0, ended.err
    first, second = ended.json["runs" if command == "run" else "checks"]
    assert (first["status"], first["input"], second["input"]) == ("unchanged", "a.csv", "b.csv")
    assert "Nothing new: a.csv has no rows." in ended.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--pick", "latest"), "--pick"),
        (("--settle", "soon"), "--settle: 'soon' is not a duration"),
        (("--pick", "new", "--again"), "--pick new"),
        (("--if-changed", "--again"), "--if-changed"),
        (("--pick", "new", "--results", "out.csv"), "--results"),
    ],
)
def test_contradicting_settings_are_refused(cli, sandbox, words, said):
    server = sandbox()
    lay(cli.folder / "drop" / "a.csv", *group("a"))
    ended = cli("run", "drop", *flags(server), *words)
    assert ended.code == 2
    assert said in ended.err
    assert "Traceback" not in ended.err
    assert not server.enrolments()
