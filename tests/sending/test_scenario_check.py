"""What the platform says about a scenario, and what a person is told when it says nothing good."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from batch_enroll.errors import Ambiguous, PreflightError, Retryable
from batch_enroll.sending.classify import HttpAnswer
from batch_enroll.sending.scenario_check import check_scenario, list_scenarios

START = {"name": "DEFAULT_START_NODE_TITLE", "type": "start", "node_id": 0}
SCENARIO = {"id": 12, "name": "Welcome", "list_id": 1, "is_active": True, "mode": "skip", "nodes": [START]}


def listed(*entries: object, **more: object) -> HttpAnswer:
    return said({"data": list(entries), "error": 0, "error_text": "ok", "next_from_id": 13, "total": 3, **more})


def said(body: object, status: int = 200, **headers: str) -> HttpAnswer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpAnswer(http_status=status, headers=named, body=raw)


class ScenarioList:
    """Gives the scripted answers, the last one again and again."""

    def __init__(self, *answers: HttpAnswer | Exception) -> None:
        self.calls: list[tuple[str, Mapping[str, object]]] = []
        self._answers = list(answers)

    async def call_method(self, method: str, parameters: Mapping[str, object]) -> HttpAnswer:
        self.calls.append((method, parameters))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_scenario_is_requested_by_its_number(clock):
    platform = ScenarioList(listed(SCENARIO))
    found = await check_scenario(platform, 12, clock=clock)
    assert platform.calls == [("workflows/list", {"from_id": 12, "limit": 1})]
    assert (found.scenario, found.name, found.database, found.mode) == (12, "Welcome", 1, "skip")
    assert found.has_default_start is True


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("skip_in_any_case", "once ever"),
        ("skip", "may send again"),
        ("restart", "mode restart keeps nobody out"),
        (None, "did not say"),
        (7, "did not say"),
    ],
)
async def test_mode_gives_the_effect_of_a_repeated_start(clock, mode, words):
    found = await check_scenario(ScenarioList(listed({**SCENARIO, "mode": mode})), 12, clock=clock)
    assert words in str(found.repeated_start)


@pytest.mark.parametrize(
    ("nodes", "has"),
    [
        ([START], True),
        ([{**START, "name": "Other"}], False),
        ([{**START, "type": "campaign"}, "odd"], False),
        ([], None),
        (None, None),
        ("odd", None),
    ],
)
async def test_default_start_node_is_checked(clock, nodes, has):
    assert (
        await check_scenario(ScenarioList(listed({**SCENARIO, "nodes": nodes})), 12, clock=clock)
    ).has_default_start is has


async def test_missing_keys_are_allowed(clock):
    found = await check_scenario(ScenarioList(listed({"id": 12})), 12, clock=clock)
    assert (found.name, found.database, found.mode, found.has_default_start) == ("", None, "", None)


@pytest.mark.parametrize(
    ("answer", "message", "hint"),
    [
        (said({"error": 401, "error_text": "API token required"}), "refused the token", "Check the token"),
        (said({"error": 403, "error_text": "No access"}), "no right", "send.skip_preflight"),
        (said(b"", 401), "refused the token", "Check the token"),
        (said({"error": 440}), "would not list", "send.skip_preflight"),
        (said({"error": 400, "error_text": "Bad"}), "would not list", "send.skip_preflight"),
        (listed(), "no scenario 12", "send.skip_preflight"),
        (listed({**SCENARIO, "id": 13}), "no scenario 12", "send.skip_preflight"),
        (listed("odd", None), "no scenario 12", "send.skip_preflight"),
        (listed({**SCENARIO, "is_active": False}), r"12 \(Welcome\) is not active", "Activate it"),
        (said(b"<html><title>Shop</title></html>"), "not the platform's", "Check `url`"),
        (said(b"", 301, location="https://other"), "not the platform's", "Check `url`"),
        (said({"error": 0, "data": {}}), "could not be understood", "send.skip_preflight"),
        (said(b"<html></html>", 404), "would not list", "Check `url`"),
        (said({"error": 429}, retry_after="36000"), "asks to wait 10 hours", "after that time"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else None,
)
async def test_permanent_error_is_reported_without_a_retry(clock, answer, message, hint):
    platform = ScenarioList(answer)
    with pytest.raises(PreflightError, match=message) as caught:
        await check_scenario(platform, 12, clock=clock)
    assert hint in caught.value.hint
    assert len(platform.calls) == 1


@pytest.mark.parametrize(
    "failure",
    [
        Retryable("connection_refused"),
        Ambiguous("read_timeout"),
        said(b"", 502),
        said(b"", 503),
        said({"error": 500}),
        said({"error": 429}),
    ],
    ids=["refused", "timeout", "502", "503", "code 500", "code 429"],
)
async def test_temporary_error_is_retried_and_a_lasting_one_reported(clock, failure):
    assert (await check_scenario(ScenarioList(failure, failure, listed(SCENARIO)), 12, clock=clock)).name == "Welcome"
    platform = ScenarioList(failure)
    with pytest.raises(PreflightError, match="could not be asked"):
        await check_scenario(platform, 12, clock=clock)
    assert len(platform.calls) == 3
    assert sum(clock.sleeps) < 10


class PagedList:
    """Lists these scenarios, so many at once whatever is asked for."""

    def __init__(self, numbers: range, *, at_once: int) -> None:
        self.calls = 0
        self._numbers, self._at_once = numbers, at_once

    async def call_method(self, method: str, parameters: Mapping[str, object]) -> HttpAnswer:
        self.calls += 1
        from_id = parameters["from_id"]
        assert isinstance(from_id, int)
        page = [number for number in self._numbers if number >= from_id][: self._at_once]
        return listed(*({**SCENARIO, "id": number, "name": f"S{number}"} for number in page))


async def test_scenarios_are_listed_page_by_page(clock):
    platform = PagedList(range(1, 12), at_once=4)
    found = await list_scenarios(platform, clock=clock)
    assert [entry.scenario for entry in found] == list(range(1, 12))
    assert platform.calls == 4


async def test_listing_ends_although_the_platform_repeats_itself(clock):
    found = await list_scenarios(ScenarioList(listed(SCENARIO)), clock=clock)
    assert [entry.scenario for entry in found] == [12]


async def test_near_scenarios_are_named(clock):
    with pytest.raises(PreflightError, match="no scenario 112") as caught:
        await check_scenario(PagedList(range(1, 40), at_once=1000), 112, clock=clock, suggest=True)
    assert "Near are #12 S12, #11 S11, " in caught.value.hint


async def test_missing_scenario_is_reported_although_the_others_are_not_listed(clock):
    platform = ScenarioList(listed(), said(b"", 502))
    with pytest.raises(PreflightError, match="no scenario 12") as caught:
        await check_scenario(platform, 12, clock=clock, suggest=True)
    assert "Near" not in caught.value.hint
    assert len(platform.calls) == 2
