"""Unattended runs while the platform refuses connections or the network drops all packets."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import anyio
import httpx
import pytest
import trio.testing

from batch_enroll.config.job import Job
from batch_enroll.models import Counts
from batch_enroll.reporting.summary import RunSummary
from batch_enroll.run.api import enroll_async
from tests.sending.conftest import VirtualClock
from tests.support.commands import people, write_csv
from tests.support.ledgers import sqlite_ledger
from tests.support.network_link import NetworkLink
from tests.support.scripted_platform import ScriptedPlatform
from tests.support.settable_clock import SettableClock
from tests.support.threads import no_threads
from tests.unattended.conftest import Night, check_all_enrolled, check_results

SPEED = 600.0
CONCURRENCY = 4  # fewer rows in flight than unknown ones running stop a run
HOUR = timedelta(hours=1)


@pytest.fixture
def clock(nights) -> SettableClock:
    """The clock of every command of the test: an hour of it takes six seconds."""
    clock = SettableClock(nights.cli.folder / "clock", speed=SPEED)
    clock.set(datetime(2026, 11, 25, 1, 0, tzinfo=UTC))
    nights.cli.program = clock.program
    return clock


@pytest.fixture
def line(sandbox) -> Iterator[NetworkLink]:
    with NetworkLink(sandbox().url) as line:
        yield line


def is_out_of_reach(night: Night, source, server) -> int:
    """Check that a run was cut in its middle, gave up, and lost nobody; gives how many rows it has sent."""
    counts = night.ended.json["counts"]
    night.check_reports(
        3, "The platform is out of reach: 3 rows in a row used up their attempts", left=counts["not_sent"]
    )
    assert night.ended.json["finding"] == "out_of_reach"
    assert "Wait until the platform is there, then give the same command again." in night.message["message"]
    assert counts["success"] > 0
    assert counts["not_sent"] > 0
    # what was in flight when the line was cut; on a machine that is slow enough, not all of it
    assert 1 <= counts["unknown"] <= CONCURRENCY
    assert len(check_results(night, source, server)) == counts["unknown"]
    return int(counts["success"] + counts["unknown"])


def is_still_out_of_reach(night: Night, sent: int) -> None:
    left = night.ended.json["counts"]["not_sent"]
    assert sent + left == 30
    expected = f"An earlier start of this run sent {sent} rows; {left} are left. Resume it with"
    night.check_reports(2, "The platform could not be asked about scenario 3", expected, state="stopped", left=left)
    assert night.message["title"] == f"batch-enroll nightly: not resumed, {left} rows left"
    assert night.ended.json["requests"] == 0


def test_platform_refuses_connections_for_an_hour(nights, sandbox, line, clock):
    line.refuse(after_starts=11)
    source, job = nights.file("monday"), nights.job(line.url, concurrency=CONCURRENCY)
    server = sandbox()
    begin = clock.now()
    night = nights.night(source, job)
    assert line.is_cut.is_set()
    sent = is_out_of_reach(night, source, server)
    received = server.received()

    unasked = nights.night(source, job, "--skip-preflight")
    unasked.check_reports(3, "The platform is out of reach", left=30 - sent)
    starts = 0
    while starts < 2 or clock.now() < begin + HOUR:  # as cron does it
        is_still_out_of_reach(nights.night(source, job), sent)
        starts += 1
    assert server.received() == received

    line.mend()
    rest = nights.night(source, job)
    check_all_enrolled(rest, source, server)
    assert clock.now() >= begin + HOUR


@pytest.mark.skipif(sys.platform != "linux", reason="how a queue of connections fills up is the system's own")
def test_network_drops_everything(nights, sandbox, line, clock):
    line.swallow(after_starts=11)
    source, job = nights.file("monday"), nights.job(line.url, concurrency=CONCURRENCY, timeout_s=1)
    server = sandbox()
    night = nights.night(source, job)
    assert line.is_cut.is_set()
    is_out_of_reach(night, source, server)

    line.mend()
    rest = nights.night(source, job)
    assert rest.ended.code == 4  # rows in flight differ from rows that never left
    check_all_enrolled(rest, source, server)


@pytest.mark.parametrize("anyio_backend", [("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})])
async def test_outage_of_an_hour_in_virtual_time(tmp_path, quick_path, anyio_backend):
    """Each start gives up in the end, and reports it; the first one after that hour continues to the end."""
    clock, platform = VirtualClock(), ScriptedPlatform()
    began = clock.monotonic()

    async def answer(request):
        if clock.monotonic() - began < 3600:
            raise httpx.ConnectError("down")
        return await platform.transport.handle_async_request(request)

    job = Job.model_validate(
        {
            "url": "http://127.0.0.1:1",
            "scenario": 3,
            "match": {"mode": "email", "column": "email"},
            "send": {"rate": 10, "concurrency": 4, "skip_preflight": True},
        }
    )
    source = write_csv(tmp_path / "monday.csv", *people(100))
    ledger = sqlite_ledger(quick_path, inline=True)
    ends: list[RunSummary] = []
    while not ends or ends[-1].exit_code == 3:
        with no_threads():
            transport = httpx.MockTransport(answer)
            end = await enroll_async(job, source, token="t" * 32, ledger=ledger, transport=transport, clock=clock)
        ends.append(end)
        await anyio.sleep(900)
    assert [end.exit_code for end in ends[:-1]] == [3] * (len(ends) - 1)
    assert len(ends) > 2
    assert all("out of reach" in end.stop_reason for end in ends[:-1])
    assert ends[-1].counts == Counts(success=100)
    assert sorted(platform.emails()) == sorted({email for email, _ in people(100)})
