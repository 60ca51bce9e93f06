"""The wire: HTTP/1.1 on one socket, with raw control over how it ends.

In: bytes of a client. Out: one `ServerRequest` after the other to the owner, never two at once; bytes back, then the ending
that a play asks for. Never: what a request means.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections import deque
from dataclasses import dataclass
from typing import Protocol

import httptools

from batch_enroll.sandbox.date_header import dated
from batch_enroll.sandbox.scripted_response import ConnectionAction, ScriptedResponse, answer

MAX_BODY_BYTES = 10_000_000
LINGER_ZERO = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
REFUSED_REQUEST = answer(400, b'{"error": 400, "error_text": "Incorrect request: not HTTP/1.1, or above 10 MB"}')


@dataclass(frozen=True, slots=True)
class ServerRequest:
    """One whole request."""

    method: str
    path: str  #: without the query
    query: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    keep_alive: bool

    def header(self, name: bytes) -> str | None:
        """The header's value; `name` in lower case."""
        return next((value.decode("latin-1") for key, value in self.headers if key.lower() == name), None)


class RequestHandler(Protocol):
    """Whoever answers."""

    @property
    def idle_timeout_s(self) -> float | None: ...
    @property
    def date_line(self) -> bytes: ...
    def opened(self, connection: ServerConnection) -> None: ...
    def lost(self, connection: ServerConnection) -> None: ...
    def closed_idle(self) -> None: ...
    def asked(self, connection: ServerConnection, request: ServerRequest) -> None:
        """Answer the request with exactly one `connection.deliver`, now or later."""
        ...


class ServerConnection(asyncio.Protocol):
    """One client's socket. Requests that come while one is being answered wait their turn."""

    def __init__(self, owner: RequestHandler) -> None:
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[ServerRequest] = deque()
        self._answering: ServerRequest | None = None
        self._pumping = False
        self._idle: asyncio.TimerHandle | None = None
        self._begin()

    @property
    def gone(self) -> bool:
        """Whether the client can no longer hear an answer."""
        return self._transport is None or self._transport.is_closing()

    def deliver(self, play: ScriptedResponse) -> None:
        """Send the play's bytes, dated now, and end as it says; a client that has gone hears nothing."""
        self._send(dated(play.wire, self._owner.date_line), play)

    def _send(self, wire: bytes, play: ScriptedResponse) -> None:
        if play.pace_s and len(wire) > 1 and not self.gone:
            self._write(wire[:1])
            self._loop.call_later(play.pace_s, self._send, wire[1:], play)
            return
        if play.ending is ConnectionAction.CLOSE:
            self._hold_back()
        self._write(wire)
        if play.ending is ConnectionAction.SILENCE:
            return  # still answering, for ever
        keeps = play.ending is ConnectionAction.KEEP and self._answering is not None and self._answering.keep_alive
        self._answering = None
        if keeps:
            self._pump()
        elif play.ending is ConnectionAction.RESET:
            self._reset()
        elif self._transport is not None:
            self._transport.close()

    def close(self) -> None:
        """Close at once, for the end of the server."""
        if self._transport is not None:
            self._transport.abort()

    # asyncio tells us

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._owner.opened(self)
        self._watch_idleness()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._stop_watching()
        self._owner.lost(self)

    def data_received(self, data: bytes) -> None:
        self._stop_watching()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refuse()
            return
        if self._size > MAX_BODY_BYTES:
            self._refuse()
        else:
            self._pump()

    # httptools tells us

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
        self._waiting.append(
            ServerRequest(
                method=self._parser.get_method().decode("latin-1"),
                path=path,
                query=query,
                headers=tuple(self._headers),
                body=b"".join(self._body),
                keep_alive=self._parser.should_keep_alive(),
            )
        )
        self._begin()

    def _begin(self) -> None:
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._size = 0

    def _pump(self) -> None:
        if self._pumping:
            return  # an answer that is delivered at once calls us from inside the loop below
        self._pumping = True
        while self._waiting and self._answering is None and not self.gone:
            self._answering = self._waiting.popleft()
            self._owner.asked(self, self._answering)
        self._pumping = False
        if self._answering is None:
            self._watch_idleness()

    def _write(self, data: bytes) -> None:
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _hold_back(self) -> None:
        """Let what is written now leave together with the close, so that no request can come between the two."""
        if self._transport is not None and hasattr(socket, "TCP_CORK"):  # Linux
            raw: socket.socket = self._transport.get_extra_info("socket")
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)

    def _refuse(self) -> None:
        self._write(dated(REFUSED_REQUEST.wire, self._owner.date_line))
        if self._transport is not None:
            self._transport.close()

    def _reset(self) -> None:
        if self._transport is not None:
            raw: socket.socket = self._transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
            self._transport.abort()

    def _watch_idleness(self) -> None:
        self._stop_watching()
        if self._owner.idle_timeout_s is not None and not self.gone:
            self._idle = self._loop.call_later(self._owner.idle_timeout_s, self._close_idle)

    def _stop_watching(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _close_idle(self) -> None:
        if self._transport is not None:
            self._owner.closed_idle()
            self._transport.close()
