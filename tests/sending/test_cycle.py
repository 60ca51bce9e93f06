"""One row's whole cycle: what is on disk at every moment, and what is sent at most once.

The ledger here allows only the moves of the real one, so that an order of calls that would be refused fails the test.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import pytest
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_enroll.errors import (
    Ambiguous,
    LedgerError,
    Retryable,
    ServiceRefused,
)
from batch_enroll.models import Delivery, Outcome, RowStatus
from batch_enroll.sending.classify import HttpAnswer, Verdict, VerdictKind
from batch_enroll.sending.retry import RetryPolicy
from batch_enroll.sending.row_sender import RowSender, RowToSend
from batch_enroll.sending.stop_signal import StopSignal, TransmissionState

AT_LEAST_ONCE = {"delivery": Delivery.AT_LEAST_ONCE}
BODY = '{"id":12,"matching":"email","email":"john@example.com"}'
ROW = RowToSend(seq=7, number=8, body=BODY)


def verdict(kind: VerdictKind, code: str = "c", message: str = "m", **more) -> Verdict:
    return Verdict(kind=kind, code=code, message=message, http_status=200, **more)


OK = verdict(VerdictKind.ENROLLED, "0", "Successful operation")
BAD = verdict(VerdictKind.REFUSED, "400", "No profile john@example.com")
SLOW = verdict(VerdictKind.RETRY, "throttled", "too fast", retry_after_s=5.0, throttled=True)
LOST = verdict(VerdictKind.AMBIGUOUS, "http_502", "bad gateway")
DEAD = verdict(VerdictKind.FATAL, "401", "token", stop_reason="The platform refused the token of john@example.com.")
BOTH = verdict(VerdictKind.AMBIGUOUS, "http_500", "token", stop_reason="The platform refused the token.")
NO_ROUTE = Retryable("connection_refused", "refused")
DROPPED = Ambiguous("connection_dropped", "dropped")


class OneRowLedger:
    """Knows one row's state, and refuses every move that the state machine does not have."""

    def __init__(self) -> None:
        self.state = "PLANNED"
        self.attempts = 0
        self.log: list[str] = []
        self.outcome: Outcome | None = None
        self.takes_s = 0.0

    async def intend(self, seq, *, at):
        self._move("PLANNED", "INTENT", "intend")
        self.attempts += 1
        await self._disk()
        return self.attempts

    async def release(self, seq, *, code, message):
        assert "john" not in message
        self._move("INTENT", "PLANNED", f"release {code}")
        await self._disk()

    async def settle(self, outcome):
        assert outcome.status in (RowStatus.SUCCESS, RowStatus.ERROR, RowStatus.UNKNOWN)
        assert "john" not in outcome.message
        self._move("INTENT", outcome.status.name, f"settle {outcome.status} {outcome.code}")
        self.outcome = outcome
        await self._disk()

    async def _disk(self):
        """Take time; who is cancelled meanwhile hears of it when all is done."""
        with anyio.CancelScope(shield=True):
            await anyio.sleep(self.takes_s)
        await anyio.lowlevel.checkpoint_if_cancelled()

    def _move(self, before, after, what):
        if self.state != before:
            raise LedgerError(f"{what} of a row that is {self.state}")
        self.state = after
        self.log.append(what)


class Desk:
    """Everything a row needs, scripted."""

    def __init__(self, clock, script, **settings) -> None:
        self.ledger = OneRowLedger()
        self.stop = StopSignal()
        self.sent = 0
        self.told: list[object] = []
        self._script = list(script)
        self._settings: dict[str, Any] = {
            "permit": self.permit,
            "intend": self.ledger.intend,
            "send": self.send,
            "classify": self.classify,
            "release": self.ledger.release,
            "settle": self.ledger.settle,
            "clock": clock,
            "stop": self.stop,
            "jitter": lambda: 0.0,
            "policy": RetryPolicy(max_attempts=4),
            "throttled": lambda retry_after_s, rtt_s: self.told.append(("throttled", retry_after_s, rtt_s)),
            "accepted": lambda: self.told.append("accepted"),
            "on_retry": lambda row, failure, n, wait: self.told.append((row.number, failure.code, n, wait)),
            **settings,
        }

    async def run(self, row: RowToSend) -> Outcome:
        return await RowSender(**self._settings).enroll(row)

    def permit(self):
        self.ledger.log.append("permit")

    async def send(self, body: str, flight: TransmissionState) -> HttpAnswer:
        assert self.ledger.state == "INTENT"
        assert body == BODY
        self.sent += 1
        self.ledger.log.append("send")
        self._next = self._script.pop(0)
        if callable(self._next):
            await self._next(flight)
        if isinstance(self._next, Exception):
            raise self._next
        return HttpAnswer(http_status=200, headers={}, body=b"")

    def classify(self, answer: HttpAnswer):
        return self._next


