"""`set`, `pause`, `resume` and `stop` from another terminal: real processes, and what the sandbox really saw."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections import deque
from contextlib import contextmanager

import pytest

from tests.support.commands import people, write_csv

PATIENCE_S = 60.0
MARGIN = 2  #: two requests that leave a second apart may arrive a little closer


def starts(server):
    return server.totals()["requests"].get("workflows/start", 0)


def wait_until(condition, what="it never came to pass"):
    give_up = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up, what
        time.sleep(0.05)


def most_in(times, span_s):
    """Most arrivals in any span."""
    window: deque[float] = deque()
    most = 0
    for moment in times:
        window.append(moment)
        while window[0] <= moment - span_s:
            window.popleft()
        most = max(most, len(window))
    return most


class Going:
    """A run that goes in the background.

    It has rows for far longer than the commands of a test need to start on a busy machine; a test that wants its end
    lets it go fast.
    """

    def __init__(self, cli, server, *flags, rows=600, after=3):
        self.cli, self.server, self.rows = cli, server, rows
        source = write_csv(cli.folder / "in.csv", *people(rows))
        self.words = ("run", source, "--url", server.url, "--scenario", "3", "--match", "email=email", *flags)
        self.process = cli.start(*self.words, "--json", "--yes", "--log-file", "run.log")
        wait_until(lambda: starts(server) >= after or self.process.poll() is not None, "no request came")
        self.run = cli("runs", "--json").json[0]["run"]

    def ask(self, command, *words, code=0):
        ended = self.cli(command, self.run, *words, "--json")
        assert ended.code == code, ended
        return ended.json

    def end(self):
        out, err = self.process.communicate(timeout=PATIENCE_S)
        assert "Traceback" not in err, err
        return self.process.returncode, json.loads(out), err

    def hurry(self):
        self.ask("set", "--rate", "none", "--concurrency", "200")

    def carry_on(self):
        """Give the same command to the end: nobody was sent twice, nobody was lost."""
        ended = self.cli(*self.words, "--json", "--rate", "none", "--concurrency", "50")
        assert ended.code == 0, ended
        assert ended.json["run"] == self.run
        assert self.server.enrolments() == {f"email:{email}": 1 for email, _ in people(self.rows)}


@pytest.fixture
def going(cli, sandbox):
    """`with going(server, "--rate", "5") as run:` a run in the background, ended with the block."""

    @contextmanager
    def begin(server, *flags, **how):
        run = Going(cli, server, *flags, **how)
        try:
            yield run
        finally:
            if run.process.poll() is None:
                run.process.send_signal(signal.SIGCONT)
                run.process.send_signal(signal.SIGTERM)
                try:
                    run.process.communicate(timeout=PATIENCE_S)
                except subprocess.TimeoutExpired:
                    run.process.kill()
                    raise

    return begin


def test_set_rate_applies_from_then_on(going, sandbox):
    server = sandbox()
    with going(server, "--rate", "5", rows=1_500) as run:
        assert run.ask("set", "--rate", "80")["said"] == f"Run {run.run} now sends 80 a second, 8 at once."
        wait_until(lambda: starts(server) >= 60)
        answer = run.ask("set", "--rate", "10")
        assert (answer["rate_per_s"], answer["concurrency"], answer["done"]) == (10.0, 8, True)
        then = starts(server)
        wait_until(lambda: starts(server) >= then + 15)
        slow = server.stats()["arrivals"][then:]
        assert most_in(slow, 1.0) <= 10 + MARGIN
        assert server.totals()["peak_per_s"] <= 80 + MARGIN
        assert run.ask("set", "--rate", "none")["rate_per_s"] is None
        code, ended, _ = run.end()
    assert (code, ended["counts"]["success"]) == (0, 1_500)
    assert set(server.enrolments().values()) == {1}


def test_pause_finishes_requests_and_resume_gives_no_burst(going, sandbox):
    server = sandbox(latency_s=(0.5, 0.5))
    with going(server, "--rate", "20", "--concurrency", "12", rows=1_500, after=15) as run:
        answer = run.ask("pause")
        assert answer["paused"]
        assert 1 <= answer["in_flight"] <= 12
        wait_until(lambda: run.ask("pause")["in_flight"] == 0)
        paused_at = starts(server)
        assert server.totals()["enrolled_total"] == paused_at, "an answer in flight was given up"
        time.sleep(1.5)
        assert starts(server) == paused_at, "a request left in the pause"
        assert run.process.poll() is None
        assert "is paused; when it resumes it sends 30 a second" in run.ask("set", "--rate", "30")["said"]
        assert starts(server) == paused_at
        assert run.ask("resume")["said"] == f"Run {run.run} resumes: 30 a second, 12 at once."
        wait_until(lambda: starts(server) >= paused_at + 105)  # three seconds and a half
        resumed = server.stats()["arrivals"][paused_at:]
        assert most_in(resumed, 1.0) <= 30 + MARGIN
        assert most_in(resumed, 0.1) <= 9, "all twelve left at once"
        run.hurry()
        code, ended, err = run.end()
        assert (code, ended["counts"]["success"]) == (0, 1_500)
        assert "Paused; `batch-enroll resume" in err
        log = (run.cli.folder / "run.log").read_text()
        assert [word for word in ("paused", "pace set", "resumed") if word not in log] == []


def test_concurrency_changes_during_the_run(going, sandbox):
    latency_s = 0.3
    server = sandbox(latency_s=(latency_s, latency_s))
    with going(server, "--rate", "none", "--concurrency", "2", rows=1_000) as run:
        assert most_in(server.stats()["arrivals"], latency_s * 0.9) <= 2
        assert run.ask("set", "--concurrency", "16")["concurrency"] == 16
        wait_until(lambda: most_in(server.stats()["arrivals"], latency_s) >= 16, "the new workers never worked")
        assert run.ask("set", "--concurrency", "3")["said"] == f"Run {run.run} now sends without a limit, 3 at once."
        then = starts(server)
        wait_until(lambda: starts(server) >= then + 20)
        assert most_in(server.stats()["arrivals"][then:], latency_s * 0.9) <= 3
        run.hurry()
        code, ended, _ = run.end()
    assert (code, ended["counts"]["success"]) == (0, 1_000)
    assert set(server.enrolments().values()) == {1}


def test_lower_concurrency_applies_to_waiting_rows(going, sandbox):
    """Sixty workers wait for a permit; when they are two, no more than two requests may be in flight."""
    server = sandbox(latency_s=(1.0, 1.0))
    with going(server, "--rate", "20", "--concurrency", "60", rows=2_000, after=25) as run:
        run.ask("set", "--concurrency", "2")
        wait_until(lambda: run.ask("set", "--concurrency", "2")["in_flight"] <= 2)
        then = starts(server)
        wait_until(lambda: starts(server) >= then + 6)
        assert most_in(server.stats()["arrivals"][then:], 0.9) <= 2


def test_stop_gives_exit_3_and_the_run_resumes(going, sandbox, cli):
    server = sandbox(latency_s=(0.2, 0.2))
    with going(server, "--rate", "5", rows=400) as run:
        told = cli("stop", run.run)
        assert told.code == 0, told
        code, ended, err = run.end()
        assert code == 3
        assert (ended["status"], ended["stop_reason"], ended["exit_code"]) == ("stopped", "Stopped by `stop`.", 3)
        assert ended["counts"]["unknown"] == 0
        assert server.totals()["enrolled_total"] == ended["counts"]["success"] > 0
        assert f"Run {run.run} takes no more rows; " in told.err
        left = ended["counts"]["not_sent"]
        assert f"has stopped with {left} rows not sent; `batch-enroll resume {run.run}" in told.err
        assert "Stopped by `stop`" in err
        assert cli("stop", run.run).code == 2
        run.carry_on()


def test_stop_ends_a_pause(going, sandbox):
    with going(sandbox(), "--rate", "5", rows=400) as run:
        run.ask("pause")
        answer = run.ask("stop")
        assert (answer["stop_reason"], answer["in_flight"]) == ("Stopped by `stop`.", 0)
        assert answer["counts"]["not_sent"] > 0
        assert run.end()[0] == 3
        run.carry_on()


def test_deadline_ends_a_paused_run(going, sandbox):
    with going(sandbox(), "--rate", "20", "--deadline", "10s", rows=2_000) as run:
        run.ask("pause")
        code, ended, _ = run.end()
    assert code == 3
    assert "deadline" in ended["stop_reason"]
    assert ended["counts"]["not_sent"] > 0


def test_runs_and_show_mark_active_and_abandoned_runs(going, sandbox):
    with going(sandbox(), "--rate", "5", rows=600) as run:
        (listed,) = run.cli("runs", "--json").json
        assert (listed["state"], str(run.process.pid) in listed["worker"]) == ("open", True)
        assert "  running  " in run.cli("runs").out
        shown = run.cli("show", run.run).out
        assert f"Run {run.run} (running)" in shown
        assert "The row waits for its turn: rows" in shown
        assert "ended" not in shown
        run.cli("stop", run.run)
        run.end()
        assert run.cli("runs", "--json").json[0]["worker"] is None
        shown = run.cli("show", run.run).out
        assert f"Run {run.run} (unfinished)" in shown
        assert "The run ended before the row's turn came (stopped)" in shown


def test_runs_counts_requests_in_flight_as_not_unknown(going, sandbox):
    server = sandbox(faults="silence_before_acting")
    with going(server, "--rate", "none", "--concurrency", "3", "--timeout", "60", rows=60) as run:
        assert "3 unknown or in flight" in run.cli("runs").out
        run.process.kill()
        run.process.communicate()
        assert "3 unknown, " in run.cli("runs").out


@pytest.mark.parametrize("command", [("set", "--rate", "5"), ("pause",), ("stop",)], ids=lambda c: c[0])
def test_exit_2_when_no_process_runs(cli, sandbox, command):
    server = sandbox(faults="token_revoked@3+")
    source = write_csv(cli.folder / "in.csv", *people(9))
    flags = ("--url", server.url, "--scenario", "3", "--match", "email=email", "--rate", "none", "--concurrency", "1")
    run = cli("run", source, *flags, "--json").json["run"]
    word, *more = command
    stopped = cli(word, run, *more)
    assert stopped.code == 2
    assert f"No process works on run {run}." in stopped.err
    assert f"`batch-enroll resume {run}`" in stopped.err
    server.control(faults="", token_revoked=False)
    assert cli("run", source, *flags).code == 0
    finished = cli(word, run, *more)
    assert finished.code == 2
    assert f"No process works on run {run}: it is finished." in finished.err
    unknown = cli(word, "no-such-run", *more)
    assert unknown.code == 2
    assert "There is no run no-such-run" in unknown.err
    assert not list(cli.folder.rglob("*.request"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "nothing to set"),
        (("--rate", "fast"), "--rate: 'fast' is not a rate"),
        (("--rate", "0"), "--rate: a rate of 0 cannot be kept"),
        (("--rate", "200000"), "--rate: a rate of 200000 cannot be kept"),
        (("--concurrency", "0"), "--concurrency: "),
        (("--concurrency", "1025"), "--concurrency: "),
        (("--concurrency", "many"), "--concurrency: "),
        (("--concurrency", "4", "--rate", "-1"), "--rate: "),
    ],
)
def test_exit_2_for_an_invalid_rate(cli, words, said):
    ended = cli("set", "any", *words)
    assert ended.code == 2
    assert said in ended.err
    assert "Traceback" not in ended.err
