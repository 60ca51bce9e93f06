"""Fault rules: which request fails, and how.

Whether a rule with a share fires depends on the seed, the identity and its number of requests, not on the order of
arrival, so that the same rows fail however many workers send them. A fault's name is its kind and the moment:
`drop_after_acting`, `http_500_before_acting`; after acting means that the profile was enrolled although the answer does
not say so. The kinds in `OWN_MOMENT` have no such suffix.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from enum import StrEnum

from batch_enroll.errors import JobError
from batch_enroll.messages import message

START = "workflows/start"
BEFORE = "_before_acting"
AFTER = "_after_acting"


class FaultKind(StrEnum):
    """What the client sees of a fault."""

    DROP = "drop"  #: the connection is closed before the first byte
    RESET = "reset"  #: the connection is reset (RST) before the first byte
    SILENCE = "silence"  #: the connection stays open without an answer
    TRICKLE = "trickle"  #: the right answer, one byte each `delay_s` (default 0.5)
    TRUNCATED_HEADER = "truncated_header"  #: half a header, then closed
    TRUNCATED_BODY = "truncated_body"  #: 200 and half the promised body, then closed
    GARBAGE = "garbage"  #: bytes that are not HTTP
    HTTP_500 = "http_500"
    HTTP_502 = "http_502"
    HTTP_503 = "http_503"  #: without Retry-After
    HTTP_504 = "http_504"
    REDIRECT_302 = "redirect_302"
    HTML_200 = "html_200"
    EMPTY_200 = "empty_200"
    NO_ERROR_200 = "no_error_200"  #: a JSON object without `error`
    ERROR_BOOL_200 = "error_bool_200"  #: `error` is false
    ERROR_STRING_200 = "error_string_200"  #: `error` is "0"
    ERROR_500_200 = "error_500_200"  #: HTTP 200, and `error` is 500

    LATE_ACT = "late_act"  #: acts and answers after `delay_s` (default 3), even if the client has disconnected
    CLOSE_AFTER_ANSWER = "close_after_answer"  #: the right answer, then closed: the stale keep-alive race
    HTTP_429 = "http_429"  #: never acts; Retry-After gives `delay_s` (default 1) in the form that the settings name
    HTTP_503_RETRY_AFTER = "http_503_retry_after"  #: never acts; Retry-After as above
    TOKEN_REVOKED = "token_revoked"  #: from this request on every method answers 401
    SCENARIO_OFF = "scenario_off"  #: from this request on its scenario is inactive
    TARIFF_LIMIT = "tariff_limit"  #: from this request on every start answers 402


SWITCHES = frozenset({FaultKind.TOKEN_REVOKED, FaultKind.SCENARIO_OFF, FaultKind.TARIFF_LIMIT})
SURELY_NOT_ACTED = SWITCHES | {FaultKind.HTTP_429, FaultKind.HTTP_503_RETRY_AFTER}
OWN_MOMENT = SURELY_NOT_ACTED | {FaultKind.LATE_ACT, FaultKind.CLOSE_AFTER_ANSWER}

FAULT_NAMES = tuple(
    name for kind in FaultKind for name in ([kind] if kind in OWN_MOMENT else [kind + BEFORE, kind + AFTER])
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRule:
    """One fault and the conditions under which it fires; all of them must hold.

    Raises:
        JobError: no such fault, or a number out of its range.
    """

    fault: str  #: one of `FAULT_NAMES`
    nth: tuple[int, ...] = ()  #: these requests of the method, counted from 1 since the rules were set
    from_nth: int = 1  #: this request and later ones
    share: float = 1.0  #: of the requests that meet the other conditions, 0 to 1
    identity: str | None = None  #: the value matched is exactly this
    contains: str | None = None  #: the value matched contains this
    times: int | None = None  #: at most so often; None = no limit
    method: str = START
    delay_s: float | None = None  #: for the kinds that use it

    def __post_init__(self) -> None:
        if self.fault not in FAULT_NAMES:
            near = get_close_matches(self.fault, FAULT_NAMES, 3, 0.4)
            hint = (
                message("sandbox.near_faults", names=" or ".join(near)) if near else message("sandbox.list_of_faults")
            )
            raise JobError(message("sandbox.no_such_fault", name=self.fault), hint=hint)
        if not 0 <= self.share <= 1:
            raise JobError(message("sandbox.fault_share", name=self.fault, share=self.share))
        if min((*self.nth, self.from_nth)) < 1:
            raise JobError(message("sandbox.fault_position", name=self.fault))

    @property
    def kind(self) -> FaultKind:
        """The fault without its moment."""
        return FaultKind(self.fault.removesuffix(BEFORE).removesuffix(AFTER))

    @property
    def acts(self) -> bool:
        """Whether the profile is enrolled in spite of the fault."""
        return not self.fault.endswith(BEFORE) and self.kind not in SURELY_NOT_ACTED - SWITCHES

    @property
    def ambiguous(self) -> bool:
        """Whether the outcome of this request, or of the next one on the same connection, is unknown to the client."""
        return self.kind not in SURELY_NOT_ACTED


class FaultPlan:
    """The fault rules and how often each has fired."""

    def __init__(self, rules: Iterable[FaultRule] = (), *, seed: int = 0) -> None:
        self._rules = tuple(rules)
        self._seed = seed
        self._requests: Counter[str] = Counter()
        self._fired: Counter[int] = Counter()

    def draw(self, method: str, identity: str | None, *, visit: int) -> FaultRule | None:
        """Find the first rule that fires for the request.

        Args:
            method: as in the path, `workflows/start`.
            identity: the value matched, as text; None when the request names none.
            visit: how many requests this identity has made, this one included.
        """
        if not self._rules:
            return None
        self._requests[method] += 1
        nth = self._requests[method]
        for place, rule in enumerate(self._rules):
            if (
                rule.method == method
                and nth >= rule.from_nth
                and (not rule.nth or nth in rule.nth)
                and (rule.identity is None or rule.identity == identity)
                and (rule.contains is None or rule.contains in (identity or ""))
                and (rule.times is None or self._fired[place] < rule.times)
                and (rule.share == 1 or chance(self._seed, place, identity or nth, visit) < rule.share)
            ):
                self._fired[place] += 1
                return rule
        return None


def chance(*parts: object) -> float:
    """Derive a pseudo-random number, 0 <= number < 1, from the parts."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=7).digest()
    return int.from_bytes(digest) / 2**56


