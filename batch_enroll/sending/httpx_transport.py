"""httpx transports of one connection each, leased for one request at a time; as many as requests run at once.

One transport with a pool of N connections would do, if its pool did not look at every idle connection several times a
request: 131 requests a second at 64 connections, 13 at 256 (httpcore 1.0.9, https://github.com/encode/httpcore/pull/1035).
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import AsyncIterator, Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.request import getproxies, proxy_bypass

import anyio
import httpx

from batch_enroll.errors import JobError
from batch_enroll.messages import message
from batch_enroll.os_errors import os_error_reason
from batch_enroll.sending.http11_response_parser import LINE_ENDS, ResponseParser

KEEPALIVE_EXPIRY_S: Final = 2.0
"""Below the idle time-out of any server: a connection that the server closes just as we send costs an unknown row."""

ON_STRAY: Final = "batch_enroll.on_stray"
"""The extension of a request that is called, perhaps much later, when more came behind its answer."""

_LEFT_OVER_BYTES: Final = 64 * 1024
_LEFT_OVER_S: Final = 0.05
_PROXY_SCHEMES: Final = ("http", "https", "socks5", "socks5h")

_ONE = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEPALIVE_EXPIRY_S)


class SingleConnectionTransports(httpx.AsyncBaseTransport):
    """Leases the connection that was used last, so that few stay open and the rest expires."""

    def __init__(self, *, ssl_context: ssl.SSLContext, proxy: str | None = None) -> None:
        """Raises ValueError or ImportError when the proxy is of a kind that cannot be used."""
        self._ssl_context = ssl_context
        self._proxy = proxy
        self.proxy = str(httpx.URL(proxy).copy_with(userinfo=b"")) if proxy else ""  #: its address, without a password
        # With a proxy one is made at once: httpx raises here, and not at the first row, when it cannot use the proxy.
        self._idle: list[httpx.AsyncHTTPTransport] = [] if proxy is None else [self._open()]
        self._streams: dict[httpx.AsyncHTTPTransport, _StrictStream] = {}  #: of the idle ones
        self._is_reusing = True
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        lane = await self._take()
        try:
            response = await lane.handle_async_request(request)
        except BaseException:
            await _close(lane)  # its state is unknown, so it is not used again
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)
        network = response.extensions.get("network_stream")
        strict = network if isinstance(network, _StrictStream) else None
        if strict is not None:
            strict.on_stray = request.extensions.get(ON_STRAY)
        response.stream = _LeasedStream(response.stream, lane, self, strict)
        return response

    async def _take(self) -> httpx.AsyncHTTPTransport:
        """Take an idle transport on which nothing came since its last answer, or open one."""
        while self._idle and self._is_reusing:
            lane = self._idle.pop()
            strict = self._streams.pop(lane, None)
            if strict is None or not strict.get_extra_info("is_readable"):
                return lane
            self._report_stray(strict, await strict.read_left_over())
            await _close(lane)
        return self._open()

    def _report_stray(self, strict: _StrictStream, left_over: bytes) -> None:
        if strict.is_followed or left_over.strip(LINE_ENDS):
            self._is_reusing = False
            if strict.on_stray is not None:
                strict.on_stray()

    async def release(self, lane: httpx.AsyncHTTPTransport, *, fit: bool, strict: _StrictStream | None = None) -> None:
        """Take a transport back; one that is not fit to be lent again is closed."""
        if strict is not None:
            self._report_stray(strict, strict.decrypted())
        if fit and not self._closed and self._is_reusing:
            self._idle.append(lane)
            if strict is not None:
                self._streams[lane] = strict
        else:
            await _close(lane)

    async def aclose(self) -> None:
        self._closed = True
        while self._idle:
            await _close(self._idle.pop())

    def _open(self) -> httpx.AsyncHTTPTransport:
        lane = httpx.AsyncHTTPTransport(verify=self._ssl_context, limits=_ONE, proxy=self._proxy, retries=0)
        pool: Any = lane._pool
        pool._network_backend = _StrictBackend(pool._network_backend)  # httpx has no argument for it
        return lane


class _StrictBackend:
    """Opens connections whose answers are read by our own parser as well."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    async def connect_tcp(self, *arguments: Any, **more: Any) -> _StrictStream:
        return _StrictStream(await self._backend.connect_tcp(*arguments, **more))

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


