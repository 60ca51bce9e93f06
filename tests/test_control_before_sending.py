"""`set`, `pause`, `resume` and `stop` reach a run that does not send yet: it plans, or the platform is asked first."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.commands import people, write_csv
from tests.support.sandbox import wait_until
from tests.support.scripted_platform import OK
from tests.support.small_platform import small_platform
from tests.support.terminal import Terminal

PATIENCE_S = 120.0
MANY = 500_000  #: rows whose plan takes a few seconds: each command takes half a second of them


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    return write_csv(tmp_path_factory.mktemp("many") / "many.csv", *people(MANY))


class Planning:
    """A run that plans in the background, its id known from its status file. It stands still but while it is asked."""

    def __init__(self, cli, server, many):
        self.cli, self.server = cli, server
        flags = ("--url", server.url, "--scenario", "3", "--match", "email=email", "--status-file", "status.json")
        self.process = cli.start("run", many, *flags, "--yes", "--json", "--log-file", "run.log")
        wait_until(lambda: bool(self.status().get("run")), timeout_s=PATIENCE_S)
        self.process.send_signal(signal.SIGSTOP)
        self.run = self.status()["run"]

    def status(self):
        file = self.cli.folder / "status.json"
        return json.loads(file.read_text()) if file.exists() else {}

    def ask(self, *words):
        """Give a command while the run stands still, so that its plan is not made before it is asked."""
        command = self.cli.start(*words)
        wait_until(lambda: bool(list(home().rglob("*.request"))), timeout_s=PATIENCE_S)
        self.process.send_signal(signal.SIGCONT)
        out, err = command.communicate(timeout=PATIENCE_S)
        self.process.send_signal(signal.SIGSTOP)
        assert command.returncode == 0, err
        return out, err

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)


def home():
    return Path(os.environ["XDG_DATA_HOME"])


@pytest.fixture
def planning(cli, sandbox, many):
    run = Planning(cli, sandbox(), many)
    assert (run.status()["state"], run.status()["counts"], run.status()["input"]) == ("planning", None, "many.csv")
    yield run
    if run.process.poll() is None:
        run.go_on()
        run.process.send_signal(signal.SIGTERM)
        run.process.communicate(timeout=PATIENCE_S)


def test_stop_during_planning_leaves_no_run(cli, planning):
    run = planning.run
    _, told = planning.ask("stop", run[:4].upper())
    assert told.splitlines() == [
        f"Run {run} ends before it sends.",
        f"Run {run} has ended: its plan was discarded, nothing was sent. The same command starts it again.",
    ]
    planning.go_on()  # it may have been halted between its last word and its end
    _, err = planning.process.communicate(timeout=PATIENCE_S)
    assert (planning.process.returncode, "Stopped by `stop`. Nothing was sent." in err) == (3, True), err
    assert planning.server.totals()["requests"] == {}
    assert cli("runs", "--json").json == []
    status = planning.status()
    assert (status["state"], status["run"], status["exit_code"]) == ("failed", None, 3)
    assert f"run={run}" in (cli.folder / "run.log").read_text()


def test_settings_made_during_planning_apply_when_sending(cli, planning):
    run, server = planning.run, planning.server
    set_ = json.loads(planning.ask("set", run, "--rate", "5", "--concurrency", "2", "--json")[0])
    assert set_["said"] == f"Run {run} does not send yet; it will send 5 a second, 2 at once."
    assert (set_["done"], set_["rate_per_s"], set_["concurrency"]) == (True, 5.0, 2)
    paused = planning.ask("pause", run)[1]
    assert paused.strip() == f"Run {run} does not send yet, and will not before it is resumed."
    planning.go_on()
    wait_until(lambda: planning.status()["state"] == "paused", timeout_s=PATIENCE_S)
    assert server.totals()["requests"].get("workflows/start", 0) == 0
    assert cli("resume", run, "--json").json["said"] == f"Run {run} resumes: 5 a second, 2 at once."
    wait_until(lambda: server.totals()["enrolled_total"] > 0, timeout_s=PATIENCE_S)
    stopped = cli("stop", run, "--json").json
    assert stopped["counts"]["not_sent"] > 0
    out, err = planning.process.communicate(timeout=PATIENCE_S)
    assert (planning.process.returncode, json.loads(out)["stop_reason"]) == (3, "Stopped by `stop`.")
    assert f"Paused; `batch-enroll resume {run}` continues it." in err
    assert server.totals()["enrolled_total"] == json.loads(out)["counts"]["success"]


@pytest.fixture
def asked():
    """A platform that lists its scenarios when it is told to; gives its address and what came and went."""
    listing, go_on = threading.Event(), threading.Event()
    started: list[str] = []

    def list_scenarios():
        listing.set()
        go_on.wait(PATIENCE_S)

    def reply(body):
        started.append(body["email"])
        return OK

    with small_platform(reply=reply, before_listing=list_scenarios) as url:
        yield SimpleNamespace(url=url, listing=listing, go_on=go_on, started=started)
        go_on.set()


def test_stop_works_during_the_preflight(cli, asked):
    source = write_csv(cli.folder / "in.csv", *people(20))
    words = ("run", source, "--url", asked.url, "--scenario", "3", "--match", "email=email", "--rate", "none")
    process = cli.start(*words, "--yes", "--json")
    try:
        assert asked.listing.wait(PATIENCE_S)
        [run] = [run["run"] for run in cli("runs", "--json").json]
        stop = cli.start("stop", run)
        assert stop.stderr.readline().strip() == f"Run {run} ends before it sends."
        asked.go_on.set()
        out, err = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, json.loads(out)["stop_reason"]) == (3, "Stopped by `stop`."), err
        told = stop.communicate(timeout=PATIENCE_S)[1].strip()
        assert told.startswith(f"Run {run} has stopped with 20 rows not sent; `batch-enroll resume {run}")
        assert asked.started == []
    finally:
        process.kill()
        process.communicate()
    assert cli(*words).code == 0
    assert sorted(asked.started) == [email for email, _ in people(20)]


def test_stopping_run_asks_no_question(cli, asked):
    source = write_csv(cli.folder / "in.csv", *people(20))
    words = ("run", source, "--url", asked.url, "--scenario", "3", "--match", "email=email")
    with Terminal(*words, folder=cli.folder) as terminal:
        assert asked.listing.wait(PATIENCE_S)
        [run] = [run["run"] for run in cli("runs", "--json").json]
        stop = cli.start("stop", run)
        assert stop.stderr.readline().strip() == f"Run {run} ends before it sends."
        asked.go_on.set()
        assert terminal.end() == 3
    stop.communicate(timeout=PATIENCE_S)
    assert "[y/N]" not in terminal.seen
    assert asked.started == []
