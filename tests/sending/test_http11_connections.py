"""Our own connections: what they know of a request, which are used again, and which never.

What they have in common with httpx's transports is in test_client.py.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest

from batch_enroll.sending import http11_connections
from batch_enroll.sending.http11_connections import Http11Connections
from batch_enroll.sending.http11_response_parser import MAX_BODY_BYTES, ResponseParser
from batch_enroll.sending.httpx_transport import trust
from tests.sending.http_responses import ANSWERS, BUSY, CHUNKED, LENGTH, OK
from tests.sending.scripted_server import Server, answer, ok, reset, serving


@pytest.fixture
def anyio_backend():
    return "asyncio"


@asynccontextmanager
async def transport(url: str):
    it = Http11Connections(httpx.URL(url), ssl_context=trust(httpx.URL(url)))
    try:
        yield it
    finally:
        await it.aclose()


async def ask(
    it: Http11Connections, content: bytes = b"{}", *, whole_s: float = 2.0, writes=lambda: None, on_stray=lambda: None
) -> ResponseParser:
    answer = ResponseParser()
    message = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content)
    await it.exchange(message, answer, connect_s=2.0, whole_s=whole_s, writes=writes, on_stray=on_stray)
    return answer


async def body_of(it: Http11Connections, content: bytes = b"{}", *, whole_s: float = 2.0) -> bytes:
    return b"".join((await ask(it, content, whole_s=whole_s)).pieces)


class Written:
    """A talk that gives the test the server's end of each connection."""

    def __init__(self) -> None:
        self.writers: list[asyncio.StreamWriter] = []
        self.ended: list[int] = []

    async def __call__(self, server: Server, reader, writer) -> None:
        number = len(self.writers)
        self.writers.append(writer)
        try:
            while True:
                await server.read(reader)
                writer.write(answer(b"%d" % len(server.requests)))
        finally:
            self.ended.append(number)


# The line between "not a byte left" and "perhaps sent"


async def test_nothing_is_sent_when_the_write_callback_fails():
    talk = Written()

    def writes() -> None:
        raise KeyError("no further")

    async with serving(talk) as server, transport(server.url) as it:
        with pytest.raises(KeyError):
            await ask(it, writes=writes)
        await asyncio.sleep(0.05)
        assert (server.requests, talk.ended) == ([], [0])


@pytest.mark.parametrize("warm", [False, True])
async def test_callback_runs_once_before_the_first_write(warm, monkeypatch):
    heard: list[str] = []
    real = http11_connections.Http11Connection.request

    async def listened(self, *message, **more):
        heard.append("write")
        await real(self, *message, **more)

    async with serving(ok) as server, transport(server.url) as it:
        if warm:
            await body_of(it)
        monkeypatch.setattr(http11_connections.Http11Connection, "request", listened)
        await ask(it, writes=lambda: heard.append("word"))
    assert heard == ["word", "write"]


async def test_connection_lost_after_the_callback_is_not_retried(monkeypatch):
    """After the callback the request may have been sent, so there is no second attempt."""
    real = http11_connections.Http11Connection.request

    async def lost(self, *message, **more):
        self.close()
        await real(self, *message, **more)

    async with serving(ok) as server, transport(server.url) as it:
        await body_of(it)
        monkeypatch.setattr(http11_connections.Http11Connection, "request", lost)
        with pytest.raises(httpx.WriteError):
            await ask(it)
        await asyncio.sleep(0.02)
    assert (len(server.requests), server.connections) == (1, 1)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "http://altcraft.invalid", f"http://{'x' * 64}.invalid"], ids=["port", "name", "long"]
)
async def test_failure_before_connecting_is_marked_as_unsent(url):
    words: list[None] = []
    async with transport(url) as it:
        with pytest.raises(httpx.ConnectError):
            await ask(it, writes=lambda: words.append(None))
    assert not words


async def test_new_connection_lost_before_the_first_byte_is_unsent(monkeypatch):
    real = http11_connections.Http11Connection.connection_made

    def greeted(self, transport):
        real(self, transport)
        self.data_received(b"220 hello\r\n")

    monkeypatch.setattr(http11_connections.Http11Connection, "connection_made", greeted)
    async with serving(ok) as server, transport(server.url) as it:
        with pytest.raises(httpx.ConnectError):
            await ask(it)
        await asyncio.sleep(0.02)
    assert server.requests == []


# Which connections are used again


