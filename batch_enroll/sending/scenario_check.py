"""Ask the platform about the scenario before anything is sent; these calls only read, so they may be repeated.

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
from batch_enroll.errors import (
    Ambiguous,
    Finding,
    PreflightError,
    Retryable,
    RunStopped,
)
from batch_enroll.sending.classify import HttpAnswer, VerdictKind, classify
from batch_enroll.sending.error_codes import CodeTable
from batch_enroll.sending.retry import RetryPolicy, with_retries

_METHOD = "workflows/list"
_DEFAULT_START = "DEFAULT_START_NODE_TITLE"
_POLICY = RetryPolicy(max_attempts=3, first_wait_s=0.5, max_wait_s=2.0, give_up_after_s=30.0)
_NOT_THE_PLATFORM = ("answer_unreadable", "redirect")
_CHECK_URL = "Nothing was sent. Check --url: scheme, host and port, without /api."
_SKIP = "If the token may start scenarios but not list them, use --skip-preflight."

_MODES = {
    "skip_in_any_case": "A profile can enter once ever; a repeated start is not expected to send anything again.",
    "skip": "A profile that is inside is not taken again, one that has left is: a repeated start may send again.",
}
_UNKNOWN_MODE = "The platform did not say what a repeated start does: it may send the messages again."


class Caller(Protocol):
    """The part of the client that is needed here."""

    async def call(self, method: str, parameters: Mapping[str, object]) -> HttpAnswer: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioInfo:
    """A scenario as the platform lists it."""

    scenario: int
    name: str
    database: int | None  #: the one database in which profiles are matched (`list_id`)
    mode: str  #: the platform's word for what a repeated start does; "" when it gave none
    repeated_start: str  #: the same as one sentence
    has_default_start: bool | None  #: profiles started through the API enter by it; None when no nodes were listed


async def look_up_scenario(
    client: Caller, scenario: int, *, codes: CodeTable | None = None, clock: Clock | None = None
) -> ScenarioInfo:
    """Find the scenario and make sure that it can be started.

    Raises:
        PreflightError: token refused, no such scenario (or hidden from this token), not active, platform not
            reached, answer not understood.
    """
    clock = clock or SystemClock()
    codes = codes or CodeTable()

    async def ask(_attempt: int) -> dict[str, Any]:
        try:
            answer = await client.call(_METHOD, {"from_id": scenario, "limit": 1})
        except Ambiguous as error:  # nothing was changed, so asking again is safe
            raise Retryable(error.code, error.message, http_status=error.http_status) from error
        return _listed(answer, codes, now=clock.now())

    try:
        listed = await with_retries(ask, policy=_POLICY, sleep=clock.sleep, jitter=random.random)
    except Retryable as error:
        raise PreflightError(
            f"The platform could not be asked about scenario {scenario}: {error.message} ({error.code}).",
            hint="Nothing was sent. Check the address and the network, then give the same command again.",
            finding=Finding.OUT_OF_REACH,
        ) from error
    except PreflightError:
        raise
    except RunStopped as error:
        raise PreflightError(error.message, hint=error.hint) from error
    return _found(listed, scenario)


def _listed(answer: HttpAnswer, codes: CodeTable, *, now: datetime) -> dict[str, Any]:
    """Turn an answer into its JSON object."""
    verdict = classify(answer, codes, now=now.astimezone(UTC))
    if verdict.stop_reason:
        raise PreflightError(
            verdict.stop_reason, hint=f"Nothing was sent. Check the token. {_SKIP}", finding=Finding.TOKEN
        )
    match verdict.kind:
        case VerdictKind.ENROLLED:  # here: the list came
            return dict(json.loads(answer.body))
        case VerdictKind.RETRY:
            raise Retryable(
                verdict.code, verdict.message, http_status=verdict.http_status, retry_after_s=verdict.retry_after_s
            )
        case VerdictKind.AMBIGUOUS if verdict.code in _NOT_THE_PLATFORM:
            raise PreflightError(
                f"The answer is not the platform's: {verdict.message}.",
                hint=_CHECK_URL,
                finding=Finding.NOT_THE_PLATFORM,
            )
        case VerdictKind.AMBIGUOUS:
            raise Retryable(verdict.code, verdict.message, http_status=verdict.http_status)
        case VerdictKind.REFUSED | VerdictKind.FATAL:
            raise PreflightError(
                f"The platform would not list the scenario (code {verdict.code}: {verdict.message}).",
                hint=_CHECK_URL if verdict.code.startswith("http_") else f"Nothing was sent. {_SKIP}",
            )


def _found(listed: dict[str, Any], scenario: int) -> ScenarioInfo:
    entries = listed.get("data")
    if not isinstance(entries, list):
        raise PreflightError(
            "The platform's list of scenarios could not be understood: it has no `data`.",
            hint="Nothing was sent. If this goes on, use --skip-preflight.",
        )
    entry = next((e for e in entries if isinstance(e, dict) and e.get("id") == scenario), None)
    if entry is None:
        raise PreflightError(
            f"There is no scenario {scenario}, or this token may not see it.",
            hint=f"Nothing was sent. Check the number after # beside the scenario's name. {_SKIP}",
            finding=Finding.SCENARIO_GONE,
        )
    name = entry.get("name")
    name = name if isinstance(name, str) else ""
    if entry.get("is_active") is False:
        raise PreflightError(
            f"Scenario {scenario} {f'({name}) ' if name else ''}is not active.",
            hint="Nothing was sent. Activate it in the platform, then give the same command again.",
            finding=Finding.SCENARIO_OFF,
        )
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
