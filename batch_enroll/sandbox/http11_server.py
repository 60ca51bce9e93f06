"""An HTTP/1.1 server connection that can also truncate, delay, reset or abandon a response."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections import deque
from dataclasses import dataclass
from email.utils import format_datetime
from typing import Protocol

import httptools

from batch_enroll.clock import Clock
from batch_enroll.sandbox.scripted_response import ConnectionAction, ScriptedResponse, build_response

MAX_BODY_BYTES = 10_000_000
LINGER_ZERO = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
REFUSED_REQUEST = build_response(
    400, b'{"error": 400, "error_text": "Incorrect request: not HTTP/1.1, or above 10 MB"}'
)


@dataclass(frozen=True, slots=True)
class ServerRequest:
    """One complete request."""

    method: str
    path: str  #: without the query
    query: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    keep_alive: bool

    def header(self, name: bytes) -> str | None:
        """Get a header's value; `name` in lower case."""
        return next((value.decode("latin-1") for key, value in self.headers if key.lower() == name), None)


class DateHeader:
    """The line of the header `Date`, rebuilt once a second. Source: RFC 9110, section 6.6.1."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._line = b""
        self._valid_until = float("-inf")  #: monotonic seconds

    def now(self) -> bytes:
        """Get the current line, with its line end."""
        monotonic = self._clock.monotonic()
        if monotonic >= self._valid_until:
            now = self._clock.now()
            self._line = f"Date: {format_datetime(now, usegmt=True)}\r\n".encode()
            self._valid_until = monotonic + 1.0 - now.microsecond / 1e6
        return self._line


def with_date_header(raw: bytes, line: bytes) -> bytes:
    """Insert the line after the status line; bytes that are not an HTTP response are unchanged."""
    if not raw.startswith(b"HTTP/1.1 "):
        return raw
    status_line_end = raw.index(b"\r\n") + 2
    return raw[:status_line_end] + line + raw[status_line_end:]


class RequestHandler(Protocol):
    """The callbacks of a connection."""

    @property
    def idle_timeout_s(self) -> float | None: ...
    @property
    def date_header(self) -> bytes: ...
    def on_open(self, connection: ServerConnection) -> None: ...
    def on_close(self, connection: ServerConnection) -> None: ...
    def on_idle_close(self) -> None: ...
    def on_request(self, connection: ServerConnection, request: ServerRequest) -> None:
        """Answer the request with exactly one `connection.send`, at once or later."""
        ...


class ServerConnection(asyncio.Protocol):
    """A client's connection; requests are answered one at a time, in order."""

    def __init__(self, handler: RequestHandler) -> None:
        self._handler = handler
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[ServerRequest] = deque()
        self._current: ServerRequest | None = None
        self._is_processing = False
        self._idle: asyncio.TimerHandle | None = None
        self._begin_request()

    @property
    def is_closed(self) -> bool:
        """Whether the client can no longer receive an answer."""
        return self._transport is None or self._transport.is_closing()

    def send(self, response: ScriptedResponse) -> None:
        """Send the response's bytes, with_date_header now, and end as it says; a client that has gone hears nothing."""
        self._send(with_date_header(response.raw, self._handler.date_header), response)

    def _send(self, raw: bytes, response: ScriptedResponse) -> None:
        if response.byte_interval_s and len(raw) > 1 and not self.is_closed:
            self._write(raw[:1])
            self._loop.call_later(response.byte_interval_s, self._send, raw[1:], response)
            return
        if response.action is ConnectionAction.CLOSE:
            self._cork()
        self._write(raw)
        if response.action is ConnectionAction.SILENCE:
            return  # the request stays unanswered
        keeps = response.action is ConnectionAction.KEEP and self._current is not None and self._current.keep_alive
        self._current = None
        if keeps:
            self._process_queue()
        elif response.action is ConnectionAction.RESET:
            self._reset()
        elif self._transport is not None:
            self._transport.close()

    def close(self) -> None:
        """Close at once, when the server ends."""
        if self._transport is not None:
            self._transport.abort()

    # callbacks of asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._handler.on_open(self)
        self._start_idle_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._stop_idle_timer()
        self._handler.on_close(self)

    def data_received(self, data: bytes) -> None:
        self._stop_idle_timer()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._reject()
            return
        if self._size > MAX_BODY_BYTES:
            self._reject()
        else:
            self._process_queue()

    # callbacks of httptools

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size <= MAX_BODY_BYTES:
            self._body.append(body)

    def on_message_complete(self) -> None:
        path, _, query = self._url.decode("latin-1").partition("?")
        self._queue.append(
            ServerRequest(
                method=self._parser.get_method().decode("latin-1"),
                path=path,
                query=query,
                headers=tuple(self._headers),
                body=b"".join(self._body),
                keep_alive=self._parser.should_keep_alive(),
            )
        )
        self._begin_request()

    def _begin_request(self) -> None:
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._size = 0

    def _process_queue(self) -> None:
        if self._is_processing:
            return  # called by `send` from inside the loop below
        self._is_processing = True
        while self._queue and self._current is None and not self.is_closed:
            self._current = self._queue.popleft()
            self._handler.on_request(self, self._current)
        self._is_processing = False
        if self._current is None:
            self._start_idle_timer()

    def _write(self, data: bytes) -> None:
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _cork(self) -> None:
        """Send the data together with the FIN, so that no request can arrive between the two."""
        if self._transport is not None and hasattr(socket, "TCP_CORK"):  # Linux
            raw: socket.socket = self._transport.get_extra_info("socket")
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)

    def _reject(self) -> None:
        self._write(with_date_header(REFUSED_REQUEST.raw, self._handler.date_header))
        if self._transport is not None:
            self._transport.close()

    def _reset(self) -> None:
        if self._transport is not None:
            raw: socket.socket = self._transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
            self._transport.abort()

    def _start_idle_timer(self) -> None:
        self._stop_idle_timer()
        if self._handler.idle_timeout_s is not None and not self.is_closed:
            self._idle = self._loop.call_later(self._handler.idle_timeout_s, self._close_idle)

    def _stop_idle_timer(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _close_idle(self) -> None:
        if self._transport is not None:
            self._handler.on_idle_close()
            self._transport.close()