class _StrictStream:
    """A connection of httpcore. An answer that `ResponseParser` refuses is refused before h11 can forgive it.

    h11 0.16 takes an answer with both a length and chunks, lines that end without CR, folded headers and HTTP/2.0.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._answer: ResponseParser | None = None  #: None until a request is written: a SOCKS proxy talks before
        self.on_stray: Callable[[], None] | None = None  #: of the last request

    @property
    def is_followed(self) -> bool:
        """Whether more came than the answer that was read."""
        return self._answer is not None and self._answer.is_followed

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if buffer.startswith((b"POST ", b"CONNECT ")):  # a body begins with {
            self._answer = ResponseParser()
        await self._stream.write(buffer, timeout)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.check()
        data: bytes = await self._stream.read(max_bytes, timeout)
        answer = self._answer
        if answer is not None:
            if data:
                answer.feed(data)
            else:
                answer.end()
            answer.pieces.clear()
            if not data or not answer.status:  # else httpcore shall read the head first: the status is evidence
                self.check()
        return data

    def check(self) -> None:
        """Raise httpx.RemoteProtocolError when what was read is no answer."""
        if self._answer is not None and self._answer.error:
            raise httpx.RemoteProtocolError(self._answer.error)

    async def read_left_over(self) -> bytes:
        """Read what came since the answer: b"" when that is only the end of the connection, or of TLS's own."""
        try:
            data: bytes = await self._stream.read(_LEFT_OVER_BYTES, _LEFT_OVER_S)
        except Exception:  # whichever of httpcore's: the connection is not used again
            return b""
        return data

    def decrypted(self) -> bytes:
        """Take what TLS has received and nobody has read; on a plain connection that waits in the socket."""
        peer = self.get_extra_info("ssl_object")
        if peer is None:
            return b""
        try:
            data: bytes = peer.read(_LEFT_OVER_BYTES)
        except (ssl.SSLError, ValueError):  # nothing is there, or it is closed
            return b""
        return data

    async def start_tls(self, *arguments: Any, **more: Any) -> _StrictStream:
        return _StrictStream(await self._stream.start_tls(*arguments, **more))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    async def aclose(self) -> None:
        await self._stream.aclose()


class _LeasedStream(httpx.AsyncByteStream):
    """The body of an answer; closing it gives the transport back."""

    def __init__(
        self,
        stream: httpx.AsyncByteStream,
        lane: httpx.AsyncHTTPTransport,
        owner: SingleConnectionTransports,
        strict: _StrictStream | None,
    ) -> None:
        self._strict = strict
        self._stream = stream
        self._lane = lane
        self._owner = owner
        self._read_to_end = False
        self._returned = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            yield chunk
        if self._strict is not None:
            self._strict.check()
        self._read_to_end = True

    async def aclose(self) -> None:
        if self._returned:
            return
        self._returned = True
        with anyio.CancelScope(shield=True):
            try:
                await self._stream.aclose()
            finally:
                fit = self._read_to_end and _is_clean(self._lane)
                await self._owner.release(self._lane, fit=fit, strict=self._strict)


def _is_clean(lane: httpx.AsyncHTTPTransport) -> bool:
    """Say whether nothing waits behind the answer that was read: it would be taken for the answer to the next row.

    Neither httpx 0.28 nor httpcore 1.0.9 looks; both drop a connection only when bytes wait in its socket, not in the
    parser. The names are private, so a connection that does not look as expected is not used again.
    """
    for connection in lane._pool.connections:
        while (inner := getattr(connection, "_connection", None)) is not None:  # tunnels and forwarders wrap another
            connection = inner
        if hasattr(connection, "_h2_state"):  # HTTP/2 numbers its answers
            continue
        parser = getattr(connection, "_h11_state", None)
        if parser is None or parser.trailing_data[0]:
            return False
    return True


