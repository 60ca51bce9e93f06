"""What the client says about every way in which a request can fail, against real sockets on 127.0.0.1.

For each fault: whether the row may be sent again, and how many requests the server read. It must never be two. Every
test that asks for a `client` runs twice: over our own transport, and over httpx's. `call` always takes httpx's;
what its AsyncClient could spoil is tested at the end.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import socket
import ssl
import sys
import traceback
import tracemalloc
from types import SimpleNamespace

import anyio
import httpx
import pytest

from batch_enroll.errors import (
    Ambiguous,
    AttemptError,
    JobError,
    Retryable,
)
from batch_enroll.sending.client import Client
from batch_enroll.sending.httpx_transport import SingleConnectionTransports, proxy_for, trust
from batch_enroll.sending.stop_signal import TransmissionState
from tests.sending.scripted_server import BODY, OK_BODY, TOKEN, Server, Talk, answer, ok, reset, serving


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(params=["ours", "stock"])
def client(request):
    """Make a client that sends by our own transport, or by httpx's: what holds for one must hold for the other."""

    def make(url: str, timeout_s: float = 5.0, **more) -> Client:
        if request.param == "stock":
            more["transport"] = SingleConnectionTransports(ssl_context=trust(httpx.URL(url)), proxy=proxy_for(url))
        return Client(url=url, token=TOKEN, timeout_s=timeout_s, **more)

    return make


def client_over(transport: httpx.AsyncBaseTransport, url: str = "http://127.0.0.1") -> Client:
    return Client(url=url, token=TOKEN, timeout_s=5.0, transport=transport)


# What goes out, what comes back


async def test_request_follows_the_documentation_and_is_answered(client):
    async with serving(ok) as server, client(server.url + "/") as it:
        got = await it.start_workflow(BODY)
    assert (got.http_status, got.body, dict(got.headers)) == (200, OK_BODY, {})
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /api/v1.1/workflows/start HTTP/1.1"
    names = {line.partition(":")[0].lower(): line.partition(": ")[2] for line in lines[1:]}
    assert names == {
        "host": server.url.removeprefix("http://"),
        "accept": "application/json",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "user-agent": "batch-enroll",
        "content-length": str(len(body)),
    }
    assert json.loads(body) == {"token": TOKEN, **json.loads(BODY)}


async def test_other_methods_are_called_with_parameters(client):
    async with serving(ok) as server, client(server.url + "/altcraft") as it:
        await it.call_method("workflows/list", {"from_id": 12, "limit": 1})
    assert server.requests[0].startswith(b"POST /altcraft/api/v1.1/workflows/list HTTP/1.1")
    assert server.requests[0].endswith(f'{{"token":"{TOKEN}","from_id": 12, "limit": 1}}'.encode())


async def test_sequential_rows_share_a_connection(client):
    async with serving(ok) as server, client(server.url) as it:
        for _ in range(5):
            await it.start_workflow(BODY)
    assert (len(server.requests), server.connections) == (5, 1)


async def test_concurrent_rows_have_one_connection_each(client):
    async with serving(ok) as server, client(server.url) as it, anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(it.start_workflow, BODY)
    assert len(server.requests) == 20
    assert server.connections <= 20


@pytest.mark.parametrize("status", ["301 Moved", "303 See Other", "307 Temporary Redirect"])
async def test_redirects_are_not_followed(client, status):
    async def redirect(server: Server, reader, writer) -> None:
        while True:
            await server.read(reader)
            writer.write(answer(b"", status, f"Location: {server.url}/elsewhere?token={TOKEN}\r\n"))

    async with serving(redirect) as server, client(server.url) as it:
        got = await it.start_workflow(BODY)
    assert len(server.requests) == 1
    assert got.headers["location"] == f"{server.url}/elsewhere?token=***"


