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
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import anyio
import httpx
import sniffio

from batch_enroll.errors import Ambiguous, JobError
from batch_enroll.sending.classify import Answer
from batch_enroll.sending.direct_transport import DirectTransport, Origin
from batch_enroll.sending.failures import BEFORE_SENDING, FOREIGN, translated
from batch_enroll.sending.flight import Flight
from batch_enroll.sending.transport import OneConnectionEach, proxy_for, trust
from batch_enroll.sending.wire import MASK, with_token

Transport = httpx.AsyncBaseTransport
"""What carries requests: httpx's own seam, by which a test takes the network's place."""

API_PATH: Final = "/api/v1.1/"
START: Final = "workflows/start"
MAX_START_ANSWER_BYTES: Final = 1024 * 1024
MAX_CALL_ANSWER_BYTES: Final = 16 * 1024 * 1024
CONNECT_TIMEOUT_S: Final = 10.0

_KEPT_HEADERS: Final = {b"retry-after", b"location", b"content-type", b"content-encoding"}
_MIN_MASKED_TOKEN_BYTES: Final = 8  #: masking a shorter one would tear answers apart


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
            self._headers["Host"] = httpx.URL(self._base).netloc.decode("ascii")
            self._transport = transport or _transport(
                url, ca_file=ca_file, client_certificate=client_certificate, stock=stock
            )
            self._direct = self._transport if isinstance(self._transport, DirectTransport) else None
            self._start_door = self._door(START)
        except (httpx.InvalidURL, ValueError, ImportError) as error:  # a SOCKS proxy needs a package of its own
            raise JobError(f"The address {url} or its proxy cannot be used: {error}.") from error
        self._connect_s = min(CONNECT_TIMEOUT_S, timeout_s)
        self._timeouts = httpx.Timeout(None, connect=self._connect_s).as_dict()

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
        return await self._exchange(self._start_door, content, flight or Flight(), MAX_START_ANSWER_BYTES)

    async def call(self, method: str, parameters: Mapping[str, object]) -> Answer:
        """Call another method of the API, such as `workflows/list`. Raises as `start` does."""
        content = with_token(json.dumps(dict(parameters), ensure_ascii=False), self._token)
        return await self._exchange(self._door(method), content, Flight(), MAX_CALL_ANSWER_BYTES)

    def _door(self, method: str) -> _Door:
        url = httpx.URL(f"{self._base}{API_PATH}{method}")
        lines = [b"POST %b HTTP/1.1" % url.raw_path, *(b": ".join(field) for field in self._headers.raw)]
        if any(b"\r" in line or b"\n" in line for line in lines):
            raise ValueError("it holds a line end")
        head = b"\r\n".join([*lines, b"Content-Length: "])
        return _Door(url, head, self._direct.origin(url) if self._direct else None)

    async def _exchange(self, door: _Door, content: bytes, flight: Flight, max_bytes: int) -> Answer:
        flight.surely_unsent = True
        reply = _Reply()
        try:
            if self._direct is not None and door.origin is not None:
                message = b"%b%d\r\n\r\n%b" % (door.head, len(content), content)
                await self._directly(self._direct, door.origin, message, flight, max_bytes, reply)
            else:
                await self._through_httpx(door, content, flight, max_bytes, reply)
        except FOREIGN as error:
            raise translated(error, surely_unsent=flight.surely_unsent, status=reply.status or None) from error
        if reply.body is None:
            text = f"The answer is larger than {max_bytes // 1024} KiB, which no answer of the platform is"
            raise Ambiguous("answer_too_large", text, http_status=reply.status)
        return Answer(reply.status, reply.headers, self._masked(reply.body))

    async def _directly(
        self, transport: DirectTransport, origin: Origin, message: bytes, flight: Flight, max_bytes: int, reply: _Reply
    ) -> None:
        """Send by our own transport, without httpx's request and response between: they cost as much as the sending."""
        answer, stream = await transport.exchange(
            origin,
            message,
            connect_s=self._connect_s,
            whole_s=self._timeout_s,
            writes=flight.write,
        )
        reply.status, reply.headers = answer.status, self._kept(answer.headers)
        if stream is None and "content-encoding" not in reply.headers:
            body = b"".join(answer.pieces)
            reply.body = body if len(body) <= max_bytes else None
            return
        whole = httpx.ByteStream(b"".join(answer.pieces)) if stream is None else stream
        await _take_body(httpx.Response(answer.status, headers=answer.headers, stream=whole), max_bytes, reply)

    async def _through_httpx(self, door: _Door, content: bytes, flight: Flight, max_bytes: int, reply: _Reply) -> None:
        """Send by any httpx transport. They know of steps and not of one deadline, so it goes around them."""
        watch = _Watch(flight)
        request = httpx.Request(
            "POST",
            door.url,
            headers=[*self._headers.raw, (b"Content-Length", b"%d" % len(content))],
            stream=httpx.ByteStream(content),
            extensions={"timeout": self._timeouts, "trace": watch.trace},
        )
        try:
            with anyio.fail_after(self._timeout_s):
                response = await self._transport.handle_async_request(request)
                flight.surely_unsent = False
                reply.status, reply.headers = response.status_code, self._kept(response.headers.raw)
                await _take_body(response, max_bytes, reply)
        except BaseException as error:
            await watch.clear_up()
            if watch.is_silent and isinstance(error, BEFORE_SENDING):
                flight.surely_unsent = True
            raise

    def _kept(self, headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
        return {
            name.decode(): self._masked(value).decode("latin-1")
            for title, value in headers
            if (name := title.lower()) in _KEPT_HEADERS
        }

    def _masked(self, text: bytes) -> bytes:
        """Take the token out of what came back: some servers repeat the request that they refuse."""
        if len(self._token_bytes) < _MIN_MASKED_TOKEN_BYTES:
            return text
        return text.replace(self._token_bytes, MASK.encode())


@dataclass(frozen=True, slots=True)
class _Door:
    """A method of the API, as requests to it begin."""

    url: httpx.URL
    head: bytes  #: of a request, up to the number of its body's bytes
    origin: Origin | None  #: with our own transport


@dataclass(slots=True)
class _Reply:
    """What has come of an answer so far."""

    status: int = 0  #: 0 until its head is there
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


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


async def _take_body(response: httpx.Response, max_bytes: int, reply: _Reply) -> None:
    """Read the body to its end, decoded; it stays None when it is larger than allowed."""
    assert isinstance(response.stream, httpx.AsyncByteStream)
    # Where nothing is to be decoded, httpx's layers would cost a tenth of the row's time for nothing.
    pieces = response.aiter_bytes() if "content-encoding" in response.headers else response.stream
    taken: list[bytes] = []
    room = max_bytes
    try:
        async for piece in pieces:
            room -= len(piece)
            if room < 0:
                return
            taken.append(piece)
    finally:
        await response.stream.aclose()
    reply.body = b"".join(taken)