async def test_the_order_is_permit_intent_send_settle(clock):
    desk = Desk(clock, [OK])
    outcome = await desk.run(ROW)
    assert desk.ledger.log == ["permit", "intend", "send", "settle success 0"]
    assert outcome is desk.ledger.outcome
    assert (outcome.seq, outcome.status, outcome.code, outcome.attempts) == (7, RowStatus.SUCCESS, "0", 1)
    assert outcome.message == "Successful operation"
    assert outcome.sent_at == clock.now()
    assert desk.told == ["accepted"]


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
    desk = Desk(clock, script)
    outcome = await desk.run(ROW)
    assert (outcome.status, outcome.code, outcome.attempts) == (status, code, attempts)
    assert desk.ledger.state == state
    assert desk.sent == len(script)


async def test_every_attempt_has_its_own_permit_and_intent(clock):
    desk = Desk(clock, [NO_ROUTE, OK])
    await desk.run(ROW)
    attempt = ["permit", "intend", "send"]
    assert desk.ledger.log == [*attempt, "release connection_refused", *attempt, "settle success 0"]
    assert desk.told == [(8, "connection_refused", 1, 1.0), "accepted"]


async def test_too_fast_is_told_before_the_row_waits(clock):
    desk = Desk(clock, [SLOW, OK])
    await desk.run(ROW)
    assert desk.told == [("throttled", 5.0, 0.0), (8, "throttled", 1, 5.0), "accepted"]
    assert clock.sleeps == [5.0]


async def test_messages_on_disk_name_nobody(clock):
    outcome = await Desk(clock, [BAD]).run(ROW)
    assert outcome.message == "No profile {identity}"


@pytest.mark.parametrize(("last", "state"), [(DEAD, "PLANNED"), (BOTH, "UNKNOWN")])
async def test_a_refusal_of_the_run_stops_it_and_leaves_the_row_as_it_is(clock, last, state):
    desk = Desk(clock, [last])
    with pytest.raises(ServiceRefused, match="refused the token") as caught:
        await desk.run(ROW)
    assert desk.ledger.state == state
    assert "john" not in str(caught.value)


def look(reason: str, *, takes_s: float = 3.0):
    """What tells a row's own refusal ("") from the scenario's."""

    async def reason_to_stop(refusal: Verdict) -> str:
        assert refusal.kind is VerdictKind.REFUSED
        assert "john" not in refusal.message
        await anyio.sleep(takes_s)
        return reason

    return {"reason_to_stop": reason_to_stop}


async def test_a_refusal_that_is_not_the_rows_own_stops_the_run_and_leaves_it_planned(clock):
    desk = Desk(clock, [BAD], **look("The platform takes no more rows."))
    with pytest.raises(ServiceRefused, match="no more rows") as caught:
        await desk.run(ROW)
    assert caught.value.code == "400"
    assert desk.ledger.log[-1] == "release 400"


async def test_a_doubtful_row_stays_in_doubt_when_the_scenario_is_off(clock):
    desk = Desk(clock, [LOST, BAD], **AT_LEAST_ONCE, **look("The platform takes no more rows."))
    with pytest.raises(ServiceRefused):
        await desk.run(ROW)
    assert desk.ledger.log[-1] == "settle unknown http_502"


async def test_a_refusal_that_is_the_rows_own_is_put_on_disk_after_the_question(clock):
    desk = Desk(clock, [BAD], **look(""))
    outcome = await desk.run(ROW)
    assert (outcome.status, outcome.code) == (RowStatus.ERROR, "400")


async def test_a_refused_row_cut_off_in_the_middle_of_the_question_is_an_error(clock):
    desk = Desk(clock, [BAD], **look("", takes_s=3600))
    await cut(desk, 10)
    assert desk.ledger.log[-1] == "settle error 400"


