"""Deterministic simulation: whole runs in virtual time, with every choice drawn from one seed.

Real are the run from the file to the report, the worker pool, limiter, retry, breaker, client, classification and the
SQLite ledger, without its threads. Simulated are the network and the platform (`SimulatedPlatform`, for httpx),
the time that the ledger takes (`SlowLedger`: each call takes time before and after its work, so that a kill can come on
either side), and the kill itself: the ledger releases the run as if its process had ended, so that nothing more is
written, and the platform accepts no more requests from it.
"""

from __future__ import annotations

import inspect
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import trio
import trio.testing

from batch_enroll.config.job import Job
from batch_enroll.control.run_control import Control
from batch_enroll.errors import AlreadyFinished, RunStopped
from batch_enroll.ledger.records import RunRecord
from batch_enroll.ledger.sqlite import SqliteLedger, SqliteRunLedger
from batch_enroll.run.api import enroll_async
from tests.proof.inputs import leads, write_leads
from tests.proof.invariants import ProofResult, ReportedRun, check
from tests.support.commands import read_results
from tests.support.ledgers import InlineThreads, kill
from tests.support.scripted_platform import OK, SCENARIO
from tests.support.threads import no_threads

URL = "https://platform.example"
_BEGAN = datetime(2026, 11, 25, tzinfo=UTC)
_MOST_LIVES = 40
_FATED_LIVES = 8  #: after these a process is left alone, so that every story has an end

# What becomes of a request, and how often. `ambiguous` ones count towards the unknown rows allowed.
ANSWERS: dict[str, float] = {
    "ok": 0.72,
    "refused": 0.03,
    "no connection": 0.03,
    "connect timeout": 0.01,
    "429": 0.03,
    "503 come back": 0.02,
    "401": 0.002,
    "dropped": 0.04,
    "reset in body": 0.02,
    "silence": 0.02,
    "500": 0.03,
    "502": 0.02,
    "html": 0.01,
    "redirect": 0.008,
    "slow": 0.03,
}
_NOT_SENT = {"no connection", "connect timeout"}
_SURELY_REFUSED = {"refused", "429", "503 come back", "401"}
_FATES = {"none": 0.25, "death": 0.50, "stop": 0.12, "break off": 0.13}


class SimulatedClock:
    """The clock of the simulation: trio's, which jumps when everybody waits."""

    def now(self) -> datetime:
        return _BEGAN + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return anyio.current_time()

    def boottime(self) -> float:
        return self.monotonic()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(max(0.0, seconds))


class _SimulatedPost:
    method = b"POST"


class SimulatedPlatform(httpx.AsyncBaseTransport):
    """The oracle: decides what becomes of each request, and counts what it really did."""

    def __init__(self, luck: random.Random) -> None:
        self.enrolled: Counter[str] = Counter()
        self.received: Counter[str] = Counter()
        self.ambiguous = 0
        self.requests = 0
        self.faults: Counter[str] = Counter()
        self.log: list[str] = []
        self.process = 0  #: the one that is alive; requests of others go nowhere
        self._luck = luck

    def of(self, process: int) -> httpx.AsyncBaseTransport:
        """Give a process its line to the platform, which is cut when it dies."""
        return _Line(self, process)

    async def answer(self, request: httpx.Request, process: int) -> httpx.Response:
        if process != self.process:
            raise httpx.ConnectError("this process is dead")
        body = json.loads(await request.aread())
        self.requests += 1
        if request.url.path.endswith("/workflows/list"):
            return httpx.Response(200, json={**OK, "data": [SCENARIO], "total": 1})
        person = body["email"]
        (kind,) = self._luck.choices(list(ANSWERS), list(ANSWERS.values()))
        if kind != "ok":
            self.faults[kind] += 1
        await anyio.sleep(self._luck.uniform(0, 0.05))
        if kind in _NOT_SENT:
            self.log.append(f"{person}: {kind}")
            await anyio.sleep(10.0 if kind == "connect timeout" else 0.0)
            raise httpx.ConnectTimeout("") if kind == "connect timeout" else httpx.ConnectError("")
        await request.extensions["trace"]("http11.send_request_headers.started", {"request": _SimulatedPost})
        return await self._act(person, kind)

    async def _act(self, person: str, kind: str) -> httpx.Response:
        """From here on the request is on its way: whoever gives up waiting does not know what is done with it."""
        self.received[person] += 1
        acts = kind == "ok" or kind == "slow" or (kind not in _SURELY_REFUSED and self._luck.random() < 0.6)
        acts = acts and not person.startswith("nobody")
        self.ambiguous += kind not in _SURELY_REFUSED and kind != "ok"
        self.log.append(f"{person}: {kind}, {'acts' if acts else 'does not act'}")
        try:
            await anyio.sleep(45.0 if kind == "slow" else self._luck.uniform(0, 0.4))
        finally:  # also when nobody waits for the answer any more
            self.enrolled[person] += acts
        return await self._reply(person, kind)

    async def _reply(self, person: str, kind: str) -> httpx.Response:
        match kind:
            case "ok" | "slow" if person.startswith("nobody"):
                return httpx.Response(200, json={"error": 404, "error_text": f"No profile {person}"})
            case "ok" | "slow":
                return httpx.Response(200, json=OK)
            case "refused":
                return httpx.Response(200, json={"error": 422, "error_text": "Incorrect email"})
            case "429":
                return httpx.Response(429, headers={"Retry-After": str(self._luck.choice([0, 1, 5, 30]))})
            case "503 come back":
                return httpx.Response(503, headers={"Retry-After": "2"})
            case "401":
                return httpx.Response(200, json={"error": 401, "error_text": "API token required"})
            case "dropped":
                raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
            case "reset in body":
                return httpx.Response(200, stream=_Broken())
            case "silence":
                await anyio.sleep_forever()
            case "500":
                return httpx.Response(500, json={"error": 500, "error_text": "Internal error"})
            case "502":
                return httpx.Response(502, text="<h1>Bad gateway</h1>")
            case "html":
                return httpx.Response(200, text="<!doctype html><title>Sign in</title>")
            case "redirect":
                return httpx.Response(302, headers={"Location": "/login"})
        raise AssertionError(kind)

    def counts(self) -> dict[str, Any]:
        """Give the counts in the form of the sandbox's."""
        return {
            "enrolments": {"3": {f"email:{person}": times for person, times in self.enrolled.items() if times}},
            "received": {"3": {f"email:{person}": times for person, times in self.received.items()}},
            "ambiguous": self.ambiguous,
            "idle_closes": 0,
        }


