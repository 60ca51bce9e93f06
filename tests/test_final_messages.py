"""Last output of a command that failed, with `--json` and with `--quiet`."""

from __future__ import annotations

import errno
import json
import re
import signal
from datetime import datetime, timedelta, timezone

import pytest

from batch_enroll.cli.main import main
from batch_enroll.messages import message
from batch_enroll.models import StopReason
from batch_enroll.sandbox import DEFAULT_TOKEN
from tests.support.commands import people, write_csv
from tests.support.sandbox import wait_until

FLAGS = ("--scenario", "3", "--match", "email=email", "--rate", "none", "--concurrency", "1", "--json", "--quiet")
RUN_KEYS = {
    *("run", "status", "stop_reason", "finding", "counts", "duration_s", "requests", "files", "exit_code"),
    *("scenario", "url", "input", "started_at", "reasons", "notices"),
}


def lines_of(ended) -> list[str]:
    return [line.strip() for line in ended.err.splitlines()]


@pytest.mark.parametrize(
    ("words", "code", "said", "finding"),
    [
        (("--scenario", "11"), 2, "Scenario 11 (Spring sale (over)) is not active.", "scenario_off"),
        (("--max-rows", "2"), 2, "allows 2.", None),
        (("--match", "email=emial"), 2, "emial", None),
        (("--rate", "fast"), 2, "'fast' is not a rate", None),
        (("--job", "missing.toml"), 2, "missing.toml cannot be read", None),
        (("--notify-on", "never"), 2, "never", None),
        (("--token-file", "gone.txt"), 2, "gone.txt", None),
    ],
)
def test_nothing_sent_is_reported_in_json(cli, sandbox, words, code, said, finding):
    server = sandbox()
    write_csv(cli.folder / "in.csv", *people(3))
    variables = {"BATCH_ENROLL_TOKEN": ""} if "--token-file" in words else {}
    ended = cli("run", "in.csv", "--url", server.url, *FLAGS, *words, **variables)
    told = ended.json  # one object and nothing else
    assert set(told) == RUN_KEYS
    assert (ended.code, told["exit_code"], told["status"], told["run"]) == (code, code, "refused", None)
    assert said in told["stop_reason"]
    assert said in ended.err
    assert (told["finding"], set(told["counts"].values())) == (finding, {0})
    assert (told["input"], told["url"]) == ("in.csv", server.url)
    assert server.received() == {}


def test_stop_reason_of_json_keeps_its_hint(cli, sandbox):
    server = sandbox()
    write_csv(cli.folder / "in.csv", *people(3))
    command = ("run", "in.csv", "--url", server.url, *FLAGS)
    inactive = cli(*command, "--scenario", "11").json["stop_reason"]
    assert inactive.endswith("Nothing was sent. Activate it in the platform, then give the same command again.")
    assert cli(*command, "--max-rows", "2").json["stop_reason"].endswith("if it is, raise --max-rows.")
    stopped = StopReason(message("sending.asked_to_wait", wait="2 hours"))
    assert str(stopped).endswith("Give the same command again after that time; it resumes where it stopped.")


def test_own_times_and_counts_are_not_masked(cli, sandbox):
    server = sandbox()
    source = write_csv(cli.folder / "in.csv", *people(400))
    command = ("run", source, "--url", server.url, *FLAGS, "--status-file", "status.json")
    run = cli(*command).json["run"]
    told = cli(*command).json["stop_reason"]
    assert re.search(rf"run {run}, finished on [-\d]+ [\d:]+ \w+ \(400 rows: 400 success\)\.", told), told
    assert "(400 rows: 400 success)" in json.loads((cli.folder / "status.json").read_text())["stop_reason"]


@pytest.mark.slow
@pytest.mark.parametrize(("zone", "shown"), [("MSK-3", "MSK"), ("<+0530>-5:30", "UTC+05:30")])
def test_times_are_shown_in_local_time_with_the_zone(cli, sandbox, zone, shown):
    server = sandbox()
    source = write_csv(cli.folder / "in.csv", *people(3))
    command = ("run", source, "--url", server.url, *FLAGS)
    began = datetime.fromisoformat(cli(*command, TZ=zone).json["started_at"])
    offset = timedelta(hours=3) if shown == "MSK" else timedelta(hours=5, minutes=30)
    local = f"{began.astimezone(timezone(offset)):%Y-%m-%d %H}:"
    again = cli(*command, TZ=zone)
    assert re.search(rf"finished on {local}\d\d {re.escape(shown)} \(3 rows", again.err), again.err
    for words in (("runs",), ("show", "last")):
        assert re.search(rf"{local}\d\d(:\d\d)? {re.escape(shown)}\b", cli(*words, TZ=zone).out), words
    (only,) = cli("runs", "--json", TZ=zone).json
    assert only["created_at"].endswith("Z")
    other = cli("check", write_csv(cli.folder / "b.csv", *people(4)), "--url", server.url, *FLAGS[:-2], TZ=zone)
    assert re.search(rf"last on {local}\d\d {re.escape(shown)} by in.csv", " ".join(other.out.split())), other.out


def test_json_has_no_quoted_cells(cli, sandbox):
    (cli.folder / "in.csv").write_text("anna@example.com,Anna\nbo@example.com,Bo\n")
    ended = cli("run", "in.csv", "--url", sandbox().url, *FLAGS)
    assert ended.code == 2
    assert "looks like data" in ended.err
    assert "@" not in ended.out + ended.err  # a person at a terminal sees which, see tests/test_cli.py