async def test_cookies_are_not_stored(client):
    async def baker(server: Server, reader, writer) -> None:
        while True:
            await server.read(reader)
            writer.write(answer(headers="Set-Cookie: session=1\r\n"))

    async with serving(baker) as server, client(server.url) as it:
        await it.start_workflow(BODY)
        await it.start_workflow(BODY)
    assert b"cookie" not in server.requests[1].lower()


async def test_repeated_token_is_masked_in_the_answer(client):
    async def parrot(server: Server, reader, writer) -> None:
        writer.write(answer(await server.read(reader)))

    async with serving(parrot) as server, client(server.url) as it:
        got = await it.start_workflow(BODY)
    assert TOKEN.encode() not in got.body
    assert b'"token":"***"' in got.body


async def test_retry_after_is_returned(client):
    async def busy(server: Server, reader, writer) -> None:
        await server.read(reader)
        writer.write(answer(b"", "429 Too Many Requests", "RETRY-AFTER: 7\r\nX-Other: 1\r\n"))

    async with serving(busy) as server, client(server.url) as it:
        assert dict((await it.start_workflow(BODY)).headers) == {"retry-after": "7"}


async def test_interim_response_is_skipped(client):
    async def interim(server: Server, reader, writer) -> None:
        await server.read(reader)
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + answer())

    async with serving(interim) as server, client(server.url) as it:
        assert (await it.start_workflow(BODY)).http_status == 200
    assert len(server.requests) == 1


async def test_answer_before_the_full_request_is_accepted(client):
    async def early(server: Server, reader, writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(b"{}", "413 Too Large", "Connection: close\r\n"))
        await asyncio.sleep(5)

    async with serving(early) as server, client(server.url) as it:
        assert (await it.start_workflow(BODY)).http_status == 413


async def test_unrequested_compression_is_decoded(client):
    async def squeeze(server: Server, reader, writer) -> None:
        await server.read(reader)
        writer.write(answer(gzip.compress(OK_BODY), headers="Content-Encoding: gzip\r\n"))

    async with serving(squeeze) as server, client(server.url) as it:
        assert (await it.start_workflow(BODY)).body == OK_BODY


# Surely nothing left


async def failure_of(it: Client) -> AttemptError:
    flight = TransmissionState()
    with pytest.raises(AttemptError) as caught:
        await it.start_workflow(BODY, flight)
    assert flight.surely_unsent == isinstance(caught.value, Retryable)
    text = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert TOKEN not in text
    assert "john" not in text
    return caught.value


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


async def test_refused_connection_is_retryable(client):
    async with client(f"http://127.0.0.1:{free_port()}") as it:
        failure = await failure_of(it)
    assert (type(failure), failure.code) == (Retryable, "connection_refused")


async def test_connection_is_tried_once_per_attempt():
    """Retries pass the limiter and the ledger, so the client makes none itself."""
    events = []

    async def trace(event, info) -> None:
        events.append(event)

    lanes = SingleConnectionTransports(ssl_context=trust(httpx.URL("http://127.0.0.1")))
    request = httpx.Request("POST", f"http://127.0.0.1:{free_port()}", extensions={"trace": trace})
    with pytest.raises(httpx.ConnectError):
        await lanes.handle_async_request(request)
    assert events.count("connection.connect_tcp.started") == 1


async def test_unresolved_name_is_retryable(client):
    async with client("https://altcraft.invalid") as it:
        failure = await failure_of(it)
    assert (type(failure), failure.code) == (Retryable, "dns_failure")


async def test_server_without_tls_is_retryable(client):
    async def plain(server: Server, reader, writer) -> None:
        await reader.read(1)
        writer.write(answer(b"", "400 Bad Request"))

    async with serving(plain) as server, client(server.url.replace("http:", "https:")) as it:
        failure = await failure_of(it)
    assert (type(failure), failure.code) == (Retryable, "tls_failure")
    assert server.requests == []


