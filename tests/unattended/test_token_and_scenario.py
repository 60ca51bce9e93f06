"""Unattended runs while the token is revoked or the scenario is switched off."""

from __future__ import annotations

import pytest

from tests.unattended.conftest import check_all_enrolled, check_results, enrolled_once, people_in


def test_finished_run_notifies_once(nights, sandbox):
    server = sandbox()
    source, job = nights.file("monday"), nights.job(server.url)
    night = nights.night(source, job)
    night.check_reports(0, "30 success")
    check_all_enrolled(night, source, server)

    again = nights.night(source, job)
    again.check_reports(0, "Nothing new: monday.csv was enrolled by run")
    assert again.ended.json["status"] == "unchanged"
    assert enrolled_once(server) == people_in(source)


def test_token_is_revoked_during_the_run(nights, sandbox):
    server = sandbox(faults="token_revoked@11")
    source, job = nights.file("monday"), nights.job(server.url)
    night = nights.night(source, job)
    night.check_reports(
        3, "The platform refused the token", "Put the token right, then give the same command again", left=20
    )
    assert night.message["title"] == "batch-enroll nightly: stopped before the end"
    assert "10 success" in night.message["message"]
    assert check_results(night, source, server) == set()
    received = server.received()

    for _ in range(2):  # it asks first, so nothing leaves while the token is dead
        still = nights.night(source, job)
        still.check_reports(
            *(2, "The platform refused the token", "An earlier start of this run sent 10 rows; 20 are left"),
            state="stopped",
            left=20,
        )
        assert still.message["title"] == "batch-enroll nightly: not resumed, 20 rows left"
        assert still.ended.json["run"] == still.status["run"] == night.ended.json["run"]
        assert server.received() == received

    server.control(faults="", token_revoked=False)
    rest = nights.night(source, job)
    rest.check_reports(0, "30 success")
    check_all_enrolled(rest, source, server)


@pytest.mark.parametrize(
    ("trouble", "repair", "expected"),
    [
        ({"token_revoked": True}, {"token_revoked": False}, "The platform refused the token"),
        ({"scenarios": {"3": False}}, {"scenarios": {"3": True}}, "Scenario 3 (Welcome) is not active."),
    ],
)
def test_token_or_scenario_fails_before_the_run(nights, sandbox, trouble, repair, expected):
    server = sandbox(**trouble)
    source, job = nights.file("monday"), nights.job(server.url)
    night = nights.night(source, job)
    night.check_reports(2, expected, state="failed")
    assert night.message["title"] == "batch-enroll nightly: failed, nothing was sent"
    assert night.ended.json["status"] == "refused"
    assert server.received() == {}
    server.control(**repair)
    rest = nights.night(source, job)
    check_all_enrolled(rest, source, server)


@pytest.mark.parametrize("concurrency", [1, 4])
def test_scenario_is_switched_off_during_the_run(nights, sandbox, concurrency):
    server = sandbox(faults="scenario_off@11")
    source, job = nights.file("monday"), nights.job(server.url, concurrency=concurrency)
    night = nights.night(source, job)
    early = enrolled_once(server)
    left = 30 - len(early)
    night.check_reports(3, "not active", "Activate it in the platform, then give the same command again", left=left)
    assert 0 < len(early) < 30
    assert check_results(night, source, server) == set()
    assert (night.ended.json["counts"]["error"], night.ended.json["finding"]) == (0, "scenario_off")

    still = nights.night(source, job)
    still.check_reports(2, "not active", f"sent {len(early)} rows; {left} are left", state="stopped", left=left)
    assert enrolled_once(server) == early

    server.control(faults="", scenarios={"3": True})
    rest = nights.night(source, job)
    rest.check_reports(0, "30 success")
    check_all_enrolled(rest, source, server)