def parse_faults(text: str) -> tuple[FaultRule, ...]:
    """Parse the form of the command line, or a JSON list of rules.

    `drop_after_acting=0.02,http_429@5,token_revoked@100+,html_200_after_acting` is a share of 2 %, the 5th request, the
    100th and all later ones, and every request.

    Raises:
        JobError: the text is neither.
    """
    if text.lstrip().startswith("["):
        try:
            return read_rules(json.loads(text))
        except json.JSONDecodeError as error:
            raise JobError(message("sandbox.faults_not_json", reason=str(error))) from None
    return tuple(_parse_fault(part.strip()) for part in text.split(",") if part.strip())


def _parse_fault(text: str) -> FaultRule:
    found = re.fullmatch(r"(?P<name>\w+)(?:=(?P<share>[\d.]+)|@(?P<nth>\d+)(?P<on>\+?))?", text)
    try:
        if found is None:
            raise ValueError
        name, share, nth = found["name"], found["share"], found["nth"]
        if share is not None:
            return FaultRule(fault=name, share=float(share))
        if nth is not None:
            return FaultRule(fault=name, from_nth=int(nth)) if found["on"] else FaultRule(fault=name, nth=(int(nth),))
        return FaultRule(fault=name)
    except ValueError:
        raise JobError(message("sandbox.fault_syntax", text=text)) from None


def read_rules(entries: object) -> tuple[FaultRule, ...]:
    """Read rules from JSON values: a list of objects with the fields of `FaultRule`.

    Raises:
        JobError: an entry is not a valid rule.
    """
    if not isinstance(entries, list | tuple):
        raise JobError(message("sandbox.faults_no_list"))
    return tuple(entry if isinstance(entry, FaultRule) else _read_rule(entry) for entry in entries)


def _read_rule(entry: object) -> FaultRule:
    if not isinstance(entry, Mapping) or not entry.keys() <= {field.name for field in fields(FaultRule)}:
        known = ", ".join(field.name for field in fields(FaultRule))
        raise JobError(message("sandbox.fault_rule_fields", rule=repr(entry), fields=known))
    nth = entry.get("nth", ())
    try:
        return FaultRule(**{**entry, "nth": (nth,) if isinstance(nth, int) else tuple(nth)})
    except TypeError as error:
        raise JobError(message("sandbox.fault_rule", rule=repr(dict(entry)), reason=str(error))) from None