async def test_close_during_the_handshake_is_retryable(client):
    async def shut(server: Server, reader, writer) -> None:
        await reader.read(1)

    async with serving(shut) as server, client(server.url.replace("http:", "https:")) as it:
        failure = await failure_of(it)
    assert type(failure) is Retryable


async def test_untrusted_certificate_is_retryable(client, certificate):
    async with serving(ok, certificate.server) as server, client(server.url) as it:
        failure = await failure_of(it)
    assert (type(failure), failure.code) == (Retryable, "certificate_untrusted")
    assert server.requests == []


async def test_certificate_from_ssl_cert_file_is_trusted(client, certificate, trusted):
    async with serving(ok, certificate.server) as server, client(server.url) as it:
        assert (await it.start_workflow(BODY)).http_status == 200
        assert (await it.start_workflow(BODY)).http_status == 200
    assert server.connections == 1


async def test_hanging_handshake_is_retryable(client):
    async def silent(server: Server, reader, writer) -> None:
        await asyncio.sleep(5)

    async with serving(silent) as server, client(server.url.replace("http:", "https:"), timeout_s=0.3) as it:
        failure = await failure_of(it)
    assert (type(failure), failure.code) == (Retryable, "connect_timeout")


async def test_connection_that_is_not_accepted_is_retryable(client):
    with socket.socket() as full:  # a queue of length 0 that is full: further SYNs are dropped
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        try:
            async with client(f"http://127.0.0.1:{port}", timeout_s=0.3) as it:
                failure = await failure_of(it)
        finally:
            for filler in fillers:
                filler.close()
    assert (type(failure), failure.code) == (Retryable, "connect_timeout")


# One may have been accepted


async def closes(server: Server, reader, writer) -> None:
    await server.read(reader)


async def resets(server: Server, reader, writer) -> None:
    await server.read(reader)
    reset(writer)


async def resets_in_the_request(server: Server, reader, writer) -> None:
    await reader.readexactly(20)
    server.requests.append(b"a part")
    reset(writer)


def sends(raw: bytes) -> Talk:
    async def talk(server: Server, reader, writer) -> None:
        await server.read(reader)
        writer.write(raw)
        await writer.drain()

    return talk


async def hangs(server: Server, reader, writer) -> None:
    await server.read(reader)
    await asyncio.sleep(5)


async def trickles(server: Server, reader, writer) -> None:
    await server.read(reader)
    for byte in answer():
        writer.write(bytes([byte]))
        await asyncio.sleep(0.03)


