"""Bytes become one answer whatever the pieces they come in, and nothing that is not the answer's is taken for it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_enroll.sending.http11_response_parser import MAX_HEAD_BYTES, ResponseParser
from tests.sending.http_responses import ANSWERS, BUSY, CHUNKED, INTERIM, LENGTH, OK, TRAILERS, UNTIL_CLOSED

STATUS = {"no content": 204, "not modified": 304, "busy": 429}
LAST = {"until closed", "HTTP/1.0", "trailers"}  # the connection is not used again; trailers are too rare to be sure of
MAY_FOLLOW = sorted(set(ANSWERS) - LAST)
STRAYS = {"line end": b"\r\n", "line feed": b"\n", "byte": b"x", "null": b"\0", "half a head": b"HTTP", **ANSWERS}
HEAD = b"HTTP/1.1 200 OK\r\n"


def read(*pieces: bytes, end: bool = False) -> ResponseParser:
    answer = ResponseParser()
    for piece in pieces:
        answer.feed(piece)
    if end:
        answer.end()
    return answer


def body_of(answer: ResponseParser) -> bytes:
    return b"".join(answer.pieces)


@pytest.mark.parametrize("name", ANSWERS)
def test_answer_is_the_same_for_any_chunking(name):
    raw, status = ANSWERS[name], STATUS.get(name, 200)
    cuts = [(raw[:at], raw[at:]) for at in range(1, len(raw))]
    for pieces in [(raw,), tuple(bytes([byte]) for byte in raw), *cuts]:
        answer = read(*pieces, end=name == "until closed")
        assert (answer.status, answer.is_whole, answer.error) == (status, True, "")
        assert body_of(answer) == (OK if status == 200 else b"")
        assert b"retry-after" not in {n.lower() for n, _ in answer.headers} or name == "busy"
        if len(pieces) == 1:
            assert answer.is_last is (name in LAST)


@pytest.mark.parametrize("name", ANSWERS)
def test_truncated_answer_is_never_complete(name):
    raw = ANSWERS[name]
    body_begins = raw.rindex(b"\r\n\r\n") + 4
    for at in range(len(raw)):
        if name == "until closed" and at >= body_begins:
            continue  # nobody can tell; the JSON inside can
        answer = read(raw[:at], end=True)
        assert not answer.is_whole
        assert answer.error
        assert answer.is_last


@pytest.mark.parametrize("name", MAY_FOLLOW)
@pytest.mark.parametrize("stray", STRAYS)
def test_bytes_after_the_answer_end_the_connection(name, stray):
    for pieces in [(ANSWERS[name] + STRAYS[stray],), (ANSWERS[name], STRAYS[stray])]:
        answer = read(*pieces)
        assert (answer.status, answer.is_whole, answer.error) == (STATUS.get(name, 200), True, "")
        assert body_of(answer) == (OK if answer.status == 200 else b"")
        assert answer.is_last


NO_ANSWERS = {
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "another version": b"HTTP/2.0 200 OK\r\n\r\n",
    "another case": b"http/1.1 200 OK\r\n\r\n",
    "a blank line first": b"\r\n" + LENGTH,
    "a blank line after an interim answer": b"HTTP/1.1 100 Continue\r\n\r\n\r\n" + LENGTH,
    "a status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "status 0": b"HTTP/1.1 000 OK\r\n\r\n",
    "a switch of protocols": b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "a switch without saying to what": b"HTTP/1.1 101 Switching\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "a folded header": HEAD + b"A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    "a header without a name": HEAD + b": b\r\n\r\n",
    "a header without a colon": HEAD + b"Content-Length\r\n\r\n",
    "a space before the colon": HEAD + b"Content-Length : 0\r\n\r\n",
    "a null byte in a header": HEAD + b"A: b\x00c\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and chunks": HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a negative length": HEAD + b"Content-Length: -1\r\n\r\n",
    "a length with a sign": HEAD + b"Content-Length: +1\r\n\r\na",
    "a length beyond all numbers": HEAD + b"Content-Length: 99999999999999999999\r\n\r\n",
    "chunks in another encoding": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    "two encodings": HEAD + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    "a null byte in the reason": b"HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n",
    "an encoding of nothing": b"HTTP/1.1 204 None\r\nTransfer-Encoding: gzip\r\n\r\n",
    "an encoding of an interim answer": b"HTTP/1.1 100 Go on\r\nTransfer-Encoding: gzip\r\n\r\n" + LENGTH,
    "chunks without a size": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a chunk longer than it says": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", NO_ANSWERS)
def test_invalid_answer_is_an_error(name):
    raw = NO_ANSWERS[name]
    for pieces in [(raw,), tuple(bytes([byte]) for byte in raw)]:
        answer = read(*pieces)
        assert answer.error
        assert not answer.is_whole
        answer.feed(LENGTH)  # nothing that follows can mend it
        answer.end()
        assert answer.error
        assert not answer.is_whole


def test_unknown_transfer_encoding_is_not_read_to_the_close():
    answer = read(HEAD + b"Transfer-Encoding: gzip\r\n\r\nabc", end=True)
    assert answer.error
    assert not answer.is_whole


@pytest.mark.parametrize("pieces", [1, 1000])
def test_head_above_the_limit_is_an_error(pieces):
    def head(size: int) -> bytes:
        start = HEAD + b"Content-Length: 0\r\nA: "
        return start + b"x" * (size - len(start) - 4) + b"\r\n\r\n"

    def cut(raw: bytes) -> list[bytes]:
        step = -(-len(raw) // pieces)
        return [raw[at : at + step] for at in range(0, len(raw), step)]

    assert read(*cut(head(MAX_HEAD_BYTES))).is_whole
    assert "larger than 64 KiB" in read(*cut(head(MAX_HEAD_BYTES + 1))).error
    assert "larger than 64 KiB" in read(HEAD + b"A: " + b"x" * MAX_HEAD_BYTES).error


def test_large_body_is_not_a_large_head():
    raw = HEAD + b"Content-Length: 200000\r\n\r\n" + b"x" * 200_000
    answer = read(raw)
    assert (answer.is_whole, len(body_of(answer)), answer.is_last) == (True, 200_000, False)


def test_header_value_is_stripped_of_outer_blanks_only():
    answer = read(HEAD + b"X-A: \t b  c \t\r\nx-empty:\r\nContent-Length: 0\r\n\r\n")
    assert answer.headers == [(b"X-A", b"b  c"), (b"x-empty", b""), (b"Content-Length", b"0")]


def test_interim_answers_leave_no_state():
    assert read(INTERIM).headers == read(LENGTH).headers


def test_connection_close_and_body_until_close_are_handled():
    assert read(LENGTH.replace(b"Content-Type", b"Connection: close\r\nContent-Type")).is_last
    answer = read(UNTIL_CLOSED)
    assert not answer.is_whole
    answer.end()
    assert answer.is_whole
    assert answer.is_last


def test_connection_end_does_not_invalidate_a_complete_answer():
    answer = read(LENGTH, end=True)
    assert (answer.is_whole, answer.error, answer.is_last) == (True, "", True)


PARTS = [LENGTH, CHUNKED, TRAILERS, BUSY, b"\r\n", b"0\r\n\r\n", b"x"]


@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=4), st.data())
def test_connection_is_reusable_only_after_a_clean_answer(parts, data):
    raw = b"".join(parts)
    at = data.draw(st.integers(0, len(raw)))
    answer = read(*(piece for piece in (raw[:at], raw[at:]) if piece))
    if answer.is_whole and not answer.is_last:
        assert raw in (LENGTH, CHUNKED, BUSY)


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=3))
def test_no_bytes_raise_an_unexpected_error(raw, cuts):
    edges = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    for prefix in (b"", b"HTTP/1.1 200 OK\r\n", LENGTH[:-1]):
        answer = ResponseParser()
        answer.feed(prefix)
        for begin, end in pairwise(edges):
            answer.feed(raw[begin:end])
        answer.end()
        assert answer.is_last
        assert answer.is_whole != bool(answer.error)
