"""Retry-After in all its forms; what else a play holds is tested through the socket."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest

from batch_enroll.sandbox.sandbox_settings import RetryAfter
from batch_enroll.sandbox.scripted_response import come_back_later
from tests.support.sandbox import Heard

NOON = datetime(2026, 11, 25, 12, 0, 0, 900_000, tzinfo=UTC)


def header(form: RetryAfter, seconds: float = 2) -> str | None:
    wire = come_back_later(429, form=form, seconds=seconds, now=NOON).wire
    return Heard(wire, "answered").headers.get("retry-after")


@pytest.mark.parametrize(("form", "text"), [("seconds", "2"), ("absent", None), ("negative", "-2"), ("huge", "36000")])
def test_retry_after_has_the_form_asked_for(form, text):
    assert header(RetryAfter(form)) == text


def test_date_is_never_before_the_moment_meant():
    wait = parsedate_to_datetime(str(header(RetryAfter.DATE))) - NOON
    assert timedelta(seconds=2) <= wait <= timedelta(seconds=3)


def test_seconds_are_rounded_up_to_a_whole_number():
    assert [header(RetryAfter.SECONDS, seconds) for seconds in (0.01, 1.0, 1.2)] == ["1", "1", "2"]
