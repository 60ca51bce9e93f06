"""Our own httpx transport for asyncio: HTTP/1.1 on bare connections, which knows of each request whether a byte left.

In: httpx requests. Out: httpx responses, or httpx's own exceptions: `ConnectError` and `ConnectTimeout` before a byte
left, `RemoteProtocolError`, `ReadError`, `ReadTimeout` and `WriteError` after. Never: a request written twice, a
redirect, a proxy, HTTP/2, an answer taken for another request's.

A connection carries one request at a time, and lives only as long as everything on it is expected: a byte that nobody
asked for, an answer that breaks off, a caller who no longer waits, and it is closed. The first write is the line. A
connection found unfit before it is replaced without a word; behind it nothing is tried again.
"""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
import sys
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Final, cast

import anyio
import httpx

from batch_enroll.sending.incoming import Incoming
from batch_enroll.sending.transport import KEEPALIVE_EXPIRY_S

_MAX_WAITING_BYTES: Final = 64 * 1024  #: of a body that nobody has taken yet; then the sender has to wait
_BEGINS: Final = "http11.send_request_headers.started"  #: httpcore's name for the moment before the first byte
_RACE: Final[dict[str, Any]] = {"happy_eyeballs_delay": 0.25}
"""A host's addresses are tried in turn, IPv6 and IPv4 by turns, the next one after this delay (RFC 8305), seconds."""
if sys.version_info >= (3, 12):
    _RACE["all_errors"] = True


class DirectTransport(httpx.AsyncBaseTransport):
    """Opens a connection when none is idle, and lends the one that was used last."""

    def __init__(self, *, ssl_context: ssl.SSLContext, keepalive_expiry_s: float = KEEPALIVE_EXPIRY_S) -> None:
        self._ssl_context = ssl_context
        self._ssl_context.set_alpn_protocols(["http/1.1"])
        self._keepalive_expiry_s = keepalive_expiry_s
        self._idle: dict[tuple[str, bytes, int | None], deque[_Connection]] = {}
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        content = await request.aread()
        timeouts = request.extensions.get("timeout", {})
        pool = self._pool_of(request.url)
        connection = self._take(pool) or await self._open(request.url, timeouts.get("connect"))
        lease = _Lease(connection, pool, self)
        try:
            if (trace := request.extensions.get("trace")) is not None:
                await trace(_BEGINS, {"request": request})
            connection.ask(_written(request, content))
            await connection.wait()
        except TimeoutError
        ...
