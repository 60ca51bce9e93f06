"""The log of a run: its form, its fields, the run's id on every line, and nobody's data."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest

from batch_enroll.cli.logging_setup import log_to
from batch_enroll.config.job import Job
from tests.support.commands import people, write_csv

FLAGS = ("--scenario", "3", "--match", "email=email", "--rate", "none", "--concurrency", "1")


@pytest.fixture
def logged(cli, sandbox):
    """Runs four rows, one throttled, one unknown and one refused, and gives the lines of the log."""

    def run(form):
        server = sandbox(faults="http_429@2,drop_after_acting@4")
        source = write_csv(cli.folder / "in.csv", *people(3), ("nobody@example.com", ""))
        ended = cli("run", source, "--url", server.url, *FLAGS, "--log-file", "run.log", "--log-format", form, "--json")
        assert ended.code == 4, ended.err
        return ended.json["run"], (cli.folder / "run.log").read_text(encoding="utf-8")

    return run


def test_json_line_has_time_level_event_and_run(logged):
    run_id, text = logged("json")
    lines = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        assert list(line)[:4] == ["time", "level", "run", "event"]
        assert line["run"] == run_id
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
        assert line["level"] == "INFO" or line["event"] == "run ended"
    by_event = {line["event"]: line for line in lines}
    assert [line["event"] for line in lines[:3]] == ["plan begun", "run planned", "run started"]
    assert re.fullmatch("[0-9a-f]{12}", by_event["run planned"]["input"])
    assert (by_event["run planned"]["rows"], by_event["run planned"]["resumed"]) == (4, False)
    assert by_event["run started"]["to_send"] == 4
    assert by_event["attempt failed"].items() >= {"row": 3, "attempt": 1, "code": "429", "throttled": True}.items()
    assert re.fullmatch("[0-9a-f]{12}", by_event["attempt failed"]["key"])
    finished = {line["row"]: (line["status"], line["code"]) for line in lines if line["event"] == "row finished"}
    assert finished[5] == ("error", "404")
    assert finished[4][0] == "unknown"
    assert (lines[-2]["event"], lines[-2]["success"], lines[-2]["unknown"]) == ("run finished", 2, 1)
    assert (lines[-1]["event"], lines[-1]["exit_code"], lines[-1]["level"]) == ("run ended", 4, "ERROR")


def test_text_line_has_the_same_fields(logged):
    run_id, text = logged("text")
    lines = text.splitlines()
    assert all(f"run={run_id}" in line for line in lines)
    assert re.match(rf"\S+Z INFO plan begun run={run_id}$", lines[0])
    assert re.match(rf"\S+Z INFO run planned run={run_id} rows=4 resumed=False input=[0-9a-f]{{12}}$", lines[1])
    assert any(
        f"INFO row finished run={run_id} row=5 key=" in line and " status=error code=404" in line for line in lines
    )


def test_row_key_is_stable_per_installation(cli, sandbox):
    """One profile has one key in every run; another installation has other keys."""
    server = sandbox()
    unknown = [(f"nobody{n}@example.com", "") for n in range(3)]
    keys = []
    for name, rows in (("monday", unknown[:2]), ("tuesday", unknown[1:])):
        source, log = write_csv(cli.folder / f"{name}.csv", *rows), cli.folder / f"{name}.log"
        flags = ("--log-file", log, "--log-format", "json")
        assert cli("run", source, "--url", server.url, *FLAGS, *flags).code == 1
        lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        keys.append({line["key"] for line in lines if line["event"] == "row finished"})
    monday, tuesday = keys
    assert (len(monday), len(tuesday), len(monday & tuesday)) == (2, 2, 1)


def test_run_failing_before_sending_logs_why_without_personal_data(cli, sandbox):
    (cli.folder / "raw.csv").write_text("anna@example.com,Anna\nlevin@example.com,Levin\n")
    flags = (*FLAGS, "--log-file", "run.log", "--log-format", "json")
    assert cli("run", "raw.csv", "--url", sandbox().url, *flags).code == 2
    source = write_csv(cli.folder / "in.csv", *people(2))
    assert cli("run", source, "--url", sandbox().url, *flags, "--scenario", "11").code == 2
    assert cli("run", source, "--url", sandbox().url, *flags).code == 0
    lines = [json.loads(line) for line in (cli.folder / "run.log").read_text(encoding="utf-8").splitlines()]
    ends = [line for line in lines if line["event"] == "run ended"]
    assert [(line["level"], line["exit_code"]) for line in ends] == [("ERROR", 2), ("ERROR", 2), ("INFO", 0)]
    assert "looks like data ('…')" in ends[0]["reason"]
    assert ends[0]["run"] is None
    assert "is not active" in ends[1]["reason"]
    assert ends[1]["run"] is not None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
def test_log_with_a_full_disk_is_reported_once(cli, sandbox):
    server = sandbox()
    source = write_csv(cli.folder / "in.csv", *people(3), ("nobody@example.com", ""))
    flags = ("--url", server.url, "--scenario", "3", "--match", "email=email", "--rate", "none", "--json")
    ended = cli("run", source, *flags, "--log-file", "/dev/full")
    assert (ended.code, ended.json["counts"]["success"], ended.json["counts"]["error"]) == (1, 3, 1)
    told = "The log file /dev/full cannot be written: the disk is full. The run continues without it."
    assert ended.err.count(told) == 1
    assert "Traceback" not in ended.err
    assert "Logging error" not in ended.err


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_line_has_personal_data(logged, form):
    _, text = logged(form)
    assert "@" not in text
    assert "nobody" not in text
    assert "Name" not in text


def job(path, form):
    return Job.model_validate(
        {
            "url": "https://x.example",
            "scenario": 3,
            "match": {"mode": "email", "column": "email"},
            "output": {"log_file": str(path), "log_format": form},
        }
    )


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize("token", ["hush-hush-hush", 'hu"sh-hüsh'])
def test_logged_token_is_masked_also_in_an_exception(tmp_path, form, token):
    with log_to(job(tmp_path / "log", form), token):
        log = logging.getLogger("batch_enroll.sending")
        try:
            raise ValueError(f"bad {token}")
        except ValueError:
            log.exception("it failed with %s", token, extra={"seen": token})
    text = (tmp_path / "log").read_text(encoding="utf-8")
    assert text.count("***") >= 3
    assert token not in text
    assert json.dumps(token)[1:-1] not in text
    assert "ValueError" in text
