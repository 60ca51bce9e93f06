"""A refused row, or a scenario that was switched off: the platform is asked when it may be more than the row's own."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import httpx
import pytest
import trio.testing

from batch_enroll.config.job import Job
from batch_enroll.control.run_control import Control
from batch_enroll.errors import PreflightError
from batch_enroll.events import RowFinished
from batch_enroll.messages import verbatim
from batch_enroll.models import Finding, StopCause, StopReason
from batch_enroll.run.api import enroll_async
from batch_enroll.run.preflight import diagnose
from batch_enroll.run.scenario_recheck import ScenarioRecheck
from batch_enroll.sending import Verdict, VerdictKind
from tests.sending.conftest import VirtualClock
from tests.support.commands import people, write_csv
from tests.support.ledgers import sqlite_ledger
from tests.support.scripted_platform import OK, ScriptedPlatform
from tests.support.threads import no_threads

OFF = PreflightError(verbatim("Scenario 3 is not active."), finding=Finding.SCENARIO_OFF)
SAME_CODE = {"error": 404, "error_text": "Not found"}


@pytest.fixture
def anyio_backend():
    with no_threads():
        yield "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class Questions:
    """A platform that is asked, and rows that are refused."""

    def __init__(self, *answers: PreflightError | None) -> None:
        self.asked = 0
        self.accepted = 0
        self._answers = list(answers)
        self.look = ScenarioRecheck(self._ask, accepted=lambda: self.accepted, rows_own={"404"})

    async def refused(self, code: str) -> bool:
        """Whether a row that was refused with this code is to stop the run."""
        verdict = Verdict(kind=VerdictKind.REFUSED, code=code, message=verbatim("no"), http_status=200)
        return bool(await self.look.reason_to_stop(verdict))

    async def _ask(self) -> PreflightError | None:
        self.asked += 1
        await anyio.sleep(1)
        return self._answers.pop(0)


async def test_unlisted_code_rechecks_the_scenario_once():
    questions = Questions(None)
    for _ in range(10):
        assert not await questions.refused("409")
        questions.accepted += 1
    assert questions.asked == 1


async def test_listed_code_is_rechecked_at_growing_intervals():
    questions = Questions(None, None, None)
    asked = []
    for _ in range(12):
        assert not await questions.refused("404")
        asked.append(questions.asked)
    assert asked == [0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3]


async def test_success_resets_the_count():
    questions = Questions(None)
    for _ in range(10):
        assert not await questions.refused("404")
        assert not await questions.refused("404")
        questions.accepted += 1
    assert questions.asked == 0


async def test_concurrent_refusals_share_one_recheck():
    questions = Questions(OFF)
    stops = []

    async def refused(code: str, after_s: float) -> None:
        await anyio.sleep(after_s)
        stops.append(await questions.refused(code))

    async with anyio.create_task_group() as tasks:
        for nth, code in enumerate(("423", "404", "423")):
            tasks.start_soon(refused, code, nth / 10)
    assert (stops, questions.asked) == ([True] * 3, 1)
    questions.accepted += 1  # one that was in flight when it was switched off
    assert await questions.refused("425")
    assert questions.asked == 1


async def test_cancelled_recheck_allows_the_next_one():
    questions = Questions(OFF, OFF)
    with anyio.move_on_after(0.5):
        await questions.refused("423")
    with anyio.fail_after(10):
        assert not await questions.refused("423")  # not due, and nobody is asking
        assert await questions.refused("424")


def make_job(**send):
    return Job.model_validate(
        {
            "url": "https://platform.example",
            "scenario": 3,
            "match": {"mode": "email", "column": "email"},
            "send": {"rate": "none", "concurrency": 4, **send},
        }
    )


class SwitchedOff(ScriptedPlatform):
    """Its scenario is off from the n-th start on, and says so with the code of a profile that is not there."""

    def __init__(self, nth: int, *, reads: bool = True) -> None:
        super().__init__(self._reply)
        self.nth = nth
        self.reads = reads  #: whether the list of scenarios shows it
        self.at: list[float] = []

    async def _answer(self, request):
        self.at.append(anyio.current_time())
        return await super()._answer(request)

    def _reply(self, body):
        if len(self.started) < self.nth:
            return httpx.Response(200, json=OK)
        self.scenario["is_active"] = not self.reads
        return httpx.Response(200, json=SAME_CODE)


@pytest.fixture
def enroll(tmp_path, quick_path):
    source = write_csv(tmp_path / "in.csv", *people(60))
    return partial(
        enroll_async, source=source, token="t" * 32, ledger=sqlite_ledger(quick_path, inline=True), clock=VirtualClock()
    )


async def test_inactive_scenario_with_a_row_error_costs_two_rows(enroll):
    platform = SwitchedOff(21)
    summary = await enroll(make_job(concurrency=1), transport=platform.transport)
    assert (summary.exit_code, summary.finding) == (3, "scenario_off")
    assert (summary.counts.success, summary.counts.error, summary.counts.not_sent) == (20, 2, 38)


async def test_without_preflight_only_the_breaker_decides(enroll):
    platform = SwitchedOff(21)
    summary = await enroll(make_job(skip_preflight=True, concurrency=1), transport=platform.transport)
    assert (summary.exit_code, platform.asked, summary.counts.error) == (3, 0, 20)


async def test_recheck_obeys_the_rate(enroll):
    platform = SwitchedOff(21)
    summary = await enroll(make_job(rate=5), transport=platform.transport)
    assert summary.finding == "scenario_off"
    assert platform.asked == 2
    starts_and_question = platform.at[1:]  # without the preflight, which comes before the pace begins
    assert all(
        later - earlier >= 1.0 for earlier, later in zip(starts_and_question, starts_and_question[5:], strict=False)
    )


async def test_refusal_during_a_pause_is_not_left_unknown(enroll):
    """A pause holds the question too; after half a minute the row's own word is put on disk."""
    platform, control, finished_at = ScriptedPlatform(), Control(), []

    def refuse(body):
        control.pause()
        return httpx.Response(200, json={"error": 499, "error_text": "No"})

    def watch(event):
        if isinstance(event, RowFinished):
            finished_at.append(anyio.current_time())
            control.stop("enough")

    platform.reply = refuse
    began = anyio.current_time()
    summary = await enroll(make_job(concurrency=1), transport=platform.transport, control=control, emit=watch)
    assert (summary.counts.error, summary.counts.unknown, summary.counts.not_sent) == (1, 0, 59)
    assert len(finished_at) == 1
    assert 25 < finished_at[0] - began < 40
    assert platform.asked == 1


@pytest.mark.parametrize(
    ("reason", "finding"),
    [
        (None, None),
        (StopReason(verbatim("enough")), None),
        (StopReason(verbatim("late"), StopCause.DEADLINE), None),
        (StopReason(verbatim("wait"), StopCause.REFUSED), None),
        (
            StopReason(
                verbatim("no"),
                StopCause.REFUSED,
                code="404",
                finding=Finding.SCENARIO_OFF,
                answer=verbatim("It is off."),
            ),
            Finding.SCENARIO_OFF,
        ),
    ],
)
async def test_stop_reason_decides_the_diagnosis(reason, finding):
    unused: Any = None  # the platform and the ledger are not asked
    found = await diagnose(unused, make_job(), unused, reason, clock=VirtualClock())
    assert (found and found.finding) == finding
