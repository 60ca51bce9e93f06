"""Where httpx is spoken: a body goes out, an answer comes back, or the word that it was surely not sent or perhaps was.

In: the body of one request without the token. Out: an `Answer`, or `Retryable` when not a byte left, or `Ambiguous`
when one may have. Never: a retry, a redirect followed, a cookie kept, a body or token in an exception or log.

The transport tells through its trace extension when it begins to write a request. That moment, and not the class of the
exception, decides what a failure means: a read error is harmless before it and fatal to certainty after it.

Requests go to the transport without an `httpx.AsyncClient` between: what it would add (redirects, cookies,
authentication) must not happen here, and costs 60 % on top of a row's CPU.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import AsyncIterable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import anyio
import httpx
import sniffio

from batch_enroll.errors import Ambiguous, JobError, Retryable
from batch_enroll.sending.classify import Answer
from batch_enroll.sending.direct_transport import DirectTransport
from batch_enroll.sending.flight import Flight
from batch_enroll.sending.transport import OneConnectionEach, proxy_for, trust
from batch_enroll.sending.wire import MASK, with_token

API_PATH: Final = "/api/v1.1/"
START: Final = "workflows/start"
MAX_START_ANSWER_BYTES: Final = 1024 * 1024
MAX_CALL_ANSWER_BYTES: Final = 16 * 1024 * 1024
CONNECT_TIMEOUT_S: Final = 10.0

_KEPT_HEADERS: Final = {b"retry-after", b"location", b"content-type"}
_MIN_MASKED_TOKEN_BYTES: Final = 8  #: masking a shorter one would tear answers apart
_FOREIGN: Final = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.StreamError,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    OSError,
)
"""What the libraries below may raise; TimeoutError (the deadline) is an OSError. Anything else is a bug."""

_BEFORE_SENDING: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)
"""What a transport can only raise before it sends; needed for one that traces nothing."""


class Client:
    """Talks to one installation of the platform with one token; shared by all workers."""

    def __init__(
        self,
        *,
        url: str,
        token: str,
        timeout_s: float,
        transport: httpx.AsyncBaseTransport | None = None,
        stock: bool = False,
        user_agent: str = "batch-enroll",
        ca_file: Path | None = None,
        client_certificate: Path | None = None,
    ) -> None:
        """Prepare everything that requests have in common.

        Args:
            url: scheme, host and port, perhaps with a path before `/api`.
            timeout_s: for one whole request, from connecting to the last byte of the answer.
            transport: takes the place of the network.
            stock: send by httpx's own transports, also where ours would do.
        Raises:
            JobError: the address is no address, or a certificate or proxy cannot be used.
        """
        self._token = token
        self._token_bytes = token.encode()
        self._timeout_s = timeout_s
        self._headers = httpx.Headers(
            {
                "Host": "",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "Content-Type": "application/json",
                "User-Agent": user_agent,
            }
        )
        try:
            self._base = _address(url)
            self._start_url = httpx.URL(f"{self._base}{API_PATH}{START}")
            self._headers["Host"] = self._start_url.netloc.decode("ascii")
            self._transport = transport or _transport(
                url, ca_file=ca_file, client_certificate=client_certificate, stock=stock
            )
        except (httpx.InvalidURL, ValueError, ImportError) as error:  # a SOCKS proxy needs a package of its own
            raise JobError(f"The address {url} or its proxy cannot be used: {error}.") from error
        # One deadline is for the whole call. Ours keeps it; others know only of steps, so it goes around them.
        self._keeps_time = isinstance(self._transport, DirectTransport)
        read_s = timeout_s if self._keeps_time else None
        self._timeouts = httpx.Timeout(None, connect=min(CONNECT_TIMEOUT_S, timeout_s), read=read_s).as_dict()

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self._transport.__aexit__(kind, error, traceback)

    async def start(self, body: str, flight: Flight | None = None) -> Answer:
        """Ask the platform to start one profile.

        Args:
            body: made by `wire.body_of`.
            flight: kept true, so that the caller knows after a cancellation whether a byte had left.
        Raises:
            Retryable: not a byte of the request left this machine.
            Ambiguous: a byte may have left and no whole answer came.
        """
        content = with_token(body, self._token)
        return await self._exchange(self._start_url, content, flight or Flight(), MAX_START_ANSWER_BYTES)

    async def call(self, method: str, parameters: Mapping[str, object]) -> Answer:
        """Call another method of the API, such as `workflows/list`. Raises as `start` does."""
        content = with_token(json.dumps(dict(parameters), ensure_ascii=False), self._token)
        url = httpx.URL(f"{self._base}{API_PATH}{method}")
        return await self._exchange(url, content, Flight(), MAX_CALL_ANSWER_BYTES)

    async def _exchange(self, url: httpx.URL, content: bytes, flight: Flight, max_bytes: int) -> Answer:
        watch = _Watch(flight)
        headers = self._headers.copy()
        headers["Content-Length"] = str(len(content))
        request = httpx.Request(  # by stream= and with every header given: content= costs five times as much
            "POST",
            url,
            headers=headers,
            stream=httpx.ByteStream(content),
            extensions={"timeout": self._timeouts, "trace": watch.trace},
        )
        status: int | None = None
        try:
            with nullcontext() if self._keeps_time else anyio.fail_after(self._timeout_s):
                response = await self._transport.handle_async_request(request)
                flight.surely_unsent = False
                status = response.status_code
                fields = {name.lower(): value for name, value in response.headers.raw}
                assert isinstance(response.stream, httpx.AsyncByteStream)
                # Where nothing is to be decoded, httpx's layers would cost a tenth of the row's time for nothing.
                pieces = response.aiter_bytes() if b"content-encoding" in fields else response.stream
                try:
                    body = await _read(pieces, max_bytes)
                finally:
                    await response.stream.aclose()
        except _FOREIGN as error:
            await watch.clear_up()
            surely_unsent = flight.surely_unsent or (watch.is_silent and isinstance(error, _BEFORE_SENDING))
            flight.surely_unsent = surely_unsent
            raise _translated(error, surely_unsent=surely_unsent, status=status) from error
        except BaseException:
            await watch.clear_up()
            raise
        if body is None:
            text = f"The answer is larger than {max_bytes // 1024} KiB, which no answer of the platform is"
            raise Ambiguous("answer_too_large", text, http_status=status)
        return Answer(http_status=status, headers=self._kept(fields), body=self._masked(body))

    def _kept(self, fields: Mapping[bytes, bytes]) -> dict[str, str]:
        kept = ((name, fields[name]) for name in _KEPT_HEADERS if name in fields)
        return {name.decode(): self._masked(value).decode("latin-1") for name, value in kept}

    def _masked(self, text: bytes) -> bytes:
        """Take the token out of what came back: some servers repeat the request that they refuse."""
        if len(self._token_bytes) < _MIN_MASKED_TOKEN_BYTES:
            return text
        return text.replace(self._token_bytes, MASK.encode())


class _Watch:
    """Follows one request by httpcore's trace events, and tells its flight."""

    def __init__(self, flight: Flight) -> None:
        flight.surely_unsent = False
        self.is_silent = True  #: nothing was traced yet, so that only an exception's class is left to go by
        self._flight = flight
        self._begun = False
        self._opened: Any = None

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        self.is_silent = False
        # The CONNECT that opens a tunnel through a proxy is traced alike, and is not our request.
        if event.endswith(".send_request_headers.started") and info["request"].method != b"CONNECT":
            self._begun = True
        elif event == "connection.connect_tcp.complete":
            self._opened = info["return_value"]
        self._flight.surely_unsent = not self._begun

    async def clear_up(self) -> None:
        """Close the socket of a call that failed: httpcore leaves it open when a TLS handshake is cancelled."""
        if self._opened is not None:
            with anyio.CancelScope(shield=True):
                await self._opened.aclose()


