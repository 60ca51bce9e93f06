"""Two starts at once through the command line: of one job, and to one scenario."""

from __future__ import annotations

import re
import signal
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from batch_enroll.config.job import Job
from batch_enroll.errors import RunLocked
from batch_enroll.events import Event
from batch_enroll.messages import message
from batch_enroll.run.context import RunContext, scenario_lock
from tests.support.clocks import ManualClock
from tests.support.input_files import enrolled, flags, group, lay
from tests.support.sandbox import wait_until


def test_active_job_is_not_started_again_with_another_input(cli, sandbox):
    server = sandbox(latency_s=(0.3, 0.3))
    lay(cli.folder / "a.csv", *group("a", 30))
    lay(cli.folder / "b.csv", *group("b"))
    (cli.folder / "nightly.toml").write_text("")
    first = cli.start("run", "a.csv", "--job", "nightly.toml", *flags(server), "--concurrency", "1")
    try:
        wait_until(lambda: bool(server.enrolments()))
        second = cli("run", "b.csv", "--job", cli.folder / "nightly.toml", *flags(server))
        assert second.code == 5
        owner = (
            rf"Job nightly\.toml is being worked on by process {first.pid} on \S+ since [-\d]{{10}} [\d:]{{5}} [A-Z]+\."
        )
        assert re.search(owner, second.err), second.err
        other = cli("run", "b.csv", *flags(server), "--scenario", "5")
        assert other.code == 0, other.err
    finally:
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=60)
    assert cli("run", "a.csv", "--job", "nightly.toml", *flags(server), "--limit", "1").code == 0


def test_two_runs_to_one_scenario_are_sequential(cli, sandbox):
    server = sandbox(latency_s=(0.3, 0.3))
    lay(cli.folder / "a.csv", *group("a", 20))
    lay(cli.folder / "b.csv", *group("a", 20)[::-1], ("more@example.com", ""))
    command = (*flags(server), "--concurrency", "1")
    first = cli.start("run", "a.csv", *command)
    try:
        wait_until(lambda: bool(server.enrolments()))
        second = cli("run", "b.csv", *command)
        assert second.code == 5
        assert str(first.pid) in second.err
    finally:
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=60)
    server.control(latency_s=(0.0, 0.0))
    assert cli("run", "b.csv", *command).code == 0
    rest = cli("run", "a.csv", *command, "--json")
    assert rest.code == 0
    assert rest.json["counts"]["skipped"] > 0
    assert len(enrolled(server)) == 21


class SleepingClock(ManualClock):
    """Whoever waits moves it."""

    async def sleep(self, seconds: float) -> None:
        self.moved_s += seconds


class BusyLedger:
    """Another run sends to the scenario and does not end."""

    @contextmanager
    def lock(self, name, *, what, doing):
        yield self._refuse(what, doing)

    def _refuse(self, what, doing):
        raise RunLocked(message("ledger.locked", what=what, owner=doing))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("send", "stop", "waited_s"),
    [
        ({}, {}, 0),
        ({"wait": "30m"}, {}, 1800),
        ({"wait": "30m"}, {"deadline": "10m"}, 600),
        ({"wait": "30m"}, {"allowed_hours": "09:00-12:20 UTC"}, 1200),
    ],
    ids=["no wait", "to its end", "to the deadline", "to the end of the allowed hours"],
)
async def test_the_wait_for_a_scenario_ends(send, stop, waited_s):
    clock = SleepingClock(datetime(2026, 11, 25, 12, tzinfo=UTC))
    told: list[Event] = []
    match = {"mode": "email", "column": "email"}
    job = Job.model_validate({"url": "https://x.example", "scenario": 3, "match": match, "send": send, "stop": stop})
    context = RunContext(job=job, ledger=cast(Any, BusyLedger()), clock=clock, emit=told.append)
    context.control.expect(rate_per_s=1.0, concurrency=1)
    record = SimpleNamespace(run_id="a906cc51", input_name="b.csv")
    with pytest.raises(RunLocked) as refused:
        async with scenario_lock(context, cast(Any, record)):
            pass
    assert "send.wait" in refused.value.hint
    assert clock.moved_s == pytest.approx(waited_s, abs=1)
    assert len(told) == (1 if send else 0)
