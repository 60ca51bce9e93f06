"""No output of a command takes the place of a file that it reads, of the ledger, or of another output."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from tests.support.commands import write_csv
from tests.support.input_files import COMMON, group

OUTPUTS = {
    "results": ("run", "--results"),
    "status": ("run", "--status-file"),
    "metrics": ("run", "--metrics-file"),
    "log": ("run", "--log-file"),
    "archive": ("run", "--archive"),
    "problems": ("check", "--problems"),
    "plan": ("check", "--save"),
}
LIVE = {"status", "metrics", "log", "archive"}  # written while the command reads
LEDGER = ("ledger.csv", "ledger.csv-wal", "ledger.csv.runs/new.csv")
READ = {
    "leads.csv": "the input",
    "job.csv": "the job file",
    "token.csv": "the token file",
    "password.csv": "the password file",
    "addresses.csv": "the file of addresses to notify",
    "hard.csv": "the input",
    "link.csv": "the input",
    "here/leads.csv": "the input",
    "../{folder}/./leads.csv": "the input",
    **dict.fromkeys(LEDGER, "the ledger"),
}


@pytest.fixture
def job(cli, sandbox):
    """Every file that a run reads; the ledger remembers an earlier run."""
    folder = cli.folder
    server = sandbox()
    write_csv(folder / "leads.csv", *group("a"))
    os.link(folder / "leads.csv", folder / "hard.csv")
    (folder / "link.csv").symlink_to("leads.csv")
    (folder / "here").symlink_to(".")
    for name, content in (("token.csv", "some-token"), ("password.csv", "x"), ("addresses.csv", "json://127.0.0.1:9")):
        (folder / name).write_text(content)
        (folder / name).chmod(0o600)
    (folder / "job.csv").write_text(
        'token_file = "token.csv"\n[input]\npassword_file = "password.csv"\n[notify]\nurls_file = "addresses.csv"\n'
    )
    write_csv(folder / "earlier.csv", *group("earlier"))
    assert cli("run", "earlier.csv", *flags(server)).code == 0
    return server


def flags(server):
    return ("--url", server.url, *COMMON, "--ledger", "ledger.csv", "--job", "job.csv")


def contents(folder):
    return {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_output_that_is_read_is_refused(cli, job):
    """Every output against the input and the ledger; every file that is read, by every name, against one output."""
    before = contents(cli.folder)
    pairs = [(output, name) for output in OUTPUTS for name in ("leads.csv", *LEDGER[::2])]
    pairs += [("problems", name) for name in READ if name not in ("leads.csv", *LEDGER[::2])]
    for output, name in pairs:
        command, flag = OUTPUTS[output]
        words = [command, "leads.csv", *flags(job), flag, name.format(folder=cli.folder.name)]
        if name in LEDGER or output in LIVE:
            words.append("--overwrite")
        ended = cli(*words)
        assert ended.code == 2, (words, ended.err)
        assert f"would overwrite {READ[name]}: " in ended.err
        assert f"Choose another place with {flag}." in ended.err
    assert contents(cli.folder) == before
    assert len(job.enrolments()) == 3


def test_input_that_was_read_is_overwritten_when_a_person_says_so(cli, job):
    before = (cli.folder / "leads.csv").read_bytes()
    for output in ("problems", "plan", "results"):
        command, flag = OUTPUTS[output]
        words = (command, "leads.csv", *flags(job), flag, "leads.csv")
        assert cli(*words).code == 2
        assert cli(*words, "--overwrite").code == 0
        assert (cli.folder / "leads.csv").read_bytes() != before
        (cli.folder / "leads.csv").write_bytes(before)


def test_companion_of_the_results_is_no_input(cli, job):
    for name in KINDS[1:]:
        write_csv(cli.folder / name, *group("b"))
        before = contents(cli.folder)
        ended = cli("run", name, *flags(job), "--results", "x.csv")
        assert (ended.code, "would overwrite the input" in ended.err) == (2, True)
        assert contents(cli.folder) == before


def test_report_does_not_overwrite_what_its_run_read(cli, job):
    assert cli("run", "leads.csv", *flags(job)).code == 0
    before = contents(cli.folder)
    for words in (("leads.csv",), ("hard.csv",), ("ledger.csv",), ("ledger.csv", "--overwrite")):
        ended = cli("report", "last", "--ledger", "ledger.csv", "--results", *words)
        assert (ended.code, "would overwrite" in ended.err) == (2, True)
    assert contents(cli.folder) == before


def test_support_bundle_does_not_overwrite_what_it_reads(cli, job):
    (cli.folder / "run.log").write_text("kept\n")
    before = contents(cli.folder)
    for words in (("run.log",), ("ledger.csv",), ("ledger.csv", "--overwrite")):
        ended = cli("support", "last", "--ledger", "ledger.csv", "--log-file", "run.log", "--out", *words)
        assert (ended.code, "would overwrite" in ended.err) == (2, True)
    assert contents(cli.folder) == before


def test_status_of_an_invalid_job_is_not_written_over_its_input(cli, job):
    before = contents(cli.folder)
    ended = cli("run", "leads.csv", *flags(job), "--rate", "fast", "--status-file", "leads.csv")
    assert ended.code == 2
    assert contents(cli.folder) == before


def test_input_of_a_folder_is_not_overwritten(cli, job):
    (cli.folder / "in").mkdir()
    source = write_csv(cli.folder / "in" / "a.csv", *group("b"))
    before = source.read_bytes()
    ended = cli("run", "in/*.csv", *flags(job), "--log-file", "in/a.csv", "--settle", "0s")
    assert ended.code == 2
    assert source.read_bytes() == before


def test_two_outputs_are_two_files(cli, job):
    ended = cli("run", "leads.csv", *flags(job), "--results", "x.csv", "--log-file", "here/x.csv")
    assert (ended.code, "another output of the same command" in ended.err) == (2, True)
    assert len(job.enrolments()) == 3


THEIRS = "E-mail;Budget\n"


@pytest.mark.parametrize(
    ("command", "outputs"), [("run", ("status", "metrics", "log")), ("check", ("problems", "plan"))]
)
def test_only_files_that_begin_as_ours_are_replaced(cli, job, command, outputs):
    """New, empty and earlier files of ours are taken, in text and in JSON; a person's file stays."""
    words = [command, "leads.csv", *flags(job), "--again"]
    for output in outputs:
        words += [OUTPUTS[output][1], f"{output}.txt"]
        (cli.folder / f"{output}.txt").touch()
    for more in ((), ("--log-format", "json"), ()):
        ended = cli(*words, *more)
        assert ended.code == 0, ended.err
    (cli.folder / "log.txt").unlink(missing_ok=True)
    for _ in range(2):
        assert cli(*words, "--log-format", "json").code == 0
    for output in outputs:
        path, ours = cli.folder / f"{output}.txt", (cli.folder / f"{output}.txt").read_bytes()
        path.write_text(THEIRS)
        ended = cli(*words)
        assert ended.code == 2
        assert f"{output}.txt, which this program did not write.\n" in ended.err
        assert f"Choose another place with {OUTPUTS[output][1]}, or replace that file with --overwrite." in ended.err
        assert path.read_text() == THEIRS
        path.write_bytes(ours)
    for output in outputs:
        (cli.folder / f"{output}.txt").write_text(THEIRS)
    assert cli(*words, "--overwrite").code == 0
    for output in outputs:
        begins_as_theirs = (cli.folder / f"{output}.txt").read_text(encoding="utf-8-sig").startswith(THEIRS)
        assert begins_as_theirs == (output == "log")  # a log goes on at its end