async def _close(lane: httpx.AsyncHTTPTransport) -> None:
    with anyio.CancelScope(shield=True):
        await lane.aclose()


def proxy_for(url: str) -> str | None:
    """Find the proxy for an address in the environment (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY) or the system.

    A loopback address never has one: the token and the rows must not leave the machine.

    Raises:
        JobError: it cannot be used.
    """
    target = httpx.URL(url)
    if _is_loopback(target.host) or proxy_bypass(target.netloc.decode()):
        return None
    known = getproxies()
    proxy = known.get(target.scheme) or known.get("all")
    if not proxy:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    _check_proxy(proxy, _variable_of(proxy, target.scheme))
    return proxy


def _check_proxy(proxy: str, variable: str) -> None:
    """Refuse what httpx would refuse or misread; the address is not shown, since it may hold a password."""
    try:
        parsed = httpx.URL(proxy)
    except httpx.InvalidURL as error:
        raise JobError(message("sending.unusable_proxy", variable=variable)) from error
    if any(c.isspace() or c in "\"'" for c in proxy) or parsed.scheme not in _PROXY_SCHEMES or not parsed.host:
        raise JobError(message("sending.unusable_proxy", variable=variable))
    if parsed.scheme.startswith("socks") and find_spec("socksio") is None:
        raise JobError(message("sending.socks_without_package", variable=variable, packages="socksio"))


def _variable_of(proxy: str, scheme: str) -> str:
    """Name the variable that holds the proxy."""
    for name in (f"{scheme}_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            if os.environ.get(variable) in (proxy, proxy.removeprefix("http://")):
                return variable
    return f"{scheme}_proxy".upper()


class Certificates(NamedTuple):
    """What a job says about certificates."""

    ca_file: Path | None = None  #: trusted too, PEM
    client_cert: Path | None = None  #: shown to the server, with its key, PEM


NO_CERTIFICATES: Final = Certificates()


def trust(address: httpx.URL, certificates: Certificates = NO_CERTIFICATES) -> ssl.SSLContext:
    """Make the TLS settings that all connections to an address share; the server is always verified.

    The trusted certificates are certifi's, or those in SSL_CERT_FILE or SSL_CERT_DIR, and those of the job.

    Raises:
        JobError: they cannot be read.
    """
    if address.scheme == "http":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used, and quicker than reading 140 certificates
    try:
        folder = os.environ.get("SSL_CERT_DIR")
        if folder and not os.environ.get("SSL_CERT_FILE"):
            next(Path(folder).iterdir(), None)  # OpenSSL trusts nobody, and says nothing, when it is not there
        context = httpx.create_ssl_context()
        _add(context, certificates)
        return context
    except OSError as error:  # ssl.SSLError is one
        variable = next((name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)), "certifi")
        reason = message("sending.no_pem") if isinstance(error, ssl.SSLError) else os_error_reason(error)
        values = {"variable": variable, "path": os.environ.get(variable, ""), "reason": reason}
        raise JobError(message("sending.untrusted_certificates", **values)) from error


def _add(context: ssl.SSLContext, certificates: Certificates) -> None:
    if file := certificates.ca_file:
        try:
            context.load_verify_locations(file)
        except OSError as error:  # ssl.SSLError is one
            reason = message("sending.no_pem") if isinstance(error, ssl.SSLError) else os_error_reason(error)
            raise JobError(message("sending.unusable_ca_file", path=str(file), reason=reason)) from None
    if file := certificates.client_cert:
        try:
            context.load_cert_chain(file, password=_no_password)
        except ValueError:
            raise JobError(
                message("sending.unusable_client_cert", path=str(file), reason=message("sending.no_key"))
            ) from None
        except OSError as error:
            reason = message("sending.no_key") if isinstance(error, ssl.SSLError) else os_error_reason(error)
            raise JobError(message("sending.unusable_client_cert", path=str(file), reason=reason)) from None


def _no_password() -> str:
    """Refuse a key with a password, for which OpenSSL would ask on the terminal."""
    raise ValueError("a key with a password")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
