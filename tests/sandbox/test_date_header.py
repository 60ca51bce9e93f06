"""The header `Date` of every response."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest

from batch_enroll.sandbox.http11_server import DateHeader, with_date_header
from tests.support.clocks import ManualClock
from tests.support.sandbox import RawClient

BEGUN = datetime(2026, 11, 25, 10, 3, 7, 400_000, tzinfo=UTC)


def test_date_line_is_rebuilt_once_a_second():
    clock = ManualClock(BEGUN)
    date = DateHeader(clock)
    for moved_s, second in ((0.0, 7), (0.3, 7), (0.599, 7), (0.6, 8), (1.59, 8), (1.6, 9), (60.0, 7)):
        clock.moved_s = moved_s
        assert date.now() == f"Date: Wed, 25 Nov 2026 10:0{4 if moved_s == 60 else 3}:{second:02} GMT\r\n".encode()
    assert clock.reads == 4


def test_only_http_responses_get_a_date():
    assert (
        with_date_header(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n{}", b"Date: x\r\n")
        == b"HTTP/1.1 200 OK\r\nDate: x\r\nA: b\r\n\r\n{}"
    )
    assert with_date_header(b"", b"Date: x\r\n") == b""
    assert with_date_header(b"\x16\x03 garbage\r\n\r\n", b"Date: x\r\n") == b"\x16\x03 garbage\r\n\r\n"


@pytest.mark.parametrize(
    "faults", ["", "http_502_before_acting", "http_429", "truncated_body_after_acting", "html_200_after_acting"]
)
def test_every_response_has_a_date(sandbox, faults):
    before = datetime.now(UTC).replace(microsecond=0)
    with RawClient(sandbox(faults=faults)) as client:
        response = client.start()
    assert response.status is not None
    assert before <= parsedate_to_datetime(response.headers["date"]) <= datetime.now(UTC)


def test_response_to_a_bad_request_has_a_date(sandbox):
    with RawClient(sandbox()) as client:
        client.socket.sendall(b"nonsense\r\n\r\n")
        response = client.receive()
    assert response.status == 400
    assert "date" in response.headers
