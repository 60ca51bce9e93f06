"""The client of the platform's API: it sends one request and gives an `HttpAnswer`, or raises an `AttemptError`.

`call_method` goes through an `httpx.AsyncClient`. `start_workflow` goes past it, through `Http11Connections` or
straight to an httpx transport (`transport=`, proxies, trio): the AsyncClient costs 60 % on top of a row's CPU.

Nothing is retried, no redirect is followed, no cookie is kept. Whether a byte may have left is known from the
connection, or from the trace extension of an httpx transport, and not from an exception's class: a read error is
harmless before the first write and leaves the row in doubt after it.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

import anyio
import httpx
import sniffio

from batch_enroll.errors import Ambiguous, AttemptError, JobError
from batch_enroll.messages import Message, message
from batch_enroll.sending.classify import HttpAnswer
from batch_enroll.sending.http11_connections import Http11Connections
from batch_enroll.sending.http11_response_parser import MAX_BODY_BYTES, ResponseParser
from batch_enroll.sending.httpx_transport import (
    NO_CERTIFICATES,
    ON_STRAY,
    Certificates,
    SingleConnectionTransports,
    proxy_for,
    trust,
)
from batch_enroll.sending.request_body import with_token
from batch_enroll.sending.stop_signal import TransmissionState
from batch_enroll.sending.token_mask import TokenMask
from batch_enroll.sending.transport_errors import BEFORE_SENDING, FOREIGN, translate_transport_error

Transport = httpx.AsyncBaseTransport
"""What carries requests: httpx's own seam, by which a test takes the network's place."""

API_PATH: Final = "/api/v1.1/"
START: Final = "workflows/start"
MAX_CALL_ANSWER_BYTES: Final = 16 * 1024 * 1024
CONNECT_TIMEOUT_S: Final = 10.0

_Send = Callable[[httpx.Request], Awaitable[httpx.Response]]
_ALL_HEADERS: Final = "batch_enroll.headers"  #: the extension that holds an answer's headers as they came

_KEPT_HEADERS: Final = {b"retry-after", b"location", b"content-type", b"content-encoding"}
_KEPT_LENGTHS: Final = frozenset(map(len, _KEPT_HEADERS))
_GZIP_OR_ZLIB: Final = 47  #: zlib's `wbits`: whichever header is there
_MAX_ENCODING_CHARS: Final = 60


class Client:
    """Talks to one installation of the platform with one token; shared by all workers."""

    def __init__(
        self,
        *,
        url: str,
        token: str,
        timeout_s: float,
        transport: httpx.AsyncBaseTransport | None = None,
        user_agent: str = "batch-enroll",
        certificates: Certificates = NO_CERTIFICATES,
    ) -> None:
        """Prepare everything that requests have in common.

        Args:
            url: scheme, host and port, perhaps with a path before `/api`.
            timeout_s: for one whole request, from connecting to the last byte of the answer.
            transport: takes the place of the network.
            certificates: to trust, and to show.
        Raises:
            JobError: the address is no address, or the proxy or the trusted certificates cannot be used.
        """
        self._token = token
        self._mask = TokenMask(token).mask
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
            address = httpx.URL(self._base)
            self._headers["Host"] = address.netloc.decode("ascii")
            self._start_url = self._url_of(START)
            self._start_head = self._head_of(self._start_url)
            self._direct: Http11Connections | None = None
            if transport is None:
                context = trust(address, certificates)
                proxy = proxy_for(url)
                transport = SingleConnectionTransports(ssl_context=context, proxy=proxy)
                if proxy is None and _is_asyncio():
                    self._direct = Http11Connections(address, ssl_context=context)
        except (httpx.InvalidURL, ValueError) as error:
            problem = error.args[0] if error.args and isinstance(error.args[0], Message) else str(error)
            raise JobError(message("sending.unusable_address", url=url, problem=problem)) from error
        self._transport = transport
        self._proxy: str = getattr(transport, "proxy", "")  #: without its password
        self._http = httpx.AsyncClient(
            transport=transport,
            trust_env=False,
            follow_redirects=False,
            event_hooks={"response": [_set_aside_location]},
        )
        self._connect_s = min(CONNECT_TIMEOUT_S, timeout_s)
        self._timeouts = httpx.Timeout(None, connect=self._connect_s).as_dict()

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            async with AsyncExitStack() as stack:
                if self._direct is not None:
                    stack.push_async_callback(self._direct.aclose)
                await self._http.__aexit__(kind, error, traceback)

    async def start_workflow(self, body: str, transmission: TransmissionState | None = None) -> HttpAnswer:
        """Ask the platform to start one profile.

        Args:
            body: made by a `wire.BodyWriter`.
            transmission: kept true, so that the caller knows after a cancellation whether a byte had left.
        Raises:
            Retryable: not a byte of the request left this machine.
            Ambiguous: a byte may have left and no whole answer came.
        """
        content = with_token(body, self._token)
        transmission = transmission or TransmissionState()
        if self._direct is not None:
            return await self._start_directly(self._direct, content, transmission)
        send = self._transport.handle_async_request
        return await self._through_httpx(send, self._start_url, content, transmission, MAX_BODY_BYTES)

    async def call_method(self, method: str, parameters: Mapping[str, object]) -> HttpAnswer:
        """Call another method of the API, such as `workflows/list`. Raises as `start_workflow` does."""
        content = with_token(json.dumps(dict(parameters), ensure_ascii=False), self._token)
        url = self._url_of(method)
        return await self._through_httpx(self._send_by_client, url, content, TransmissionState(), MAX_CALL_ANSWER_BYTES)

    async def _send_by_client(self, request: httpx.Request) -> httpx.Response:
        return await self._http.send(request, stream=True)

    def _url_of(self, method: str) -> httpx.URL:
        return httpx.URL(f"{self._base}{API_PATH}{method}")

    def _head_of(self, url: httpx.URL) -> bytes:
        """Write the head of a request, up to the number of its body's bytes."""
        lines = [b"POST %b HTTP/1.1" % url.raw_path, *(b": ".join(field) for field in self._headers.raw)]
        if any(b"\r" in line or b"\n" in line for line in lines):
            raise ValueError(message("sending.address_with_line_end"))
        return b"\r\n".join([*lines, b"Content-Length: "])

    async def _start_directly(
        self, transport: Http11Connections, content: bytes, transmission: TransmissionState
    ) -> HttpAnswer:
        """Send by our own connections, without httpx's request and response, which cost as much as the sending."""
        request = b"%b%d\r\n\r\n%b" % (self._start_head, len(content), content)
        answer = ResponseParser()
        transmission.surely_unsent = True
        try:
            await transport.exchange(
                request,
                answer,
                connect_s=self._connect_s,
                whole_s=self._timeout_s,
                writes=transmission.write,
                on_stray=transmission.stray,
            )
            body: bytes | None = None
            headers = self._kept(answer.headers)
            if not answer.is_too_large:
                body = b"".join(answer.pieces)
        except FOREIGN as error:
            raise self._translated(error, transmission, answer.status) from error
        return self._answer(_PartialAnswer(answer.status, headers, body), MAX_BODY_BYTES)

    async def _through_httpx(
        self, send: _Send, url: httpx.URL, content: bytes, transmission: TransmissionState, max_bytes: int
    ) -> HttpAnswer:
        """Send by an httpx transport. They know of steps and not of one deadline, so it goes around them."""
        watch = _WriteTracker(transmission)
        reply = _PartialAnswer()
        request = httpx.Request(
            "POST",
            url,
            headers=[*self._headers.raw, (b"Content-Length", b"%d" % len(content))],
            stream=httpx.ByteStream(content),
            extensions={"timeout": self._timeouts, "trace": watch.trace, ON_STRAY: transmission.stray},
        )
        try:
            with _fail_after(self._timeout_s):
                response = await send(request)
                transmission.surely_unsent = False
                headers = response.extensions.get(_ALL_HEADERS, response.headers)
                reply.status, reply.headers = response.status_code, self._kept(headers.raw)
                await _take_body(response, max_bytes, reply)
        except BaseException as error:
            await watch.clear_up()
            if watch.is_silent and isinstance(error, BEFORE_SENDING):
                transmission.surely_unsent = True
            if isinstance(error, httpx.ProxyError) and str(error).startswith("407"):  # its answer to CONNECT
                return HttpAnswer(407, {}, b"", self._proxy)
            if isinstance(error, FOREIGN):
                proxy = "" if watch.is_past_proxy else self._proxy
                raise self._translated(error, transmission, reply.status, proxy) from error
            raise
        return self._answer(reply, max_bytes)

    @staticmethod
    def _translated(error: Exception, transmission: TransmissionState, status: int, proxy: str = "") -> AttemptError:
        unsent = transmission.surely_unsent
        return translate_transport_error(error, surely_unsent=unsent, http_status=status or None, proxy=proxy)

    def _answer(self, reply: _PartialAnswer, max_bytes: int) -> HttpAnswer:
        body, encoding = reply.body, reply.headers.get("content-encoding", "")
        if body and encoding:
            body = _decoded(body, encoding, max_bytes, reply.status)
        if body is None:
            text = message("sending.answer_too_large", limit=max_bytes // 1024)
            raise Ambiguous("answer_too_large", text, http_status=reply.status)
        proxy = self._proxy if reply.status == 407 else ""
        return HttpAnswer(reply.status, reply.headers, self._mask(body), proxy)

    def _kept(self, headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
        kept: dict[str, str] = {}
        for title, value in headers:
            if len(title) in _KEPT_LENGTHS and (name := title.lower()) in _KEPT_HEADERS:
                text = self._mask(value).decode("latin-1")
                if name == b"content-encoding" and "content-encoding" in kept:  # each line is one more encoding
                    text = f"{kept['content-encoding']}, {text}"
                kept[name.decode()] = text
        return kept


@dataclass(slots=True)
class _PartialAnswer:
    """What has come of an answer so far."""

    status: int = 0  #: 0 until its head is there
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None  #: None until it is whole, and when it is larger than allowed


class _WriteTracker:
    """Follows one request by httpcore's trace events, and tells its transmission."""

    def __init__(self, transmission: TransmissionState) -> None:
        transmission.surely_unsent = False
        self.is_silent = True  #: nothing was traced yet, so that only an exception's class is left to go by
        self._transmission = transmission
        self.is_past_proxy = False  #: the tunnel stands, and TLS with the platform has begun
        self._begun = False
        self._opened: Any = None

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        self.is_silent = False
        # The CONNECT that opens a tunnel through a proxy is traced alike, and is not our request.
        if event.endswith(".send_request_headers.started") and info["request"].method != b"CONNECT":
            self._begun = True
        elif event == "connection.connect_tcp.complete":
            self._opened = info["return_value"]
        elif event in ("proxy.start_tls.started", "socks.start_tls.started"):
            self.is_past_proxy = True
        self._transmission.surely_unsent = not self._begun

    async def clear_up(self) -> None:
        """Close the socket of a call that failed: httpcore leaves it open when a TLS handshake is cancelled."""
        if self._opened is not None:
            with anyio.CancelScope(shield=True):
                await self._opened.aclose()


def _address(url: str) -> str:
    """Make sure that an address can be called; gives it without a slash at its end."""
    parsed = httpx.URL(url)
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError(message("sending.address_not_web"))
    if parsed.query or parsed.fragment or parsed.userinfo:
        raise ValueError(message("sending.address_with_extras"))
    return str(parsed).rstrip("/")


def _is_asyncio() -> bool:
    try:
        return sniffio.current_async_library() == "asyncio"
    except sniffio.AsyncLibraryNotFoundError:  # nothing runs yet; the program itself will run asyncio
        return True


@contextmanager
def _fail_after(seconds: float) -> Iterator[None]:
    """Raise TimeoutError when the block takes longer, but not before what lies in the sockets is read.

    `anyio.fail_after` gives up first when the process was suspended, as in `Http11Connection`.
    """
    if not _is_asyncio():
        with anyio.fail_after(seconds):
            yield
        return
    loop = asyncio.get_running_loop()
    with anyio.CancelScope() as scope:
        timer = loop.call_later(seconds, lambda: loop.call_later(0, scope.cancel))
        try:
            yield
        finally:
            timer.cancel()
    if scope.cancelled_caught:
        raise TimeoutError


async def _set_aside_location(response: httpx.Response) -> None:
    """Keep an AsyncClient from reading `Location`: it does so without following it, and raises when it is no URL."""
    response.extensions[_ALL_HEADERS] = response.headers.copy()
    response.headers.pop("location", None)


def _decoded(body: bytes, encoding: str, max_bytes: int, status: int) -> bytes:
    """Undo the content encoding that a server applied although none was asked for.

    httpx would do it without a bound: a kilobyte may become a megabyte, and each further encoding multiplies that.

    Raises:
        Ambiguous: it is none of the two that are known, or the body is damaged or becomes larger than allowed.
    """
    name = encoding.strip().lower()
    if name == "identity":
        return body
    named = "".join(c if c.isprintable() else "?" for c in name)[:_MAX_ENCODING_CHARS]
    if name not in ("gzip", "x-gzip", "deflate"):
        raise Ambiguous("answer_unreadable", message("sending.answer_encoded", encoding=named), http_status=status)
    decoder = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        decoded = decoder.decompress(body, max_bytes + 1)
    except zlib.error as error:
        text = message("sending.encoded_answer_damaged", encoding=named)
        raise Ambiguous("answer_unreadable", text, http_status=status) from error
    if len(decoded) > max_bytes:
        text = message("sending.encoded_answer_too_large", encoding=named, limit=max_bytes // 1024)
        raise Ambiguous("answer_too_large", text, http_status=status)
    if not decoder.eof or decoder.unused_data:
        text = message("sending.encoded_answer_damaged", encoding=named)
        raise Ambiguous("answer_unreadable", text, http_status=status)
    return decoded


async def _take_body(response: httpx.Response, max_bytes: int, reply: _PartialAnswer) -> None:
    """Read the body to its end, as it was sent; it stays None when it is larger than allowed."""
    assert isinstance(response.stream, httpx.AsyncByteStream)
    taken: list[bytes] = []
    room = max_bytes
    try:
        async for piece in response.stream:
            room -= len(piece)
            if room < 0:
                return
            taken.append(piece)
    finally:
        await response.stream.aclose()
    reply.body = b"".join(taken)
