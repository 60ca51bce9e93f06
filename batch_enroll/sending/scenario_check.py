"""Ask the platform about the scenario: the calls only read, so they may be repeated.

Source: reference of the platform, `workflows/list`; re-entry modes from the user guide.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from batch_enroll.clock import Clock, SystemClock
from batch_enroll.errors import AttemptError, PreflightError, RunStopped
from batch_enroll.messages import Message, message
from batch_enroll.models import Finding
from batch_enroll.sending.classify import HttpAnswer, Verdict, VerdictKind, classify, verdict_for_failure
from batch_enroll.sending.error_codes import CodeTable
from batch_enroll.sending.retry import RetryPolicy, with_retries

_METHOD = "workflows/list"
_DEFAULT_START = "DEFAULT_START_NODE_TITLE"
_POLICY = RetryPolicy(max_attempts=3, first_wait_s=0.5, max_wait_s=2.0, give_up_after_s=30.0)
_NOT_THE_PLATFORM = ("answer_unreadable", "redirect")

_MODES = {
    "skip_in_any_case": message("sending.start_once_ever"),
    "skip": message("sending.start_after_leaving"),
}
_UNKNOWN_MODE = message("sending.start_unknown")


class MethodCaller(Protocol):
    """The client's method that asks about scenarios."""

    async def call_method(self, method: str, parameters: Mapping[str, object]) -> HttpAnswer: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioInfo:
    """A scenario as the platform lists it."""

    scenario: int
    name: str
    database: int | None  #: the one database in which profiles are matched (`list_id`)
    mode: str  #: the platform's name for what a repeated start does; "" when it gave none
    repeated_start: Message  #: the same as one sentence
    has_default_start: bool | None  #: profiles started through the API enter by it; None when no nodes were listed


async def check_scenario(
    client: MethodCaller, scenario: int, *, codes: CodeTable | None = None, clock: Clock | None = None
) -> ScenarioInfo:
    """Find the scenario and make sure that it can be started.

    Raises:
        PreflightError: token refused, no such scenario (or hidden from this token), not active, platform not
            reached, answer not understood.
    """
    clock = clock or SystemClock()
    codes = codes or CodeTable()

    async def ask(_attempt: int) -> dict[str, Any] | Verdict:
        try:
            answer = await client.call_method(_METHOD, {"from_id": scenario, "limit": 1})
        except AttemptError as error:  # nothing was changed, so asking again is safe in any case
            return verdict_for_failure(error)
        return _parse_listing(answer, codes, now=clock.now())

    try:
        listing = await with_retries(ask, policy=_POLICY, sleep=clock.sleep, jitter=random.random)
    except PreflightError:
        raise
    except RunStopped as error:
        raise PreflightError(error.content, hint=error.advice[0] if error.advice else None) from error
    if isinstance(listing, Verdict):
        raise PreflightError(
            message("sending.scenario_unreachable", scenario=scenario, text=listing.message, code=listing.code),
            finding=Finding.OUT_OF_REACH,
        )
    return _find_scenario(listing, scenario)


def _parse_listing(answer: HttpAnswer, codes: CodeTable, *, now: datetime) -> dict[str, Any] | Verdict:
    """Read the JSON object of an answer; a verdict when the question may be asked again."""
    verdict = classify(answer, codes, now=now.astimezone(UTC))
    code, text = verdict.code, verdict.message
    if verdict.stop_reason:
        raise PreflightError(message("sending.listing_refused", reason=verdict.stop_reason), finding=Finding.TOKEN)
    match verdict.kind:
        case VerdictKind.ENROLLED:  # here: the list came
            return dict(json.loads(answer.body))
        case VerdictKind.AMBIGUOUS if code in _NOT_THE_PLATFORM:
            raise PreflightError(message("sending.not_the_platform", text=text), finding=Finding.NOT_THE_PLATFORM)
        case VerdictKind.RETRY | VerdictKind.AMBIGUOUS:
            return verdict
        case VerdictKind.REFUSED | VerdictKind.FATAL if code.startswith("http_"):
            raise PreflightError(message("sending.listing_failed_http", code=code, text=text))
        case VerdictKind.REFUSED | VerdictKind.FATAL:
            raise PreflightError(message("sending.listing_failed", code=code, text=text))


def _find_scenario(listed: dict[str, Any], scenario: int) -> ScenarioInfo:
    entries = listed.get("data")
    if not isinstance(entries, list):
        raise PreflightError(message("sending.listing_unreadable"))
    entry = next((e for e in entries if isinstance(e, dict) and e.get("id") == scenario), None)
    if entry is None:
        raise PreflightError(message("sending.no_such_scenario", scenario=scenario), finding=Finding.SCENARIO_GONE)
    name = entry.get("name")
    name = name if isinstance(name, str) else ""
    if entry.get("is_active") is False:
        said = message("sending.scenario_inactive", scenario=scenario)
        if name:
            said = message("sending.named_scenario_inactive", scenario=scenario, name=name)
        raise PreflightError(said, finding=Finding.SCENARIO_OFF)
    mode = entry.get("mode")
    mode = mode if isinstance(mode, str) else ""
    database = entry.get("list_id")
    return ScenarioInfo(
        scenario=scenario,
        name=name,
        database=database if type(database) is int else None,
        mode=mode,
        repeated_start=_MODES.get(mode) or _UNKNOWN_MODE,
        has_default_start=_has_default_start(entry.get("nodes")),
    )


def _has_default_start(nodes: object) -> bool | None:
    if not isinstance(nodes, list) or not nodes:
        return None
    return any(
        isinstance(node, dict) and node.get("type") == "start" and node.get("name") == _DEFAULT_START for node in nodes
    )
