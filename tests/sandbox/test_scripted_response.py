"""The forms of Retry-After; other responses are tested through a socket."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest

from batch_enroll.sandbox.sandbox_settings import RetryAfter
from batch_enroll.sandbox.scripted_response import throttle_response
from tests.support.sandbox import RawResponse

NOON = datetime(2026, 11, 25, 12, 0, 0, 900_000, tzinfo=UTC)


def header(form: RetryAfter, seconds: float = 2) -> str | None:
    raw = throttle_response(429, form=form, seconds=seconds, now=NOON).raw
    return RawResponse(raw, "answered").headers.get("retry-after")


@pytest.mark.parametrize(("form", "text"), [("seconds", "2"), ("absent", None), ("negative", "-2"), ("huge", "36000")])
def test_retry_after_has_the_chosen_form(form, text):
    assert header(RetryAfter(form)) == text


def test_retry_after_date_is_never_too_early():
    wait = parsedate_to_datetime(str(header(RetryAfter.DATE))) - NOON
    assert timedelta(seconds=2) <= wait <= timedelta(seconds=3)


def test_retry_after_seconds_are_rounded_up():
    assert [header(RetryAfter.SECONDS, seconds) for seconds in (0.01, 1.0, 1.2)] == ["1", "1", "2"]