def test_device_is_no_file_that_could_be_lost(cli, job):
    assert cli("run", "leads.csv", *flags(job), "--log-file", os.devnull).code == 0


def test_status_of_an_invalid_job_replaces_no_file_of_others(cli, job):
    (cli.folder / "notes.txt").write_text(THEIRS)
    assert cli("run", "leads.csv", *flags(job), "--rate", "fast", "--status-file", "notes.txt").code == 2
    assert (cli.folder / "notes.txt").read_text() == THEIRS


def test_support_bundle_replaces_only_a_bundle(cli, job):
    words = ("support", "last", "--ledger", "ledger.csv")
    path = cli.folder / "help.zip"
    for _ in range(2):
        assert cli(*words, "--out", path.name).code == 0
        assert cli(*words).code == 0
    path.write_text(THEIRS)
    ended = cli(*words, "--out", path.name)
    assert (ended.code, "which this program did not write" in ended.err) == (2, True)
    assert path.read_text() == THEIRS
    assert cli(*words, "--out", path.name, "--overwrite").code == 0
    assert path.read_bytes().startswith(b"PK")


def test_bundle_and_job_file_get_their_default_name_in_a_folder(cli, job):
    run = cli("runs", "--ledger", "ledger.csv", "--json").json[0]["run"]
    assert cli("support", "last", "--ledger", "ledger.csv", "--out", "new/").code == 0
    assert cli("init", "leads.csv", "--output", "new").code == 0
    names = {path.name for path in (cli.folder / "new").iterdir()}
    assert names == {f"batch-enroll-support-{run}.zip", "leads.toml"}


