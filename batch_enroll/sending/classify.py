"""Classify an answer of the platform: a pure function, total over every HTTP status and body.

Success is only HTTP 2xx with a JSON object whose `error` is the integer 0. HTTP status and body are both read; where
they differ the stricter one holds: fatal, then ambiguous, then retry, then refused. Fatal and ambiguous together mean
both: the run stops and the row is unknown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final, NamedTuple, assert_never

from batch_enroll.errors import AttemptError, Retryable
from batch_enroll.messages import NO_TEXT, Message, message, verbatim
from batch_enroll.sending.error_codes import CodeTable, ErrorClass

MAX_MESSAGE_CHARS: Final = 2_000
MAX_RETRY_AFTER_S: Final = 10 * 365 * 86_400.0  #: what is longer says no more than this

_MAX_LOCATION_CHARS: Final = 200
_MAX_TITLE_CHARS: Final = 80
_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]*)?\Z")
_TITLE = re.compile(rb"<title[^<>]{0,200}>([^<]{1,400})", re.IGNORECASE)  # bounded: the text is not ours
_SEARCHED_BYTES: Final = 4096  #: of a body that is not the platform's
_MAX_DATE_CHARS: Final = 100
_CONFLICT: Final = object()  #: the object has `error` twice, with two values


class HttpAnswer(NamedTuple):
    """One whole answer of the platform, or of something that stands in front of it."""

    http_status: int
    headers: Mapping[str, str]  #: lower-case names; `retry-after`, `location` and a few more if sent
    body: bytes
    proxy: str = ""  #: the address of the proxy, without its password, when the proxy itself answered


class VerdictKind(StrEnum):
    """What an answer means; the five are all there are."""

    ENROLLED = "enrolled"
    REFUSED = "refused"  #: surely not accepted, and it will not be
    RETRY = "retry"  #: surely not accepted, but it may be later
    AMBIGUOUS = "ambiguous"  #: perhaps accepted
    FATAL = "fatal"  #: surely not accepted, and the next row would be refused too


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one attempt means for the row and for the run."""

    kind: VerdictKind
    code: str  #: the platform's code, or a slug such as `http_502`
    message: Message  #: one line; its values `text` come from outside and may hold personal data
    http_status: int | None  #: None when no answer came
    retry_after_s: float | None = None  #: what the platform asked for, seconds
    throttled: bool = False  #: the platform got too many requests, so every worker should slow down
    stop_reason: Message | None = None  #: why the run must stop; its values `text` as those of `message`


@dataclass(frozen=True, slots=True)
class _Envelope:
    """The platform's envelope."""

    code: int
    text: str


# What HTTP statuses mean when nothing of the platform came with them; all others are ambiguous.
_FATAL_STATUSES: Final = {401: "reason.401", 402: "reason.402", 403: "reason.403", 407: "reason.http_407"}
_REFUSED_STATUSES: Final = frozenset({400, 404, 405, 411, 413, 414, 415, 417, 422, 426, 431})
PLATFORM_SUCCESS_TEXTS: Final = frozenset({"Successful operation", "Operation completed successfully"})
"""What the platform's pages show as `error_text` of a success; they are about nobody, so no person is looked for."""

_GATEWAY_STATUSES: Final = frozenset({408, 499})
"""Gateways send them also for requests that were carried out, whatever is in the body."""

_SEVERITY: Final = {
    VerdictKind.REFUSED: 1,
    VerdictKind.RETRY: 2,
    VerdictKind.AMBIGUOUS: 3,
    VerdictKind.FATAL: 4,
}


def classify(answer: HttpAnswer, codes: CodeTable, *, now: datetime) -> Verdict:
    """Classify one answer.

    Args:
        now: aware UTC, to turn a Retry-After date into seconds.
    """
    reply = _parse_envelope(answer.body)
    if 200 <= answer.http_status < 300:
        verdict = _by_envelope(answer, reply, codes) if reply else _unreadable(answer)
    else:
        by_status = _by_status(answer, reply)
        verdict = _stricter(by_status, _by_envelope(answer, reply, codes)) if reply else by_status
    if verdict.kind is VerdictKind.RETRY:
        return replace(verdict, retry_after_s=parse_retry_after(answer.headers.get("retry-after"), now=now))
    return verdict


