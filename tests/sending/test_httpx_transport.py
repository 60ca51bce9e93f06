"""Connections are lent one request at a time, and only clean ones are lent again; proxies come from the environment."""

from __future__ import annotations

import ssl

import anyio
import anyio.lowlevel
import httpx
import pytest

from batch_enroll.sending.httpx_transport import SingleConnectionTransports, proxy_for

URL = "https://ru.altkraft.com"


class Lane(httpx.AsyncBaseTransport):
    """Stands in for one stock transport; `fails` says at which point it breaks."""

    def __init__(self, fails: str) -> None:
        self.fails = fails
        self.requests = 0
        self.closed = False
        self._pool = self
        self.connections: list[object] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if self.fails == "head":
            raise httpx.ReadError("x")
        return httpx.Response(200, stream=Body(self))

    async def aclose(self) -> None:
        await anyio.lowlevel.checkpoint()  # a cancelled caller must not keep a socket open
        self.closed = True


class Body(httpx.AsyncByteStream):
    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    async def __aiter__(self):
        yield b"a"
        if self._lane.fails == "body":
            raise httpx.ReadError("x")
        if self._lane.fails == "hang":
            await anyio.sleep(3600)
        yield b"b"


class Lanes(SingleConnectionTransports):
    """Opens stand-ins and remembers them."""

    def __init__(self, *fails: str) -> None:
        super().__init__(ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        self.opened: list[Lane] = []
        self._fails = list(fails)

    def _open(self):
        self.opened.append(Lane(self._fails.pop(0) if self._fails else ""))
        return self.opened[-1]


async def send(lanes: Lanes) -> httpx.Response:
    return await lanes.handle_async_request(httpx.Request("POST", URL))


async def read(lanes: Lanes) -> None:
    response = await send(lanes)
    try:
        await response.aread()
    finally:
        await response.aclose()


async def test_connection_serves_one_request_and_the_latest_is_reused():
    lanes = Lanes()
    first, second, third = await send(lanes), await send(lanes), await send(lanes)
    for response in (first, third, second):
        await response.aread()
    await (await send(lanes)).aread()
    await (await send(lanes)).aread()
    assert [lane.requests for lane in lanes.opened] == [1, 3, 1]


@pytest.mark.parametrize("fails", ["head", "body"])
async def test_failed_connection_is_closed_and_not_reused(fails):
    lanes = Lanes(fails)
    with pytest.raises(httpx.ReadError):
        await read(lanes)
    await read(lanes)
    assert [(lane.requests, lane.closed) for lane in lanes.opened] == [(1, True), (1, False)]


async def test_connection_with_an_unread_answer_is_closed():
    lanes = Lanes()
    response = await send(lanes)
    await response.aclose()
    await response.aclose()
    assert lanes.opened[0].closed


async def test_cancelled_request_closes_its_connection():
    lanes = Lanes("hang")
    with anyio.move_on_after(1):
        response = await send(lanes)
        try:
            await response.aread()
        finally:
            await response.aclose()
    assert lanes.opened[0].closed


@pytest.mark.parametrize(("connection", "clean"), [("odd", False), ("http2", True)])
async def test_unexpected_connection_state_prevents_reuse(connection, clean):
    class Odd:
        pass

    class Http2:
        _h2_state = object()

    lanes = Lanes()
    response = await send(lanes)
    lanes.opened[0].connections = [Odd() if connection == "odd" else Http2()]
    await response.aread()
    assert lanes.opened[0].closed is not clean


async def test_close_closes_idle_and_later_returned_connections():
    lanes = Lanes()
    idle, lent = await send(lanes), await send(lanes)
    await idle.aread()
    await lanes.aclose()
    assert [lane.closed for lane in lanes.opened] == [True, False]
    await lent.aread()
    assert [lane.closed for lane in lanes.opened] == [True, True]


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, URL, None),
        ({"HTTPS_PROXY": "http://p:3128"}, URL, "http://p:3128"),
        ({"https_proxy": "p:3128"}, URL, "http://p:3128"),
        ({"HTTP_PROXY": "http://p:3128"}, URL, None),
        ({"HTTP_PROXY": "http://p:3128"}, "http://intranet", "http://p:3128"),
        ({"ALL_PROXY": "http://p:3128"}, URL, "http://p:3128"),
        ({"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "altkraft.com"}, URL, None),
        ({"HTTPS_PROXY": "http://p:3128", "NO_PROXY": ".altkraft.com"}, URL, None),
        ({"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "kraft.com"}, URL, "http://p:3128"),
        ({"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "*"}, URL, None),
        ({"HTTPS_PROXY": "http://p:3128"}, "https://127.0.0.1:8443", None),
        ({"HTTPS_PROXY": "http://p:3128"}, "https://[::1]:8443", None),
        ({"HTTPS_PROXY": "http://p:3128"}, "https://localhost", None),
    ],
)
def test_proxy_comes_from_the_environment_but_not_for_localhost(monkeypatch, environment, url, proxy):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(url) == proxy
