"""What the exceptions of the libraries below mean for a request: it surely did not leave, or it may have.

In: an exception, and whether a byte may have left. Out: `Retryable` or `Ambiguous`, with a code and a sentence of our
own: a foreign text may repeat what was sent. Never: a judgement by the exception's class on whether a byte left, unless
nothing else is known.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Final

import anyio
import httpx

from batch_enroll.errors import Ambiguous, Retryable

FOREIGN: Final = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.StreamError,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    OSError,
)
"""What the libraries below may raise; TimeoutError (the deadline) is an OSError. Anything else is a bug."""

BEFORE_SENDING: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)
"""What a transport can only raise before it sends; needed for one that traces nothing."""


def translated(error: Exception, *, surely_unsent: bool, status: int | None) -> Retryable | Ambiguous:
    """Turn a foreign exception into ours.

    Args:
        status: of the answer, when its head had come.
    """
    if surely_unsent:
        code = _why_not_sent(error)
        return Retryable(code, _NOT_SENT[code])
    code = _why_in_doubt(error, status)
    return Ambiguous(code, _IN_DOUBT[code], http_status=status)


_NOT_SENT: Final = {
    "connection_refused": "The platform's computer refused the connection",
    "connection_failed": "No connection to the platform could be made",
    "dns_failure": "The platform's address could not be found",
    "tls_failure": "No trusted connection (TLS) to the platform could be made",
    "connect_timeout": "The platform did not take the connection in time",
    "no_free_connection": "No connection was free in time",
    "proxy_refused": "The proxy refused to connect to the platform",
}

_IN_DOUBT: Final = {
    "read_timeout": "The request was sent, but no whole answer came in time",
    "connection_dropped": "The request was sent, but the connection broke before an answer came",
    "answer_truncated": "The request was sent, but the connection broke in the middle of the answer",
    "answer_unreadable": "The request was sent, but what came back is not HTTP",
}


def _why_not_sent(error: Exception) -> str:
    causes = list(_causes(error))

    def due_to(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    if isinstance(error, httpx.PoolTimeout):
        return "no_free_connection"
    if isinstance(error, httpx.ProxyError):
        return "proxy_refused"
    if due_to(socket.gaierror):
        return "dns_failure"
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return "connect_timeout"
    if due_to(ssl.SSLError):
        return "tls_failure"
    if due_to(ConnectionRefusedError):
        return "connection_refused"
    return "connection_failed"


def _why_in_doubt(error: Exception, status: int | None) -> str:
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return "read_timeout"
    if isinstance(error, httpx.DecodingError):
        return "answer_unreadable"
    if status is not None:
        return "answer_truncated"
    if isinstance(error, httpx.RemoteProtocolError) and "disconnected" not in str(error):
        return "answer_unreadable"
    return "connection_dropped"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Walk an exception, what it was raised from, and the members of groups (one for each address tried)."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for member in error.exceptions:
                yield from _causes(member)
        error = error.__cause__ or error.__context__