def verdict_for_failure(error: AttemptError) -> Verdict:
    """Say what an attempt without a whole answer means."""
    kind = VerdictKind.RETRY if isinstance(error, Retryable) else VerdictKind.AMBIGUOUS
    return Verdict(kind=kind, code=error.code, message=error.content, http_status=error.http_status)


def parse_retry_after(value: str | None, *, now: datetime) -> float | None:
    """Read a Retry-After header: seconds or a date.

    Returns:
        Seconds from 0 to ten years; None when there is no header or it is neither.
    Source: RFC 9110, section 10.2.3.
    """
    text = (value or "")[:_MAX_DATE_CHARS].strip()
    if _SECONDS.match(text):
        return min(float(text), MAX_RETRY_AFTER_S)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return min(max(0.0, (date - now).total_seconds()), MAX_RETRY_AFTER_S)


def _parse_envelope(body: bytes) -> _Envelope | None:
    """Find the envelope: a JSON object whose `error` is an integer. None is anything else."""
    try:
        encoding = "utf-8" if body[:2] == b'{"' else json.detect_encoding(body)
        fields = _decode(body.decode(encoding, "surrogatepass"))  # what json.loads does with bytes
    except (ValueError, RecursionError):  # also bad UTF-8, numbers of 5,000 digits, nesting without end
        return None
    if not isinstance(fields, dict) or type(code := fields.get("error")) is not int:
        return None
    text = fields.get("error_text", fields.get("error text", ""))  # one page of the vendor misprints the key
    text = text if isinstance(text, str) else _compact(text)
    if (profile := fields.get("profile_id")) not in (None, ""):
        text = f"{text} (profile_id {profile if isinstance(profile, str) else _compact(profile)})"
    return _Envelope(code, _single_line(text) if text else "")


def _build_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs) and len({repr(value) for name, value in pairs if name == "error"}) > 1:
        fields["error"] = _CONFLICT  # two parsers would read two answers, so it is none
    return fields


_decode: Final = json.JSONDecoder(
    object_pairs_hook=_build_object
).decode  # json.loads would make a decoder for each answer


def _by_envelope(answer: HttpAnswer, reply: _Envelope, codes: CodeTable) -> Verdict:
    if reply.code == 0 and 200 <= answer.http_status < 300:
        text = verbatim(reply.text) if reply.text else NO_TEXT
        return Verdict(kind=VerdictKind.ENROLLED, code="0", message=text, http_status=answer.http_status)
    verdict = Verdict(
        kind=VerdictKind.REFUSED,
        code=str(reply.code),
        message=verbatim(reply.text) if reply.text else message("sending.code_without_text", code=str(reply.code)),
        http_status=answer.http_status,
    )
    if reply.code == 0:
        status = answer.http_status
        what = message("sending.http_with_success", status=status)
        if reply.text:
            what = message("sending.http_with_success_text", status=status, text=reply.text)
        return replace(verdict, kind=VerdictKind.AMBIGUOUS, code=_slug(answer), message=what)
    kind = codes.class_of(reply.code)
    match kind:
        case ErrorClass.ROW | ErrorClass.SUSPECT:
            return verdict
        case ErrorClass.FATAL:
            title = _fatal_title(reply.code)
            reason = message("sending.refused_by_code", title=title, code=verdict.code, text=verdict.message)
            return replace(verdict, kind=VerdictKind.FATAL, stop_reason=reason)
        case ErrorClass.RETRY:
            return replace(verdict, kind=VerdictKind.RETRY, throttled=True)
        case ErrorClass.UNKNOWN:
            if reply.code == 503 and _asks_to_wait(answer):  # both say the same: come back later
                return replace(verdict, kind=VerdictKind.RETRY, throttled=True)
            return replace(verdict, kind=VerdictKind.AMBIGUOUS)
    assert_never(kind)