async def trickles_a_body(server: Server, reader, writer) -> None:
    await server.read(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
    for _ in range(500):
        writer.write(b" ")
        await asyncio.sleep(0.03)


async def floods(server: Server, reader, writer) -> None:
    await server.read(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
        await writer.drain()


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
FAULTS: dict[str, tuple[Talk, str, int | None]] = {
    "closes": (closes, "connection_dropped", None),
    "resets": (resets, "connection_dropped", None),
    "resets in the request": (resets_in_the_request, "connection_dropped", None),
    "half a head": (sends(HEAD + b"Content-Le"), "connection_dropped", None),
    "only an interim answer": (sends(b"HTTP/1.1 100 Continue\r\n\r\n"), "connection_dropped", None),
    "half a body": (sends(HEAD + b"Content-Length: 500\r\n\r\n{"), "answer_truncated", 200),
    "half a chunk": (sends(b"HTTP/1.1 502 Bad\r\n" + CHUNKED + b"5\r\nab"), "answer_truncated", 502),
    "no chunk": (sends(HEAD + CHUNKED + b"zz\r\n"), "answer_truncated", 200),
    "another protocol": (sends(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "answer_unreadable", None),
    "garbage": (sends(b"\x00\x01\x02\x03\r\n\r\n"), "answer_unreadable", None),
    "endless head": (sends(HEAD + b"A: " + b"x" * 200_000), "answer_unreadable", None),
    "no gzip": (sends(answer(b"no gzip", headers="Content-Encoding: gzip\r\n")), "answer_unreadable", 200),
    "large body": (sends(answer(b" " * (1024 * 1024 + 1))), "answer_too_large", 200),
    "endless body": (floods, "answer_too_large", 200),
    "silence": (hangs, "read_timeout", None),
    "trickling head": (trickles, "read_timeout", None),
    "trickling body": (trickles_a_body, "read_timeout", 200),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("warm", [False, True], ids=["first request", "kept-alive connection"])
async def test_started_request_is_ambiguous_and_sent_once(client, fault, warm):
    talk, code, http_status = FAULTS[fault]

    async def first_well(server: Server, reader, writer) -> None:
        if warm:
            await server.read(reader)
            writer.write(answer())
        await talk(server, reader, writer)

    async with serving(first_well) as server, client(server.url, timeout_s=0.5) as it:
        if warm:
            await it.start_workflow(BODY)
        failure = await failure_of(it)
        await asyncio.sleep(0.02)  # a second request would be read now
    assert (type(failure), failure.code, failure.http_status) == (Ambiguous, code, http_status)
    assert (len(server.requests), server.connections) == (1 + warm, 1)


@pytest.mark.parametrize("fault", ["closes", "resets", "half a head", "half a body", "no chunk", "garbage", "silence"])
async def test_tls_gives_the_same_results(client, certificate, trusted, fault):
    talk, code, http_status = FAULTS[fault]
    async with (
        serving(talk, certificate.server) as server,
        client(server.url, timeout_s=0.5) as it,
    ):
        failure = await failure_of(it)
    assert (type(failure), failure.code, failure.http_status) == (Ambiguous, code, http_status)
    assert len(server.requests) == 1


@pytest.mark.parametrize("farewell", ["said", "not said"])
async def test_answer_ended_by_tls_close_is_read(client, certificate, trusted, farewell):
    async def talk(server: Server, reader, writer) -> None:
        await server.read(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + OK_BODY)
        if farewell == "not said":  # TLS's close_notify; many servers save themselves the trouble
            await asyncio.sleep(0.02)
            writer.transport.abort()

    async with serving(talk, certificate.server) as server, client(server.url) as it:
        assert (await it.start_workflow(BODY)).body == OK_BODY


async def test_deadline_covers_the_whole_call(client):
    async with serving(trickles) as server, client(server.url, timeout_s=0.3) as it:
        began = asyncio.get_running_loop().time()
        await failure_of(it)
        assert asyncio.get_running_loop().time() - began < 0.6


async def test_failed_connection_is_not_reused(client):
    talks = iter([closes, ok])

    async def talk(server: Server, reader, writer) -> None:
        await next(talks)(server, reader, writer)

    async with serving(talk) as server, client(server.url) as it:
        await failure_of(it)
        assert (await it.start_workflow(BODY)).http_status == 200
    assert (len(server.requests), server.connections) == (2, 2)


async def test_connection_closed_while_idle_is_replaced(client):
    async def one_answer(server: Server, reader, writer) -> None:
        await server.read(reader)
        writer.write(answer())

    async with serving(one_answer) as server, client(server.url) as it:
        for _ in range(3):
            assert (await it.start_workflow(BODY)).http_status == 200
            await asyncio.sleep(0.02)
    assert (len(server.requests), server.connections) == (3, 3)


async def test_unrequested_answer_is_not_used_for_the_next_row(client):
    async def twice(server: Server, reader, writer) -> None:
        while True:
            await server.read(reader)
            writer.write(answer() + answer(b'{"error":400}'))

    async with serving(twice) as server, client(server.url) as it:
        for _ in range(3):
            assert (await it.start_workflow(BODY)).body == OK_BODY
    assert len(server.requests) == 3


# Cancellation


@pytest.mark.parametrize(("talk", "surely_unsent"), [(hangs, False), (None, True)], ids=["sent", "connecting"])
async def test_cancelled_call_reports_whether_bytes_were_sent(client, talk, surely_unsent):
    async def silent(server: Server, reader, writer) -> None:
        await asyncio.sleep(5)

    async with serving(talk or silent) as server:
        url = server.url if talk else server.url.replace("http:", "https:")
        async with client(url) as it:
            flight = TransmissionState()
            with anyio.move_on_after(0.2) as scope:
                await it.start_workflow(BODY, flight)
            assert scope.cancelled_caught
            assert flight.surely_unsent is surely_unsent


# Proxies


def through(proxy: Server, url: str) -> Client:
    return client_over(SingleConnectionTransports(ssl_context=trust(httpx.URL(url)), proxy=proxy.url), url)


async def test_tunnel_refused_by_the_proxy_is_retryable():
    async def refuse(server: Server, reader, writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(b"", "502 Bad Gateway"))

    async with serving(refuse) as proxy, through(proxy, "https://altcraft.invalid") as it:
        failure = await failure_of(it)
    assert (type(failure), failure.code) == (Retryable, "proxy_refused")


async def test_tunnel_broken_before_the_request_is_retryable():
    async def tunnel(server: Server, reader, writer) -> None:
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"CONNECT altcraft.invalid:443")
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        await reader.read(1)

    async with serving(tunnel) as proxy, through(proxy, "https://altcraft.invalid") as it:
        failure = await failure_of(it)
    assert type(failure) is Retryable


async def test_tunnel_request_dropped_by_the_proxy_is_retryable():
    async def drop(server: Server, reader, writer) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with serving(drop) as proxy, through(proxy, "https://altcraft.invalid") as it:
        failure = await failure_of(it)
    assert type(failure) is Retryable


async def test_plain_request_dropped_by_the_proxy_is_ambiguous():
    async with serving(closes) as proxy, through(proxy, "http://altcraft.invalid") as it:
        failure = await failure_of(it)
    assert type(failure) is Ambiguous
    assert len(proxy.requests) == 1


# Every exception that httpx has


def transport_errors() -> list[type[httpx.RequestError]]:
    found: list[type[httpx.RequestError]] = []
    left: list[type[httpx.RequestError]] = [httpx.RequestError]
    while left:
        kind = left.pop()
        left += kind.__subclasses__()
        found.append(kind)
    assert len(found) > 15
    return sorted(set(found), key=lambda kind: kind.__name__)


def raising(error: Exception, *, begun: bool) -> httpx.AsyncBaseTransport:
    class Raising(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            trace = request.extensions["trace"]
            await trace("http11.send_request_headers.started", {"request": SimpleNamespace(method=b"CONNECT")})
            if begun:
                await trace("http2.send_request_headers.started", {"request": SimpleNamespace(method=b"POST")})
            raise error

    return Raising()


OTHERS = [TimeoutError(), OSError(5, "x"), ConnectionResetError(), anyio.BrokenResourceError(), ssl.SSLError(1, "x"),
          anyio.ClosedResourceError(), httpx.InvalidURL("x"), httpx.StreamClosed()]  # fmt: skip


@pytest.mark.parametrize(
    "error", [*(kind(f"about {TOKEN} john") for kind in transport_errors()), *OTHERS], ids=lambda e: type(e).__name__
)
@pytest.mark.parametrize("begun", [False, True])
async def test_any_transport_exception_becomes_an_attempt_error(client, error, begun):
    async with client_over(raising(error, begun=begun)) as it:
        with pytest.raises(AttemptError) as caught:
            await it.start_workflow(BODY)
    assert type(caught.value) is (Ambiguous if begun else Retryable)
    assert TOKEN not in str(caught.value) + repr(caught.value)
    assert "john" not in str(caught.value) + repr(caught.value)


@pytest.mark.parametrize("kind", transport_errors())
async def test_transport_without_trace_is_ambiguous_after_connect(client, kind):
    """Without trace events, only errors while connecting prove that nothing was sent."""

    def silent(request: httpx.Request) -> httpx.Response:
        raise kind("x")

    async with client_over(httpx.MockTransport(silent)) as it:
        failure = await failure_of(it)
    before = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol"}
    assert type(failure) is (Retryable if kind.__name__ in before else Ambiguous)


async def test_program_error_is_not_a_network_error(client):
    async with client_over(raising(KeyError("x"), begun=True)) as it:
        with pytest.raises(KeyError):
            await it.start_workflow(BODY)


# Setting up


@pytest.mark.parametrize(
    "url", ["altkraft.com", "ftp://altkraft.com", "https://", "https://a?b", "https://u:p@a", "https://a:port", ""]
)
def test_invalid_address_is_refused(url):
    with pytest.raises(JobError, match="cannot be used"):
        Client(url=url, token=TOKEN, timeout_s=1.0)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_unreadable_certificate_file_is_named(monkeypatch, tmp_path, content):
    if content:
        (tmp_path / "x.pem").write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "x.pem"))
    with pytest.raises(JobError, match="trusted certificates of SSL_CERT_FILE") as caught:
        Client(url="https://altkraft.com", token=TOKEN, timeout_s=1.0)
    assert "SSL_CERT_FILE" in caught.value.hint


async def test_log_has_no_token_and_no_personal_data(client, caplog):
    caplog.set_level(logging.DEBUG)
    async with serving(ok) as server, client(server.url) as it:
        await it.start_workflow(BODY)
    logging.getLogger("here").debug("lines are caught")
    assert "lines are caught" in caplog.text
    assert TOKEN not in caplog.text
    assert "john" not in caplog.text


def test_user_agent_with_a_line_end_is_refused(client):
    for end in ("\r\n", "\r", "\n"):
        with pytest.raises(JobError, match="line end"):
            client("https://altkraft.com", user_agent=f"a{end}X-Injected: y")


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "gopher://127.0.0.1:1"])
def test_unsupported_proxy_scheme_is_refused(monkeypatch, proxy):
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    monkeypatch.setitem(sys.modules, "socksio", None)  # it is not installed with us, but may be there
    with pytest.raises(JobError, match="HTTPS_PROXY"):
        Client(url="https://altkraft.com", token=TOKEN, timeout_s=1.0)


