"""Our own httpx transport for asyncio: HTTP/1.1 on bare connections, which knows of each request whether a byte left.

In: httpx requests. Out: httpx responses, or httpx's own exceptions: `ConnectError` and `ConnectTimeout` before a byte
left, `RemoteProtocolError`, `ReadError`, `ReadTimeout` and `WriteError` after. Never: a request written twice, a proxy,
an answer taken for another request's, HTTP/2.

A connection carries one request at a time, and lives as long as everything on it is expected: a byte that nobody asked
for, an answer that breaks off, a caller who waits no longer, and it is closed. The first write is the line. A
connection found unfit before it is replaced without a word; after it nothing is tried again.
"""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_address
from typing import Any, Final, cast

import anyio
import httpx

from batch_enroll.sending.incoming import Incoming
from batch_enroll.sending.transport import KEEPALIVE_EXPIRY_S

_MAX_UNREAD_BYTES: Final = 64 * 1024  #: of a body that nobody takes; then its sender has to wait

_CONNECTING: Final = "connection.connect_tcp.started"  # httpcore's names, which callers listen for
_WRITING: Final = "http11.send_request_headers.started"

_RACE: Final[dict[str, Any]] = {"happy_eyeballs_delay": 0.25}
"""A host's addresses are tried in turn, IPv6 and IPv4, the next one after this time or a failure. Source: RFC 8305."""
if sys.version_info >= (3, 12):
    _RACE["all_errors"] = True


class Origin:
    """One scheme, host and port, with the idle connections to it; the one used last is at the right end."""

    def __init__(self, url: httpx.URL) -> None:
        self.url = url
        self.idle: deque[Connection] = deque()

    def take(self) -> Connection | None:
        """Take an idle connection that is fit for a request."""
        while self.idle:
            connection = self.idle.pop()
            if connection.is_fit():
                return connection
            connection.close()
        return None


class DirectTransport(httpx.AsyncBaseTransport):
    """Lends the connection that was used last, and opens one when none is idle: as many as requests run at once.

    Of httpx's timeouts it keeps `connect`, and `read`: here the time for the whole request, from connecting to the last
    byte of the answer, since a server that sends a byte now and then would otherwise keep us for ever.
    """

    def __init__(self, *, ssl_context: ssl.SSLContext) -> None:
        ssl_context.set_alpn_protocols(["http/1.1"])
        self._ssl_context = ssl_context
        self._origins: dict[tuple[str, bytes, int | None], Origin] = {}
        self._is_closed = False

    def origin(self, url: httpx.URL) -> Origin:
        """Find where an address leads, once for many requests."""
        key = (url.scheme, url.raw_host, url.port)
        if key not in self._origins:
            self._origins[key] = Origin(url)
        return self._origins[key]

    async def exchange(
        self,
        origin: Origin,
        message: bytes,
        *,
        connect_s: float | None,
        whole_s: float | None,
        writes: Callable[[], None],
    ) -> tuple[Incoming, httpx.AsyncByteStream | None]:
        """Do as `handle_async_request` does with the bytes of a request, at a third of the cost.

        Args:
            connect_s, whole_s: as httpx's timeouts `connect` and `read` there.
            writes: called right before the first byte leaves.
        Returns:
            The answer, and its body when that did not come with the head: to be read to its end, and closed.
        """
        deadline = None if whole_s is None else asyncio.get_running_loop().time() + whole_s
        connection = origin.take()
        if connection is None:
            connection = await _open(origin.url, self._ssl_context, connect_s=connect_s, whole_s=whole_s)
        writes()
        return await self._ask(connection, origin, message, deadline)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url, trace = request.url, request.extensions.get("trace")
        timeouts = request.extensions.get("timeout", {})
        connect_s, whole_s = timeouts.get("connect"), timeouts.get("read")
        deadline = None if whole_s is None else asyncio.get_running_loop().time() + whole_s
        message = _message(request, await _content(request))
        origin = self.origin(url)
        connection = origin.take()
        if connection is None:
            if trace is not None:
                await trace(_CONNECTING, {"request": request})
            connection = await _open(url, self._ssl_context, connect_s=connect_s, whole_s=whole_s)
        if trace is not None:
            try:
                await trace(_WRITING, {"request": request})
            except BaseException:
                connection.close()
                raise
        answer, body = await self._ask(connection, origin, message, deadline)
        stream = httpx.ByteStream(b"".join(answer.pieces)) if body is None else body
        return httpx.Response(answer.status, headers=answer.headers, stream=stream)

    async def _ask(
        self, connection: Connection, origin: Origin, message: bytes, deadline: float | None
    ) -> tuple[Incoming, httpx.AsyncByteStream | None]:
        try:
            answer = await connection.ask(message, deadline=deadline)
        except BaseException:
            connection.close()
            raise
        if not answer.is_whole:
            return answer, _Body(connection, answer, origin, self)
        self.give_back(connection, origin)
        return answer, None

    def give_back(self, connection: Connection, origin: Origin) -> None:
        """Keep a connection for the next request if it is fit for one, and drop those that nobody has used for long."""
        idle = origin.idle
        if connection.rest() and not self._is_closed:
            idle.append(connection)
        else:
            connection.close()
        while idle and idle[0].is_cold():
            idle.popleft().close()

    async def aclose(self) -> None:
        self._is_closed = True
        for origin in self._origins.values():
            while origin.idle:
                origin.idle.pop().close()
        await asyncio.sleep(0)  # sockets are closed in the loop's next round


