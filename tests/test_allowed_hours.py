"""The part of the day in which requests may leave: how it is written, when it is open, when it ends."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from batch_enroll.config.allowed_hours import Hours, parse_hours


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("09:00-20:00", "09:00-20:00"),
        (" 9:00 – 20:00  Europe/Moscow ", "09:00-20:00 Europe/Moscow"),
        ("22:00-06:00 UTC", "22:00-06:00 UTC"),
        ("18:30-24:00 UTC", "18:30-24:00 UTC"),
        ("00:00-23:59", "00:00-23:59"),
    ],
)
def test_hours_are_stored_in_one_form(text, kept):
    assert parse_hours(text) == kept
    assert parse_hours(kept) == kept


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("daytime", "is not a part of a day; write for example 09:00-20:00 Europe/Moscow"),
        ("09:00", "is not a part of a day"),
        ("09:00-25:00", "is not a part of a day"),
        ("24:00-06:00", "is not a part of a day"),
        ("09:60-20:00", "is not a part of a day"),
        ("09:00-09:00", "begins and ends at the same time"),
        ("00:00-24:00", "begins and ends at the same time"),
        ("09:00-20:00 Moscow", "'Moscow' is not a time zone; did you mean Europe/Moscow"),
        ("09:00-20:00 europe/moskow", "did you mean Europe/Moscow"),
        ("09:00-20:00 ../../etc/passwd", "is not a time zone; write for example"),
        ("09:00-20:00 Europe", "is not a time zone"),
        (9, "is not a part of a day"),
    ],
)
def test_invalid_hours_are_refused_with_an_example(text, said):
    with pytest.raises(ValueError, match=said.replace("?", r"\?")):
        parse_hours(text)


@pytest.mark.parametrize(
    ("hours", "now", "is_open"),
    [
        ("09:00-20:00 UTC", "2026-11-25T08:59:59", False),
        ("09:00-20:00 UTC", "2026-11-25T09:00:00", True),
        ("09:00-20:00 UTC", "2026-11-25T19:59:59", True),
        ("09:00-20:00 UTC", "2026-11-25T20:00:00", False),
        ("09:00-20:00 Europe/Moscow", "2026-11-25T06:00:00", True),
        ("09:00-20:00 Europe/Moscow", "2026-11-25T17:00:00", False),
        ("22:00-06:00 UTC", "2026-11-25T22:00:00", True),
        ("22:00-06:00 UTC", "2026-11-25T00:30:00", True),
        ("22:00-06:00 UTC", "2026-11-25T06:00:00", False),
        ("22:00-06:00 UTC", "2026-11-25T12:00:00", False),
        ("18:00-24:00 UTC", "2026-11-25T23:59:00", True),
        ("18:00-24:00 UTC", "2026-11-26T00:00:00", False),
        ("09:00-20:00 America/New_York", "2026-07-01T13:00:00", True),  # daylight saving time: four hours behind
        ("09:00-20:00 America/New_York", "2026-12-01T13:00:00", False),  # five hours behind
    ],
)
def test_hours_include_their_start_and_not_their_end(hours, now, is_open):
    assert Hours.parse(hours).is_open(utc(now)) is is_open


@pytest.mark.parametrize(
    ("hours", "now", "closes"),
    [
        ("09:00-20:00 UTC", "2026-11-25T12:00:00", "2026-11-25T20:00:00"),
        ("09:00-20:00 Europe/Moscow", "2026-11-25T12:00:00", "2026-11-25T17:00:00"),
        ("22:00-06:00 UTC", "2026-11-25T23:00:00", "2026-11-26T06:00:00"),
        ("22:00-06:00 UTC", "2026-11-25T05:00:00", "2026-11-25T06:00:00"),
        ("18:00-24:00 UTC", "2026-11-25T20:00:00", "2026-11-26T00:00:00"),
        ("09:00-20:00 UTC", "2026-11-25T21:00:00", "2026-11-25T21:00:00"),  # closed: now
        # Berlin leaves out 02:00 to 03:00 on 2026-03-29 and has it twice on 2026-10-25: the earlier reading holds.
        ("22:00-02:30 Europe/Berlin", "2026-03-29T00:00:00", "2026-03-29T00:30:00"),
        ("22:00-02:30 Europe/Berlin", "2026-10-24T22:00:00", "2026-10-25T00:30:00"),
        ("22:00-02:30 Europe/Berlin", "2026-10-25T01:10:00", "2026-10-25T01:30:00"),
    ],
)
def test_hours_close_at_the_next_end(hours, now, closes):
    assert Hours.parse(hours).closes_at(utc(now)) == utc(closes)


def test_hours_without_a_zone_are_local_time(monkeypatch):
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        hours = Hours.parse("09:00-20:00")
        assert hours.is_open(utc("2026-11-25T00:00:00"))
        assert not hours.is_open(utc("2026-11-24T23:59:00"))
        assert hours.closes_at(utc("2026-11-25T00:00:00")) == utc("2026-11-25T11:00:00")
        assert hours.time_at(utc("2026-11-25T00:00:00")) == "09:00 JST"
    finally:
        monkeypatch.undo()
        time.tzset()