# Other methods than `start`: an httpx.AsyncClient carries them


async def call_failure_of(it: Client) -> AttemptError:
    with pytest.raises(AttemptError) as caught:
        await it.call_method("workflows/list", {"from_id": 12})
    assert TOKEN not in "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    return caught.value


async def test_method_call_is_sent_like_a_start(client):
    async with serving(ok) as server, client(server.url) as it:
        await it.start_workflow(BODY)
        await it.call_method("workflows/list", {"from_id": 12})
    start, call = (request.partition(b"\r\n\r\n") for request in server.requests)
    assert call[2] == f'{{"token":"{TOKEN}","from_id": 12}}'.encode()
    other = start[0].replace(b"workflows/start", b"workflows/list")
    assert call[0] == other.replace(b": %d" % len(start[2]), b": %d" % len(call[2]))


async def test_method_calls_share_a_connection_without_cookies(client):
    async def baker(server: Server, reader, writer) -> None:
        while True:
            await server.read(reader)
            writer.write(answer(headers="Set-Cookie: session=1\r\n"))

    async with serving(baker) as server, client(server.url) as it:
        for _ in range(3):
            await it.call_method("workflows/list", {})
    assert (len(server.requests), server.connections) == (3, 1)
    assert b"cookie" not in b"".join(server.requests).lower()


