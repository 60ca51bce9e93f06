"""One row: what is in the ledger at every moment, and what is sent at most once.

The ledger here allows only the transitions of the real one, so that an order of calls that would be refused fails.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import anyio
import pytest
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_enroll.errors import (
    Ambiguous,
    LedgerError,
    Retryable,
    RowTaken,
    ServiceRefused,
)
from batch_enroll.messages import Message, verbatim
from batch_enroll.models import Delivery, Outcome, RowStatus
from batch_enroll.sending.classify import HttpAnswer, Verdict, VerdictKind
from batch_enroll.sending.retry import RetryPolicy
from batch_enroll.sending.row_sender import RowObserver, RowSender, RowToSend, SendingRules
from batch_enroll.sending.stop_signal import StopSignal, TransmissionState
from tests.support.examples import examples

AT_LEAST_ONCE = {"delivery": Delivery.AT_LEAST_ONCE}
BODY = '{"id":12,"matching":"email","email":"john@example.com"}'
BODY_502 = '{"id":12,"matching":"profile_id","profile_id":"502"}'
ROW = RowToSend(seq=7, number=8, body=BODY)


def answer(http_status: int, code: int | None = None, text: str = "", **headers: str) -> HttpAnswer:
    body = b"" if code is None else json.dumps({"error": code, "error_text": text}).encode()
    return HttpAnswer(http_status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


OK = answer(200, 0, "Successful operation")
BAD = answer(200, 400, "No profile john@example.com")
SLOW = answer(429, retry_after="5")
HOURS = answer(429, retry_after="36000")
LOST = answer(502)
DEAD = answer(200, 401, "token of john@example.com")
BOTH = answer(500, 401, "token")
NO_ROUTE = Retryable("connection_refused")
DROPPED = Ambiguous("connection_dropped")


class OneRowLedger:
    """Knows one row's state, and refuses every move that the state machine does not have."""

    def __init__(self) -> None:
        self.state = "PLANNED"
        self.attempts = 0
        self.log: list[str] = []
        self.outcome: Outcome | None = None
        self.takes_s = 0.0

    async def record_intent(self, seq, *, at):
        if self.state == "TAKEN":
            with anyio.CancelScope(shield=True):
                await anyio.sleep(self.takes_s)
            raise RowTaken(seq)  # an error comes before a cancellation
        self._move("PLANNED", "INTENT", "intent")
        self.attempts += 1
        await self._disk()
        return self.attempts

    async def release(self, seq, *, code, message):
        assert "john" not in str(message)
        self._move("INTENT", "PLANNED", f"release {code}")
        await self._disk()

    async def record_outcome(self, outcome):
        assert outcome.status in (RowStatus.SUCCESS, RowStatus.ERROR, RowStatus.UNKNOWN)
        assert "john" not in str(outcome.message)
        self._move("INTENT", outcome.status.name, f"record {outcome.status} {outcome.code}")
        self.outcome = outcome
        await self._disk()

    async def _disk(self):
        """Take time; who is cancelled meanwhile hears of it when all is done."""
        with anyio.CancelScope(shield=True):
            await anyio.sleep(self.takes_s)
        await anyio.lowlevel.checkpoint_if_cancelled()

    def _move(self, before, after, what):
        if self.state != before:
            raise LedgerError(verbatim(f"{what} of a row that is {self.state}"))
        self.state = after
        self.log.append(what)


class FakeLimiter:
    """Gives every permit at once, unless a test says otherwise."""

    def __init__(self, log: list[str], reports: list[object]) -> None:
        self.wait: Callable[[], Awaitable[None]] | None = None
        self.depart_wait: Callable[[], Awaitable[None]] | None = None
        self.on_depart = lambda: None
        self._log = log
        self._reports = reports

    def try_acquire(self) -> bool:
        self._log.append("permit")
        return self.wait is None

    async def acquire(self) -> None:
        self._log.pop()
        assert self.wait
        await self.wait()

    def try_depart(self) -> bool:
        self.on_depart()
        return self.depart_wait is None

    async def depart(self) -> None:
        assert self.depart_wait
        await self.depart_wait()

    def on_throttled(self, retry_after_s=None, *, rtt_s=0.0) -> None:
        self._reports.append(("throttled", retry_after_s, rtt_s))

    def on_success(self) -> None:
        self._reports.append("accepted")


