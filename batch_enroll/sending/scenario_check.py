"""Ask the platform about its scenarios: the calls only read, so they may be repeated.

Source: reference of the platform, `workflows/list`; re-entry modes from the user guide.
"""

from __future__ import annotations

import difflib
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from batch_enroll.clock import Clock, SystemClock
from batch_enroll.errors import AttemptError, PreflightError, RunStopped
from batch_enroll.messages import Message, advice_message, message
from batch_enroll.models import Finding
from batch_enroll.sending.classify import HttpAnswer, Verdict, VerdictKind, classify, verdict_for_failure
from batch_enroll.sending.error_codes import CodeTable
from batch_enroll.sending.retry import RetryPolicy, with_retries

_METHOD = "workflows/list"
_DEFAULT_START = "DEFAULT_START_NODE_TITLE"
_POLICY = RetryPolicy(max_attempts=3, first_wait_s=0.5, max_wait_s=2.0, give_up_after_s=30.0)
_ONE_TRY = RetryPolicy(max_attempts=1, first_wait_s=0.5, max_wait_s=2.0, give_up_after_s=30.0)
_PAGE = 1000  #: the platform's own default
_NEAR = 3
_NOT_THE_PLATFORM = ("answer_unreadable", "redirect")

_MODES = {
    "skip_in_any_case": message("sending.start_once_ever"),
    "skip": message("sending.start_after_leaving"),
}


class MethodCaller(Protocol):
    """The client's method that asks about scenarios."""

    async def call_method(self, method: str, parameters: Mapping[str, object]) -> HttpAnswer: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioInfo:
    """A scenario as the platform lists it."""

    scenario: int
    name: str
    is_active: bool | None  #: None when the platform did not say
    database: int | None  #: the one database in which profiles are matched (`list_id`)
    mode: str  #: the platform's name for what a repeated start does; "" when it gave none
    repeated_start: Message  #: the same as one sentence
    has_default_start: bool | None  #: profiles started through the API enter by it; None when no nodes were listed


async def check_scenario(
    client: MethodCaller,
    scenario: int,
    *,
    codes: CodeTable | None = None,
    clock: Clock | None = None,
    suggest: bool = False,
) -> ScenarioInfo:
    """Find the scenario and make sure that it can be started.

    Args:
        suggest: when there is no such scenario, ask for the others and name the near ones.
    Raises:
        PreflightError: token refused, no such scenario (or hidden from this token), not active, platform not
            reached, answer not understood.
    """
    asking = _Asking(client, codes or CodeTable(), clock or SystemClock())
    entries = await asking.page(scenario, limit=1)
    if isinstance(entries, Verdict):
        raise PreflightError(
            message("sending.scenario_unreachable", scenario=scenario, text=entries.message, code=entries.code),
            hint=_way_out(entries.code),
            finding=Finding.OUT_OF_REACH,
        )
    found = next((entry for entry in entries if entry.scenario == scenario), None)
    if found is None:
        near = await _near_scenarios(asking, scenario) if suggest else ()
        said = message("sending.no_such_scenario", scenario=scenario)
        if near:
            said = message("sending.no_such_scenario_near", scenario=scenario, near=near)
        raise PreflightError(said, finding=Finding.SCENARIO_GONE)
    if found.is_active is False:
        said = message("sending.scenario_inactive", scenario=scenario)
        if found.name:
            said = message("sending.named_scenario_inactive", scenario=scenario, name=found.name)
        raise PreflightError(said, finding=Finding.SCENARIO_OFF)
    return found


async def list_scenarios(
    client: MethodCaller, *, codes: CodeTable | None = None, clock: Clock | None = None
) -> tuple[ScenarioInfo, ...]:
    """List the scenarios that the token may see, by their numbers.

    Raises:
        PreflightError: token refused, platform not reached, answer not understood.
    """
    listed = await _list_all(_Asking(client, codes or CodeTable(), clock or SystemClock()))
    if isinstance(listed, Verdict):
        raise PreflightError(
            message("sending.scenarios_unreachable", text=listed.message, code=listed.code),
            hint=_way_out(listed.code),
            finding=Finding.OUT_OF_REACH,
        )
    return listed


def _way_out(code: str) -> Message:
    """Say what to do when the platform could not be asked: certificates and proxies have ways out of their own."""
    advice = advice_message(code) if code.startswith(("certificate_", "tls_", "proxy_")) else None
    return message("sending.nothing_sent", advice=advice) if advice else message("sending.check_network")