class _Line(httpx.AsyncBaseTransport):
    def __init__(self, platform: SimulatedPlatform, process: int) -> None:
        self._platform = platform
        self._process = process

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._platform.answer(request, self._process)


class _Broken(httpx.AsyncByteStream):
    async def __aiter__(self):
        yield b'{"err'
        raise httpx.ReadError("")


class SlowLedger(SqliteLedger):
    """A ledger whose calls take time before and after they are done."""

    def __init__(self, folder: Path, pause: Callable[[], Awaitable[None]]) -> None:
        super().__init__(
            folder / "ledger.sqlite",
            state_folder=folder / "state",
            clock=SimulatedClock(),
            threads=InlineThreads(),
        )
        self._pause = pause
        self._opened: list[SqliteRunLedger] = []

    async def create(self, record: RunRecord) -> Any:
        return self._slow(await super().create(record))

    async def open(self, run_id: str, *, read_only: bool) -> Any:
        return self._slow(await super().open(run_id, read_only=read_only))

    def _slow(self, run: SqliteRunLedger) -> _SlowRun:
        self._opened.append(run)
        return _SlowRun(run, self._pause)

    async def lose_owner(self) -> None:
        """Let go of every run, as when the process is gone."""
        while self._opened:
            await kill(self._opened.pop())


class _SlowRun:
    def __init__(self, run: Any, pause: Callable[[], Awaitable[None]]) -> None:
        self._run = run
        self._pause = pause

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._run, name)
        if not inspect.iscoroutinefunction(function):
            return function

        async def slowly(*args: Any, **named: Any) -> Any:
            await self._pause()
            result = await function(*args, **named)
            await self._pause()
            return _SlowRun(result, self._pause) if name == "join" else result

        return slowly


@dataclass(slots=True)
class SimulatedRun:
    """What happened under one seed."""

    seed: int
    steps: list[str] = field(default_factory=list)
    platform: SimulatedPlatform = field(init=False)
    verdict: ProofResult = field(init=False)  #: when it is reported to the end
    deaths: int = 0
    cuts: int = 0
    lives: int = 0

    def __str__(self) -> str:
        return "\n".join([f"seed {self.seed}: {getattr(self, 'verdict', 'untold')}", *self.steps, *self.platform.log])


def simulate(seed: int, folder: Path) -> SimulatedRun:
    """Tell the story of a seed from its first process to the refusal of a finished run.

    Args:
        folder: takes the input and the results; it is made.
    """
    folder.mkdir()
    random.seed(seed)  # the jitter of a run draws from it
    trio._core._run._r.seed(seed)  # the order in which trio wakes those who are ready; there is no public way
    story = SimulatedRun(seed)
    with no_threads():
        anyio.run(
            _tell,
            story,
            folder,
            backend="trio",
            backend_options={"clock": trio.testing.MockClock(autojump_threshold=0)},
        )
    return story


