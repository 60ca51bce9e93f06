"""Counts, durations and rates as text."""

import pytest

from batch_enroll.reporting.formatting import (
    duration_text,
    first_rows_text,
    rate_text,
    rows_text,
)
from batch_enroll.reporting.reason_counts import reason_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.97, "10 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (184.2, "3 min 4 s"),
        (3_600, "1 h"),
        (3_605, "1 h"),
        (7_500, "2 h 5 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_duration_has_at_most_two_units(seconds, text):
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("rate", "text"), [(0.25, "0.25"), (9.96, "9.96"), (10, "10"), (99.97, "100"), (1_240, "1,240")]
)
def test_rate_has_significant_digits_only(rate, text):
    assert rate_text(rate) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 rows"), (1, "1 row"), (1_842, "1,842 rows")])
def test_row_count_is_english(count, text):
    assert rows_text(count) == text


@pytest.mark.parametrize(
    ("first", "count", "text"),
    [
        ((), 7, ""),
        ((12,), 1, "row 12"),
        ((12, 40), 2, "rows 12 and 40"),
        ((1, 2, 3, 4, 5), 5, "rows 1, 2, 3, 4 and 5"),
        ((1, 2, 3, 4, 5, 6), 1_206, "rows 1, 2, 3, 4, 5 and 1,201 more"),
        ((12,), 3, "rows 12 and 2 more"),
    ],
)
def test_first_rows_are_listed_and_the_rest_counted(first, count, text):
    assert first_rows_text(first, count) == text


def test_reason_has_cause_place_and_advice():
    text = reason_text(code="404", message="Not found.", advice="Import it.", count=1, first_rows=(2,))
    assert text == "Not found (404): row 2\n→ Import it."
    assert reason_text(code="x", message="", advice="", count=1, first_rows=()) == "No reason was given (x)"