def test_init_replaces_nothing(cli, job):
    for name, said in (("leads.csv", "would overwrite the input"), ("job.csv", "exists already")):
        before = contents(cli.folder)
        ended = cli("init", "leads.csv", "--output", name)
        assert (ended.code, said in ended.err) == (2, True), ended.err
        assert contents(cli.folder) == before


def test_demo_replaces_only_its_own_list(cli):
    leads = write_csv(cli.folder / "leads.csv", *group("a"))
    before = contents(cli.folder)
    ended = cli("demo", "--folder", ".", "--rows", "10", "--rate", "none")
    assert (ended.code, "which this program did not write" in ended.err) == (2, True)
    assert contents(cli.folder) == before
    leads.unlink()
    for rows in ("10", "11"):
        assert cli("demo", "--folder", ".", "--rows", rows, "--rate", "none").code == 0


KINDS = ("x.csv", "x.failed.csv", "x.unknown.csv", "x.summary.json")


@pytest.fixture
def ran(cli, sandbox):
    """A run that wrote every kind of file under `x.csv`."""
    server = sandbox(faults="drop_after_acting@2")
    write_csv(cli.folder / "leads.csv", *group("a"), ("nobody@example.com", ""))
    command = ("--url", server.url, *COMMON, "--ledger", "ledger.sqlite", "--results", "x.csv", "--concurrency", "1")
    ended = cli("run", "leads.csv", *command, "--json")
    assert ended.code == 4
    assert all((cli.folder / name).exists() for name in KINDS)
    return server, command, ended.json["run"]


def report(cli, *more):
    return cli("report", "last", "--ledger", "ledger.sqlite", *more)


def test_unchanged_results_are_replaced(cli, ran):
    names = {path.name for path in cli.folder.iterdir()}
    for _ in range(2):
        ended = report(cli)
        assert (ended.code, "kept" in ended.err) == (0, False)
    assert {path.name for path in cli.folder.iterdir()} == names


def test_results_without_a_summary_after_a_crash_are_replaced(cli, ran):
    """The program was killed after it had named the results and before it wrote the summary."""
    (cli.folder / "x.summary.json").unlink()
    names = {path.name for path in cli.folder.iterdir()}
    assert report(cli).code == 0
    assert {path.name for path in cli.folder.iterdir()} == names | {"x.summary.json"}