class Setup(RowObserver):
    """A row sender with a scripted platform, and what it did."""

    def __init__(
        self, clock, script, *, delivery=Delivery.AT_MOST_ONCE, reason="", reason_takes_s=0.0, body=BODY
    ) -> None:
        self._body = body
        self.ledger = OneRowLedger()
        self.stop = StopSignal()
        self.sent = 0
        self.take_on_retry = False
        self.reports: list[object] = []
        self.limiter = FakeLimiter(self.ledger.log, self.reports)
        self._script = list(script)
        self._reason, self._reason_takes_s = reason, reason_takes_s
        self._sender = RowSender(
            self.ledger,
            self.limiter,
            self,
            clock=clock,
            stop=self.stop,
            rules=SendingRules(retries=RetryPolicy(max_attempts=4), delivery=delivery, jitter=lambda: 0.0),
            observer=self,
        )

    async def run(self, row: RowToSend) -> Outcome:
        outcome = await self._sender.enroll(row)
        assert outcome is not None
        return outcome

    async def is_passed_over(self, row: RowToSend) -> bool:
        return await self._sender.enroll(row) is None

    async def start_workflow(self, body: str, transmission: TransmissionState) -> HttpAnswer:
        assert self.ledger.state == "INTENT"
        assert body == self._body
        self.sent += 1
        self.ledger.log.append("send")
        result = self._script.pop(0)
        if callable(result):
            result = await result(transmission)
        if isinstance(result, Exception):
            raise result
        assert isinstance(result, HttpAnswer)
        return result

    def on_retry(self, row, verdict, attempt, wait_s) -> None:
        if self.take_on_retry:
            self.ledger.state = "TAKEN"
        self.reports.append((row.number, verdict.code, attempt, wait_s))

    async def reason_to_stop(self, refusal: Verdict) -> Message | None:
        assert refusal.kind is VerdictKind.REFUSED
        assert "john" not in str(refusal.message)
        await anyio.sleep(self._reason_takes_s)
        return verbatim(self._reason) if self._reason else None


async def test_order_is_permit_intent_send_outcome(clock):
    setup = Setup(clock, [OK])
    outcome = await setup.run(ROW)
    assert setup.ledger.log == ["permit", "intent", "send", "record success 0"]
    assert outcome is setup.ledger.outcome
    assert (outcome.seq, outcome.status, outcome.code, outcome.attempts) == (7, RowStatus.SUCCESS, "0", 1)
    assert str(outcome.message) == "Successful operation"
    assert outcome.sent_at == clock.now()
    assert setup.reports == ["accepted"]


@pytest.mark.parametrize(
    ("script", "status", "code", "state", "attempts"),
    [
        ([BAD], RowStatus.ERROR, "400", "ERROR", 1),
        ([LOST], RowStatus.UNKNOWN, "http_502", "UNKNOWN", 1),
        ([DROPPED], RowStatus.UNKNOWN, "connection_dropped", "UNKNOWN", 1),
        ([NO_ROUTE, NO_ROUTE, OK], RowStatus.SUCCESS, "0", "SUCCESS", 3),
        ([SLOW, BAD], RowStatus.ERROR, "400", "ERROR", 2),
        ([NO_ROUTE, DROPPED], RowStatus.UNKNOWN, "connection_dropped", "UNKNOWN", 2),
        ([NO_ROUTE] * 4, RowStatus.NOT_SENT, "attempts_used_up", "PLANNED", 4),
        ([SLOW] * 4, RowStatus.NOT_SENT, "attempts_used_up", "PLANNED", 4),
    ],
)
async def test_at_most_once(clock, script, status, code, state, attempts):
    setup = Setup(clock, script)
    outcome = await setup.run(ROW)
    assert (outcome.status, outcome.code, outcome.attempts) == (status, code, attempts)
    assert setup.ledger.state == state
    assert setup.sent == len(script)


async def test_each_attempt_has_its_own_permit_and_intent(clock):
    setup = Setup(clock, [NO_ROUTE, OK])
    await setup.run(ROW)
    attempt = ["permit", "intent", "send"]
    assert setup.ledger.log == [*attempt, "release connection_refused", *attempt, "record success 0"]
    assert setup.reports == [(8, "connection_refused", 1, 1.0), "accepted"]


async def test_throttling_is_reported_before_the_row_waits(clock):
    setup = Setup(clock, [SLOW, OK])
    await setup.run(ROW)
    assert setup.reports == [("throttled", 5.0, 0.0), (8, "throttled", 1, 5.0), "accepted"]
    assert clock.sleeps == [5.0]


async def test_recorded_messages_are_redacted(clock):
    outcome = await Setup(clock, [BAD]).run(ROW)
    assert str(outcome.message) == "No profile {identity}"