def _address(url: str) -> str:
    """Make sure that an address can be called; gives it without a slash at its end."""
    parsed = httpx.URL(url)
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError("it must begin with https:// and name a host")
    if parsed.query or parsed.fragment or parsed.userinfo:
        raise ValueError("it must have no user name, no ? and no #")
    return str(parsed).rstrip("/")


def _transport(
    url: str, *, ca_file: Path | None, client_certificate: Path | None, stock: bool
) -> httpx.AsyncBaseTransport:
    """Choose how to send: by our own transport, or by httpx's where only they can (proxies, trio)."""
    if url.startswith("http:"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used, and quicker than reading 140 certificates
    else:
        context = trust(ca_file=ca_file, client_certificate=client_certificate)
    proxy = proxy_for(url)
    if stock or proxy is not None or not _is_asyncio():
        return OneConnectionEach(ssl_context=context, proxy=proxy)
    return DirectTransport(ssl_context=context)


def _is_asyncio() -> bool:
    try:
        return sniffio.current_async_library() == "asyncio"
    except sniffio.AsyncLibraryNotFoundError:  # nothing runs yet; the program itself will run asyncio
        return True


async def _read(pieces: AsyncIterable[bytes], max_bytes: int) -> bytes | None:
    """Read the body to its end; None when it is larger than allowed."""
    taken: list[bytes] = []
    room = max_bytes
    async for piece in pieces:
        room -= len(piece)
        if room < 0:
            return None
        taken.append(piece)
    return b"".join(taken)


def _translated(error: Exception, *, surely_unsent: bool, status: int | None) -> Retryable | Ambiguous:
    """Turn a foreign exception into ours. Texts are our own: a foreign text may repeat what was sent."""
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