async def _open(
    url: httpx.URL, ssl_context: ssl.SSLContext, *, connect_s: float | None, whole_s: float | None
) -> Connection:
    """Connect, within the shorter of the limits."""
    if url.scheme not in ("http", "https"):
        raise httpx.UnsupportedProtocol("The address must begin with http:// or https://.")
    tls = ssl_context if url.scheme == "https" else None
    loop = asyncio.get_running_loop()
    host, port = url.raw_host.decode("ascii"), url.port or (443 if tls else 80)
    race = {} if _is_address(host) else _RACE  # a race that is cancelled may lose the socket of its winner
    try:
        with anyio.fail_after(min((s for s in (connect_s, whole_s) if s is not None), default=None)):
            _, connection = await loop.create_connection(lambda: Connection(loop), host, port, ssl=tls, **race)
    except TimeoutError as error:
        raise httpx.ConnectTimeout("No connection in time.") from error
    except (OSError, UnicodeError, ExceptionGroup) as error:
        raise httpx.ConnectError("No connection.") from error
    if not connection.is_open:
        raise httpx.ConnectError("The connection was lost before anything was sent.")
    return connection


def _is_address(host: str) -> bool:
    try:
        return bool(ip_address(host))
    except ValueError:
        return False


async def _content(request: httpx.Request) -> bytes:
    if isinstance(request.stream, httpx.ByteStream):
        return b"".join(request.stream)
    if "Transfer-Encoding" in request.headers:
        raise httpx.LocalProtocolError("A request goes out in one piece, so its length must be known.")
    return await request.aread()