@pytest.mark.parametrize("name", KINDS)
def test_corrected_file_is_kept_and_the_new_one_lies_beside(cli, ran, name):
    _, _, run = ran
    changed = cli.folder / name
    changed.write_bytes(changed.read_bytes().replace(b"example.com", b"x.org").replace(b"leads.csv", b"other.csv"))
    before = {path: path.read_bytes() for path in map(cli.folder.joinpath, KINDS)}
    ended = report(cli)
    assert ended.code == 0
    assert f"the results are in leads.{run}.results.csv" in ended.err.replace(str(cli.folder) + "/", "")
    assert {path: path.read_bytes() for path in before} == before
    assert report(cli).code == 0
    assert not (cli.folder / f"leads.{run}.3.results.csv").exists()


def test_results_of_an_older_release_stop_no_run(cli, ran):
    server, command, _ = ran
    summary = cli.folder / "x.summary.json"
    content = json.loads(summary.read_text(encoding="utf-8"))
    del content["sha256"]
    summary.write_text(json.dumps(content), encoding="utf-8")
    before = (cli.folder / "x.csv").read_bytes()
    server.control(faults="")
    write_csv(cli.folder / "more.csv", *group("b"))
    ended = cli("run", "more.csv", *command, "--json")
    assert ended.code == 0
    assert "results_beside" in [notice["code"] for notice in ended.json["notices"]]
    assert ended.json["files"]["results"].endswith(f"more.{ended.json['run']}.results.csv")
    assert (cli.folder / "x.csv").read_bytes() == before


def test_file_of_somebody_else_is_refused(cli, ran):
    server, flags, _ = ran
    write_csv(cli.folder / "more.csv", *group("b"))
    sent = len(server.enrolments())
    for name in KINDS:
        target = cli.folder / name.replace("x.", "y.")
        target.write_text(THEIRS)
        for ended in (cli("run", "more.csv", *flags, "--results", "y.csv"), report(cli, "--results", "y.csv")):
            assert (ended.code, f"{target.name}, which this program did not write" in ended.err) == (2, True), ended.err
            assert "Choose another place with --results, or replace that file with --overwrite." in ended.err
        assert target.read_text() == THEIRS
        target.unlink()
    assert len(server.enrolments()) == sent


@pytest.mark.parametrize("how", ["flag", "variable", "job file"])
def test_file_of_somebody_else_is_replaced_when_a_person_says_so(cli, ran, how):
    server, flags, _ = ran
    server.control(faults="")
    write_csv(cli.folder / "more.csv", *group("b"))
    for name in KINDS:
        (cli.folder / name.replace("x.", "y.")).write_text(THEIRS)
    (cli.folder / "job.toml").write_text("[output]\noverwrite = true\n")
    more = {"flag": ("--overwrite",), "variable": (), "job file": ("--job", "job.toml")}[how]
    environment = {"BATCH_ENROLL_OVERWRITE": "yes"} if how == "variable" else {}
    assert cli("run", "more.csv", *flags, "--results", "y.csv", *more, **environment).code == 0
    assert "enroll_status" in (cli.folder / "y.csv").read_text(encoding="utf-8-sig")
    assert json.loads((cli.folder / "y.summary.json").read_text())["input"] == "more.csv"
    assert (cli.folder / "y.failed.csv").read_text() == THEIRS  # no row failed: it is not in the way


def test_corrected_results_are_replaced_when_a_person_says_so(cli, ran):
    """That one command was allowed to is not kept: the next one asks again."""
    (cli.folder / "x.csv").write_text(THEIRS)
    ended = report(cli, "--overwrite")
    assert (ended.code, "kept" in ended.err) == (0, False)
    assert (cli.folder / "x.csv").read_text(encoding="utf-8-sig").startswith("email,")
    (cli.folder / "x.csv").write_text(THEIRS)
    assert report(cli).code == 0
    assert (cli.folder / "x.csv").read_text() == THEIRS


