"""Responses of the mock server as data: bytes, wait, enrolment, and what happens to the connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from enum import StrEnum
from http import HTTPStatus
from typing import assert_never

from batch_enroll.sandbox.api_methods import Enrolment
from batch_enroll.sandbox.faults import FaultKind, FaultRule
from batch_enroll.sandbox.sandbox_settings import RetryAfter

JSON = "application/json"
HTML = "text/html; charset=utf-8"
GARBAGE = b"\x16\x03\x01\x00\xffthis is no answer\r\n\r\n"
HUGE_S = 36_000
LATE_S = 3.0
TRICKLE_S = 0.5
RETRY_AFTER_S = 1.0


class ConnectionAction(StrEnum):
    """What happens to the connection after the response."""

    KEEP = "keep"
    CLOSE = "close"
    RESET = "reset"
    SILENCE = "silence"  #: stays open without any further answer


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedResponse:
    """One response: wait, enroll, send, then the action, in this order."""

    raw: bytes
    status: int | None  #: the HTTP status that the bytes show; None when they show none
    code: int | None = None  #: the platform's `error` that the bytes show, if they show it whole
    action: ConnectionAction = ConnectionAction.KEEP
    wait_s: float = 0.0
    byte_interval_s: float = 0.0  #: between single bytes; 0 = all at once
    enrolment: Enrolment | None = None


def encode_response(status: int, body: bytes, *, kind: str = JSON, headers: Mapping[str, str] | None = None) -> bytes:
    """Encode an HTTP/1.1 response."""
    extra = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    )
    return head.encode("latin-1") + body


def build_response(
    status: int, body: bytes, *, kind: str = JSON, headers: Mapping[str, str] | None = None, wait_s: float = 0.0
) -> ScriptedResponse:
    """Build a response without a fault."""
    return ScriptedResponse(raw=encode_response(status, body, kind=kind, headers=headers), status=status, wait_s=wait_s)


def throttle_response(
    status: int, *, form: RetryAfter, seconds: float, now: datetime, wait_s: float = 0.0
) -> ScriptedResponse:
    """Build a 429 or 503 with Retry-After.

    Args:
        seconds: the wait, rounded up to a whole number, at least 1.
        now: aware UTC, for the date form.
    """
    phrase = HTTPStatus(status).phrase
    body = f'{{"error": {status}, "error_text": "{phrase}"}}'.encode()
    return build_response(status, body, headers=_retry_after(form, max(1, -int(-seconds // 1)), now), wait_s=wait_s)


def _retry_after(form: RetryAfter, seconds: int, now: datetime) -> dict[str, str]:
    match form:
        case RetryAfter.SECONDS:
            return {"Retry-After": str(seconds)}
        case RetryAfter.DATE:
            # a date has whole seconds only: one more, so that it is not too early
            return {"Retry-After": format_datetime(now + timedelta(seconds=seconds + 1), usegmt=True)}
        case RetryAfter.ABSENT:
            return {}
        case RetryAfter.NEGATIVE:
            return {"Retry-After": f"-{seconds}"}
        case RetryAfter.HUGE:
            return {"Retry-After": str(HUGE_S)}
        case _:
            assert_never(form)


def apply_fault(healthy: ScriptedResponse, rule: FaultRule, *, form: RetryAfter, now: datetime) -> ScriptedResponse:
    """Apply the fault of a rule to a response."""
    response = healthy if rule.acts else replace(healthy, enrolment=None)
    match rule.kind:
        case FaultKind.DROP:
            return replace(response, raw=b"", status=None, code=None, action=ConnectionAction.CLOSE)
        case FaultKind.RESET:
            return replace(response, raw=b"", status=None, code=None, action=ConnectionAction.RESET)
        case FaultKind.SILENCE:
            return replace(response, raw=b"", status=None, code=None, action=ConnectionAction.SILENCE)
        case FaultKind.TRICKLE:
            return replace(response, byte_interval_s=TRICKLE_S if rule.delay_s is None else rule.delay_s)
        case FaultKind.TRUNCATED_HEADER:
            cut = response.raw.index(b"Content-Length") + 10
            return replace(response, raw=response.raw[:cut], code=None, action=ConnectionAction.CLOSE)
        case FaultKind.TRUNCATED_BODY:
            cut = (response.raw.index(b"\r\n\r\n") + 4 + len(response.raw)) // 2
            return replace(response, raw=response.raw[:cut], code=None, action=ConnectionAction.CLOSE)
        case FaultKind.GARBAGE:
            return replace(response, raw=GARBAGE, status=None, code=None, action=ConnectionAction.CLOSE)
        case FaultKind.HTTP_500:
            return _replace_answer(response, 500, b'{"error": 500, "error_text": "Internal error"}')
        case FaultKind.HTTP_502 | FaultKind.HTTP_503 | FaultKind.HTTP_504:
            status = HTTPStatus(int(rule.kind.removeprefix("http_")))
            return _replace_answer(response, status, f"<h1>{status} {status.phrase}</h1>".encode(), kind=HTML)
        case FaultKind.REDIRECT_302:
            return _replace_answer(response, 302, b"", headers={"Location": "/login"})
        case FaultKind.HTML_200:
            return _replace_answer(response, 200, b"<!doctype html><title>Sign in</title>", kind=HTML)
        case FaultKind.EMPTY_200:
            return _replace_answer(response, 200, b"")
        case FaultKind.NO_ERROR_200:
            return _replace_answer(response, 200, b'{"status": "ok"}')
        case FaultKind.ERROR_BOOL_200:
            return _replace_answer(response, 200, b'{"error": false, "error_text": "Successful operation"}')
        case FaultKind.ERROR_STRING_200:
            return _replace_answer(response, 200, b'{"error": "0", "error_text": "Successful operation"}')
        case FaultKind.ERROR_500_200:
            return _replace_answer(response, 200, b'{"error": 500, "error_text": "Internal error"}')
        case FaultKind.LATE_ACT:
            return replace(response, wait_s=response.wait_s + (LATE_S if rule.delay_s is None else rule.delay_s))
        case FaultKind.CLOSE_AFTER_ANSWER:
            return replace(response, action=ConnectionAction.CLOSE)
        case FaultKind.HTTP_429 | FaultKind.HTTP_503_RETRY_AFTER:
            status = HTTPStatus.TOO_MANY_REQUESTS if rule.kind is FaultKind.HTTP_429 else HTTPStatus.SERVICE_UNAVAILABLE
            seconds = RETRY_AFTER_S if rule.delay_s is None else rule.delay_s
            return throttle_response(status, form=form, seconds=seconds, now=now, wait_s=response.wait_s)
        case FaultKind.TOKEN_REVOKED | FaultKind.SCENARIO_OFF | FaultKind.TARIFF_LIMIT:
            return response  # the switch was set before the method was called
        case _:
            assert_never(rule.kind)


def _replace_answer(
    response: ScriptedResponse, status: int, body: bytes, *, kind: str = JSON, headers: Mapping[str, str] | None = None
) -> ScriptedResponse:
    return replace(response, raw=encode_response(status, body, kind=kind, headers=headers), status=status, code=None)