@pytest.mark.parametrize("name", sorted(set(ANSWERS) - {"until closed", "HTTP/1.0", "trailers"}))
async def test_connection_is_reused_after_a_delimited_answer(name):
    async def talk(server: Server, reader, writer) -> None:
        while True:
            await server.read(reader)
            writer.write(ANSWERS[name])

    async with serving(talk) as server, transport(server.url) as it:
        for _ in range(3):
            await body_of(it)
    assert (len(server.requests), server.connections) == (3, 1)


@pytest.mark.parametrize("last", [b"HTTP/1.1 200 OK\r\nConnection: close\r\n", b"HTTP/1.0 200 OK\r\n"])
async def test_connection_close_header_ends_reuse_even_if_it_stays_open(last):
    async def talk(server: Server, reader, writer) -> None:
        while True:
            await server.read(reader)
            writer.write(last + b"Content-Length: 0\r\n\r\n")

    async with serving(talk) as server, transport(server.url) as it:
        for _ in range(2):
            await body_of(it)
    assert server.connections == 2


async def test_most_recent_connection_is_used_and_old_ones_close(monkeypatch):
    monkeypatch.setattr(http11_connections, "KEEPALIVE_EXPIRY_S", 0.2)
    talk = Written()
    async with serving(talk) as server, transport(server.url) as it:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(body_of, it)
        for _ in range(6):
            await asyncio.sleep(0.05)
            await body_of(it)
        await asyncio.sleep(0.01)
        assert len(talk.ended) == 2
        await asyncio.sleep(0.25)
        await body_of(it)
        await asyncio.sleep(0.01)
        assert (server.connections, len(talk.ended)) == (4, 3)