async def test_only_platform_text_is_redacted(clock):
    setup = Setup(clock, [HttpAnswer(502, {}, b"<html><title>502 for row 502</title></html>")], body=BODY_502)
    outcome = await setup.run(RowToSend(seq=7, number=8, body=BODY_502))
    assert str(outcome.message) == (
        "HTTP 502 came without the platform's JSON: an HTML page ({identity} for row {identity})"
    )


@pytest.mark.parametrize(("last", "state"), [(DEAD, "PLANNED"), (BOTH, "UNKNOWN")])
async def test_run_refusal_stops_the_row(clock, last, state):
    setup = Setup(clock, [last])
    with pytest.raises(ServiceRefused, match="refused the token") as caught:
        await setup.run(ROW)
    assert setup.ledger.state == state
    assert "john" not in str(caught.value)


NO_MORE = {"reason": "The platform takes no more rows.", "reason_takes_s": 3.0}


async def test_scenario_refusal_leaves_the_row_planned(clock):
    setup = Setup(clock, [BAD], **NO_MORE)
    with pytest.raises(ServiceRefused, match="no more rows") as caught:
        await setup.run(ROW)
    assert caught.value.code == "400"
    assert setup.ledger.log[-1] == "release 400"


async def test_ambiguous_row_is_unknown_when_the_scenario_is_off(clock):
    setup = Setup(clock, [LOST, BAD], **AT_LEAST_ONCE, **NO_MORE)
    with pytest.raises(ServiceRefused):
        await setup.run(ROW)
    assert setup.ledger.log[-1] == "record unknown http_502"


async def test_row_refusal_is_recorded_after_the_recheck(clock):
    setup = Setup(clock, [BAD], reason_takes_s=3.0)
    outcome = await setup.run(ROW)
    assert (outcome.status, outcome.code) == (RowStatus.ERROR, "400")


async def test_refused_row_cancelled_during_the_recheck_is_an_error(clock):
    setup = Setup(clock, [BAD], reason_takes_s=3600)
    await cut(setup, 10)
    assert setup.ledger.log[-1] == "record error 400"


async def test_wait_of_hours_leaves_the_row_planned(clock):
    setup = Setup(clock, [HOURS])
    with pytest.raises(ServiceRefused, match="10 hours"):
        await setup.run(ROW)
    assert setup.ledger.state == "PLANNED"


@pytest.mark.parametrize(
    ("script", "status", "code"),
    [
        ([LOST, OK], RowStatus.SUCCESS, "0"),
        ([DROPPED, NO_ROUTE, SLOW, OK], RowStatus.SUCCESS, "0"),
        ([LOST, BAD], RowStatus.UNKNOWN, "400"),  # perhaps refused because the first was accepted
        ([BAD], RowStatus.ERROR, "400"),
        ([NO_ROUTE, BAD], RowStatus.ERROR, "400"),
        ([LOST] * 4, RowStatus.UNKNOWN, "http_502"),
        ([LOST, NO_ROUTE, NO_ROUTE, NO_ROUTE], RowStatus.UNKNOWN, "http_502"),
        ([NO_ROUTE] * 4, RowStatus.NOT_SENT, "attempts_used_up"),
    ],
)
async def test_at_least_once_retries_ambiguous_rows(clock, script, status, code):
    setup = Setup(clock, script, **AT_LEAST_ONCE)
    outcome = await setup.run(ROW)
    assert (outcome.status, outcome.code, outcome.attempts) == (status, code, len(script))
    assert setup.sent == len(script)


async def test_ambiguous_row_stays_an_intent_until_its_outcome(clock):
    setup = Setup(clock, [LOST, LOST, OK], **AT_LEAST_ONCE)
    await setup.run(ROW)
    assert setup.ledger.log == [
        "permit", "intent", "send", "permit", "send", "permit", "send", "record success 0",
    ]  # fmt: skip


@pytest.mark.parametrize("second", [DEAD, HOURS, BOTH])
async def test_ambiguous_row_is_unknown_when_the_run_is_refused(clock, second):
    setup = Setup(clock, [LOST, second], **AT_LEAST_ONCE)
    with pytest.raises(ServiceRefused):
        await setup.run(ROW)
    assert setup.ledger.state == "UNKNOWN"


async def forever(transmission: TransmissionState) -> None:
    await anyio.sleep(3600)


async def connecting(transmission: TransmissionState) -> None:
    transmission.surely_unsent = True
    await anyio.sleep(3600)


async def cut(setup: Setup, seconds: float) -> None:
    """Cancel a row after some time."""
    with anyio.move_on_after(seconds) as scope:
        await setup.run(ROW)
    assert scope.cancelled_caught


