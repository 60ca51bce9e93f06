"""Sliding windows and the rate gate."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from batch_enroll.sandbox.sliding_window import RateGate, SlidingWindow

MOMENTS = st.lists(st.floats(0, 5), max_size=60).map(sorted)


def fullest(moments: list[float], *, span_s: float) -> int:
    """The most moments in any window, counted the slow way."""
    return max((sum(1 for other in moments if end - span_s < other <= end) for end in moments), default=0)


@given(MOMENTS)
def test_peak_is_the_fullest_window(moments):
    window = SlidingWindow(1.0)
    for moment in moments:
        window.add(moment)
    assert window.peak == fullest(moments, span_s=1.0)


def test_time_one_span_ago_is_outside():
    window = SlidingWindow(1.0)
    window.add(0.0)
    assert window.count(0.999) == 1
    assert window.wait_s(0.25) == 0.75
    assert window.count(1.0) == 0


@given(MOMENTS, st.integers(1, 5))
def test_gate_never_exceeds_its_rate(moments, rate):
    gate = RateGate(rate)
    let_through = [moment for moment in moments if gate.try_pass(moment) is None]
    assert fullest(let_through, span_s=1.0) <= rate
    assert len(let_through) >= min(rate, len(moments))


def test_rate_below_one_spaces_requests():
    gate = RateGate(0.5)
    assert [gate.try_pass(moment) for moment in (0.0, 0.5, 1.75, 2.0)] == [None, 1.5, 0.25, None]


def test_no_rate_passes_all():
    assert {RateGate(None).try_pass(0.0) for _ in range(100)} == {None}