@pytest.mark.parametrize("location", ["/elsewhere", "http://[no-address", "x://", "http://127.0.0.1:port"])
@pytest.mark.parametrize("method", ["start", "call"])
async def test_redirect_with_an_invalid_location_is_an_answer(client, method, location):
    async def redirect(server: Server, reader, writer) -> None:
        while True:
            await server.read(reader)
            writer.write(answer(b"", "307 Temporary Redirect", f"Location: {location}?token={TOKEN}\r\n"))

    async with serving(redirect) as server, client(server.url) as it:
        got = await (it.start_workflow(BODY) if method == "start" else it.call_method("workflows/list", {}))
    assert (got.http_status, got.headers["location"]) == (307, f"{location}?token=***")
    assert len(server.requests) == 1


async def test_method_result_is_decoded_without_the_token(client):
    async def parrot(server: Server, reader, writer) -> None:
        body = gzip.compress((await server.read(reader)).partition(b"\r\n\r\n")[2])
        writer.write(answer(body, headers="Content-Encoding: gzip\r\n"))

    async with serving(parrot) as server, client(server.url) as it:
        assert (await it.call_method("workflows/list", {})).body == b'{"token":"***"}'


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"large body"}))
async def test_failed_method_call_is_classified_like_a_start(client, fault):
    talk, code, http_status = FAULTS[fault]
    timeout_s = 10.0 if fault == "endless body" else 0.5
    async with serving(talk) as server, client(server.url, timeout_s=timeout_s) as it:
        failure = await call_failure_of(it)
    assert (type(failure), failure.code, failure.http_status) == (Ambiguous, code, http_status)
    assert (len(server.requests), server.connections) == (1, 1)