async def _tell(story: SimulatedRun, folder: Path) -> None:
    luck = random.Random(story.seed)
    rows = leads(luck.randint(1, 30), luck)
    source = write_leads(folder / "leads.csv", rows)
    story.platform = platform = SimulatedPlatform(luck)
    ledger = SlowLedger(folder / "runs", lambda: anyio.sleep(luck.uniform(0, 0.01)))
    job = _job(luck)
    is_finished = False
    while not is_finished:
        story.lives += 1
        platform.process = story.lives
        assert story.lives <= _MOST_LIVES, f"no end after {story.lives} lives\n{story}"
        is_finished = await _live(story, luck, job, source, ledger)
    sent = platform.requests
    with pytest.raises(AlreadyFinished):
        await _enroll(job, source, ledger, platform, Control(), story.lives)
    assert platform.requests == sent, f"a finished run asked the platform something\n{story}"
    await anyio.sleep(60)  # whatever is still under way at the platform happens
    reported = _report_of(folder, rows)
    story.verdict = check(platform.counts(), [reported], cuts=story.cuts, in_flight=job.send.concurrency)


def _report_of(folder: Path, rows: Sequence[tuple[str, str]]) -> ReportedRun:
    (results,), (summary,) = folder.glob("*.results.csv"), folder.glob("*.summary.json")
    return ReportedRun(
        planned=rows, results=read_results(results), summary=json.loads(summary.read_text(encoding="utf-8"))
    )


def _job(luck: random.Random) -> Job:
    send = {
        "rate": luck.choice(["none", "none", 50, 5]),
        "concurrency": luck.choice([1, 2, 3, 8]),
        "timeout": 30,
        "skip_preflight": luck.random() < 0.5,
        "canary": luck.choice([None, None, None, 2]),
    }
    return Job.model_validate(
        {
            "url": URL,
            "scenario": 3,
            "match": {"mode": "email", "column": "email"},
            "send": send,
            "stop": luck.choice([{}, {"max_errors": "100%", "max_unknown": "100%"}, {"deadline": "30s"}]),
        }
    )


async def _live(story: SimulatedRun, luck: random.Random, job: Job, source: Path, ledger: SlowLedger) -> bool:
    """One process from its start to its end, natural or not; says whether the run is finished."""
    control = Control()
    fate = "none"
    if story.lives <= _FATED_LIVES:
        (fate,) = luck.choices(list(_FATES), list(_FATES.values()))
    moment_s = luck.choice([0.05, 0.5, 3.0, 40.0]) * luck.random()
    story.steps.append(f"life {story.lives}: {fate} after {moment_s:.3f} s")
    is_dead = is_finished = False

    async def meet_fate() -> None:
        nonlocal is_dead
        await anyio.sleep(moment_s)
        match fate:
            case "death":
                is_dead = True
                story.platform.process = 0
                await ledger.lose_owner()
                story.deaths += 1
                story.cuts += 1
                life.cancel_scope.cancel()
            case "stop" | "break off":
                control.stop("Stopped by the simulation.", exit_code=130)
                if fate == "break off":
                    await anyio.sleep(luck.uniform(0, 0.3))
                    story.cuts += 1
                    control.break_off()

    try:
        async with anyio.create_task_group() as life:
            life.start_soon(meet_fate)
            try:
                summary = await _enroll(job, source, ledger, story.platform, control, story.lives)
                story.steps.append(f"  ended with {summary.exit_code}: {summary.counts}")
                is_finished = not summary.counts.not_sent
            except AlreadyFinished:
                assert story.deaths, f"refused before it was finished\n{story}"
                is_finished = True  # the process before this one died when all was done
            except RunStopped as stopped:
                if type(stopped) is not RunStopped or not control.reason:
                    raise
                story.steps.append(f"  stopped while planning: {stopped}")
            life.cancel_scope.cancel()
    except Exception as error:
        if not is_dead:
            raise
        story.steps.append(f"  its last error was {type(error).__name__}")
    return is_finished and not is_dead


async def _enroll(
    job: Job, source: Path, ledger: SlowLedger, platform: SimulatedPlatform, control: Control, process: int
) -> Any:
    return await enroll_async(
        job,
        source,
        token="secret-token",
        ledger=ledger,
        control=control,
        transport=platform.of(process),
        clock=SimulatedClock(),
    )