@dataclass(frozen=True, slots=True)
class _Asking:
    """How the platform is asked for a page of its scenarios."""

    client: MethodCaller
    codes: CodeTable
    clock: Clock
    policy: RetryPolicy = _POLICY

    async def page(self, from_id: int, *, limit: int) -> list[ScenarioInfo] | Verdict:
        """Ask for scenarios from a number on; a verdict when the platform gave no answer."""

        async def ask(_attempt: int) -> dict[str, Any] | Verdict:
            try:
                answer = await self.client.call_method(_METHOD, {"from_id": from_id, "limit": limit})
            except AttemptError as error:  # nothing was changed, so asking again is safe in any case
                return verdict_for_failure(error)
            return _parse_listing(answer, self.codes, now=self.clock.now())

        try:
            listing = await with_retries(ask, policy=self.policy, sleep=self.clock.sleep, jitter=random.random)
        except PreflightError:
            raise
        except RunStopped as error:
            raise PreflightError(error.content, hint=error.advice[0] if error.advice else None) from error
        return listing if isinstance(listing, Verdict) else _entries(listing)


async def _list_all(asking: _Asking) -> tuple[ScenarioInfo, ...] | Verdict:
    """Ask page by page until nothing new comes: `total` and `next_from_id` differ between versions of the platform."""
    found: dict[int, ScenarioInfo] = {}
    while True:
        from_id = max(found, default=0) + 1
        page = await asking.page(from_id, limit=_PAGE)
        if isinstance(page, Verdict):
            return page
        new = {entry.scenario: entry for entry in page if entry.scenario >= from_id}
        if not new:
            return tuple(found[scenario] for scenario in sorted(found))
        found.update(new)


async def _near_scenarios(asking: _Asking, scenario: int) -> tuple[Message, ...]:
    """Name the scenarios whose numbers are like this one; none when the platform does not list them."""
    try:
        listed = await _list_all(replace(asking, policy=_ONE_TRY))
    except PreflightError:
        return ()
    if isinstance(listed, Verdict):
        return ()
    by_number = {str(entry.scenario): entry for entry in listed}
    alike = difflib.get_close_matches(str(scenario), by_number, n=_NEAR)
    next_to_it = sorted(by_number, key=lambda number: abs(int(number) - scenario))
    chosen = list(dict.fromkeys([*alike, *next_to_it]))[:_NEAR]
    return tuple(
        message("sending.scenario_named", scenario=entry.scenario, name=entry.name)
        for entry in map(by_number.__getitem__, chosen)
    )


def _parse_listing(answer: HttpAnswer, codes: CodeTable, *, now: datetime) -> dict[str, Any] | Verdict:
    """Read the JSON object of an answer; a verdict when the question may be asked again."""
    verdict = classify(answer, codes, now=now.astimezone(UTC))
    code, text = verdict.code, verdict.message
    if verdict.stop_reason and verdict.code == "http_407":
        raise PreflightError(message("sending.listing_refused_by_proxy", reason=verdict.stop_reason))
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


def _entries(listing: dict[str, Any]) -> list[ScenarioInfo]:
    entries = listing.get("data")
    if not isinstance(entries, list):
        raise PreflightError(message("sending.listing_unreadable"))
    return [_scenario_info(entry) for entry in entries if isinstance(entry, dict) and type(entry.get("id")) is int]


def _scenario_info(entry: dict[str, Any]) -> ScenarioInfo:
    name, mode, database = entry.get("name"), entry.get("mode"), entry.get("list_id")
    is_active = entry.get("is_active")
    mode = mode if isinstance(mode, str) else ""
    return ScenarioInfo(
        scenario=entry["id"],
        name=name if isinstance(name, str) else "",
        is_active=is_active if isinstance(is_active, bool) else None,
        database=database if type(database) is int else None,
        mode=mode,
        repeated_start=_MODES.get(mode) or _other_mode(mode),
        has_default_start=_has_default_start(entry.get("nodes")),
    )


def _other_mode(mode: str) -> Message:
    """Say what a mode means of which the reference gives no name: only the two of `_MODES` refuse a repeated start."""
    return message("sending.start_every_time", mode=mode) if mode else message("sending.start_unknown")


def _has_default_start(nodes: object) -> bool | None:
    if not isinstance(nodes, list) or not nodes:
        return None
    return any(
        isinstance(node, dict) and node.get("type") == "start" and node.get("name") == _DEFAULT_START for node in nodes
    )