@pytest.mark.parametrize(("mib", "is_read"), [(2, True), (17, False)])
async def test_method_answer_may_be_larger_than_a_start_answer(client, mib, is_read):
    async def talk(server: Server, reader, writer) -> None:
        await server.read(reader)
        writer.write(answer(b" " * (mib * 1024 * 1024)))
        await writer.drain()

    async with serving(talk) as server, client(server.url) as it:
        if is_read:
            assert len((await it.call_method("workflows/list", {})).body) == mib * 1024 * 1024
        else:
            assert (await call_failure_of(it)).code == "answer_too_large"


async def test_method_call_without_a_server_is_retryable(client, certificate, monkeypatch):
    async with client(f"http://127.0.0.1:{free_port()}") as it:
        failure = await call_failure_of(it)
    assert (type(failure), failure.code) == (Retryable, "connection_refused")
    async with serving(ok, certificate.server) as server:
        async with client(server.url) as it:
            failure = await call_failure_of(it)
        assert (type(failure), failure.code) == (Retryable, "certificate_untrusted")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
        async with client(server.url) as it:
            assert (await it.call_method("workflows/list", {})).http_status == 200


async def test_method_call_uses_the_proxy_of_the_environment(client, monkeypatch):
    async with serving(ok) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        async with client("http://altcraft.invalid") as it:
            await it.call_method("workflows/list", {})
    assert proxy.requests[0].startswith(b"POST http://altcraft.invalid/api/v1.1/workflows/list HTTP/1.1")


async def test_httpx_async_client_sends_calls_but_not_starts(client, caplog):
    caplog.set_level(logging.INFO, logger="httpx")
    async with serving(ok) as server, client(server.url) as it:
        await it.start_workflow(BODY)
        assert not caplog.records
        await it.call_method("workflows/list", {"email": "john@example.com"})
    assert len(caplog.records) == 1  # it logs each request; its address holds neither token nor person
    assert TOKEN not in caplog.text
    assert "john" not in caplog.text


async def test_decompression_stops_at_the_size_limit(client):
    squeezed = gzip.compress(bytes(300_000_000), compresslevel=9)
    assert len(squeezed) < 1024 * 1024

    async def bomb(server: Server, reader, writer) -> None:
        await server.read(reader)
        writer.write(answer(squeezed, headers="Content-Encoding: gzip\r\n"))

    async with serving(bomb) as server, client(server.url) as it:
        tracemalloc.start()
        try:
            failure = await failure_of(it)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert (type(failure), failure.code, failure.http_status) == (Ambiguous, "answer_too_large", 200)
    assert peak < 150_000_000
