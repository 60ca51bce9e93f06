"""Plays: what the socket does with one request, as data.

In: a healthy answer, a fault. Out: a frozen `ScriptedResponse`: which bytes, when, how it ends, and who is enrolled on the way.
Never: a socket, a clock. So every fault can be read and tested as a value.
"""

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
COME_BACK_S = 1.0


class ConnectionAction(StrEnum):
    """What becomes of the connection."""

    KEEP = "keep"
    CLOSE = "close"
    RESET = "reset"
    SILENCE = "silence"  #: stays open, nothing is ever sent on it again


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedResponse:
    """In this order: wait, enrol, send, end."""

    wire: bytes
    status: int | None  #: the HTTP status that the bytes show; None when they show none
    code: int | None = None  #: the platform's `error` that the bytes show, if they show it whole
    ending: ConnectionAction = ConnectionAction.KEEP
    wait_s: float = 0.0
    pace_s: float = 0.0  #: between single bytes; 0 = all at once
    enrolment: Enrolment | None = None


def http_bytes(status: int, body: bytes, *, kind: str = JSON, headers: Mapping[str, str] | None = None) -> bytes:
    """Write one HTTP/1.1 answer."""
    extra = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    )
    return head.encode("latin-1") + body


def answer(
    status: int, body: bytes, *, kind: str = JSON, headers: Mapping[str, str] | None = None, wait_s: float = 0.0
) -> ScriptedResponse:
    """Play an answer that nothing is wrong with."""
    return ScriptedResponse(wire=http_bytes(status, body, kind=kind, headers=headers), status=status, wait_s=wait_s)


def come_back_later(
    status: int, *, form: RetryAfter, seconds: float, now: datetime, wait_s: float = 0.0
) -> ScriptedResponse:
    """Play a 429 or 503 that says when to come back.

    Args:
        seconds: until then; written as a whole number, at least 1.
        now: aware UTC, for the date form.
    """
    phrase = HTTPStatus(status).phrase
    body = f'{{"error": {status}, "error_text": "{phrase}"}}'.encode()
    return answer(status, body, headers=_retry_after(form, max(1, -int(-seconds // 1)), now), wait_s=wait_s)


def _retry_after(form: RetryAfter, seconds: int, now: datetime) -> dict[str, str]:
    match form:
        case RetryAfter.SECONDS:
            return {"Retry-After": str(seconds)}
        case RetryAfter.DATE:
            # whole seconds only: one more, lest the date lie before the moment that is meant
            return {"Retry-After": format_datetime(now + timedelta(seconds=seconds + 1), usegmt=True)}
        case RetryAfter.ABSENT:
            return {}
        case RetryAfter.NEGATIVE:
            return {"Retry-After": f"-{seconds}"}
        case RetryAfter.HUGE:
            return {"Retry-After": str(HUGE_S)}
        case _:
            assert_never(form)


def spoil(healthy: ScriptedResponse, rule: FaultRule, *, form: RetryAfter, now: datetime) -> ScriptedResponse:
    """Turn a healthy play into what the rule's fault makes of it."""
    play = healthy if rule.acts else replace(healthy, enrolment=None)
    match rule.shape:
        case FaultKind.DROP:
            return replace(play, wire=b"", status=None, code=None, ending=ConnectionAction.CLOSE)
        case FaultKind.RESET:
            return replace(play, wire=b"", status=None, code=None, ending=ConnectionAction.RESET)
        case FaultKind.SILENCE:
            return replace(play, wire=b"", status=None, code=None, ending=ConnectionAction.SILENCE)
        case FaultKind.TRICKLE:
            return replace(play, pace_s=TRICKLE_S if rule.delay_s is None else rule.delay_s)
        case FaultKind.TRUNCATED_HEADER:
            cut = play.wire.index(b"Content-Length") + 10
            return replace(play, wire=play.wire[:cut], code=None, ending=ConnectionAction.CLOSE)
        case FaultKind.TRUNCATED_BODY:
            cut = (play.wire.index(b"\r\n\r\n") + 4 + len(play.wire)) // 2
            return replace(play, wire=play.wire[:cut], code=None, ending=ConnectionAction.CLOSE)
        case FaultKind.GARBAGE:
            return replace(play, wire=GARBAGE, status=None, code=None, ending=ConnectionAction.CLOSE)
        case FaultKind.HTTP_500:
            return _instead(play, 500, b'{"error": 500, "error_text": "Internal error"}')
        case FaultKind.HTTP_502 | FaultKind.HTTP_503 | FaultKind.HTTP_504:
            status = HTTPStatus(int(rule.shape.removeprefix("http_")))
            return _instead(play, status, f"<h1>{status} {status.phrase}</h1>".encode(), kind=HTML)
        case FaultKind.REDIRECT_302:
            return _instead(play, 302, b"", headers={"Location": "/login"})
        case FaultKind.HTML_200:
            return _instead(play, 200, b"<!doctype html><title>Sign in</title>", kind=HTML)
        case FaultKind.EMPTY_200:
            return _instead(play, 200, b"")
        case FaultKind.NO_ERROR_200:
            return _instead(play, 200, b'{"status": "ok"}')
        case FaultKind.ERROR_BOOL_200:
            return _instead(play, 200, b'{"error": false, "error_text": "Successful operation"}')
        case FaultKind.ERROR_STRING_200:
            return _instead(play, 200, b'{"error": "0", "error_text": "Successful operation"}')
        case FaultKind.ERROR_500_200:
            return _instead(play, 200, b'{"error": 500, "error_text": "Internal error"}')
        case FaultKind.LATE_ACT:
            return replace(play, wait_s=play.wait_s + (LATE_S if rule.delay_s is None else rule.delay_s))
        case FaultKind.CLOSE_AFTER_ANSWER:
            return replace(play, ending=ConnectionAction.CLOSE)
        case FaultKind.HTTP_429 | FaultKind.HTTP_503_RETRY_AFTER:
            status = (
                HTTPStatus.TOO_MANY_REQUESTS if rule.shape is FaultKind.HTTP_429 else HTTPStatus.SERVICE_UNAVAILABLE
            )
            seconds = COME_BACK_S if rule.delay_s is None else rule.delay_s
            return come_back_later(status, form=form, seconds=seconds, now=now, wait_s=play.wait_s)
        case FaultKind.TOKEN_REVOKED | FaultKind.SCENARIO_OFF | FaultKind.TARIFF_LIMIT:
            return play  # the switch was thrown before the method was asked
        case _:
            assert_never(rule.shape)


def _instead(
    play: ScriptedResponse, status: int, body: bytes, *, kind: str = JSON, headers: Mapping[str, str] | None = None
) -> ScriptedResponse:
    return replace(play, wire=http_bytes(status, body, kind=kind, headers=headers), status=status, code=None)
