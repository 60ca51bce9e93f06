"""Fault rules: when they fire, and their text and JSON forms."""

from __future__ import annotations

import pytest

from batch_enroll.errors import JobError
from batch_enroll.sandbox.faults import (
    FAULT_NAMES,
    START,
    FaultPlan,
    FaultRule,
    parse_faults,
    read_rules,
)


def fired(plan: FaultPlan, identities: list[str]) -> list[str]:
    return [identity for identity in identities if plan.draw(START, identity, visit=1) is not None]


def test_nth_counts_requests_of_the_method_from_1():
    plan = FaultPlan([FaultRule(fault="http_429", nth=(2, 4))])
    plan.draw("workflows/list", None, visit=1)
    assert fired(plan, list("abcde")) == ["b", "d"]


def test_from_nth_fires_on_all_later_ones():
    assert fired(FaultPlan([FaultRule(fault="http_429", from_nth=3)]), list("abcde")) == ["c", "d", "e"]


def test_times_is_an_upper_bound():
    plan = FaultPlan([FaultRule(fault="http_429", contains="john", times=1)])
    assert [plan.draw(START, "john@example.com", visit=n) is not None for n in (1, 2, 3)] == [True, False, False]


def test_identity_is_exact_and_contains_is_not():
    people = ["john@example.com", "john@example.com.au", "jane@example.com"]
    assert fired(FaultPlan([FaultRule(fault="http_429", identity=people[0])]), people) == people[:1]
    assert fired(FaultPlan([FaultRule(fault="http_429", contains="john@")]), people) == people[:2]


def test_first_rule_that_fires_wins():
    plan = FaultPlan(parse_faults("http_429@1,drop_after_acting"))
    drawn = [plan.draw(START, "x", visit=1) for _ in range(2)]
    assert [rule and rule.fault for rule in drawn] == ["http_429", "drop_after_acting"]


def test_share_selects_the_same_profiles_in_any_order():
    people = [f"user{number}@example.com" for number in range(2000)]
    rules = parse_faults("drop_after_acting=0.1")
    first = fired(FaultPlan(rules, seed=7), people)
    assert set(fired(FaultPlan(rules, seed=7), people[::-1])) == set(first)
    assert set(fired(FaultPlan(rules, seed=8), people)) != set(first)
    assert 150 < len(first) < 250


def test_share_is_drawn_again_for_each_visit():
    plan = FaultPlan(parse_faults("http_429=0.5"), seed=1)
    assert {plan.draw(START, "john@example.com", visit=visit) is None for visit in range(1, 20)} == {True, False}


def test_text_and_json_give_equal_rules():
    text = parse_faults("drop_after_acting=0.02, http_429@5, token_revoked@100+, html_200_after_acting")
    rules = '[{"fault": "drop_after_acting", "share": 0.02}, {"fault": "http_429", "nth": 5},'
    rules += '{"fault": "token_revoked", "from_nth": 100}, {"fault": "html_200_after_acting"}]'
    assert parse_faults(rules) == text


@pytest.mark.parametrize(
    "text", ["drop_after_acting=", "drop_after_acting=x", "http_429@", "http_429@0", "=1", "[1]", "["]
)
def test_malformed_fault_text_is_refused(text):
    with pytest.raises(JobError):
        parse_faults(text)


def test_misspelt_fault_suggests_near_names():
    with pytest.raises(JobError, match="Did you mean drop_after_acting"):
        parse_faults("drop_after=0.1")


@pytest.mark.parametrize("rule", [{"fault": "http_429", "chance": 1}, {"nth": 1}, {"fault": "http_429", "share": 2}])
def test_invalid_rule_is_refused(rule):
    with pytest.raises(JobError):
        read_rules([rule])


def test_fault_name_tells_whether_it_acts():
    acting = {name for name in FAULT_NAMES if FaultRule(fault=name).acts}
    assert {name for name in FAULT_NAMES if name.endswith("_after_acting")} <= acting
    assert not {name for name in FAULT_NAMES if name.endswith("_before_acting")} & acting
    assert not {"http_429", "http_503_retry_after"} & acting


def test_faults_that_never_act_are_not_ambiguous():
    clear = {name for name in FAULT_NAMES if not FaultRule(fault=name).ambiguous}
    assert clear == {"http_429", "http_503_retry_after", "token_revoked", "scenario_off", "tariff_limit"}
