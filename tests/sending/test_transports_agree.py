"""The same bytes over our own transport and over httpx's: the same verdict.

What either takes for no answer is "perhaps accepted" (Ambiguous): the row is held, and a person looks.

FUZZ_EXAMPLES=20000 makes the search longer.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from itertools import pairwise

import anyio
import httpx
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from batch_enroll.errors import Ambiguous, Retryable
from batch_enroll.sending.classify import HttpAnswer
from batch_enroll.sending.client import Client
from batch_enroll.sending.httpx_transport import SingleConnectionTransports, trust
from tests.sending.http_responses import ANSWERS
from tests.sending.scripted_server import BODY, TOKEN, Server, answer, reset, serving
from tests.support.examples import examples

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", examples(200)))
SECOND = b'{"error":0,"error_text":"the second"}'
Verdict = HttpAnswer | Ambiguous | Retryable


@pytest.fixture
def anyio_backend():
    return "asyncio"


@dataclass(frozen=True)
class Stream:
    """What a server sends after it has read a request."""

    raw: bytes
    cuts: tuple[int, ...] = ()  #: it pauses at these places
    ending: str = "closes"  #: closes, resets, or stays

    def pieces(self) -> list[bytes]:
        edges = [0, *sorted({min(cut, len(self.raw)) for cut in self.cuts}), len(self.raw)]
        return [self.raw[begin:end] for begin, end in pairwise(edges) if begin < end]


async def two_verdicts(stream: Stream, *, stock: bool, patience_s: float) -> tuple[Verdict, Verdict, Server]:
    """Send two rows one after the other; the first is answered by the stream, the second well."""
    all_is_sent = asyncio.Event()

    async def talk(server: Server, reader, writer) -> None:
        while True:
            await server.read(reader)
            if len(server.requests) > 1:
                writer.write(answer(SECOND))
                continue
            try:
                for piece in stream.pieces():
                    writer.write(piece)
                    await asyncio.sleep(0.001 if stream.cuts else 0)
                if stream.ending == "resets":
                    await asyncio.sleep(0.001)  # so that the bytes are read: a reset may overtake them
                    reset(writer)
                if stream.ending != "stays":
                    writer.close()
                    await writer.wait_closed()
                    return
            finally:
                all_is_sent.set()

    transport = SingleConnectionTransports(ssl_context=trust(httpx.URL("http://127.0.0.1"))) if stock else None
    async with (
        serving(talk) as server,
        Client(url=server.url, token=TOKEN, timeout_s=patience_s, transport=transport) as client,
    ):
        first = await verdict_of(client)
        if server.requests:  # then the stream lies in the client's socket, read or not, when the second row leaves
            await all_is_sent.wait()
        second = await verdict_of(client)
    return first, second, server


async def verdict_of(client: Client) -> Verdict:
    try:
        return await client.start_workflow(BODY)
    except (Ambiguous, Retryable) as failure:
        return failure


def are_as_strict(ours: Verdict, stock: Verdict) -> bool:
    if isinstance(ours, HttpAnswer):
        return ours == stock
    if isinstance(ours, Retryable):
        return isinstance(stock, Retryable)
    return isinstance(stock, Ambiguous)


@pytest.mark.parametrize(
    "raw",
    [
        answer(headers="Transfer-Encoding: chunked\r\n"),
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    ],
    ids=["length and chunks", "bare LF", "folded header", "HTTP/2.0", "blank line"],
)
async def test_answer_that_h11_would_forgive_is_ambiguous(raw):
    ours, stock = await compare(Stream(raw))
    assert isinstance(ours, Ambiguous)
    assert isinstance(stock, Ambiguous)


async def compare(stream: Stream, *, patience_s: float | None = None) -> tuple[Verdict, Verdict]:
    if patience_s is None:
        patience_s = 0.2 if stream.ending == "stays" else 10.0
    with anyio.fail_after(60):
        (ours, ours_next, server), (stock, _, stock_server) = await asyncio.gather(
            two_verdicts(stream, stock=False, patience_s=patience_s),
            two_verdicts(stream, stock=True, patience_s=patience_s),
        )
    counts = (len(server.requests), len(stock_server.requests))
    well = are_as_strict(ours, stock) and counts == (2, 2) and isinstance(ours_next, HttpAnswer)
    if not well and patience_s < 1:
        return await compare(stream, patience_s=5.0)  # the machine may have been busy
    assert well, (ours, stock, ours_next, counts)
    assert isinstance(ours_next, HttpAnswer)
    assert ours_next.body == SECOND, "the second row got what was sent to the first"
    return ours, stock


# Well-formed answers, cut at every place: both must read them alike. (The others are cut in test_incoming.py.)

CUT = ["length", "chunked", "until closed", "interim"]


@pytest.mark.parametrize("name", CUT)
async def test_answer_in_two_pieces_is_classified_alike(name):
    raw = ANSWERS[name]

    async def one(at: int) -> None:
        ours, stock = await compare(Stream(raw, (at,)))
        assert isinstance(ours, HttpAnswer)
        assert ours == stock

    for first in range(1, len(raw), 20):  # a few at once: each waits most of its time
        await asyncio.gather(*(one(at) for at in range(first, min(first + 20, len(raw)))))


@pytest.mark.parametrize("name", ANSWERS)
async def test_answer_byte_by_byte_is_classified_alike(name):
    raw = ANSWERS[name]
    ours, stock = await compare(Stream(raw, tuple(range(1, len(raw)))))
    assert isinstance(ours, HttpAnswer)
    assert ours == stock


@pytest.mark.parametrize("name", CUT)
async def test_truncated_answer_is_classified_alike(name):
    raw = ANSWERS[name]

    async def one(at: int) -> None:
        ours, stock = await compare(Stream(raw[:at]))
        assert type(ours) is type(stock)

    for first in range(0, len(raw), 20):
        await asyncio.gather(*(one(at) for at in range(first, min(first + 20, len(raw)))))


# Spoiled answers

LINES = [
    b"Content-Length: 5", b"Content-Length: 47", b"Content-Length: 0", b"Content-Length: 47, 47", b"content-length:47",
    b"Content-Length: 0x2f", b"Content-Length: -1", b"Content-Length: ", b"Content-Length : 47", b"Content-Length: 4 7",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: identity",
    b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: xchunked", b"Transfer-Encoding: CHUNKED",
    b"Connection: close", b"Connection: keep-alive", b"Connection: upgrade", b"Upgrade: h2c", b"Content-Encoding: gzip",
    b"Content-Encoding: identity", b"Retry-After: 7", b"Retry-After:", b"Location: /x", b" folded", b"\tfolded",
    b"no colon", b": no name", b"Bad Name: x", b"X: \x00", b"X: \x7f", b"X: \xff", b"X: a\rb", b"", b"X:\t y \t",
]  # fmt: skip
BITS = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b"\0",
    b" ",
    b"0",
    b"0\r\n\r\n",
    b"ffffffffffffffffff",
    b"5\r\nabcde\r\n",
    b":",
    b";",
]
BITS += [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 101 Switching\r\n\r\n"]
STARTS = [b"HTTP/1.1 200", b"HTTP/1.1 200 ", b"HTTP/1.1 200 \xff\xfe", b"HTTP/1.1 200 a\0b", b"HTTP/1.1\t200 OK"]
STARTS += [b"HTTP/1.1 %b x" % status for status in (b"204", b"304", b" 200", b"099", b"1000", b"600", b"199", b"20 0")]
STARTS += [
    b"%b 200 OK" % name for name in (b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"http/1.1", b"ICE/1.0")
]


@st.composite
def spoiled(draw) -> bytes:
    raw: bytes = draw(st.sampled_from(list(ANSWERS.values())))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(raw)))
        match draw(st.sampled_from(["cut", "double", "insert", "change", "header", "drop", "start", "append"])):
            case "cut":
                raw = raw[:at]
            case "double":
                upto = draw(st.integers(at, min(len(raw), at + 60)))
                raw = raw[:upto] + raw[at:]
            case "insert":
                raw = raw[:at] + draw(st.sampled_from(BITS) | st.binary(min_size=1, max_size=4)) + raw[at:]
            case "change":
                raw = raw[:at] + draw(st.binary(min_size=1, max_size=1)) + raw[at + 1 :]
            case "header":
                start, _, rest = raw.partition(b"\r\n")
                raw = start + b"\r\n" + draw(st.sampled_from(LINES)) + b"\r\n" + rest
            case "drop":
                lines = raw.split(b"\r\n")
                del lines[draw(st.integers(0, len(lines) - 1))]
                raw = b"\r\n".join(lines)
            case "start":
                raw = draw(st.sampled_from(STARTS)) + b"\r\n" + raw.partition(b"\r\n")[2]
            case "append":
                raw += draw(st.sampled_from([*ANSWERS.values(), *BITS]))
    return raw


STREAMS = st.builds(
    Stream,
    raw=spoiled(),
    cuts=st.lists(st.integers(1, 400), max_size=3).map(tuple),
    ending=st.sampled_from(["closes"] * 8 + ["resets", "stays"]),
)


@given(stream=STREAMS)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
async def test_corrupted_answer_is_classified_as_strictly(stream):
    ours, stock = await compare(stream)
    event(f"ours {type(ours).__name__}, stock {type(stock).__name__}")