async def test_close_closes_idle_and_later_returned_connections():
    ended: list[str] = []

    async def talk(server: Server, reader, writer) -> None:
        is_slow = server.connections == 1
        await server.read(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1")
        await asyncio.sleep(0.2 if is_slow else 0)
        writer.write(b"2")
        assert await reader.read(1) == b""
        ended.append("slow" if is_slow else "quick")

    async with serving(talk) as server, transport(server.url) as it:
        slow = asyncio.create_task(body_of(it))
        await asyncio.sleep(0.05)
        await body_of(it)
        await it.aclose()
        await asyncio.sleep(0.01)
        assert ended == ["quick"]
        assert await slow == b"12"
        await asyncio.sleep(0.01)
        assert ended == ["quick", "slow"]


# An answer never goes to another request


@pytest.mark.parametrize(
    "stray", [b"\r\n", b"x", LENGTH, CHUNKED, BUSY], ids=["line", "byte", "length", "chunked", "busy"]
)
@pytest.mark.parametrize("when", ["unread", "read", "same read"])
async def test_unrequested_byte_closes_the_connection(stray, when):
    talk = Written()

    async def twice(server: Server, reader, writer) -> None:
        if when == "same read" and server.connections == 1:
            await server.read(reader)
            writer.write(answer(b"1") + stray)
        await talk(server, reader, writer)

    async with serving(twice) as server, transport(server.url) as it:
        assert await body_of(it) == b"1"
        if when != "same read":
            talk.writers[0].write(stray)  # it is in our socket now, and the event loop does not know
        if when == "read":
            await asyncio.sleep(0.02)
            assert talk.ended == [0]
        assert await body_of(it) == b"2"
    assert (len(server.requests), server.connections) == (2, 2)


@pytest.mark.parametrize("at", [-1, 10, len(LENGTH) - len(OK)])
async def test_bytes_after_a_chunked_answer_close_the_connection(at):
    async def talk(server: Server, reader, writer) -> None:
        await server.read(reader)
        for piece in (LENGTH[:at], LENGTH[at:] + LENGTH):
            writer.write(piece)
            await asyncio.sleep(0.02)
        await reader.read(1)

    async with serving(talk) as server, transport(server.url) as it:
        for _ in range(2):
            assert await body_of(it) == OK
    assert server.connections == 2


@pytest.mark.parametrize("ending", ["cancelled", "too late", "too large"])
async def test_late_bytes_are_not_used_for_the_next_request(ending):
    async def late(server: Server, reader, writer) -> None:
        while True:
            await server.read(reader)
            mine = answer(b"%d" % len(server.requests))
            if len(server.requests) == 1:
                if ending == "too large":
                    mine = answer(b"x" * (MAX_BODY_BYTES + 100))
                cut = -1 if ending == "too large" else 10
                writer.write(mine[:cut])
                await asyncio.sleep(0.15)
                mine = mine[cut:]
            writer.write(mine)

    async with serving(late) as server, transport(server.url) as it:
        if ending == "cancelled":
            with anyio.move_on_after(0.1):
                await body_of(it)
        elif ending == "too late":
            with pytest.raises(httpx.ReadTimeout):
                await body_of(it, whole_s=0.1)
        else:
            assert (await ask(it)).is_too_large
        assert await body_of(it) == b"2"
        await asyncio.sleep(0.1)
        assert await body_of(it) == b"3"
    assert (len(server.requests), server.connections) == (3, 2)


async def test_concurrent_requests_get_their_own_answers():
    async def echo(server: Server, reader, writer) -> None:
        while True:
            request = await server.read(reader)
            body = request.partition(b"\r\n\r\n")[2]
            await asyncio.sleep(0.001 * (len(server.requests) % 3))
            raw = answer(body)
            if len(server.requests) % 5 == 0:
                raw += LENGTH  # nobody asked for it
            for piece in (raw[:50], raw[50:]) if len(server.requests) % 2 else (raw,):
                writer.write(piece)
                await asyncio.sleep(0)

    pairs = []

    async def worker(it: Http11Connections, name: int) -> None:
        for turn in range(20):
            mine = b"%d-%d" % (name, turn)
            pairs.append((mine, await body_of(it, mine)))

    async with serving(echo) as server, transport(server.url) as it, anyio.create_task_group() as tasks:
        for name in range(20):
            tasks.start_soon(worker, it, name)
    assert len(pairs) == len(server.requests) == 400
    assert all(mine == got for mine, got in pairs)


async def test_lost_connection_wakes_its_waiter_at_once():
    async def dies(server: Server, reader, writer) -> None:
        await server.read(reader)
        reset(writer)

    async with serving(dies) as server, transport(server.url) as it:
        began = asyncio.get_running_loop().time()
        with pytest.raises(httpx.ReadError):
            await ask(it, whole_s=60)
        assert asyncio.get_running_loop().time() - began < 0.5


# Early answers and large ones


async def test_answer_to_an_unread_request_ends_the_connection():
    async def early(server: Server, reader, writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(b"early", "413 Too Large"))
        await asyncio.sleep(1)

    async with serving(early) as server, transport(server.url) as it:
        for _ in range(2):
            assert await body_of(it, b"x" * 20_000_000) == b"early"
    assert server.connections == 2


async def test_early_answer_may_end_with_the_connection():
    async def early(server: Server, reader, writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWERS["until closed"])
        await asyncio.sleep(0.05)
        writer.write_eof()
        await asyncio.sleep(5)

    async with serving(early) as server, transport(server.url) as it:
        with anyio.fail_after(1):
            assert await body_of(it, b"x" * 20_000_000) == OK


async def test_large_request_is_sent_whole():
    async def count(server: Server, reader, writer) -> None:
        while True:
            request = await server.read(reader)
            writer.write(answer(b"%d" % len(request.partition(b"\r\n\r\n")[2])))

    async with serving(count) as server, transport(server.url) as it:
        for _ in range(2):
            assert await body_of(it, b"x" * 3_000_000) == b"3000000"
    assert server.connections == 1


async def test_body_above_the_limit_is_aborted_while_reading():
    size, sent = 30_000_000, 0

    async def flood(server: Server, reader, writer) -> None:
        nonlocal sent
        await server.read(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        while sent < size:
            writer.write(b"x" * 100_000)
            await writer.drain()
            sent += 100_000

    async with serving(flood) as server, transport(server.url) as it:
        answer = await ask(it, whole_s=20)
        assert (answer.status, answer.is_whole, answer.is_too_large) == (200, False, True)
        await asyncio.sleep(0.05)
    assert sum(map(len, answer.pieces)) < 2 * MAX_BODY_BYTES
    assert sent < size


# TLS and addresses


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(LENGTH)
    writer.close()


async def test_tls_connections_are_reused_with_sni_and_alpn(certificate, trusted):
    seen = []

    async def look(server: Server, reader, writer) -> None:
        seen.append(writer.get_extra_info("ssl_object").selected_alpn_protocol())
        await ok(server, reader, writer)

    certificate.server.set_alpn_protocols(["http/1.1"])
    async with serving(look, certificate.server) as server, transport(server.url) as it:
        for _ in range(3):
            assert await body_of(it) == OK
    assert (server.connections, seen) == (1, ["http/1.1"])


async def test_certificate_for_another_host_is_refused(certificate, trusted):
    async with (
        serving(ok, certificate.server) as server,
        transport(server.url.replace("127.0.0.1", "localhost")) as it,
    ):
        with pytest.raises(httpx.ConnectError) as caught:
            await ask(it)
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
    assert server.requests == []


async def test_client_certificate_request_gets_no_data(certificate, trusted):
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    asking.load_cert_chain(certificate.path)
    asking.load_verify_locations(certificate.path)
    asking.verify_mode = ssl.CERT_REQUIRED
    asking.maximum_version = ssl.TLSVersion.TLSv1_2  # with 1.3 the refusal comes after our first byte
    async with serving(ok, asking) as server, transport(server.url) as it:
        with pytest.raises(httpx.ConnectError):
            await ask(it)
    assert server.requests == []


@pytest.mark.parametrize("stray", [b"x", LENGTH])
async def test_unrequested_byte_closes_a_tls_connection(certificate, trusted, stray):
    talk = Written()
    async with serving(talk, certificate.server) as server, transport(server.url) as it:
        assert await body_of(it) == b"1"
        talk.writers[0].write(stray)
        assert await body_of(it) == b"2"
    assert server.connections == 2


@pytest.mark.parametrize("dead", ["refuses", "hangs"])
async def test_addresses_of_a_host_are_tried_in_turn(dead, monkeypatch):
    with socket.socket() as full:
        full.bind(("127.0.0.2", 0))
        port = full.getsockname()[1]
        if dead == "hangs":  # a queue of length 0 that is full: further SYNs are dropped
            full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.2", port))

        def look_up(host, *_, **__):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("127.0.0.2", "127.0.0.1")]

        listener = await asyncio.start_server(greet, "127.0.0.1", port)
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        async with transport(f"http://altcraft.test:{port}") as it:
            assert await body_of(it) == OK
        listener.close()
        for filler in fillers:
            filler.close()


async def test_ipv6_address_is_called():
    try:
        listener = await asyncio.start_server(greet, "::1", 0)
    except OSError:
        pytest.skip("this machine has no IPv6")
    async with transport(f"http://[::1]:{listener.sockets[0].getsockname()[1]}") as it:
        assert await body_of(it) == OK
    listener.close()


# What is left behind


async def test_answers_are_freed_without_garbage_collection():
    async with serving(ok) as server, transport(server.url) as it:
        await body_of(it)
        gc.collect()
        gc.disable()
        try:
            for _ in range(50):
                await body_of(it)
            left = sum(type(thing).__name__ == "ResponseParser" for thing in gc.get_objects())
        finally:
            gc.enable()
    assert left <= 1


async def first_at_once_then(server: Server, reader, writer, *, later_s: float) -> None:
    for wait_s in (0.0, later_s):
        await server.read(reader)
        await asyncio.sleep(wait_s)
        writer.write(answer(OK))


async def test_reused_connection_has_the_new_deadline():
    async def talk(server: Server, reader, writer) -> None:
        await first_at_once_then(server, reader, writer, later_s=0.7)

    async with serving(talk) as server, transport(server.url) as it:
        await body_of(it, whole_s=1.0)
        await asyncio.sleep(0.5)  # the first one's time would be up in the middle of the second
        assert await body_of(it, whole_s=1.0) == OK
    assert server.connections == 1


@pytest.mark.parametrize("first_s", [0.3, 30.0])
async def test_later_request_times_out_by_its_own_deadline(first_s):
    async def talk(server: Server, reader, writer) -> None:
        await first_at_once_then(server, reader, writer, later_s=60.0)

    async with serving(talk) as server, transport(server.url) as it:
        await body_of(it, whole_s=first_s)
        await asyncio.sleep(0.1)
        began = asyncio.get_running_loop().time()
        with anyio.fail_after(10), pytest.raises(httpx.ReadTimeout):
            await body_of(it, whole_s=0.3)
        assert asyncio.get_running_loop().time() - began >= 0.29


async def test_expired_deadline_does_not_affect_an_idle_connection():
    async with serving(ok) as server, transport(server.url) as it:
        await body_of(it, whole_s=0.1)
        await asyncio.sleep(0.3)
        await body_of(it, whole_s=0.5)
    assert server.connections == 1
