"""Every status and every body has a verdict, and only one pair of them is a success."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_enroll.messages import NO_TEXT
from batch_enroll.sending.classify import (
    MAX_RETRY_AFTER_S,
    HttpAnswer,
    Verdict,
    VerdictKind,
    classify,
    parse_retry_after,
)
from batch_enroll.sending.error_codes import CodeTable, ErrorClass

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ENROLLED, REFUSED, RETRY, AMBIGUOUS, FATAL = VerdictKind
HTML = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>john@example.com</body></html>"


def verdict(status: int, body: object = b"", codes: CodeTable | None = None, **headers: str) -> Verdict:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return classify(HttpAnswer(http_status=status, headers=named, body=raw), codes or CodeTable(), now=NOW)


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":0}',
        b'\xef\xbb\xbf {"error":0,"error_text":""}',
        b'{"error_text":"Fehler","error":0,"data":null}',
        b'{"error":0,"error":0}',
        b'{"error":0,"data":{"error":400}}',
        b'{"error":0,"x":NaN}',
    ],
)
def test_only_integer_zero_in_a_2xx_object_is_success(body):
    for status in (200, 201, 204):
        assert verdict(status, body).kind is ENROLLED


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"OK",
        HTML,
        b"[]",
        b'[{"error":0}]',
        b"0",
        b"null",
        b"{}",
        b'{"error":false}',
        b'{"error":null}',
        b'{"error":"0"}',
        b'{"error":0.0}',
        b'{"error":NaN}',
        b'{"error":[0]}',
        b'{"Error":0}',
        b'{"error":0',
        b'{"error":0}{"error":0}',
        b'{"error":400,"error":0}',
        b'{"error":0,"error":400}',
        b'{"error":0,"error":false}',
        b'{"data":{"error":0}}',
        b'{"error":0,"t":"\xff"}',
        b'{"error":' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"error":0,"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda body: repr(body[:32]),
)
def test_2xx_without_the_envelope_is_ambiguous(body):
    got = verdict(200, body)
    assert (got.kind, got.code, got.stop_reason) == (AMBIGUOUS, "answer_unreadable", None)


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        # the status says nothing, the body decides
        (200, {"error": 400, "error_text": "Incorrect request"}, REFUSED, "400"),
        (200, {"error": 404}, REFUSED, "404"),
        (200, {"error": 440}, REFUSED, "440"),
        (200, {"error": 499}, REFUSED, "499"),
        (200, {"error": 1234}, AMBIGUOUS, "1234"),
        (200, {"error": -5}, REFUSED, "-5"),
        (200, {"error": 401}, FATAL, "401"),
        (200, {"error": 402}, FATAL, "402"),
        (200, {"error": 403}, FATAL, "403"),
        (200, {"error": 429}, RETRY, "429"),
        (200, {"error": 500}, AMBIGUOUS, "500"),
        (200, {"error": 503}, AMBIGUOUS, "503"),
        # the body says nothing, the status decides
        (400, b"", REFUSED, "http_400"),
        (404, HTML, REFUSED, "http_404"),
        *((status, b"", REFUSED, f"http_{status}") for status in (405, 411, 413, 414, 415, 417, 422, 426, 431)),
        *((status, HTML, AMBIGUOUS, f"http_{status}") for status in (406, 409, 410, 412, 418, 423, 451, 460, 499)),
        (401, b"", FATAL, "http_401"),
        (402, b"", FATAL, "http_402"),
        (403, HTML, FATAL, "http_403"),
        (407, b"", FATAL, "http_407"),
        (408, b"", AMBIGUOUS, "http_408"),
        (421, b"", RETRY, "http_421"),
        (425, b"", RETRY, "http_425"),
        (429, b"", RETRY, "throttled"),
        (500, b"", AMBIGUOUS, "http_500"),
        (502, HTML, AMBIGUOUS, "http_502"),
        (503, b"", AMBIGUOUS, "http_503"),
        (504, b"", AMBIGUOUS, "http_504"),
        (599, b"", AMBIGUOUS, "http_599"),
        (301, b"", AMBIGUOUS, "redirect"),
        (303, b"", AMBIGUOUS, "redirect"),
        (304, b"", AMBIGUOUS, "redirect"),
        (101, b"", AMBIGUOUS, "http_101"),
        (999, b"", AMBIGUOUS, "http_999"),
        # both speak
        (400, {"error": 400}, REFUSED, "400"),
        (409, {"error": 409}, REFUSED, "409"),
        (408, {"error": 400}, AMBIGUOUS, "http_408"),
        (499, {"error": 400}, AMBIGUOUS, "http_499"),
        (401, {"error": 401}, FATAL, "401"),
        (500, {"error": 500}, AMBIGUOUS, "500"),
        (400, {"error": 401}, FATAL, "401"),
        (401, {"error": 400}, FATAL, "http_401"),
        (400, {"error": 500}, AMBIGUOUS, "500"),
        (500, {"error": 400}, AMBIGUOUS, "http_500"),
        (429, {"error": 400}, RETRY, "throttled"),
        (400, {"error": 429}, RETRY, "429"),
        (500, {"error": 429}, AMBIGUOUS, "http_500"),
        (301, {"error": 400}, AMBIGUOUS, "redirect"),
        # "no error" with a status that says otherwise
        (400, {"error": 0}, AMBIGUOUS, "http_400"),
        (404, {"error": 0}, AMBIGUOUS, "http_404"),
        (429, {"error": 0}, AMBIGUOUS, "throttled"),
        (500, {"error": 0}, AMBIGUOUS, "http_500"),
        (302, {"error": 0}, AMBIGUOUS, "redirect"),
    ],
)
def test_status_and_body_decide_together(status, body, kind, code):
    got = verdict(status, body)
    assert (got.kind, got.code, got.http_status) == (kind, code, status)
    assert bool(got.stop_reason) == (kind is FATAL)


@pytest.mark.parametrize(("status", "body"), [(500, {"error": 401}), (401, {"error": 500}), (403, {"error": 0})])
def test_fatal_and_uncertain_stop_the_run_as_ambiguous(status, body):
    got = verdict(status, body)
    assert got.kind is AMBIGUOUS
    assert got.stop_reason


@pytest.mark.parametrize("body", [b"", {"error": 503}, {"error": 429}, {"error": 400}])
def test_503_with_retry_after_was_not_accepted(body):
    got = verdict(503, body, retry_after="7")
    assert (got.kind, got.retry_after_s, got.throttled) == (RETRY, 7.0, True)


@pytest.mark.parametrize(
    ("status", "body", "throttled"),
    [(429, b"", True), (200, {"error": 429}, True), (503, b"", True), (425, b"", False), (500, b"", False)],
)
def test_throttling_slows_all_rows(status, body, throttled):
    assert verdict(status, body).throttled is throttled


def test_job_file_sets_the_class_of_a_code():
    codes = CodeTable({400: ErrorClass.FATAL, 404: ErrorClass.UNKNOWN, 440: ErrorClass.RETRY})
    assert verdict(200, {"error": 400}, codes).kind is FATAL
    assert verdict(404, {"error": 404}, codes).kind is AMBIGUOUS
    assert verdict(200, {"error": 440}, codes).kind is RETRY


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"error": 0, "error_text": "Successful operation", "profile_id": "5f4fa1a5ce9448665fef548e"},
            "Successful operation (profile_id 5f4fa1a5ce9448665fef548e)",
        ),
        ({"error": 0, "error text": "misprinted"}, "misprinted"),
        ({"error": 0}, ""),
        ({"error": 7}, "The platform gave no text with code 7"),
        ({"error": 7, "error_text": "a\x00b\x1b[31m\r\nc\u202e  d"}, "a b [31m c d"),
        ({"error": 7, "error_text": {"ru": "нет"}}, '{"ru":"нет"}'),
        ({"error": 7, "error_text": "t", "profile_id": 12}, "t (profile_id 12)"),
        ({"error": 7, "error_text": "\ud800x"}, "x"),
    ],
)
def test_platform_text_is_kept_and_cleaned(body, message):
    assert str(verdict(200, body).message) == message


def test_message_is_cut_between_words():
    message = str(verdict(200, {"error": 7, "error_text": "word " * 10_000}).message)
    assert len(message) <= 2_001
    assert message.endswith("word…")


def test_html_page_gives_its_title_once():
    message = str(verdict(502, HTML).message)
    assert "502 Bad Gateway" in message
    assert "john" not in message


@pytest.mark.parametrize(
    ("status", "body", "id", "text"),
    [
        (502, b"", "sending.http_without_json", "HTTP 502 came without the platform's JSON: an empty answer"),
        (200, b"[1", "sending.http_without_json",
         "HTTP 200 came without the platform's JSON: other JSON, or a part of it"),
        (200, b"hello", "sending.http_without_json",
         "HTTP 200 came without the platform's JSON: 5 bytes of something else"),
        (403, {"error": 7, "error_text": "no"}, "sending.http_with_text", "HTTP 403: no"),
        (403, {"error": 7}, "sending.http_with_code", "HTTP 403 came with code 7 and no text"),
        (200, {"error": 7}, "sending.code_without_text", "The platform gave no text with code 7"),
        (500, {"error": 0}, "sending.http_with_success", 'HTTP 500 came with "error": 0.'),
        (500, {"error": 0, "error_text": "ok"}, "sending.http_with_success_text", 'HTTP 500 came with "error": 0. ok'),
        (302, b"", "sending.redirect_without_address",
         "HTTP 302 redirects to a place that it does not name; redirects are never followed"),
    ],
)  # fmt: skip
def test_verdict_has_a_catalogue_message(status, body, id, text):
    what = verdict(status, body).message
    assert (what.id, str(what)) == (id, text)


def test_success_without_text_makes_no_message():
    assert verdict(200, {"error": 0}).message is NO_TEXT


def test_redirect_names_its_target():
    assert "https://other.example/" in str(verdict(308, b"", location="https://other.example/").message)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("-1", None),
        ("soon", None),
        ("1e3", None),
        ("٣", None),
        ("36000", 36_000.0),
        ("9" * 400, MAX_RETRY_AFTER_S),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0.0),
        ("Wed, 25 Nov 2026 12:01:30", 90.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER_S),
        ("Fri, 99 Dec 2026 99:99:99 GMT", None),
        ("Fri, 31 Dec 99999999999 23:59:59 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, seconds):
    assert parse_retry_after(value, now=NOW) == seconds


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
bodies = st.binary() | st.builds(
    lambda error, text, rest: json.dumps({**rest, "error": error, "error_text": text}).encode(),
    st.sampled_from([0, 400, 401, 429, 440, 500, 7]) | json_values,
    json_values,
    st.dictionaries(st.text(), json_values, max_size=2),
)


@given(st.integers(100, 999), bodies, st.none() | st.text(max_size=30))
def test_classify_answers_every_status_and_body(status, body, retry_after):
    headers = {} if retry_after is None else {"retry-after": retry_after}
    got = classify(HttpAnswer(http_status=status, headers=headers, body=body), CodeTable(), now=NOW)
    assert (got.kind is ENROLLED) == (200 <= status < 300 and got.code == "0")
    assert got.kind is not FATAL or got.stop_reason
    assert str(got.message).isprintable()
    str(got.message).encode()
    assert got.retry_after_s is None or 0 <= got.retry_after_s <= MAX_RETRY_AFTER_S
