"""Faults 5 to 10: each kind of missing answer alone; throttling; closed connections."""

from __future__ import annotations

import socket
import ssl
import time

import anyio
import pytest

from batch_enroll.clock import SystemClock
from batch_enroll.config.job import Job
from batch_enroll.ledger.sqlite import SqliteLedger
from batch_enroll.models import Counts
from batch_enroll.run.api import enroll_async
from batch_enroll.sandbox import (
    FAULT_NAMES,
    FaultRule,
    SandboxSettings,
    sandbox_process,
)
from batch_enroll.sending.httpx_transport import SingleConnectionTransports
from tests.proof.inputs import leads, write_leads
from tests.proof.invariants import ReportedRun, check
from tests.support.commands import read_results
from tests.support.sandbox import wait_until

TIMEOUT_S = 0.4
AMBIGUOUS = [
    name for name in FAULT_NAMES if FaultRule(fault=name).ambiguous and name not in ("close_after_answer", "late_act")
]


class InProcessRuns:
    """Runs in this process, with the real client and the real ledger: quick enough for many small ones."""

    def __init__(self, folder, sandbox, *, stock=False):
        self.folder = folder
        self.sandbox = sandbox
        self.stock = stock
        self.ledger = SqliteLedger(folder / "ledger.sqlite", clock=SystemClock(), state_folder=folder / "state")

    async def run(self, rows, *, url=None, in_flight=4, **send):
        source = write_leads(self.folder / "leads.csv", rows)
        job = Job.model_validate(
            {
                "url": url or self.sandbox.url,
                "scenario": 3,
                "match": {"mode": "email", "column": "email"},
                "send": {"rate": "none", "timeout": TIMEOUT_S, "concurrency": in_flight, **send},
            }
        )
        token = self.sandbox.token if self.sandbox else "sandbox-token"
        self.rows = rows
        self.in_flight = in_flight
        transport = SingleConnectionTransports(ssl_context=ssl.create_default_context()) if self.stock else None
        self.summary = await enroll_async(job, source, token=token, ledger=self.ledger, transport=transport)
        return self.summary

    def verdict(self, sandbox=None):
        assert self.summary.results is not None
        reported = ReportedRun(
            planned=self.rows,
            results=read_results(self.summary.results),
            summary={"counts": self.summary.counts.as_dict()},
        )
        return check((sandbox or self.sandbox).stats(), [reported], cuts=0, in_flight=self.in_flight)


@pytest.fixture
def desk(tmp_path, sandbox):
    return lambda *, stock=False, **world: InProcessRuns(tmp_path, sandbox(**world), stock=stock)


both_transports = pytest.mark.parametrize("stock", [False, True], ids=["own", "httpx"])


@both_transports
@pytest.mark.parametrize("fault", AMBIGUOUS)
async def test_missing_answer_makes_the_row_unknown(desk, fault, stock):
    the = desk(stock=stock, faults=[FaultRule(fault=fault, contains="000002")])
    began = time.monotonic()
    summary = await the.run(leads(3))
    took_s = time.monotonic() - began
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert summary.counts == Counts(success=2, unknown=1), fault
    assert set(the.sandbox.received().values()) == {1}
    assert took_s < TIMEOUT_S + 2.0


async def test_late_act_after_the_timeout_is_unknown(desk):
    the = desk(faults=[FaultRule(fault="late_act", contains="000002", delay_s=2 * TIMEOUT_S)])
    summary = await the.run(leads(3))
    assert summary.counts == Counts(success=2, unknown=1)
    wait_until(lambda: the.sandbox.totals()["late_acts"] == 1)
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert set(the.sandbox.enrolments().values()) == {1}


async def test_many_ambiguous_answers_stop_the_run(desk):
    the = desk(faults="drop_after_acting@21+")
    summary = await the.run(leads(300), in_flight=4)
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert summary.exit_code == 3
    assert summary.counts.unknown <= 5 + 4


@pytest.mark.parametrize("form", ["seconds", "date", "absent", "negative"])
async def test_throttled_rows_are_enrolled_once(desk, form):
    the = desk(faults=[FaultRule(fault="http_429", times=3)], retry_after=form)
    summary = await the.run(leads(8))
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert summary.counts == Counts(success=8)
    assert summary.requests == 8 + 3


async def test_503_is_ambiguous_without_retry_after(desk):
    retry_after = FaultRule(fault="http_503_retry_after", contains="000001", times=1)
    the = desk(faults=[retry_after, FaultRule(fault="http_503_before_acting", contains="000002")])
    summary = await the.run(leads(4))
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert (summary.counts, summary.requests) == (Counts(success=3, unknown=1), 5)


async def test_wait_of_ten_hours_stops_the_run(desk):
    the = desk(faults=[FaultRule(fault="http_429", from_nth=11, times=20)], retry_after="huge")
    summary = await the.run(leads(40))
    assert summary.exit_code == 3
    assert summary.counts.unknown == 0
    assert summary.counts.not_sent >= 20
    assert "10 hours" in summary.stop_reason
    the.sandbox.control(faults=[])
    summary = await the.run(leads(40))
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert summary.counts == Counts(success=40)


async def test_many_429_lose_and_duplicate_no_row(desk):
    the = desk(rate_per_s=25)
    summary = await the.run(leads(75), in_flight=16)
    while summary.counts.not_sent:  # rows whose attempts were used up are left for the same call
        assert summary.exit_code == 3
        summary = await the.run(leads(75), in_flight=16)
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert the.sandbox.totals()["throttled"] > 0
    assert summary.counts == Counts(success=75)


@both_transports
async def test_closed_idle_connections_make_no_row_unknown(desk, stock):
    the = desk(stock=stock, idle_timeout_s=0.05)
    summary = await the.run(leads(20), in_flight=1, rate=10)
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert the.sandbox.totals()["idle_closes"] >= 10
    assert summary.counts.unknown <= 1, "a close and a request may really cross, but seldom"


@both_transports
async def test_close_after_the_answer_makes_no_row_unknown(desk, stock):
    the = desk(stock=stock, faults="close_after_answer")
    summary = await the.run(leads(60), in_flight=2)
    verdict = the.verdict()
    assert verdict.holds, verdict
    if hasattr(socket, "TCP_CORK"):  # the close comes with the answer's last byte, so that nothing can cross it
        assert summary.counts.unknown == 0


async def test_refused_connections_are_retried(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    the = InProcessRuns(tmp_path, None)
    ended = anyio.Event()
    verdicts = []

    async def appear():
        await anyio.sleep(0.5)
        with sandbox_process(SandboxSettings(port=port)) as handle:
            await ended.wait()
            verdicts.append(the.verdict(handle))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(appear)
        summary = await the.run(leads(10), url=f"http://127.0.0.1:{port}", skip_preflight=True, timeout=5)
        ended.set()
    assert verdicts[0].holds, verdicts
    assert summary.counts == Counts(success=10)
    assert summary.requests > 10


async def test_dns_failures_are_retried(desk, monkeypatch):
    the = desk()
    real, failures = socket.getaddrinfo, iter(range(4))

    def getaddrinfo(host, *rest, **named):
        if host in ("platform.localhost", b"platform.localhost"):
            if next(failures, None) is not None:
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
            host = "127.0.0.1"
        return real(host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    url = the.sandbox.url.replace("127.0.0.1", "platform.localhost")
    summary = await the.run(leads(10), url=url, skip_preflight=True, timeout=5)
    verdict = the.verdict()
    assert verdict.holds, verdict
    assert summary.counts == Counts(success=10)
    assert summary.requests == 14