async def test_row_cancelled_after_sending_is_unknown(clock):
    setup = Setup(clock, [forever])
    await cut(setup, 10)
    assert setup.ledger.log[-1] == "record unknown interrupted"


async def test_row_cancelled_before_a_byte_left_is_planned(clock):
    setup = Setup(clock, [connecting])
    await cut(setup, 10)
    assert setup.ledger.log[-1] == "release interrupted"


async def test_row_cancelled_before_its_permit_is_untouched(clock):
    setup = Setup(clock, [])
    setup.limiter.wait = partial(anyio.sleep, 3600)
    await cut(setup, 10)
    assert setup.ledger.log == []


async def test_row_cancelled_between_attempts_is_planned(clock):
    setup = Setup(clock, [NO_ROUTE])
    await cut(setup, 0.5)
    assert setup.ledger.state == "PLANNED"


async def test_ambiguous_row_cancelled_between_attempts_is_unknown(clock):
    setup = Setup(clock, [LOST], **AT_LEAST_ONCE)
    await cut(setup, 0.5)
    assert setup.ledger.log[-1] == "record unknown http_502"


async def test_cancelled_intent_is_awaited_and_released(clock):
    setup = Setup(clock, [])
    setup.ledger.takes_s = 5.0
    await cut(setup, 1)
    assert setup.ledger.log == ["permit", "intent", "release interrupted"]
    assert setup.sent == 0


@pytest.mark.parametrize(("answer", "state"), [(OK, "SUCCESS"), (LOST, "UNKNOWN"), (NO_ROUTE, "PLANNED")])
async def test_cancelled_outcome_is_awaited(clock, answer, state):
    setup = Setup(clock, [answer])
    setup.ledger.takes_s = 5.0
    with anyio.move_on_after(7):
        await setup.run(ROW)
    assert setup.ledger.state == state


async def test_stop_ends_a_wait_for_a_permit(clock):
    setup = Setup(clock, [])
    setup.limiter.wait = partial(anyio.sleep, 3600)
    async with anyio.create_task_group() as tasks:

        async def stop() -> None:
            await anyio.sleep(1)
            setup.stop.set()

        tasks.start_soon(stop)
        outcome = await setup.run(ROW)
    assert (outcome.status, outcome.code, outcome.attempts) == (RowStatus.NOT_SENT, "stopped", 0)
    assert setup.ledger.state == "PLANNED"


@pytest.mark.parametrize(
    ("first", "delivery", "status", "code"),
    [
        (NO_ROUTE, Delivery.AT_MOST_ONCE, RowStatus.NOT_SENT, "stopped"),
        (NO_ROUTE, Delivery.AT_LEAST_ONCE, RowStatus.NOT_SENT, "stopped"),
        (LOST, Delivery.AT_LEAST_ONCE, RowStatus.UNKNOWN, "http_502"),
    ],
)
async def test_stop_ends_a_wait_for_the_next_attempt(clock, first, delivery, status, code):
    setup = Setup(clock, [first], delivery=delivery)
    async with anyio.create_task_group() as tasks:

        async def stop() -> None:
            await anyio.sleep(0.5)
            setup.stop.set()

        tasks.start_soon(stop)
        outcome = await setup.run(ROW)
    assert (outcome.status, outcome.code) == (status, code)


async def test_stop_lets_a_request_in_flight_finish(clock):
    async def answers_late(transmission: TransmissionState) -> HttpAnswer:
        await anyio.sleep(10)
        return OK

    setup = Setup(clock, [answers_late])
    async with anyio.create_task_group() as tasks:

        async def stop() -> None:
            await anyio.sleep(1)
            setup.stop.set()

        tasks.start_soon(stop)
        outcome = await setup.run(ROW)
    assert outcome.status is RowStatus.SUCCESS


async def test_program_error_is_recorded_and_stops_the_run(clock):
    setup = Setup(clock, [RuntimeError("john@example.com")])
    with pytest.raises(RuntimeError):
        await setup.run(ROW)
    assert setup.ledger.log[-1] == "record unknown internal_error"


async def test_nothing_is_sent_when_the_intent_fails(clock, monkeypatch):
    async def full(seq, *, at):
        raise LedgerError(verbatim("disk full"))

    setup = Setup(clock, [])
    monkeypatch.setattr(setup.ledger, "record_intent", full)
    with pytest.raises(LedgerError):
        await setup.run(ROW)
    assert setup.sent == 0


