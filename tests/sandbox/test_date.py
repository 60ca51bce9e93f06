"""The date of every answer: right, cheap, and no part of an answer that is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest

from batch_enroll.sandbox.date_header import DateLine, dated
from tests.support.sandbox import RawClient

BEGUN = datetime(2026, 11, 25, 10, 3, 7, 400_000, tzinfo=UTC)


class Clock:
    """Stands still until it is moved; counts how often it is asked for the date."""

    def __init__(self):
        self.moved_s, self.looks = 0.0, 0

    def now(self):
        self.looks += 1
        return BEGUN + timedelta(seconds=self.moved_s)

    def monotonic(self):
        return 5_000.0 + self.moved_s

    async def sleep(self, seconds):
        raise NotImplementedError


def test_the_line_is_made_once_a_second_and_is_never_of_another_second():
    clock = Clock()
    date = DateLine(clock)
    for moved_s, second in ((0.0, 7), (0.3, 7), (0.599, 7), (0.6, 8), (1.59, 8), (1.6, 9), (60.0, 7)):
        clock.moved_s = moved_s
        assert date.now() == f"Date: Wed, 25 Nov 2026 10:0{4 if moved_s == 60 else 3}:{second:02} GMT\r\n".encode()
    assert clock.looks == 4


def test_only_answers_are_dated():
    assert (
        dated(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n{}", b"Date: x\r\n") == b"HTTP/1.1 200 OK\r\nDate: x\r\nA: b\r\n\r\n{}"
    )
    assert dated(b"", b"Date: x\r\n") == b""
    assert dated(b"\x16\x03 garbage\r\n\r\n", b"Date: x\r\n") == b"\x16\x03 garbage\r\n\r\n"


@pytest.mark.parametrize(
    "faults", ["", "http_502_before_acting", "http_429", "truncated_body_after_acting", "html_200_after_acting"]
)
def test_every_answer_over_the_socket_says_when_it_left(sandbox, faults):
    before = datetime.now(UTC).replace(microsecond=0)
    with RawClient(sandbox(faults=faults)) as client:
        heard = client.start()
    assert heard.status is not None
    assert before <= parsedate_to_datetime(heard.headers["date"]) <= datetime.now(UTC)


def test_a_request_that_is_none_is_answered_with_the_date_too(sandbox):
    with RawClient(sandbox()) as client:
        client.socket.sendall(b"nonsense\r\n\r\n")
        heard = client.hear()
    assert heard.status == 400
    assert "date" in heard.headers
