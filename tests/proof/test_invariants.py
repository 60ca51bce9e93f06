"""The check itself: it passes correct reports and finds each kind of error."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.proof.invariants import ReportedRun, check

PEOPLE = [("anna@example.com", "Anna"), ("boris@example.com", "=1+1"), ("clara@example.com", ""), ("Total", "")]


def lines(*statuses, attempts=1):
    return [
        {
            "email": email,
            "first_name": "'" + name if name.startswith("=") else name,
            "enroll_row": str(row),
            "enroll_status": status,
            "enroll_attempts": str(attempts if status in ("success", "error", "unknown") else 0),
        }
        for row, ((email, name), status) in enumerate(zip(PEOPLE, statuses, strict=False), start=2)
    ]


def platform(enrolled=(), received=None, **changes):
    def keys(names):
        counts: dict[str, int] = {}
        for name in names:
            key = f"email:{name}@example.com"
            counts[key] = counts.get(key, 0) + 1
        return {"3": counts}

    seen = enrolled if received is None else received
    return {"enrolments": keys(enrolled), "received": keys(seen), "ambiguous": 0, "idle_closes": 0, **changes}


def judge(real, results, *, planned=PEOPLE, counts=None, cuts=0, in_flight=1):
    found = Counter(line["enroll_status"] for line in results)
    counts = counts or {**found, "rows": len(results)}
    reported = ReportedRun(planned=planned, results=results, summary={"counts": counts})
    return check(real, [reported], cuts=cuts, in_flight=in_flight)


GOOD = lines("success", "error", "unknown", "invalid")
REAL = platform(["anna"], received=["anna", "boris", "clara"], ambiguous=1)


def test_correct_report_passes():
    verdict = judge(REAL, GOOD)
    assert verdict.holds, verdict
    assert (verdict.rows, verdict.unknown, verdict.unknown_allowed) == (4, 1, 1)


def test_unknown_row_may_be_enrolled():
    assert judge(platform(["anna", "clara"], received=["anna", "boris", "clara"], ambiguous=1), GOOD).holds


@pytest.mark.parametrize(
    ("real", "results", "found"),
    [
        (platform(["anna", "anna"], received=["anna"]), lines("success", "error", "error", "invalid"), (1, 0, 0)),
        (platform(["anna", "Anna"], received=["anna"]), lines("success", "error", "error", "invalid"), (1, 0, 0)),
        (platform([]), lines("success", "error", "error", "invalid"), (0, 1, 0)),
        (platform(["anna", "boris"]), lines("success", "error", "error", "invalid"), (0, 0, 1)),
        (platform(["anna", "clara"]), lines("success", "error", "skipped", "invalid", attempts=1), (0, 0, 1)),
        (platform(["anna", "clara"]), lines("success", "error", "not_sent", "invalid"), (0, 0, 1)),
        (
            platform(["anna"], received=["anna", "boris", "boris"]),
            lines("success", "error", "error", "invalid"),
            (0, 0, 1),
        ),
        (platform(["anna", "zoe"]), lines("success", "error", "error", "invalid"), (0, 0, 1)),
    ],
    ids=["twice", "twice-in-other-case", "lost", "error", "skipped", "not-sent", "sent-unannounced", "a-stranger"],
)
def test_false_status_is_found(real, results, found):
    verdict = judge(real, results)
    assert (verdict.duplicated, verdict.lost, verdict.misreported) == found, verdict
    assert not verdict.holds


@pytest.mark.parametrize(
    ("results", "counts"),
    [
        (GOOD[:3], None),
        ([GOOD[1], GOOD[0], *GOOD[2:]], None),
        ([*GOOD[:3], {**GOOD[3], "first_name": "changed"}], None),
        ([*GOOD[:3], {**GOOD[3], "enroll_status": "perhaps"}], None),
        (GOOD, {"success": 1, "error": 1, "unknown": 1, "invalid": 1, "rows": 5}),
        (GOOD, {"success": 2, "error": 0, "unknown": 1, "invalid": 1, "rows": 4}),
    ],
    ids=["line-missing", "other-order", "other-cell", "no-status", "sum", "other-totals"],
)
def test_inconsistent_report_is_found(results, counts):
    verdict = judge(REAL, results, counts=counts)
    assert verdict.misreported, verdict


def test_too_many_unknown_rows_are_found():
    results = lines("unknown", "unknown", "unknown", "invalid")
    real = platform([], received=["anna", "boris", "clara"], ambiguous=1)
    assert not judge(real, results, cuts=1, in_flight=1).holds
    assert judge(real, results, cuts=1, in_flight=2).holds
