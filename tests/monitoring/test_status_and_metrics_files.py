"""The status file and the metrics file through the command line."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from datetime import datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.commands import people, write_csv

FLAGS = ("--scenario", "3", "--match", "email=email", "--rate", "none", "--concurrency", "1", "--name", "nightly")
LABELS = {"job_name": "nightly", "scenario": "3"}
KEYS = {
    *("run", "state", "job", "scenario", "input", "counts", "rows_read", "to_send", "done", "requests", "throttled"),
    *("unknown_by_code", "rate_per_s", "eta_s", "paused_until", "stop_reason", "notices", "exit_code", "started_at"),
    *("progress_at", "updated_at", "ended_at", "pid", "host"),
}


@pytest.fixture
def run(cli, sandbox):
    """Runs `in.csv` with both files; `faults` are the sandbox's."""

    def go(*words, rows=(), faults="", **environment):
        server = sandbox(faults=faults)
        source = write_csv(cli.folder / "in.csv", *(rows or people(3)))
        files = ("--status-file", "status.json", "--metrics-file", "m.prom", "--json")
        return cli("run", source, "--url", server.url, *FLAGS, *files, *words, **environment)

    return go


def status(cli):
    return json.loads((cli.folder / "status.json").read_text(encoding="utf-8"))


def metrics(cli):
    """Every sample without the labels that all have: (name, other labels' value) -> number."""
    found = {}
    for family in text_string_to_metric_families((cli.folder / "m.prom").read_text(encoding="utf-8")):
        for sample in family.samples:
            assert LABELS.items() <= sample.labels.items(), sample
            (other,) = [value for name, value in sample.labels.items() if name not in LABELS] or [""]
            found[sample.name.removeprefix("batch_enroll_"), other] = sample.value
    return found


def wait_for(condition):
    give_up = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < give_up, "it never came to pass"
        time.sleep(0.02)


def test_status_of_a_finished_run(cli, run):
    ended = run(
        rows=[*people(3), ("nobody@example.com", ""), ("Total: 41", "")], faults="http_429@2,drop_after_acting@4"
    )
    told = status(cli)
    assert set(told) == KEYS
    assert (told["run"], told["state"], told["exit_code"]) == (ended.json["run"], "finished", 4)
    assert told["counts"] == ended.json["counts"]
    assert (told["job"], told["scenario"], told["input"]) == ("nightly", 3, "in.csv")
    assert (told["to_send"], told["done"], told["requests"], told["throttled"]) == (4, 4, 5, 1)
    assert sum(told["unknown_by_code"].values()) == 1
    assert (told["rate_per_s"], told["eta_s"], told["stop_reason"]) == (None, None, None)
    assert told["host"] == socket.gethostname()
    times = [datetime.fromisoformat(told[key]) for key in ("started_at", "progress_at", "updated_at", "ended_at")]
    assert times == sorted(times)
    text = json.dumps(told)
    assert "@" not in text
    assert "Total" not in text


def test_status_is_current_during_a_run_and_after_a_stop(cli, sandbox):
    server = sandbox(latency_s=(0.2, 0.2))
    source = write_csv(cli.folder / "in.csv", *people(200))
    process = cli.start("run", source, "--url", server.url, *FLAGS, "--status-file", "status.json", "--quiet")
    seen = []

    def told(what):
        if (cli.folder / "status.json").exists():
            seen.append(status(cli))  # whole whenever somebody looks
        return seen and what(seen[-1])

    try:
        wait_for(lambda: told(lambda now: now["state"] == "sending" and now["rate_per_s"]))
        first = seen[-1]
        assert first["pid"] == process.pid
        assert first["counts"]["rows"] == 200
        assert first["counts"]["success"] + first["counts"]["not_sent"] == 200
        assert first["eta_s"] > 0
        assert first["exit_code"] is None
        wait_for(lambda: told(lambda now: now["done"] > first["done"] and now["updated_at"] > first["updated_at"]))
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    last = status(cli)
    assert (last["state"], last["exit_code"], last["stop_reason"]) == ("stopped", 143, "Stopped by SIGTERM.")
    assert last["counts"]["not_sent"] > 0


def test_status_in_run_folder_and_in_show(cli, sandbox):
    source = write_csv(cli.folder / "in.csv", *people(2))
    ended = cli("run", source, "--url", sandbox().url, *FLAGS, "--ledger", "book/ledger.sqlite", "--json")
    (path,) = (cli.folder / "book").rglob("status.json")
    assert json.loads(path.read_text())["run"] == ended.json["run"]
    assert ended.json["run"] in str(path.parent)
    shown = cli("show", ended.json["run"], "--ledger", "book/ledger.sqlite", "--json").json
    assert shown["status"] == json.loads(path.read_text())
    path.write_text("{")
    assert cli("show", ended.json["run"], "--ledger", "book/ledger.sqlite", "--json").json["status"] is None


@pytest.mark.parametrize(
    ("words", "environment", "reason"),
    [
        (("--scenario", "11"), {}, "is not active"),
        (("--max-rows", "1"), {}, "--max-rows"),
        (("--job", "gone.toml"), {}, "gone.toml cannot be read"),
        ((), {"BATCH_ENROLL_TOKEN": ""}, "No API token"),
    ],
)
def test_status_of_a_run_that_failed_before_sending(cli, run, words, environment, reason):
    ended = run(*words, **environment)
    assert ended.code == 2
    told = status(cli)
    assert (told["state"], told["exit_code"], told["requests"]) == ("failed", 2, 0)
    assert reason in told["stop_reason"]
    text = (cli.folder / "m.prom").read_text()
    assert 'batch_enroll_runs_total{exit_code="2",job_name="nightly"' in text


