"""A file ten times too large, and a week with another fault every night."""

from __future__ import annotations

import json

from tests.unattended.conftest import check_all_enrolled, check_results, enrolled_once, people_in


def test_file_ten_times_too_large_is_not_sent(nights, sandbox):
    server = sandbox()
    job = nights.job(server.url)
    monday, tuesday = nights.file("monday"), nights.file("tuesday", 300)
    nights.night(monday, job).check_reports(0, "30 success")
    for _ in range(2):  # it does not become usual by being tried
        night = nights.night(tuesday, job)
        night.check_reports(
            2, "300 rows would be sent; earlier runs had 30 (the median of 1 run)", "--max-change", state="failed"
        )
        assert night.message["title"] == "batch-enroll nightly: failed, nothing was sent"
        assert enrolled_once(server) == people_in(monday)
    check_all_enrolled(nights.night(tuesday, job, "--max-change", "900%"), tuesday, server)  # somebody knows better


WEEK = [
    ("monday", "", 0),
    ("tuesday", "drop_after_acting@7, drop_before_acting@9", 4),
    ("wednesday", "http_503_retry_after@3, http_429@8", 0),
    ("thursday", "tariff_limit@20", 3),
    ("friday", ", ".join(f"http_502_after_acting@{number}" for number in range(10, 16)), 3),
]


def test_week_of_runs_with_one_ledger(nights, sandbox):
    """Every night another trouble; at the end of each, everybody is enrolled once, or named as unknown."""
    server = sandbox()
    everybody, unknown = set(), set()
    for name, trouble, code in WEEK:
        source, job = nights.file(name, 40), nights.job(server.url, concurrency=4)
        server.control(faults=trouble)
        night = nights.night(source, job)
        night.check_reports(code, left=night.ended.json["counts"]["not_sent"])
        assert bool(night.ended.json["counts"]["not_sent"]) == (code == 3)
        check_results(night, source, server)
        server.control(faults="", token_revoked=False, tariff_used_up=False, scenarios={"3": True})
        if code == 3:
            night = nights.night(source, job)
        check_all_enrolled(night, source, server)
        everybody |= people_in(source)
        unknown |= check_results(night, source, server)

    enrolled = enrolled_once(server)
    assert enrolled <= everybody
    assert everybody - enrolled <= unknown
    assert "email:zinaida7@tuesday.example.com" in unknown | enrolled
    assert unknown & enrolled  # the platform acted and its answer was lost
    assert unknown - enrolled  # it never did
    assert all(json.loads(line)["time"] for line in nights.log.splitlines())
    assert 'batch_enroll_runs_total{exit_code="3",job_name="nightly",scenario="3"} 2.0' in nights.metrics