async def test_a_platform_that_asks_for_hours_leaves_the_row_planned(clock):
    desk = Desk(clock, [verdict(VerdictKind.RETRY, retry_after_s=36_000.0)])
    with pytest.raises(ServiceRefused, match="10 hours"):
        await desk.run(ROW)
    assert desk.ledger.state == "PLANNED"


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
async def test_at_least_once_tries_doubtful_rows_again_and_never_forgets_the_doubt(clock, script, status, code):
    desk = Desk(clock, script, **AT_LEAST_ONCE)
    outcome = await desk.run(ROW)
    assert (outcome.status, outcome.code, outcome.attempts) == (status, code, len(script))
    assert desk.sent == len(script)


async def test_a_doubtful_row_stays_an_intent_until_its_last_word(clock):
    desk = Desk(clock, [LOST, LOST, OK], **AT_LEAST_ONCE)
    await desk.run(ROW)
    assert desk.ledger.log == [
        "permit", "intend", "send", "permit", "send", "permit", "send", "settle success 0",
    ]  # fmt: skip


@pytest.mark.parametrize("second", [DEAD, verdict(VerdictKind.RETRY, retry_after_s=36_000.0), BOTH])
async def test_a_doubtful_row_is_unknown_when_the_run_is_refused(clock, second):
    desk = Desk(clock, [LOST, second], **AT_LEAST_ONCE)
    with pytest.raises(ServiceRefused):
        await desk.run(ROW)
    assert desk.ledger.state == "UNKNOWN"


async def forever(flight: TransmissionState) -> None:
    await anyio.sleep(3600)


async def connecting(flight: TransmissionState) -> None:
    flight.surely_unsent = True
    await anyio.sleep(3600)


async def cut(desk: Desk, seconds: float) -> None:
    """Cancel a row after some time."""
    with anyio.move_on_after(seconds) as scope:
        await desk.run(ROW)
    assert scope.cancelled_caught


async def test_a_row_cut_off_while_its_request_may_be_on_its_way_is_unknown(clock):
    desk = Desk(clock, [forever])
    await cut(desk, 10)
    assert desk.ledger.log[-1] == "settle unknown interrupted"


async def test_a_row_cut_off_before_a_byte_left_is_planned_again(clock):
    desk = Desk(clock, [connecting])
    await cut(desk, 10)
    assert desk.ledger.log[-1] == "release interrupted"


async def test_a_row_cut_off_while_it_waits_for_a_permit_is_untouched(clock):
    desk = Desk(clock, [], permit=lambda: partial(anyio.sleep, 3600))
    await cut(desk, 10)
    assert desk.ledger.log == []


async def test_a_row_cut_off_while_it_waits_for_its_next_attempt_is_planned(clock):
    desk = Desk(clock, [NO_ROUTE])
    await cut(desk, 0.5)
    assert desk.ledger.state == "PLANNED"


async def test_a_doubtful_row_cut_off_while_it_waits_is_unknown(clock):
    desk = Desk(clock, [LOST], **AT_LEAST_ONCE)
    await cut(desk, 0.5)
    assert desk.ledger.log[-1] == "settle unknown http_502"


async def test_an_intent_that_is_being_written_is_awaited_and_taken_back(clock):
    desk = Desk(clock, [])
    desk.ledger.takes_s = 5.0
    await cut(desk, 1)
    assert desk.ledger.log == ["permit", "intend", "release interrupted"]
    assert desk.sent == 0


@pytest.mark.parametrize(("answer", "state"), [(OK, "SUCCESS"), (LOST, "UNKNOWN"), (NO_ROUTE, "PLANNED")])
async def test_a_word_that_is_being_written_is_awaited(clock, answer, state):
    desk = Desk(clock, [answer])
    desk.ledger.takes_s = 5.0
    with anyio.move_on_after(7):
        await desk.run(ROW)
    assert desk.ledger.state == state


async def test_a_stop_ends_a_wait_for_a_permit(clock):
    desk = Desk(clock, [], permit=lambda: partial(anyio.sleep, 3600))
    async with anyio.create_task_group() as tasks:

        async def stop() -> None:
            await anyio.sleep(1)
            desk.stop.set()

        tasks.start_soon(stop)
        outcome = await desk.run(ROW)
    assert (outcome.status, outcome.code, outcome.attempts) == (RowStatus.NOT_SENT, "stopped", 0)
    assert desk.ledger.state == "PLANNED"