def test_metrics_of_a_run(cli, run):
    before = time.time()
    ended = run(rows=[*people(3), ("nobody@example.com", "")], faults="http_429@2,drop_after_acting@4")
    assert ended.code == 4
    told = metrics(cli)
    counts = {name: value for (metric, name), value in told.items() if metric == "rows"}
    assert counts == {name: float(n) for name, n in ended.json["counts"].items() if name != "rows"}
    assert told["requests", ""] == 5
    assert told["throttled_ratio", ""] == pytest.approx(1 / 5)
    assert [value for (metric, _), value in told.items() if metric == "unknown_rows"] == [1]
    assert (told["running", ""], told["exit_code", ""], told["rate_per_second", ""]) == (0, 4, 0)
    assert before - 1 <= told["start_time_seconds", ""] <= told["end_time_seconds", ""] <= time.time() + 1
    assert told["last_success_time_seconds", ""] == 0
    assert told["runs_total", "4"] == 1


def test_metrics_keep_last_success_and_run_counts(cli, run):
    assert run().code == 0
    first = metrics(cli)
    assert first["last_success_time_seconds", ""] == first["end_time_seconds", ""]
    assert run("--scenario", "3").code == 2  # this very input was sent before
    assert run("--again", faults="token_revoked@2+").code == 3
    last = metrics(cli)
    assert last["last_success_time_seconds", ""] == first["last_success_time_seconds", ""]
    assert last["end_time_seconds", ""] > first["end_time_seconds", ""]
    assert last["exit_code", ""] == 3
    assert {code: last["runs_total", code] for code in "023"} == {"0": 1, "2": 1, "3": 1}
    assert run("--again", rows=[*people(1), ("nobody@example.com", "")]).code == 1
    assert metrics(cli)["last_success_time_seconds", ""] > first["last_success_time_seconds", ""]


def test_second_start_does_not_write_the_files(cli, sandbox):
    server = sandbox(latency_s=(0.3, 0.3))
    source = write_csv(cli.folder / "in.csv", *people(120))
    files = ("--status-file", "status.json", "--metrics-file", "m.prom")
    flags = ("run", source, "--url", server.url, *FLAGS, *files)
    first = cli.start(*flags, "--quiet")
    try:
        wait_for(lambda: (cli.folder / "m.prom").exists() and metrics(cli).get(("rows_to_send", "")) == 120)
        assert cli(*flags).code == 5
        told = metrics(cli)
        assert (told["running", ""], told["rows_to_send", ""], told["runs_total", "5"]) == (1, 120, 1)
        assert (status(cli)["pid"], status(cli)["exit_code"]) == (first.pid, None)
    finally:
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=60)
    told = metrics(cli)
    assert (told["running", ""], told["runs_total", "5"], told["runs_total", "143"]) == (0, 1, 1)


def test_damaged_metrics_file_is_replaced(cli, run):
    (cli.folder / "m.prom").write_bytes(b'# HELP batch_enroll_rows \xff{"broken')
    assert run().code == 0
    assert metrics(cli)["runs_total", "0"] == 1


@pytest.mark.parametrize("flag", ["--status-file", "--metrics-file"])
def test_exit_2_for_an_unwritable_file(cli, sandbox, flag):
    server = sandbox()
    source = write_csv(cli.folder / "in.csv", *people(1))
    ended = cli("run", source, "--url", server.url, *FLAGS, flag, "nowhere/file")
    assert ended.code == 2
    assert "nowhere is not there" in ended.err
    assert not server.totals()["enrolled_total"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
@pytest.mark.parametrize("flag", ["--status-file", "--metrics-file"])
def test_device_or_pipe_is_not_replaced(cli, sandbox, flag):
    """Root would replace /dev/null for the whole machine; a pipe stands for it here."""
    pipe = cli.folder / "pipe.csv"
    os.mkfifo(pipe)
    server = sandbox()
    ended = cli("run", write_csv(cli.folder / "in.csv", *people(1)), "--url", server.url, *FLAGS, flag, pipe)
    assert ended.code == 2
    assert "is a device or a pipe, not a file" in ended.err
    assert pipe.is_fifo()
    assert not server.totals()["enrolled_total"]


def test_unwritable_file_is_reported_once(cli, sandbox):
    folder = cli.folder / "told"
    folder.mkdir()
    server = sandbox(latency_s=(0.1, 0.1))
    source = write_csv(cli.folder / "in.csv", *people(60))
    process = cli.start("run", source, "--url", server.url, *FLAGS, "--status-file", "told/s.json", "--quiet")
    wait_for((folder / "s.json").exists)
    folder.rename(cli.folder / "moved")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert err.count("The status file cannot be written") == 1
    assert len(server.enrolments()) == 60


@pytest.mark.parametrize(
    "name", ["\x1b]0;owned\x07", 'a\nbatch_enroll_exit_code{job_name="other"} 0', "a\x9b2J", "a\u202eb"]
)
def test_name_that_controls_a_terminal_is_refused(cli, run, name):
    ended = run("--name", name)
    assert (ended.code, f"U+{ord(next(sign for sign in name if not sign.isprintable())):04X}" in ended.err) == (2, True)
    (cli.folder / f"{name}.toml").write_text("[output]\n")
    by_file = cli("run", "in.csv", "--url", "http://127.0.0.1:1", "--job", f"{name}.toml", "--metrics-file", "m.prom")
    assert by_file.code == 2
    for text in (ended.err, by_file.err, (cli.folder / "m.prom").read_text(), (cli.folder / "status.json").read_text()):
        assert all(sign.isprintable() or sign == "\n" for sign in text)
        assert not any(line.startswith('batch_enroll_exit_code{job_name="other') for line in text.splitlines())
