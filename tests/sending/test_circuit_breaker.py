"""When a run stops by itself, and that it does not stop before."""

from __future__ import annotations

import pytest

from batch_enroll.messages import verbatim
from batch_enroll.models import Outcome, RowStatus, StopCause
from batch_enroll.sending.circuit_breaker import (
    Breaker,
    BreakerLimits,
    Threshold,
)
from batch_enroll.sending.error_codes import CodeTable, ErrorClass


def outcome(kind: str) -> Outcome:
    """Make one: s: success, e: error, x: suspect error, u: unknown, r: redirect, n: attempts used up, -: stopped.

    f and g are errors with codes that nobody listed.
    """
    status, code = {
        "s": (RowStatus.SUCCESS, "0"),
        "e": (RowStatus.ERROR, "400"),
        "x": (RowStatus.ERROR, "440"),
        "f": (RowStatus.ERROR, "423"),
        "g": (RowStatus.ERROR, "424"),
        "u": (RowStatus.UNKNOWN, "read_timeout"),
        "r": (RowStatus.UNKNOWN, "redirect"),
        "n": (RowStatus.NOT_SENT, "attempts_used_up"),
        "-": (RowStatus.NOT_SENT, "stopped"),
    }[kind]
    return Outcome(seq=1, status=status, code=code, message=verbatim("text"))


def test_trip_names_the_last_outcome():
    breaker = Breaker(BreakerLimits(used_up_running=1))
    trip = breaker.record(outcome("n")._replace(message=verbatim("No route.")))
    assert str(trip).endswith("The last was attempts_used_up: No route.")


def stops_after(kinds: str, limits: BreakerLimits | None = None) -> int | None:
    breaker = Breaker(limits)
    for count, kind in enumerate(kinds, start=1):
        if breaker.record(outcome(kind)):
            return count
    return None


@pytest.mark.parametrize(
    ("kinds", "count"),
    [
        ("s" * 500, None),
        # unknown
        ("suuuu" * 4, None),
        ("suuuuu", 6),
        ("uuuueu", None),
        ("suuuu" * 13, 64),  # 51 unknown rows
        ("s" * 20_000 + "us" * 100, None),  # 100 of 20,200: under 0.5 %
        # errors
        ("s" + "e" * 19, None),
        ("s" + "e" * 20, 21),
        ("ueueueueueueueueueueueueueueueueueueueue", 40),  # an unknown row is no success between
        ("sesss" * 19 + "seee", None),  # 22 of 99: a share says nothing below 100 rows
        ("sesss" * 19 + "seeee", 100),
        ("sssse" * 100, None),  # exactly 20 %
        # suspects
        ("x", 1),
        ("sx" * 10, None),
        ("s" * 30 + "xx", 32),
        ("s" * 30 + "xux", None),
        # a new error
        ("s" + "f" * 5, 6),
        ("s" * 300 + "f" * 5, 305),
        ("f" * 19, None),  # nothing was accepted before: the general count holds
        ("f" * 20, 20),
        ("sfs" + "f" * 19, None),  # a row was accepted after it: it is a row's own
        ("sffff" + "e" + "f" * 14, None),  # not running
        ("sffff" + "u" + "ffff" + "s", None),
        ("ssssssssssssssssssffgfg" + "s" * 40, None),  # two new ones by turns
        ("sffff" + "-" + "f", 7),  # a row that was not sent says nothing
        # redirects
        ("srsrsr", 6),
        # out of reach
        ("snsnsnn", None),
        ("nnn", 3),
        ("nn-n", 4),
        ("-" * 50, None),
    ],
)
def test_default_thresholds(kinds, count):
    assert stops_after(kinds) == count


@pytest.mark.parametrize(
    ("limits", "kinds", "count"),
    [
        (BreakerLimits(errors=Threshold.parse("5")), "se" * 5 + "s", None),
        (BreakerLimits(errors=Threshold.parse("5")), "se" * 6, 12),
        (BreakerLimits(errors=Threshold.parse(0)), "sse", 3),
        (BreakerLimits(errors=Threshold.parse("100%")), "see" * 200, None),
        (BreakerLimits(unknown=Threshold.parse(1)), "susu", 4),
        (BreakerLimits(unknown=Threshold.parse("50%")), "su" * 200, None),
        (BreakerLimits(unknown=Threshold.parse("1%")), "s" * 98 + "us" + "u", 101),
    ],
)
def test_job_thresholds_replace_the_shares(limits, kinds, count):
    assert stops_after(kinds, limits) == count


def test_first_cause_is_kept():
    breaker = Breaker()
    first = breaker.record(outcome("x"))
    assert first
    assert first.cause is StopCause.TOKEN
    assert str(first) == "The platform answered 440 to the first row, which may mean that the token does not work."
    assert breaker.record(outcome("s")) is breaker.trip is first


@pytest.mark.parametrize(
    ("kinds", "cause", "said"),
    [
        ("uuuuu", StopCause.UNKNOWN, "5 rows in a row got no clear answer."),
        ("su" * 51, StopCause.UNKNOWN, "51 of 102 rows got no clear answer, more than 50 or 0.5%."),
        ("e" * 20, StopCause.ERRORS, "20 rows were refused without a success between."),
        ("sessess" * 20, StopCause.ERRORS, "The platform refused 29 of 100 rows, more than 20%."),
        ("sfffff", StopCause.NEW_ERROR, "A new error came 5 times running: code 423, which no row had before."),
        ("nnn", StopCause.OUT_OF_REACH, "The platform is out of reach: 3 rows in a row used up their attempts."),
        ("rrr", StopCause.ADDRESS, "The platform redirected 3 requests"),
        ("sxx", StopCause.TOKEN, "The platform answered 440 2 times running"),
    ],
)
def test_each_cause_has_its_own_sentence(kinds, cause, said):
    breaker = Breaker()
    for kind in kinds:
        breaker.record(outcome(kind))
    assert breaker.trip
    assert breaker.trip.cause is cause
    assert str(breaker.trip).startswith(said)
    assert str(breaker.trip).endswith(".")


def test_codes_of_class_row_are_not_new_errors():
    breaker = Breaker(rows_own=CodeTable({423: ErrorClass.ROW}).rows_own())
    for kind in "s" + "f" * 19:
        assert breaker.record(outcome(kind)) is None
    assert breaker.record(outcome("f"))


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("5", Threshold(rows=5), "5"),
        (5, Threshold(rows=5), "5"),
        ("20%", Threshold(share=0.2), "20%"),
        (" 0,5 % ", Threshold(share=0.005), "0.5%"),
        ("0", Threshold(rows=0), "0"),
    ],
)
def test_threshold_is_a_number_or_a_share(text, limit, shown):
    assert Threshold.parse(text) == limit
    assert str(limit) == shown


@pytest.mark.parametrize("text", ["", "%", "-1", "1.5", "101%", "many", "5 rows", "٥"])
def test_invalid_threshold_is_refused(text):
    with pytest.raises(ValueError, match=r"a limit|a share"):
        Threshold.parse(text)