@pytest.mark.parametrize(
    ("first", "delivery", "status", "code"),
    [
        (NO_ROUTE, Delivery.AT_MOST_ONCE, RowStatus.NOT_SENT, "stopped"),
        (NO_ROUTE, Delivery.AT_LEAST_ONCE, RowStatus.NOT_SENT, "stopped"),
        (LOST, Delivery.AT_LEAST_ONCE, RowStatus.UNKNOWN, "http_502"),
    ],
)
async def test_a_stop_ends_a_wait_for_the_next_attempt(clock, first, delivery, status, code):
    desk = Desk(clock, [first], delivery=delivery)
    async with anyio.create_task_group() as tasks:

        async def stop() -> None:
            await anyio.sleep(0.5)
            desk.stop.set()

        tasks.start_soon(stop)
        outcome = await desk.run(ROW)
    assert (outcome.status, outcome.code) == (status, code)


async def test_a_stop_leaves_a_request_in_flight_alone(clock):
    async def answers_late(flight: TransmissionState) -> None:
        await anyio.sleep(10)

    desk = Desk(clock, [answers_late], classify=lambda answer: OK)
    async with anyio.create_task_group() as tasks:

        async def stop() -> None:
            await anyio.sleep(1)
            desk.stop.set()

        tasks.start_soon(stop)
        outcome = await desk.run(ROW)
    assert outcome.status is RowStatus.SUCCESS


async def test_a_fault_of_the_program_is_saved_and_stops_the_run(clock):
    desk = Desk(clock, [RuntimeError("john@example.com")])
    with pytest.raises(RuntimeError):
        await desk.run(ROW)
    assert desk.ledger.log[-1] == "settle unknown internal_error"


async def test_a_disk_that_does_not_take_the_intent_lets_nothing_out(clock):
    async def full(seq, *, at):
        raise LedgerError("disk full")

    desk = Desk(clock, [], intend=full)
    with pytest.raises(LedgerError):
        await desk.run(ROW)
    assert desk.sent == 0


async def test_a_disk_that_does_not_take_the_outcome_leaves_an_intent_which_is_unknown(clock):
    async def full(outcome):
        raise LedgerError("disk full")

    desk = Desk(clock, [OK], settle=full)
    with pytest.raises(LedgerError):
        await desk.run(ROW)
    assert desk.ledger.state == "INTENT"
    assert desk.sent == 1


def test_a_row_is_named_without_the_person():
    assert "john" not in repr(ROW)


ANSWERS = [OK, BAD, SLOW, LOST, DEAD, BOTH, NO_ROUTE, DROPPED]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from([*ANSWERS, forever, connecting]), min_size=4, max_size=4),
    st.sampled_from(Delivery),
    st.sampled_from(["", "The platform takes no more rows."]),
    st.none() | st.floats(0, 20),
    st.none() | st.floats(0, 20),
)
def test_whatever_is_answered_and_wherever_it_is_cut_the_ledger_tells_the_truth(
    virtual_clock, script, delivery, reason, stop_at, cut_at
):
    async def scenario() -> None:
        desk = Desk(virtual_clock, script, delivery=delivery, **look(reason))
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:

                async def at(seconds, act) -> None:
                    await anyio.sleep(seconds)
                    act()

                if stop_at is not None:
                    tasks.start_soon(at, stop_at, desk.stop.set)
                tasks.start_soon(at, 50 if cut_at is None else cut_at, scope.cancel)
                with suppress(ServiceRefused):
                    await desk.run(ROW)
                tasks.cancel_scope.cancel()
        sent = script[: desk.sent]
        doubtful = [what for what in sent if what in (LOST, BOTH, DROPPED, forever)]
        accepted = OK in sent
        match desk.ledger.state:
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


async def test_the_last_look_at_the_pace_comes_when_the_intent_is_on_disk_and_before_the_request(clock):
    desk = Desk(clock, [OK])

    def depart():
        desk.ledger.log.append("depart")
        assert desk.ledger.state == "INTENT"
        assert not desk.sent

    desk._settings["depart"] = depart
    await desk.run(ROW)
    assert desk.ledger.log[:3] == ["permit", "intend", "depart"]
    assert desk.sent == 1


async def test_a_row_that_is_cancelled_before_it_departs_is_planned_again(clock):
    desk = Desk(clock, [OK], depart=lambda: anyio.sleep_forever)
    with anyio.move_on_after(0.05):
        await desk.run(ROW)
    assert desk.ledger.state == "PLANNED"
    assert not desk.sent