def _message(request: httpx.Request, content: bytes) -> bytes:
    """Write a request as the bytes that will leave."""
    if request.method in ("HEAD", "CONNECT"):
        raise httpx.LocalProtocolError("Answers without the body that they announce are not read here.")
    lines = [b"%b %b HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    lines += [b": ".join(field) for field in request.headers.raw]
    head = b"\r\n".join(lines)
    if not head.count(b"\r") == head.count(b"\n") == len(lines) - 1:
        raise httpx.LocalProtocolError("A header holds a line end.")
    return b"\r\n\r\n".join((head, content))


class Connection(asyncio.Protocol):
    """One connection: silent, or with one answer on its way."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport
        self._poll: Any = None
        self._answer: Incoming | None = None
        self._failure: httpx.TransportError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._deadline_s: float | None = None  #: of the answer that is on its way, in the loop's time
        self._timer: asyncio.TimerHandle | None = None  #: one for all requests in turn: few of them are ever late
        self.is_open = False
        self._is_paused = False
        self._idle_since_s = 0.0

    async def ask(self, message: bytes, *, deadline: float | None) -> Incoming:
        """Write one request, and wait for the head of its answer.

        Args:
            deadline: the event loop's time at which the whole answer must be there.
        """
        if not self.is_open:  # asyncio would drop the bytes, and nobody would ever wake us
            raise httpx.WriteError("The connection was lost.")
        answer = self._answer = Incoming()
        self._deadline_s = deadline
        if deadline is not None and (self._timer is None or self._timer.when() > deadline):
            self._stop_timer()
            self._timer = self._loop.call_at(deadline, self._look_at_time)
        self._transport.write(message)
        while not answer.status:
            await self._news()
        return answer

    async def piece_of(self, answer: Incoming) -> bytes:
        """Wait for more of the body; b"" is its end."""
        while not answer.pieces:
            if answer.is_whole:
                return b""
            await self._news()
        piece = b"".join(answer.pieces)
        answer.pieces.clear()
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()
        return piece

    def rest(self) -> bool:
        """Forget the answer; says whether another request may follow."""
        answer, self._answer = self._answer, None
        self._deadline_s = None
        self._idle_since_s = time.monotonic()
        is_done = answer is not None and answer.is_whole and not answer.is_last
        return is_done and self.is_open and not self._transport.get_write_buffer_size()

    def is_cold(self) -> bool:
        """Say whether it has been idle for too long."""
        return time.monotonic() - self._idle_since_s > KEEPALIVE_EXPIRY_S

    def is_fit(self) -> bool:
        """Say whether it is open, warm and silent, down to what the event loop has not read yet."""
        return self.is_open and not self.is_cold() and not (self._poll and self._poll.poll(0))

    def close(self) -> None:
        """Close at once: politeness (a TLS farewell) could take as long as the other side likes."""
        self._stop_timer()
        if self.is_open:
            self.is_open = False
            self._transport.abort()

    async def _news(self) -> None:
        """Wait until something has happened; raises what has ended the connection."""
        if self._failure is not None:
            raise self._failure
        self._waiter = self._loop.create_future()
        await self._waiter

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _look_at_time(self) -> None:
        """Time is up for the request that set the timer; a later one may be on its way, or none."""
        self._timer = None
        if self._deadline_s is None:
            return
        if self._deadline_s > self._loop.time():
            self._timer = self._loop.call_at(self._deadline_s, self._look_at_time)
        else:
            self._fail(httpx.ReadTimeout("No whole answer in time."))

    def _fail(self, failure: httpx.TransportError) -> None:
        if self._failure is None:
            self._failure = failure
        self.close()
        self._wake()

    # Called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(select, "poll"):  # Windows has none, and reads ahead by itself
            self._poll = select.poll()
            self._poll.register(sock.fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None or answer.is_whole:  # nobody asked for it
            self.close()
            return
        answer.feed(data)
        if answer.error:
            self._fail(httpx.RemoteProtocolError(answer.error))
        elif answer.status:
            if not answer.is_whole and sum(map(len, answer.pieces)) > _MAX_UNREAD_BYTES and not self._is_paused:
                self._is_paused = True
                self._transport.pause_reading()
            self._wake()

    def eof_received(self) -> None:
        if self._answer is not None:
            self._answer.end()
            if self._answer.error:
                self._fail(httpx.RemoteProtocolError(self._answer.error))
        self.close()  # now, not when all is written; `connection_lost` follows, and wakes

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        self._fail(_lost(error))


class _Body(httpx.AsyncByteStream):
    """The body of an answer that did not come in one piece; closing it gives the connection back."""

    def __init__(self, connection: Connection, answer: Incoming, origin: Origin, owner: DirectTransport) -> None:
        self._connection = connection
        self._answer = answer
        self._origin = origin
        self._owner = owner
        self._is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while not self._is_closed and (piece := await self._connection.piece_of(self._answer)):
            yield piece

    async def aclose(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._owner.give_back(self._connection, self._origin)


def _lost(cause: Exception | None) -> httpx.TransportError:
    if cause is None:
        return httpx.RemoteProtocolError("Server disconnected without sending a response.")
    kind = httpx.WriteError if isinstance(cause, BrokenPipeError) else httpx.ReadError
    failure = kind("The connection broke.")
    failure.__cause__ = cause
    return failure
