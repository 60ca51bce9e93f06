"""HTTP/1.1 connections to one address, which know of each request whether a byte may have left.

A connection carries one request at a time. It is closed as soon as something unexpected happens on it: bytes that
nobody asked for, an answer that ends early, a caller who is cancelled. A connection that is unusable before the first
write is replaced; after the first write nothing is tried again.

An answer that nobody asked for is taken for the answer to the next request when it comes after that was written. It
shows when one answer is left over: then the answer before it is in doubt, and no connection is used twice any more.
"""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
import sys
import time
from collections import deque
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Final, cast

import anyio
import httpx

from batch_enroll.sending.http11_response_parser import LINE_ENDS, ResponseParser
from batch_enroll.sending.httpx_transport import KEEPALIVE_EXPIRY_S

_MAX_LISTENING: Final = 64  #: connections that are kept open only to see whether one more answer comes

_RACE: Final[dict[str, Any]] = {"happy_eyeballs_delay": 0.25}
"""A host's addresses are tried in turn, IPv6 and IPv4, the next one after this time or a failure. Source: RFC 8305."""
if sys.version_info >= (3, 12):
    _RACE["all_errors"] = True


class Http11Connections:
    """A pool that gives out the connection used last, and opens one when none is idle: one for each running request."""

    def __init__(self, url: httpx.URL, *, ssl_context: ssl.SSLContext) -> None:
        ssl_context.set_alpn_protocols(["http/1.1"])
        self._url = url
        self._ssl_context = ssl_context
        self._idle: deque[Http11Connection] = deque()  #: the one used last is at the right end
        self._listening: deque[Http11Connection] = deque()  #: open, and never used again
        self._is_reusing = True
        self._is_closed = False

    async def exchange(
        self,
        message: bytes,
        answer: ResponseParser,
        *,
        connect_s: float,
        whole_s: float,
        writes: Callable[[], None],
        on_stray: Callable[[], None],
    ) -> None:
        """Write one request and read its answer until it is whole or too large.

        Args:
            message: the bytes of the request, head and body.
            answer: a new one, to be filled; what it holds after a failure had come before it.
            whole_s: for all of it, from connecting to the last byte of the answer.
            writes: called right before the first byte leaves.
            on_stray: called when more came behind the answer, perhaps long after it.
        Raises:
            httpx.ConnectError, httpx.ConnectTimeout: before a byte left.
            httpx.RemoteProtocolError, httpx.ReadError, httpx.ReadTimeout, httpx.WriteError: after.
        """
        deadline = asyncio.get_running_loop().time() + whole_s
        connection = self._acquire() or await self._open(min(connect_s, whole_s))
        try:
            writes()
            connection.on_stray = on_stray
            await connection.request(message, answer, deadline=deadline)
        except BaseException:
            connection.close()
            raise
        self._release(connection)

    async def aclose(self) -> None:
        """Close what is idle; a connection that is in use is closed when it comes back."""
        self._is_closed = True
        for connection in (*self._idle, *self._listening):
            connection.close()
        self._idle.clear()
        self._listening.clear()
        await asyncio.sleep(0)  # sockets are closed in the loop's next round

    def _acquire(self) -> Http11Connection | None:
        """Take an idle connection that can carry a request."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_reusable():
                return connection
            self._listen(connection)
        return None

    def _listen(self, connection: Http11Connection) -> None:
        """Let the event loop read what lies in a connection that is not used again; a surplus or old one is closed."""
        listening = self._listening
        listening.append(connection)
        while listening and (len(listening) > _MAX_LISTENING or listening[0].is_expired()):
            listening.popleft().close()

    def _end_reuse(self) -> None:
        self._is_reusing = False
        while self._idle:
            self._listen(self._idle.popleft())

    def _release(self, connection: Http11Connection) -> None:
        """Keep a connection for the next request if it can carry one, and close those that were idle for too long."""
        idle = self._idle
        if not connection.finish() or self._is_closed:
            connection.close()
        elif self._is_reusing:
            idle.append(connection)
        else:
            self._listen(connection)
        while idle and idle[0].is_expired():
            idle.popleft().close()

    async def _open(self, limit_s: float) -> Http11Connection:
        tls = self._ssl_context if self._url.scheme == "https" else None
        loop = asyncio.get_running_loop()
        host, port = self._url.raw_host.decode("ascii"), self._url.port or (443 if tls else 80)
        race = {} if _is_address(host) else _RACE  # a race that is cancelled may lose the socket of its winner
        try:
            with anyio.fail_after(limit_s):
                _, connection = await loop.create_connection(
                    lambda: Http11Connection(loop, self._end_reuse), host, port, ssl=tls, **race
                )
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


class Http11Connection(asyncio.Protocol):
    """One connection: idle, or with one answer on its way."""

    def __init__(self, loop: asyncio.AbstractEventLoop, end_reuse: Callable[[], None]) -> None:
        self._loop = loop
        self._end_reuse = end_reuse
        self.on_stray: Callable[[], None] | None = None  #: of the last request
        self._transport: asyncio.Transport
        self._poll: Any = None
        self._answer: ResponseParser | None = None
        self._failure: httpx.TransportError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._deadline_s: float | None = None  #: of the answer that is on its way, in the loop's time
        self._was_late = False  #: the deadline has passed, and the socket is looked at once more
        self._timer: asyncio.TimerHandle | None = None  #: one for all requests in turn: few of them are ever late
        self.is_open = False
        self._idle_since_s = 0.0

    async def request(self, message: bytes, answer: ResponseParser, *, deadline: float) -> None:
        """Write one request, and wait until its answer is whole or too large.

        Args:
            deadline: the event loop's time at which the answer must be whole.
        """
        if not self.is_open:  # asyncio would drop the bytes, and the request would wait for ever
            raise httpx.WriteError("The connection was lost.")
        self._answer = answer
        self._deadline_s = deadline
        self._was_late = False
        if self._timer is None or self._timer.when() > deadline:
            self._stop_timer()
            self._timer = self._loop.call_at(deadline, self._check_deadline)
        self._transport.write(message)
        while not answer.is_done:
            if self._failure is not None:
                raise self._failure
            self._waiter = self._loop.create_future()
            await self._waiter

    def finish(self) -> bool:
        """Forget the answer; returns whether another request may follow."""
        answer, self._answer = self._answer, None
        self._deadline_s = None
        if answer is not None and answer.is_followed:
            self._report_stray()
        self._idle_since_s = time.monotonic()
        is_clean = answer is not None and answer.is_whole and not answer.is_last
        return is_clean and self.is_open and not self._transport.get_write_buffer_size()

    def is_expired(self) -> bool:
        """Whether it has been idle for too long."""
        return time.monotonic() - self._idle_since_s > KEEPALIVE_EXPIRY_S

    def is_reusable(self) -> bool:
        """Whether it is open, not expired and silent, down to what the event loop has not read yet."""
        return self.is_open and not self.is_expired() and not (self._poll and self._poll.poll(0))

    def close(self) -> None:
        """Close at once, without the TLS closing handshake, which could take as long as the server likes."""
        self._stop_timer()
        if self.is_open:
            self.is_open = False
            self._transport.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _check_deadline(self) -> None:
        """The deadline of the request that set the timer has passed; a later one may be running, or none."""
        self._timer = None
        if self._deadline_s is None:
            return
        now = self._loop.time()
        if self._deadline_s > now:
            self._timer = self._loop.call_at(self._deadline_s, self._check_deadline)
        elif not self._was_late:
            # After a suspension of the process the answer may lie in the socket, unread. The loop reads before it
            # comes to its timers, but not in the round in which the suspension ended.
            self._was_late = True
            self._timer = self._loop.call_at(now, self._check_deadline)
        else:
            self._fail(httpx.ReadTimeout("No whole answer in time."))

    def _report_stray(self) -> None:
        self._end_reuse()
        if self.on_stray is not None:
            self.on_stray()

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
            if data.strip(LINE_ENDS):
                self._report_stray()
            return
        answer.feed(data)
        if answer.error:
            self._fail(httpx.RemoteProtocolError(answer.error))
        elif answer.is_done:
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


def _lost(cause: Exception | None) -> httpx.TransportError:
    if cause is None:
        return httpx.RemoteProtocolError("Server disconnected without sending a response.")
    kind = httpx.WriteError if isinstance(cause, BrokenPipeError) else httpx.ReadError
    failure = kind("The connection broke.")
    failure.__cause__ = cause
    return failure
