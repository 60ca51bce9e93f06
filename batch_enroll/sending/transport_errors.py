"""Translate the exceptions of httpx, anyio and the operating system into `Retryable` or `Ambiguous`.

Whether a byte may have left decides, not the exception's class. The foreign text is not shown: it may repeat what was
sent.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Final

import anyio
import httpx

from batch_enroll.errors import Ambiguous, Retryable
from batch_enroll.messages import message

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


# OpenSSL's numbers, from x509_vfy.h; all others mean that the certificate is not trusted.
_CERTIFICATE_CODES: Final = {
    9: "certificate_not_yet_valid",
    10: "certificate_expired",
    62: "certificate_wrong_host",
    64: "certificate_wrong_host",
}
_OLD_TLS: Final = ("UNSUPPORTED_PROTOCOL", "PROTOCOL_VERSION", "VERSION_TOO_LOW", "NO_PROTOCOLS_AVAILABLE")
_PROXY_TEXTS: Final = {
    "proxy_refused": "sending.proxy_refused_tunnel",
    "connection_refused": "sending.proxy_refused_connection",
    "dns_failure": "sending.proxy_not_found",
    "connect_timeout": "sending.proxy_timeout",
}


def translate_transport_error(
    error: Exception, *, surely_unsent: bool, http_status: int | None, proxy: str = ""
) -> Retryable | Ambiguous:
    """Translate a foreign exception.

    Args:
        http_status: of the answer, when its head had come.
        proxy: the address of the proxy, when the request came no further than there.
    """
    if surely_unsent:
        code = _why_not_sent(error)
        if not proxy or code == "no_free_connection":
            return Retryable(code)
        is_tls = code.startswith(("certificate_", "tls_"))
        text = "sending.proxy_without_tls" if is_tls else _PROXY_TEXTS.get(code, "sending.proxy_failed")
        return Retryable(
            "proxy_refused" if code == "proxy_refused" else "proxy_unreachable", message(text, proxy=proxy)
        )
    return Ambiguous(_why_in_doubt(error, http_status), http_status=http_status)


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
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _CERTIFICATE_CODES.get(getattr(cause, "verify_code", 0), "certificate_untrusted")
        if isinstance(cause, ssl.SSLError):
            return "tls_too_old" if any(word in str(cause) for word in _OLD_TLS) else "tls_failure"
    if due_to(ConnectionRefusedError):
        return "connection_refused"
    return "connection_failed"


def _why_in_doubt(error: Exception, http_status: int | None) -> str:
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return "read_timeout"
    if isinstance(error, httpx.DecodingError):
        return "answer_unreadable"
    if http_status is not None:
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
