"""Comparison of a plan with earlier runs."""

from __future__ import annotations

import json

import pytest

from batch_enroll.reporting.earlier_runs_report import (
    RunBaseline,
    baseline_sentences,
    baseline_to_json,
    unusual_sentences,
)

NIGHTS = RunBaseline(
    any_run=True,
    scenario_used=True,
    of_input=True,
    rows=(1_900, 1_700, 1_750, 1_880, 1_790),
    to_send=(1_880, 1_690, 1_740, 1_850, 1_780),
)


@pytest.mark.parametrize(
    ("usual", "rows", "to_send", "said"),
    [
        (RunBaseline(), 10, 10, ["This ledger remembers no earlier run, so there is nothing to compare with."]),
        (
            RunBaseline(any_run=True),
            10,
            10,
            ["No run that this ledger remembers has used scenario #3 of this platform before."],
        ),
        (
            RunBaseline(any_run=True, scenario_used=True),
            10,
            10,
            ["This scenario was used before, but no earlier run says how many rows are usual."],
        ),
        (NIGHTS, 1_800, 1_790, ["This input has 1,800 rows; the last 5 runs of this input had 1,700 to 1,900."]),
        (
            NIGHTS,
            18_400,
            18_100,
            [
                "This input has 18,400 rows; the last 5 runs of this input had 1,700 to 1,900.",
                "18,100 rows will be sent, 10 times the usual 1,780.",
            ],
        ),
        (
            NIGHTS,
            1_800,
            12,
            [
                "This input has 1,800 rows; the last 5 runs of this input had 1,700 to 1,900.",
                "Only 12 rows will be sent; 1,780 are usual.",
            ],
        ),
        (NIGHTS, 1_800, 0, ["This input has 1,800 rows; the last 5 runs of this input had 1,700 to 1,900."]),
        (
            RunBaseline(any_run=True, scenario_used=True, rows=(7,), to_send=(7,)),
            1,
            5,
            ["This input has 1 row; the last run of this scenario had 7."],
        ),
        (
            RunBaseline(
                any_run=True,
                scenario_used=True,
                changed_mapping=(
                    "profiles were matched by email=a, now by email=b",
                    "content x is new, from column 'X'",
                ),
                mapped_in="run 2b4ff3fb of 2026-11-24",
            ),
            1,
            1,
            [
                "The mapping is not that of run 2b4ff3fb of 2026-11-24: "
                "profiles were matched by email=a, now by email=b; content x is new, from column 'X'."
            ],
        ),
    ],
)
def test_comparison_as_text(usual, rows, to_send, said):
    assert list(baseline_sentences(usual, rows=rows, to_send=to_send, scenario=3)) == said


@pytest.mark.parametrize(
    ("usual", "to_send", "count"),
    [
        (RunBaseline(), 10, 0),
        (NIGHTS, 1_800, 0),
        (NIGHTS, 18_000, 1),
        (RunBaseline(any_run=True), 10, 1),
        (RunBaseline(any_run=True, scenario_used=True), 10, 0),
        (RunBaseline(any_run=True, scenario_used=True, rows=(9, 9), to_send=(9, 9)), 90, 0),  # too few to be usual
        (RunBaseline(any_run=True, scenario_used=True, changed_mapping=("a",), rows=(9,) * 3, to_send=(9,) * 3), 90, 2),
    ],
)
def test_unusual_changes_are_marked(usual, to_send, count):
    unusual = unusual_sentences(usual, to_send=to_send, scenario=3)
    assert len(unusual) == count
    assert set(unusual) <= set(baseline_sentences(usual, rows=to_send, to_send=to_send, scenario=3))


@pytest.mark.parametrize(("to_send", "is_told"), [(3_560, True), (3_559, False), (890, True), (891, False)])
def test_number_is_unusual_from_double_and_from_half(to_send, is_told):
    assert (len(baseline_sentences(NIGHTS, rows=1_800, to_send=to_send, scenario=3)) == 2) is is_told


def test_json_object_has_numbers_and_median():
    told = baseline_to_json(NIGHTS)
    assert told == json.loads(json.dumps(told))
    assert told["median_to_send"] == 1_780
    assert baseline_to_json(RunBaseline())["median_to_send"] is None