async def test_row_taken_by_another_worker_is_passed_over(clock):
    setup = Setup(clock, [])
    setup.ledger.state = "TAKEN"
    assert await setup.is_passed_over(ROW)
    assert setup.ledger.log == ["permit"]
    assert (setup.sent, setup.ledger.outcome) == (0, None)


@pytest.mark.parametrize("delivery", Delivery)
async def test_row_taken_between_two_attempts_is_passed_over(clock, delivery):
    setup = Setup(clock, [NO_ROUTE], delivery=delivery)
    setup.take_on_retry = True
    assert await setup.is_passed_over(ROW)
    assert setup.ledger.log == ["permit", "intent", "send", "release connection_refused", "permit"]
    assert (setup.sent, setup.ledger.outcome) == (1, None)


async def test_taken_row_is_not_released_when_cancelled(clock):
    """Another worker may be sending it: PLANNED, it would be sent twice."""
    setup = Setup(clock, [])
    setup.ledger.state, setup.ledger.takes_s = "TAKEN", 2.0
    with anyio.move_on_after(1.0):
        await setup.is_passed_over(ROW)
    assert setup.ledger.log == ["permit"]
    assert setup.ledger.state == "TAKEN"


async def test_illegal_transition_stops_the_run(clock):
    setup = Setup(clock, [])
    setup.ledger.state = "INVALID"
    with pytest.raises(LedgerError):
        await setup.run(ROW)
    assert setup.sent == 0


async def test_failed_outcome_leaves_the_intent(clock, monkeypatch):
    async def full(outcome):
        raise LedgerError(verbatim("disk full"))

    setup = Setup(clock, [OK])
    monkeypatch.setattr(setup.ledger, "record_outcome", full)
    with pytest.raises(LedgerError):
        await setup.run(ROW)
    assert setup.ledger.state == "INTENT"
    assert setup.sent == 1


def test_row_is_named_without_personal_data():
    assert "john" not in repr(ROW)


ANSWERS = [OK, BAD, SLOW, LOST, DEAD, BOTH, NO_ROUTE, DROPPED]


@settings(max_examples=examples(200), deadline=None)
@given(
    st.lists(st.sampled_from([*ANSWERS, forever, connecting]), min_size=4, max_size=4),
    st.sampled_from(Delivery),
    st.sampled_from(["", "The platform takes no more rows."]),
    st.none() | st.floats(0, 20),
    st.none() | st.floats(0, 20),
)
def test_ledger_is_right_for_all_answers_and_cancellations(virtual_clock, script, delivery, reason, stop_at, cut_at):
    async def scenario() -> None:
        setup = Setup(virtual_clock, script, delivery=delivery, reason=reason, reason_takes_s=3.0)
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:

                async def at(seconds, act) -> None:
                    await anyio.sleep(seconds)
                    act()

                if stop_at is not None:
                    tasks.start_soon(at, stop_at, setup.stop.set)
                tasks.start_soon(at, 50 if cut_at is None else cut_at, scope.cancel)
                with suppress(ServiceRefused):
                    await setup.run(ROW)
                tasks.cancel_scope.cancel()
        sent = script[: setup.sent]
        doubtful = [what for what in sent if what in (LOST, BOTH, DROPPED, forever)]
        accepted = OK in sent
        match setup.ledger.state:
            case "SUCCESS":
                assert accepted
            case "ERROR":
                assert sent[-1] is BAD
                assert not doubtful
            case "UNKNOWN":
                assert doubtful
            case "PLANNED":
                assert not doubtful
                assert not accepted
            case other:
                pytest.fail(f"left as {other}")
        if delivery is Delivery.AT_MOST_ONCE:
            assert len(doubtful) <= 1
            assert not doubtful or sent[-1] in doubtful

    anyio.run(scenario, backend="trio", backend_options={"clock": trio.testing.MockClock(autojump_threshold=0)})


async def test_departure_comes_between_intent_and_request(clock):
    setup = Setup(clock, [OK])

    def depart():
        setup.ledger.log.append("depart")
        assert setup.ledger.state == "INTENT"
        assert not setup.sent

    setup.limiter.on_depart = depart
    await setup.run(ROW)
    assert setup.ledger.log[:3] == ["permit", "intent", "depart"]
    assert setup.sent == 1


async def test_row_cancelled_before_departure_is_planned(clock):
    setup = Setup(clock, [OK])
    setup.limiter.depart_wait = anyio.sleep_forever
    with anyio.move_on_after(0.05):
        await setup.run(ROW)
    assert setup.ledger.state == "PLANNED"
    assert not setup.sent
