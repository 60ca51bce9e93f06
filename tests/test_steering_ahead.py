"""`set`, `pause`, `resume` and `stop` reach a run that does not send yet: it plans, or the platform is asked first."""

from __future__ import annotations

import json
import signal

import pytest

from tests.support.commands import people, write_csv
from tests.support.sandbox import wait_until
from tests.support.terminal import Terminal

PATIENCE_S = 120.0
MANY = 700_000  #: rows whose plan takes long enough for a few commands


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    return write_csv(tmp_path_factory.mktemp("many") / "many.csv", *people(MANY))


@pytest.fixture
def planning(cli, sandbox, many):
    """A run that plans in the background, with its id as the status file tells it; ended with the test."""
    server = sandbox()
    flags = ("--url", server.url, "--scenario", "3", "--match", "email=email", "--status-file", "status.json")
    process = cli.start("run", many, *flags, "--yes", "--json", "--log-file", "run.log")
    status = cli.folder / "status.json"
    wait_until(lambda: status.exists() and json.loads(status.read_text())["run"] is not None, patience_s=PATIENCE_S)
    told = json.loads(status.read_text())
    assert (told["state"], told["counts"], told["input"]) == ("planning", None, "many.csv")
    yield server, process, told["run"]
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)


def test_stop_ends_the_planning_and_nothing_of_the_run_stays(cli, planning):
    server, process, run = planning
    told = cli("stop", run[:4].upper())
    assert told.code == 0, told
    assert told.err.splitlines() == [
        f"Run {run} ends before it sends.",
        f"Run {run} has ended: its plan was given up, nothing was sent. The same command begins it anew.",
    ]
    _, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, "Stopped by `stop`. Nothing was sent." in err) == (3, True), err
    assert server.totals()["requests"] == {}
    assert cli("runs", "--json").json == []
    status = json.loads((cli.folder / "status.json").read_text())
    assert (status["state"], status["run"], status["exit_code"]) == ("failed", None, 3)
    assert f"run={run}" in (cli.folder / "run.log").read_text()


def test_what_is_wished_while_it_plans_holds_when_it_sends(cli, planning):
    server, process, run = planning
    set_ = cli("set", run, "--rate", "5", "--concurrency", "2", "--json").json
    assert set_["said"] == f"Run {run} does not send yet; it will send 5 a second, 2 at once."
    assert (set_["done"], set_["rate_per_s"], set_["concurrency"]) == (True, 5.0, 2)
    paused = cli("pause", run)
    assert (paused.code, paused.err.strip()) == (0, f"Run {run} does not send yet, and will not before it is resumed.")
    wait_until(lambda: json.loads((cli.folder / "status.json").read_text())["state"] == "paused", patience_s=PATIENCE_S)
    assert server.totals()["requests"].get("workflows/start", 0) == 0
    assert cli("resume", run, "--json").json["said"] == f"Run {run} goes on: 5 a second, 2 at once."
    wait_until(lambda: server.totals()["enrolled_total"] > 0, patience_s=PATIENCE_S)
    stopped = cli("stop", run, "--json").json
    assert stopped["counts"]["not_sent"] > 0
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, json.loads(out)["stop_reason"]) == (3, "Stopped by `stop`.")
    assert f"Paused; `batch-enroll resume {run}` lets it go on." in err
    assert server.totals()["enrolled_total"] == json.loads(out)["counts"]["success"]


def test_stop_reaches_a_run_while_the_platform_is_asked(cli, sandbox):
    server = sandbox(latency_s=(5.0, 5.0))
    source = write_csv(cli.folder / "in.csv", *people(20))
    words = ("run", source, "--url", server.url, "--scenario", "3", "--match", "email=email", "--rate", "none")
    process = cli.start(*words, "--yes", "--json")
    try:
        wait_until(lambda: bool(server.totals()["requests"]), patience_s=PATIENCE_S)
        [run] = [run["run"] for run in cli("runs", "--json").json]
        told = cli("stop", run)
        assert told.code == 0, told
        assert told.err.splitlines() == [
            f"Run {run} ends before it sends.",
            f"Run {run} has stopped with 20 rows not sent; the same command carries on.",
        ]
        out, err = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, json.loads(out)["stop_reason"]) == (3, "Stopped by `stop`."), err
        assert server.enrolments() == {}
    finally:
        process.kill()
        process.communicate()
    server.control(latency_s=(0.0, 0.0))
    assert cli(*words).code == 0
    assert set(server.enrolments().values()) == {1}


def test_a_run_that_is_to_end_asks_nobody_whether_it_may_begin(cli, sandbox):
    server = sandbox(latency_s=(5.0, 5.0))
    source = write_csv(cli.folder / "in.csv", *people(20))
    words = ("run", source, "--url", server.url, "--scenario", "3", "--match", "email=email")
    with Terminal(*words, folder=cli.folder) as terminal:
        wait_until(lambda: bool(server.totals()["requests"]), patience_s=PATIENCE_S)
        [run] = [run["run"] for run in cli("runs", "--json").json]
        stop = cli.start("stop", run)
        assert terminal.end() == 3
    assert "ends before it sends" in stop.communicate(timeout=PATIENCE_S)[1]
    assert "[y/N]" not in terminal.seen
    assert server.enrolments() == {}