def _by_status(answer: HttpAnswer, reply: _Envelope | None) -> Verdict:
    """Read the status; `reply` serves the wording, and tells that the platform itself refused with a 4xx."""
    status = answer.http_status
    what = _with_envelope(status, reply) if reply else _without_json(answer)
    verdict = Verdict(kind=VerdictKind.AMBIGUOUS, code=_slug(answer), message=what, http_status=status)
    if 300 <= status < 400:
        return replace(verdict, message=_redirect_text(status, answer.headers.get("location", "")))
    if title := _FATAL_STATUSES.get(status):
        named = message("sending.proxy_wants_password", proxy=answer.proxy) if answer.proxy else Message(title)
        reason = message("sending.refused_by_status", title=named, text=verdict.message)
        return replace(verdict, kind=VerdictKind.FATAL, stop_reason=reason)
    if status == 429 or _asks_to_wait(answer):
        return replace(verdict, kind=VerdictKind.RETRY, throttled=True)
    if status in (421, 425):
        return replace(verdict, kind=VerdictKind.RETRY)
    if status in _REFUSED_STATUSES or (reply and 400 <= status < 500 and status not in _GATEWAY_STATUSES):
        return replace(verdict, kind=VerdictKind.REFUSED)
    return replace(verdict, throttled=status == 503)


def _unreadable(answer: HttpAnswer) -> Verdict:
    return Verdict(
        kind=VerdictKind.AMBIGUOUS,
        code="answer_unreadable",
        message=_without_json(answer),
        http_status=answer.http_status,
    )


def _stricter(by_status: Verdict, by_envelope: Verdict) -> Verdict:
    """Choose the stricter of two verdicts on one answer; the envelope's when they are equally strict."""
    strict, other = by_envelope, by_status
    if _SEVERITY[by_status.kind] > _SEVERITY[by_envelope.kind]:
        strict, other = by_status, by_envelope
    throttled = strict.throttled or other.throttled
    if strict.kind is VerdictKind.FATAL and other.kind is VerdictKind.AMBIGUOUS:
        return replace(other, stop_reason=strict.stop_reason, throttled=throttled)
    return replace(strict, throttled=throttled)


def _asks_to_wait(answer: HttpAnswer) -> bool:
    return answer.http_status == 503 and "retry-after" in answer.headers


def _slug(answer: HttpAnswer) -> str:
    if 300 <= answer.http_status < 400:
        return "redirect"
    if answer.http_status == 429 or _asks_to_wait(answer):
        return "throttled"
    return f"http_{answer.http_status}"


def _fatal_title(code: int) -> Message:
    return message("sending.refuses_every_row") if code not in (401, 402, 403) else Message(f"reason.{code}")


def _with_envelope(status: int, reply: _Envelope) -> Message:
    if not reply.text:
        return message("sending.http_with_code", status=status, code=str(reply.code))
    return message("sending.http_with_text", status=status, text=reply.text)


def _redirect_text(status: int, location: str) -> Message:
    place = _single_line(location)[:_MAX_LOCATION_CHARS]
    if not place:
        return message("sending.redirect_without_address", status=status)
    return message("sending.redirect", status=status, text=place)


def _without_json(answer: HttpAnswer) -> Message:
    return message("sending.http_without_json", status=answer.http_status, body=_describe(answer))


def _describe(answer: HttpAnswer) -> Message:
    """Describe the body in a few words, without repeating it: it may hold personal data."""
    body = answer.body.lstrip()[:_SEARCHED_BYTES]
    if not body:
        return message("sending.body_empty")
    begin = body.lower()
    if b"<html" in begin or b"<!doctype" in begin:
        title = _TITLE.search(body)
        words = _single_line(title[1].decode(errors="replace"))[:_MAX_TITLE_CHARS] if title else ""
        return message("sending.body_html_titled", text=words) if words else message("sending.body_html")
    if body[:1] in b"{[":
        return message("sending.body_other_json")
    return message("sending.body_unknown", size=len(answer.body))


def _compact(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except (ValueError, RecursionError, TypeError):
        return "?"


def _single_line(text: str) -> str:
    """Make text fit for a cell, a log and a terminal: printable, one line, bounded, cut between words if it can be."""
    if len(text) > MAX_MESSAGE_CHARS:
        head = text[:MAX_MESSAGE_CHARS]
        text = (head.rpartition(" ")[0] or head) + "…"
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(text.split())