def test_empty_file_is_replaced(cli, ran):
    (cli.folder / "y.csv").touch()
    assert report(cli, "--results", "y.csv").code == 0
    assert (cli.folder / "y.csv").stat().st_size


def test_results_get_their_default_name_in_a_folder(cli, ran):
    server, flags, run = ran
    server.control(faults="")
    (cli.folder / "out.csv").mkdir()
    (cli.folder / "job.toml").write_text('[output]\nresults = "in_job/"\n')
    for number, (place, folder) in enumerate(
        ((("--results", "new/"), "new"), (("--results", "out.csv"), "out.csv"), (("--job", "job.toml"), "in_job"))
    ):
        write_csv(cli.folder / "more.csv", *group(f"b{number}"))
        words = [word for word in flags if word not in ("--results", "x.csv")]
        assert cli("check", "more.csv", *words, *place).code == 0
        assert (cli.folder / folder).exists() == (folder == "out.csv")
        ended = cli("run", "more.csv", *words, *place, "--json")
        assert ended.code == 0, ended.err
        name = f"more.{ended.json['run']}"
        assert cli.folder / ended.json["files"]["results"] == cli.folder / folder / f"{name}.results.csv"
        assert {path.name for path in (cli.folder / folder).iterdir()} == {
            f"{name}.results.csv",
            f"{name}.summary.json",
        }
    assert cli("report", run, "--ledger", "ledger.sqlite", "--results", "of_report/").code == 0
    assert (cli.folder / "of_report" / f"leads.{run}.results.csv").exists()


def test_stopped_run_goes_on_with_its_results_in_a_folder(cli, sandbox):
    server = sandbox(faults="token_revoked@2+")
    write_csv(cli.folder / "leads.csv", *group("a"))
    words = ("--url", server.url, *COMMON, "--ledger", "ledger.sqlite", "--results", "new/", "--concurrency", "1")
    run = cli("run", "leads.csv", *words, "--json").json["run"]
    server.control(faults="", token_revoked=False)
    shutil.rmtree(cli.folder / "new")
    ended = cli("resume", run, "--ledger", "ledger.sqlite", "--json")
    assert ended.code == 0, ended.out
    assert (ended.code, ended.json["files"]["results"]) == (0, str(cli.folder / "new" / f"leads.{run}.results.csv"))


def test_inputs_that_are_picked_get_their_results_in_one_folder(cli, sandbox):
    (cli.folder / "in").mkdir()
    for name in ("a", "b"):
        write_csv(cli.folder / "in" / f"{name}.csv", *group(name))
    words = ("--url", sandbox().url, *COMMON, "--ledger", "ledger.sqlite", "--settle", "0s", "--pick", "new")
    assert cli("run", "in", *words, "--results", "one.csv").code == 2
    assert cli("run", "in", *words, "--results", "out/").code == 0
    assert len(list((cli.folder / "out").glob("*.results.csv"))) == 2


@pytest.mark.parametrize("name", ["x.txt", "x", "x.csv.bak", "-"])
def test_unknown_suffix_of_results_is_refused(cli, ran, name):
    server, flags, _ = ran
    write_csv(cli.folder / "more.csv", *group("b"))
    sent = len(server.enrolments())
    (cli.folder / "job.toml").write_text(f'[output]\nresults = "{name}"\n')
    words = [word for word in flags if word not in ("--results", "x.csv")]
    for ended, place in (
        (cli("run", "more.csv", *words, f"--results={name}"), "--results"),
        (cli("check", "more.csv", *words, f"--results={name}"), "--results"),
        (report(cli, f"--results={name}"), "--results"),
        (cli("run", "more.csv", *words, "--job", "job.toml"), "job.toml: [output] results"),
    ):
        assert ended.code == 2
        assert f"{place}: '" in ended.err
        assert "is no name for results; write one that ends in .csv, .xlsx, or a folder with a slash at" in ended.err
    assert len(server.enrolments()) == sent
