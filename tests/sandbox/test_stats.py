"""The counts of the mock server."""

from __future__ import annotations

from batch_enroll.sandbox.api_methods import Enrolment
from batch_enroll.sandbox.stats import Stats


def test_enrolments_count_by_scenario_and_profile():
    stats = Stats(keep=10)
    for scenario, profile in [(3, "email:a@x.com"), (3, "email:a@x.com"), (5, "email:a@x.com"), (3, "email:b@x.com")]:
        stats.record_enrolment(Enrolment(scenario, profile), client_left=False)
    counts = stats.as_dict()
    assert counts["enrolments"] == {"3": {"email:a@x.com": 2, "email:b@x.com": 1}, "5": {"email:a@x.com": 1}}
    assert (counts["enrolled_total"], counts["enrolled_profiles"], counts["enrolled_more_than_once"]) == (4, 3, 1)


def test_arrivals_are_bounded():
    stats = Stats(keep=2)
    for moment in (0.1, 0.2, 0.3):
        stats.record_start(moment, None, None)
    assert stats.as_dict()["arrivals"] == [0.2, 0.3]
