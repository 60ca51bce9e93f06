"""The command line as a process: what it takes, what it says, and each of its exit codes."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import openpyxl
import pandas
import pytest
import xlwt

from tests.support.commands import people, read_results, write_csv
from tests.support.sandbox import wait_until
from tests.support.terminal import Terminal

COMMON = ("--scenario", "3", "--match", "email=email", "--rate", "none")


def run_flags(server):
    return ("--url", server.url, *COMMON)


def test_exit_0_when_all_rows_are_enrolled_or_skipped(cli, sandbox):
    server = sandbox()
    source = write_csv(cli.folder / "leads.csv", *people(20), people(1)[0])
    ended = cli("run", source, *run_flags(server), "--json")
    assert ended.code == 0, ended.err
    assert ended.json["counts"] == {
        "success": 20,
        "error": 0,
        "unknown": 0,
        "invalid": 0,
        "skipped": 1,
        "not_sent": 0,
        "rows": 21,
    }
    assert {"run", "status", "counts", "duration_s", "requests", "files", "exit_code"} <= set(ended.json)
    assert (ended.json["status"], ended.json["exit_code"], ended.json["requests"]) == ("finished", 0, 20)
    assert server.enrolments() == {f"email:{email}": 1 for email, _ in people(20)}
    results = read_results(cli.folder / f"leads.{ended.json['run']}.results.csv")
    assert [row["enroll_status"] for row in results] == ["success"] * 20 + ["skipped"]
    assert "sandbox-token" not in ended.out + ended.err


def test_exit_1_when_some_rows_are_refused_or_invalid(cli, sandbox):
    source = write_csv(cli.folder / "in.csv", *people(5), ("nobody@example.com", ""), ("Total: 5", ""))
    ended = cli("run", source, *run_flags(sandbox()), "--json")
    assert ended.code == 1
    assert (ended.json["counts"]["error"], ended.json["counts"]["invalid"]) == (1, 1)
    assert set(ended.json["files"]) == {"results", "failed", "summary"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "missing.csv"), "There is no file missing.csv"),
        (("run", "in.csv", "--scenario", "three"), "--scenario"),
        (("run", "in.csv", "--rate", "fast"), "--rate: 'fast' is not a rate"),
        (("run", "in.csv", "--rate", "0"), "--rate"),
        (("run", "in.csv", "--match", "email"), "--match"),
        (("run", "in.csv", "--match", "e-mail=email"), "--match"),
        (("run", "in.csv", "--match", "custom=email"), "field's name"),
        (("run", "in.csv", "--match", "email=emial"), "email"),
        (("run", "in.csv", "--content", "name=Nmae"), "Nmae"),
        (("run", "in.csv", "--timeout", "-1"), "--timeout"),
        (("run", "in.csv", "--max-errors", "many"), "--max-errors"),
        (("run", "in.csv", "--window", "soon"), "--window"),
        (("run", "in.csv", "--deadline", "25:00"), "--deadline"),
        (("run", "in.csv", "--url", "http://platform.example"), "unencrypted"),
        (("run", "in.csv", "--url", "platform"), "--url"),
        (("run", "in.csv", "--url", "https://user:secret@platform.example"), "password"),
        (("run", "in.csv", "--job", "missing.toml"), "missing.toml"),
        (("run", "in.csv", "--results", "nowhere/out.csv"), "nowhere"),
        (("run", "in.csv", "--ledger", "mysql://x"), "--ledger"),
        (("run", "in.csv", "--unknown-flag"), "--unknown-flag"),
        (("run",), "INPUT"),
        (("enrol", "in.csv"), "enrol"),
        (("run", "in.csv", "--limit", "0"), "--limit"),
        (("run", "in.csv", "--header-row", "9"), "9"),
        (("run", "in.csv", "--delimiter", "ab"), "--delimiter"),
    ],
)
def test_exit_2_with_one_sentence_per_error(cli, sandbox, words, said):
    server = sandbox()
    write_csv(cli.folder / "in.csv", *people(3), header=("email", "name"))
    flags = [] if words[0] != "run" or "INPUT" in said else list(run_flags(server))
    ended = cli(*words[:2], *flags, *words[2:])
    assert ended.code == 2, ended.err
    assert said in ended.err
    assert "Traceback" not in ended.err
    assert "secret" not in ended.err
    assert not server.totals()["requests"].get("workflows/start")


def test_exit_2_without_a_token(cli, sandbox):
    source = write_csv(cli.folder / "in.csv", *people(1))
    ended = cli("run", source, *run_flags(sandbox()), BATCH_ENROLL_TOKEN="")
    assert ended.code == 2
    assert "BATCH_ENROLL_TOKEN" in ended.err
    assert "pip install" not in ended.err


def test_exit_2_without_a_token_names_the_missing_keyring(cli, sandbox, monkeypatch):
    needed = SimpleNamespace(requires=["not-there>=1; extra == 'keyring'"])
    monkeypatch.setattr("batch_enroll.installed_versions.distribution", lambda name: needed)
    source = write_csv(cli.folder / "in.csv", *people(1))
    ended = cli("run", source, *run_flags(sandbox()), BATCH_ENROLL_TOKEN="")
    assert ended.code == 2
    assert f"Tokens. The keyring needs a package: {shlex.quote(sys.executable)} -m pip install not-there\n" in ended.err


@pytest.mark.parametrize(
    ("scenario", "said"), [("4", "no scenario"), ("11", "not active"), ("3", "token")], ids=["missing", "off", "token"]
)
def test_exit_2_when_preflight_fails(cli, sandbox, scenario, said):
    server = sandbox()
    source = write_csv(cli.folder / "in.csv", *people(1))
    token = "wrong-token-0000" if said == "token" else "sandbox-token"
    flags = ("--url", server.url, *COMMON[2:], "--scenario", scenario)
    ended = cli("run", source, *flags, BATCH_ENROLL_TOKEN=token)
    assert ended.code == 2
    assert said in ended.err.lower()
    assert token not in ended.err
    assert server.totals()["enrolled_total"] == 0


def test_exit_2_for_a_finished_run_and_again_sends_it_once_more(cli, sandbox):
    server = sandbox()
    source = write_csv(cli.folder / "in.csv", *people(4))
    assert cli("run", source, *run_flags(server)).code == 0
    second = cli("run", source, *run_flags(server))
    assert second.code == 2
    assert "4 success" in second.err
    assert "--again" in second.err
    assert server.totals()["enrolled_total"] == 4
    assert cli("run", source, *run_flags(server), "--again").code == 0
    assert server.totals()["enrolled_total"] == 8


def test_exit_3_for_a_refused_token_and_resume(cli, sandbox):
    server = sandbox(faults="token_revoked@11+")
    source = write_csv(cli.folder / "in.csv", *people(40))
    flags = (*run_flags(server), "--concurrency", "1", "--json")
    first = cli("run", source, *flags)
    assert first.code == 3, first.err
    assert (first.json["counts"]["success"], first.json["counts"]["not_sent"]) == (10, 30)
    assert first.json["status"] == "stopped"
    server.control(faults="", token_revoked=False)
    second = cli("run", source, *flags)
    assert second.code == 0, second.err
    assert second.json["run"] == first.json["run"]
    assert set(server.enrolments().values()) == {1}
    assert len(server.enrolments()) == 40


def test_exit_4_when_some_rows_are_unknown(cli, sandbox):
    server = sandbox(faults="drop_after_acting@2,drop_before_acting@4")
    source = write_csv(cli.folder / "in.csv", *people(6))
    ended = cli("run", source, *run_flags(server), "--concurrency", "1", "--json")
    assert ended.code == 4
    assert ended.json["counts"]["unknown"] == 2
    assert len(server.enrolments()) == 5
    unknown = read_results(cli.folder / f"in.{ended.json['run']}.unknown.csv")
    assert [row["email"] for row in unknown] == [people(4)[1][0], people(4)[3][0]]


@pytest.mark.slow
def test_exit_5_while_another_process_runs(cli, sandbox):
    server = sandbox(latency_s=(0.3, 0.3))
    source = write_csv(cli.folder / "in.csv", *people(30))
    flags = (*run_flags(server), "--concurrency", "1")
    first = cli.start("run", source, *flags)
    try:
        _wait_for_starts(server, 1)
        second = cli("run", source, *flags)
        assert second.code == 5, second.err
        assert str(first.pid) in second.err
    finally:
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=60)
    assert first.returncode == 143


@pytest.mark.slow
@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_ends_the_wait_for_a_silent_pipe(cli, sandbox, command, number, code):
    server = sandbox()
    words = (command, "-", "--url", server.url, "--scenario", "3", "--match", "email=email", "--status-file", "s.json")
    with cli.start(*words, stdin=subprocess.PIPE) as process:
        process.stdin.write("email\n")
        process.stdin.flush()
        spool = Path(os.environ["TMPDIR"])
        wait_until(lambda: any(spool.glob("batch-enroll-*/files/**/input")), timeout_s=60)
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()  # if it still waits; that is no exit code of ours
        _, err = process.communicate()
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert "othing was sent." in err
    assert not list(spool.glob("batch-enroll-*"))
    assert not server.enrolments()
    if command == "run":
        status = json.loads((cli.folder / "s.json").read_text())
        assert (status["exit_code"], status["state"]) == (code, "failed")


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_exit_130_and_143_save_sent_rows_and_resume(cli, sandbox, number, code):
    server = sandbox(latency_s=(0.05, 0.05))
    source = write_csv(cli.folder / "in.csv", *people(60))
    flags = (*run_flags(server), "--concurrency", "2", "--json")
    first = cli.start("run", source, *flags)
    _wait_for_starts(server, 5)
    first.send_signal(number)
    out, err = first.communicate(timeout=60)
    assert first.returncode == code, err
    ended = json.loads(out)
    assert ended["counts"]["unknown"] == 0
    assert ended["counts"]["not_sent"] > 0
    second = cli("run", source, *flags)
    assert second.code == 0, second.err
    assert set(server.enrolments().values()) == {1}
    assert len(server.enrolments()) == 60


def test_precedence_is_flag_variable_job_file(cli, sandbox):
    server = sandbox()
    source = write_csv(cli.folder / "in.csv", *people(3))
    (cli.folder / "job.toml").write_text(
        f'url = "{server.url}"\nscenario = 11\n[match]\nmode = "email"\ncolumn = "email"\n[input]\nlimit = 1\n'
        '[send]\nrate = "none"\n'
    )
    by_file = cli("check", source, "--job", "job.toml", "--skip-preflight", "--json")
    by_variable = cli("check", source, "--job", "job.toml", "--json", BATCH_ENROLL_SCENARIO="3", BATCH_ENROLL_LIMIT="2")
    by_flag = cli(
        "check", source, "--job", "job.toml", "--json", "--limit", "3", "--scenario", "5", BATCH_ENROLL_LIMIT="2"
    )
    assert [ended.json["scenario"]["id"] for ended in (by_file, by_variable, by_flag)] == [11, 3, 5]
    assert [ended.json["rows"] for ended in (by_file, by_variable, by_flag)] == [1, 2, 3]


def test_job_file_error_has_its_place_and_the_nearest_key(cli):
    write_csv(cli.folder / "in.csv", *people(1))
    (cli.folder / "job.toml").write_text(
        'url = "https://x.example"\nscenario = "x"\n[match]\nmode = "email"\ncolum = "email"\n[send]\nratee = 5\n'
    )
    ended = cli("run", "in.csv", "--job", "job.toml")
    assert ended.code == 2
    for words in ("job.toml: scenario", "[match] colum", "'column'", "[send] ratee", "'rate'"):
        assert words in ended.err
    (cli.folder / "broken.toml").write_text("url = https://x.example\n")
    assert "line 1" in cli("run", "in.csv", "--job", "broken.toml").err


def test_standard_input_and_token_file_work(cli, sandbox):
    server = sandbox()
    (cli.folder / "token").write_text("sandbox-token\n")
    ended = cli(
        "run",
        "-",
        *run_flags(server),
        "--token-file",
        "token",
        "--json",
        stdin=b"email\nanna@example.com\n",
        BATCH_ENROLL_TOKEN="",
    )
    assert ended.code == 0, ended.err
    assert server.enrolments() == {"email:anna@example.com": 1}
    assert (cli.folder / f"stdin.{ended.json['run']}.results.csv").exists()


def test_check_shows_problems_and_sends_nothing(cli, sandbox):
    server = sandbox()
    source = write_csv(cli.folder / "in.csv", *people(3), ("Total: 3", ""), ("", "x"), (" anna@example.com ", ""))
    ended = cli("check", source, *run_flags(server), "--json")
    assert ended.code == 1
    assert (ended.json["rows"], ended.json["to_send"], ended.json["invalid"]) == (6, 4, 2)
    assert ended.json["first_requests"][0]["token"] == "***"
    assert "Plan of run" not in ended.out + ended.err
    ended = cli("check", source, *run_flags(server), "--samples", "--problems", "problems.csv")
    assert [problem["row"] for problem in read_results(cli.folder / "problems.csv")] == ["5", "6"]
    assert "'Total: 3' is not an email address" in ended.out
    assert "Plan of run" in ended.out
    assert "Plan of run" not in ended.err
    assert "Nothing was sent" in ended.err
    assert not server.totals()["requests"].get("workflows/start")
    assert cli("runs", "--json").json == []


@pytest.mark.parametrize("command", ["run", "check"])
def test_no_person_is_shown_off_a_terminal(cli, sandbox, command):
    server = sandbox()
    source = write_csv(cli.folder / "in.csv", ("user00000@", "Name 0"), *people(3))
    shown = cli(command, source, *run_flags(server), "--samples", "--content", "first=first_name", "--limit", "3")
    assert '"first": "Name 1"' in shown.out + shown.err
    assert "'user00000@' is not an email address" in shown.out + shown.err
    ended = cli(command, source, *run_flags(server), "--content", "first=first_name")
    assert (ended.code, "Plan of run" in ended.out + ended.err) == (1, True), ended.err
    assert "user0000" not in ended.out + ended.err
    assert "Name " not in ended.out + ended.err
    assert "does not hold an email address, column 'email' (email_invalid): row 2\n" in ended.out + ended.err


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(
    ("match", "header", "cells", "quoted"),
    [
        ("phone=who", "who,city", '"8 916,Petrov"', "Petrov"),
        ("custom:CRM=who", "who,city", "1.2345E+11", "2345E"),
        ("custom:CRM=who", "who,city", "A-1,Moscow,Ivanov", "Ivanov"),
        ("email=who", "who,city", '"anna@example.com, olga@example.com"', "olga"),
    ],
)
def test_no_cell_of_an_invalid_row_is_shown_off_a_terminal(cli, sandbox, command, match, header, cells, quoted):
    (cli.folder / "in.csv").write_text(f"{header}\n{cells}\n", encoding="utf-8")
    words = ("in.csv", *run_flags(sandbox()), "--match", match)
    assert quoted in cli("check", *words, "--samples").out
    ended = cli(command, *words)
    told = ended.out + ended.err
    assert quoted not in told
    assert "Invalid rows" in told
    assert ": row 2\n" in told


@pytest.mark.parametrize("command", ["run", "check", "init"])
@pytest.mark.parametrize(
    ("content", "words", "said"),
    [
        (b"anna@example.com,Petrova\n", (), "looks like data ('…'), so the file seems to have no header"),
        (b"email,Petrova\nanna@example.com,x\n", ("--header-row", "9"), "The first rows: line 1 holds …, …"),
        ("email,x\nanna@example.com,ИМЯ\n".encode("koi8-r"), (), "Windows-1251 reads …, "),
    ],
)
def test_no_cell_of_a_refused_input_is_shown_off_a_terminal(cli, sandbox, command, content, words, said):
    (cli.folder / "in.csv").write_bytes(content)
    flags = () if command == "init" else run_flags(sandbox())
    ended = cli(command, "in.csv", *flags, *words)
    assert ended.code == 2
    assert said in " ".join(ended.err.split())
    assert not any(cell in ended.err for cell in ("anna", "Petrova", "ИМЯ", "йнс"))


def test_cell_of_a_refused_input_is_shown_on_a_terminal(cli):
    (cli.folder / "in.csv").write_text("anna@example.com,Petrova\n")
    with Terminal("init", "in.csv", folder=cli.folder) as terminal:
        terminal.wait_for("looks like data ('anna@example.com')")
        assert terminal.end() == 2


def test_plan_lists_the_columns_sent_along(cli, sandbox):
    words = ("in.csv", *run_flags(sandbox()))
    write_csv(cli.folder / "in.csv", ("a@example.com", "A", "Rome"), header=("email", "First name", "city"))
    content = ("--content", "first=First name", "--content", "town=city")
    assert "\n  content   first=First name, town=city\n" in cli("check", *words, *content).out
    assert "\n  content   no column is sent along\n" in cli("check", *words).out
    assert "\n  content   first=First name, town=city\n" in cli("run", *words, *content, "--rate", "none").err


def test_notices_speak_only_of_used_columns(cli, sandbox):
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["email", "shop", "code", "city", "group"])
    sheet.append(["a@example.com", "A", 7, "Rome", "x"])
    sheet.append(["b@example.com", "B", 8, "Oslo", "x"])
    sheet["C2"].number_format = "0000"
    sheet.merge_cells("E2:E3")
    sheet.column_dimensions["D"].hidden = True
    book.save(cli.folder / "in.xlsx")
    (cli.folder / "in.csv").write_text("email,shop,city\na@example.com,A\nb@example.com,B,Rome\n")

    def noticed(name, *columns):
        content = [word for column in columns for word in ("--content", f"{column}={column}")]
        return {notice["code"] for notice in cli("check", name, *run_flags(server), *content, "--json").json["notices"]}

    server = sandbox()
    assert noticed("in.xlsx") == noticed("in.xlsx", "shop") == set()
    assert noticed("in.xlsx", "code") == {"number_format"}
    assert noticed("in.xlsx", "city") == {"hidden_columns"}
    assert noticed("in.xlsx", "group") == {"merged_cells"}
    assert noticed("in.csv", "shop") == set()
    assert noticed("in.csv", "city") == {"short_rows"}


def test_notices_about_our_own_results_file_speak_of_its_columns(cli, sandbox):
    header = ("enroll_row", "enroll_status", "email", "city")
    write_csv(
        cli.folder / "in.csv", ("2", "error", "a@example.com"), ("3", "error", "b@example.com", "Rome"), header=header
    )
    words = ("check", "in.csv", *run_flags(sandbox()), "--json")
    assert cli(*words).json["notices"] == []
    (notice,) = cli(*words, "--content", "town=city").json["notices"]
    assert (notice["code"], notice["first_rows"]) == ("short_rows", [2])


@pytest.mark.parametrize("suffix", [".xlsx", ".ods", ".xls"])
def test_sheet_of_our_own_failed_file_is_read_whatever_sheet_says(cli, sandbox, suffix):
    server = sandbox()
    write_csv(cli.folder / "in.csv", *people(2), ("?", "x"))
    run = cli("run", "in.csv", *run_flags(server), "--json").json
    with Path(run["files"]["failed"]).open(encoding="utf-8-sig", newline="") as file:
        header, failed = csv.reader(file)
    corrected = ["new@example.com", *failed[1:]]
    job = '[input]\nsheet = "Leads"\n'
    (cli.folder / "job.toml").write_text(job)
    words = ("check", f"failed{suffix}", *run_flags(server), "--job", "job.toml")
    save_workbook(cli.folder / f"failed{suffix}", {"failed": [header, corrected]})
    ended = cli(*words)
    assert ended.code == 0, ended.err
    assert "sheet 'failed'" in ended.out
    assert cli(*words, "--json").json["to_send"] == 1
    own, other = [header, corrected], [header[:2], corrected[:2]]
    for sheets in ({"failed": own, "more": own}, {"other": other}):
        save_workbook(cli.folder / f"failed{suffix}", sheets)
        ended = cli(*words)
        assert ended.code == 2
        assert "There is no sheet 'Leads'." in ended.err
        assert 'Name one in the line sheet = "…" below [input] in the job file, or with --sheet.' in ended.err
        assert all(f"'{name}'" in ended.err for name in sheets)


def save_workbook(path, sheets):
    if path.suffix == ".xls":
        old = xlwt.Workbook()
        for name, rows in sheets.items():
            sheet = old.add_sheet(name)
            for at, row in enumerate(rows):
                for column, cell in enumerate(row):
                    sheet.write(at, column, cell)
        old.save(str(path))
        return
    with pandas.ExcelWriter(path) as writer:
        for name, rows in sheets.items():
            pandas.DataFrame(rows).to_excel(writer, sheet_name=name, header=False, index=False)


def test_check_ends_as_ever_when_its_reader_has_gone(cli, sandbox):
    source = write_csv(cli.folder / "in.csv", *people(3), ("?", ""))
    process = cli.start("check", source, *run_flags(sandbox()))
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate()
    assert (process.returncode, "Standard output did not take everything: it was closed." in err) == (1, True), err


def test_check_shows_a_plan_that_the_output_cannot_spell(cli, sandbox):
    source = write_csv(cli.folder / "in.csv", ("anna@example.com",), header=("Почта",))
    ended = cli("check", source, *run_flags(sandbox()), "--match", "email=Почта", PYTHONIOENCODING="ascii")
    assert ended.code == 0, ended.err
    assert "Plan of run" in ended.out
    assert "matching" in ended.out


def test_init_proposes_a_job_file_that_check_accepts(cli, sandbox):
    server = sandbox()
    write_csv(cli.folder / "leads.csv", *people(5))
    ended = cli("init", "leads.csv", "--url", server.url, "--scenario", "3")
    assert "\nThen: batch-enroll check leads.csv --job leads.toml" in ended.err
    assert ended.code == 0, ended.err
    assert cli("check", "leads.csv", "--job", "leads.toml", "--json").json["to_send"] == 5
    again = cli("init", "leads.csv")
    assert again.code == 2
    assert "exists already" in again.err


def test_init_leaves_the_scenario_open(cli, sandbox):
    server = sandbox()
    write_csv(cli.folder / "my leads.csv", *people(5))
    ended = cli("init", "my leads.csv", "--output", "bare.toml")
    assert "this lists them: batch-enroll scenarios --job bare.toml\n" in ended.err
    assert "\nFill in url and scenario, then: batch-enroll check 'my leads.csv' --job bare.toml\n" in ended.err
    job = cli.folder / "bare.toml"
    job.write_text(job.read_text().replace("https://ru.altkraft.com", server.url))
    for command in ("check", "run"):
        (sentence,) = cli(command, "my leads.csv", "--job", "bare.toml").err.splitlines()
        assert sentence == (
            "batch-enroll: The scenario's number is missing: fill in the line scenario = … of the job file, or give "
            f"--scenario (the number after # beside its name; `batch-enroll scenarios --job {job}` lists them)."
        )
        assert cli(command, "my leads.csv", "--job", "bare.toml").code == 2
    assert cli("check", "my leads.csv", "--job", "bare.toml", "--scenario", "3").code == 0
    assert "Welcome" in cli("scenarios", "--job", "bare.toml").out
    job.write_text(job.read_text().replace("# scenario =", "scenario = 3"))
    assert cli("check", "my leads.csv", "--job", "bare.toml").code == 0


def test_init_says_how_well_other_columns_fit(cli):
    rows = [(f"u{n}@example.com" if n < 52 else "", f"+7900000{n:04}" if n < 60 else "-") for n in range(62)]
    write_csv(cli.folder / "in.csv", *rows, header=("E-mail", "Phone"))
    ended = cli("init", "in.csv", "--scenario", "3")
    assert "matched by email from column 'E-mail' (52 of 62 rows fit).\n" in ended.err
    assert "\nAlso possible: phone from column 'Phone' (60 of 62 rows fit).\n" in ended.err
    job = (cli.folder / "in.toml").read_text()
    assert "\n# Also possible: phone from column 'Phone' (60 of 62 rows fit).\n[match]\n" in job
    assert "country" not in job


@pytest.mark.parametrize(
    ("phones", "country"),
    [
        (("89000000001", "79000000002"), "RU"),
        (("9161234567", "+7 916 123-45-68"), "RU"),
        (("8 916 123 45 67", "8 (916) 123-45-68"), "RU"),
        (("030 1234567", "+49 30 1234568", "+49 30 1234569"), "DE"),
        (("+79161234567", "+49301234568"), None),
        (("79161234567", "79161234568"), None),
        (("030 1234567", "030 1234568"), None),
        (("030 1234567", "49301234568"), "DE"),
        (("9161234567", "9161234568"), "RU"),
    ],
)
def test_init_proposes_a_country_when_phones_ask_for_one(cli, sandbox, phones, country):
    server = sandbox()
    write_csv(cli.folder / "in.csv", *((phone, "A") for phone in phones), header=("phone", "name"))
    ended = cli("init", "in.csv", "--url", server.url, "--scenario", "3")
    job = (cli.folder / "in.toml").read_text()
    assert (f'\ncountry = "{country}"' in job) == (f"numbers of {country}:" in ended.err) == (country is not None)
    checked = cli("check", "in.csv", "--job", "in.toml", "--json").json
    assert checked["invalid"] == 0
    assert "phone_spellings" not in [notice["code"] for notice in checked["notices"]]


def test_scenarios_lists_number_name_active_database_and_reentry(cli, sandbox):
    server = sandbox()
    ended = cli("scenarios", "--url", server.url)
    assert ended.code == 0, ended.err
    head, *lines = [line.split() for line in ended.out.splitlines()]
    assert head == ["number", "name", "active", "database", "re-entry"]
    assert ["3", "Welcome", "yes", "1", "once", "ever"] in lines
    assert ["5", "Abandoned", "cart", "yes", "1", "again", "after", "leaving"] in lines
    assert ["9", "Order", "placed", "yes", "2", "process_each"] in lines
    assert ["11", "Spring", "sale", "(over)", "no", "1"] in [line[:6] for line in lines]
    listed = cli("scenarios", "--url", server.url, "--json").json
    assert listed[0] == {"id": 3, "name": "Welcome", "active": True, "database": 1, "mode": "skip_in_any_case"}
    assert [one["id"] for one in listed] == [3, 5, 7, 9, 11, 12]
    assert [one["id"] for one in listed if not one["active"]] == [11]
    assert not server.enrolments()


@pytest.mark.parametrize(
    ("words", "environment", "said"),
    [
        ((), {}, "address of the platform is missing"),
        (("--url", "{url}"), {"BATCH_ENROLL_TOKEN": "wrong-token"}, "refused the token"),
        (("--url", "{url}"), {"BATCH_ENROLL_TOKEN": ""}, "No API token was given"),
        (("--url", "http://127.0.0.1:9"), {}, "could not be asked about its scenarios"),
        (("--url", "{url}", "--scenario", "3"), {}, "--scenario"),
        (("--url", "{url}", "--job", "nowhere.toml"), {}, "nowhere.toml cannot be read"),
    ],
)
def test_scenarios_says_why_it_cannot_list(cli, sandbox, words, environment, said):
    server = sandbox()
    ended = cli("scenarios", *(word.replace("{url}", server.url) for word in words), **environment)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("command", ["run", "check", "doctor"])
def test_missing_scenario_names_the_near_ones(cli, sandbox, command):
    write_csv(cli.folder / "in.csv", *people(2))
    server = sandbox()
    words = ("--url", server.url, "--match", "email=email", "--scenario", "99")
    ended = cli(*((command,) if command == "doctor" else (command, "in.csv")), *words)
    told = ended.out + ended.err
    assert ended.code == 2
    assert "There is no scenario 99" in told
    assert "Near are #9 Order placed, #12 Draft without a start, #11 Spring sale (over)" in " ".join(told.split())
    listing = f"batch-enroll scenarios --url {server.url}"
    assert f"`{listing}` lists all" in " ".join(told.split())
    assert cli.paste(listing).code == 0


def test_init_prints_the_job_file_schema(cli):
    schema = cli("init", "--schema").json
    assert {"url", "scenario", "match", "send", "stop"} <= set(schema["properties"])


def test_runs_show_and_report_describe_earlier_runs(cli, sandbox):
    source = write_csv(cli.folder / "in.csv", *people(3), ("nobody@example.com", ""))
    run_id = cli("run", source, *run_flags(sandbox()), "--json").json["run"]
    (listed,) = cli("runs", "--json").json
    assert (listed["run"], listed["state"], listed["counts"]["success"]) == (run_id, "finished", 3)
    assert run_id in cli("runs").out
    shown = cli("show", run_id)
    assert "nobody" not in shown.out
    assert "404" in shown.out
    for path in cli.folder.glob("in.*.csv"):
        path.unlink()
    (cli.folder / f"in.{run_id}.summary.json").unlink()
    ended = cli("report", run_id)
    assert ended.code == 0
    summary = json.loads((cli.folder / f"in.{run_id}.summary.json").read_text(encoding="utf-8"))
    assert (summary["requests"], summary["counts"]["success"], summary["exit_code"]) == (4, 3, 1)
    assert len(read_results(cli.folder / f"in.{run_id}.results.csv")) == 4
    assert cli("show", "no-such-run").code == 2
    assert "no run" in cli("show", "no-such-run").err


def test_retry_sends_the_refused_rows_once_more(cli, sandbox):
    server = sandbox(faults='[{"fault": "http_429", "identity": "x"}]', scenarios={})
    source = write_csv(cli.folder / "in.csv", *people(3), ("nobody@example.com", ""))
    run_id = cli("run", source, *run_flags(server), "--json").json["run"]
    ended = cli("retry", run_id, "--errors", "--json")
    assert ended.code == 1
    assert ended.json["requests"] == 1
    assert ended.json["counts"]["success"] == 3
    assert set(server.enrolments().values()) == {1}


def test_resolve_lists_unknown_rows_and_applies_decisions(cli, sandbox):
    server = sandbox(faults="drop_after_acting@1,drop_before_acting@2,drop_before_acting@3")
    source = write_csv(cli.folder / "in.csv", *people(5))
    flags = (*run_flags(server), "--concurrency", "1", "--json")
    run_id = cli("run", source, *flags).json["run"]
    listed = cli("resolve", run_id)
    lines = listed.out.splitlines()
    assert lines[0].startswith("row,verdict,why,identity,sent_at,code,message")
    assert [line.split(",")[0] for line in lines[1:]] == ["2", "3", "4"]
    (cli.folder / "verdicts.csv").write_text(
        "row;verdict;why\n2;enrolled;seen in the platform\n3;resend;not there\n4;;\n"
    )
    taken = cli("resolve", run_id, "--verdicts", "verdicts.csv", "--by", "Anna")
    assert taken.code == 0, taken.err
    server.control(faults="")
    ended = cli("run", source, *flags)
    assert ended.code == 4
    assert ended.json["counts"] == {**ended.json["counts"], "success": 4, "unknown": 1, "not_sent": 0}
    assert cli("resolve", run_id, "--rows", "4", "--verdict", "not_enrolled").code == 0
    assert cli("show", run_id, "--json").json["counts"]["error"] == 1
    assert set(server.enrolments().values()) == {1}
    wrong = cli("resolve", run_id, "--rows", "2", "--verdict", "resend")
    assert wrong.code == 2
    assert "not unknown" in wrong.err


def test_resolve_takes_the_file_of_unknown_rows(cli, sandbox):
    server = sandbox(faults="drop_after_acting@1,drop_after_acting@2")
    source = write_csv(cli.folder / "in.csv", *people(3))
    run_id = cli("run", source, *run_flags(server), "--concurrency", "1", "--json").json["run"]
    unknown = cli.folder / f"in.{run_id}.unknown.csv"
    header, *lines = unknown.read_text(encoding="utf-8-sig").splitlines()
    unknown.write_text("\n".join([f"{header},Verdict", f"{lines[0]},enrolled", f"{lines[1]},Not enrolled"]))
    assert "--verdicts FILE" in cli("resolve", run_id).err
    taken = cli("resolve", run_id, "--verdicts", unknown, "--why", "seen there")
    assert taken.code == 0, taken.err
    counts = cli("show", run_id, "--json").json["counts"]
    assert (counts["success"], counts["error"], counts["unknown"]) == (2, 1, 0)


def test_log_has_rows_and_no_personal_data(cli, sandbox):
    server = sandbox(faults="http_429@2")
    source = write_csv(cli.folder / "in.csv", *people(3), ("nobody@example.com", ""))
    cli("run", source, *run_flags(server), "--log-file", "run.log", "--log-format", "json")
    lines = [json.loads(line) for line in (cli.folder / "run.log").read_text().splitlines()]
    assert [line["event"] for line in lines[:3]] == ["plan begun", "run planned", "run started"]
    assert {"attempt failed", "row finished", "run finished"} <= {line["event"] for line in lines}
    assert "@" not in (cli.folder / "run.log").read_text()
    assert "sandbox-token" not in (cli.folder / "run.log").read_text()


def test_quiet_prints_nothing_on_success(cli, sandbox):
    source = write_csv(cli.folder / "in.csv", *people(3))
    ended = cli("run", source, *run_flags(sandbox()), "--quiet")
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_demo_needs_no_settings(cli):
    ended = cli("demo", "--rows", "30", "--rate", "none", BATCH_ENROLL_TOKEN="")
    assert ended.code == 0, ended.err
    assert "0 of them twice" in ended.err
    assert len(read_results(cli.folder / "batch-enroll-demo" / "leads.results.csv")) == 30
    assert cli("demo", "--rows", "30", "--rate", "none").code == 0


def test_help_and_version_answer_without_heavy_imports(cli):
    for words in (["--help"], ["run", "--help"], ["--version"], ["resolve", "--help"]):
        ended = cli(*words)
        assert ended.code == 0
        assert ended.out


def _wait_for_starts(server, count):
    give_up = time.monotonic() + 30
    while server.totals()["requests"].get("workflows/start", 0) < count:
        assert time.monotonic() < give_up, "no request came"
        time.sleep(0.02)