def test_second_start_is_a_json_object_and_names_the_first(cli, sandbox):
    server = sandbox(latency_s=(0.3, 0.3))
    source = write_csv(cli.folder / "in.csv", *people(100))
    first = cli.start("run", source, "--url", server.url, *FLAGS)
    try:
        wait_until(lambda: bool(server.enrolments()), timeout_s=60)
        second = cli("run", source, "--url", server.url, *FLAGS)
    finally:
        first.send_signal(signal.SIGTERM)
        out, _ = first.communicate(timeout=60)
    assert (second.code, second.json["status"], second.json["exit_code"]) == (5, "refused", 5)
    assert f"process {first.pid}" in second.json["stop_reason"]
    assert '"exit_code": 143' in out


def test_run_that_cannot_resume_is_reported_as_it_is(cli, sandbox, receiver):
    server = sandbox(faults="token_revoked@4")
    source = write_csv(cli.folder / "in.csv", *people(9), ("nobody", ""))
    notify = {"BATCH_ENROLL_NOTIFY": f"json://{receiver.address}/told"}
    command = ("run", source, "--url", server.url, *FLAGS)
    first = cli(*command)
    assert first.code == 3
    again = cli(*command, "--status-file", "status.json", **notify)
    carries_on = "An earlier start of this run sent 3 rows; 6 are left. "
    carries_on += f"Resume it with `batch-enroll resume {first.json['run']}`."
    assert again.code == 2
    assert lines_of(again)[-1].endswith(carries_on)
    assert (again.json["run"], again.json["status"], again.json["requests"]) == (first.json["run"], "refused", 0)
    assert (again.json["counts"], again.json["finding"]) == (first.json["counts"], "token")
    (message,) = [told.json for told in receiver.requests]
    assert message["title"] == "batch-enroll batch-enroll: not resumed, 6 rows left"
    assert carries_on in message["message"]
    retried = cli("retry", first.json["run"], "--not-sent", "--json", "--quiet", "--yes")
    assert (retried.code, retried.json["run"], retried.json["input"]) == (2, first.json["run"], "in.csv")
    assert lines_of(retried)[-1].endswith(carries_on)


def test_multi_input_reports_the_run_that_was_not_resumed(cli, sandbox):
    server = sandbox(faults="token_revoked@4")
    (cli.folder / "in").mkdir()
    write_csv(cli.folder / "in" / "a.csv", *people(5))
    write_csv(cli.folder / "in" / "b.csv", *people(5, domain="b.example.com"))
    command = ("run", "in", "--url", server.url, *FLAGS, "--pick", "new", "--settle", "0s")
    first = cli(*command)
    assert first.code == 3
    assert lines_of(first)[0].startswith("batch-enroll: a.csv: The platform refused the token")
    again = cli(*command)
    (part,) = again.json["runs"]
    assert (again.code, part["status"], part["run"]) == (2, "refused", first.json["runs"][0]["run"])
    assert (part["counts"]["success"], part["counts"]["not_sent"]) == (3, 2)


@pytest.mark.parametrize(
    ("rows", "faults", "code", "said", "advice"),
    [
        (
            people(9),
            "token_revoked@4",
            3,
            "The platform refused the token",
            "this resumes the run with 6 rows: batch-enroll resume ",
        ),
        (people(3), "drop_after_acting@2", 4, "finished: 1 row unknown.", "batch-enroll resolve"),
        ([*people(2), ("nobody", "")], "", 1, "finished: 1 row refused.", "in the failed file and run it:"),
        (
            [*people(3), ("nobody", "")],
            "drop_after_acting@2",
            4,
            "finished: 1 row unknown, 1 row refused.",
            "batch-enroll resolve",
        ),
        (people(3), "", 0, "", ""),
    ],
)
def test_quiet_prints_only_the_error_and_the_advice(cli, sandbox, rows, faults, code, said, advice):
    server = sandbox(faults=faults)
    source = write_csv(cli.folder / "in.csv", *rows)
    ended = cli("run", source, "--url", server.url, *FLAGS)
    assert ended.code == code
    if not code:
        assert ended.err == ""
        return
    trouble, hint = lines_of(ended)
    assert said in trouble
    assert advice in hint


def test_quiet_reports_a_stop_by_command(cli, sandbox):
    server = sandbox(latency_s=(0.3, 0.3))
    source = write_csv(cli.folder / "in.csv", *people(100))
    process = cli.start("run", source, "--url", server.url, *FLAGS)
    wait_until(lambda: bool(server.enrolments()), timeout_s=60)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    *_, trouble, hint = err.splitlines()  # before them, the answer to the signal
    assert trouble == "batch-enroll: Stopped by SIGTERM."
    assert "this resumes the run with" in hint


def test_os_error_is_the_same_in_text_json_and_status(sandbox, tmp_path, monkeypatch, capsys):
    """A place that nobody has put into better words: no fault of the program, and no traceback."""

    async def refuse(*_, **__):
        raise OSError(errno.EMFILE, "Too many open files", str(tmp_path / "spool"))

    monkeypatch.setattr("batch_enroll.run.prepare_run", refuse)
    monkeypatch.setenv("BATCH_ENROLL_TOKEN", DEFAULT_TOKEN)
    source = write_csv(tmp_path / "in.csv", *people(2))
    flags = ("--url", sandbox().url, "--scenario", "3", "--match", "email=email", "--json", "--quiet")
    code = main(["run", str(source), *flags, "--status-file", str(tmp_path / "s.json")])
    told = capsys.readouterr()
    said = f"{tmp_path / 'spool'}: Too many open files."
    assert (code, said in told.err, "Traceback" in told.err) == (3, True, False)
    assert (json.loads(told.out)["status"], said in json.loads(told.out)["stop_reason"]) == ("refused", True)
    assert said in json.loads((tmp_path / "s.json").read_text())["stop_reason"]
