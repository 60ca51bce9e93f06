"""A transport for `doctor` that records the platform's clock, TLS version and certificate while it carries requests."""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from batch_enroll.sending.httpx_transport import (
    NO_CERTIFICATES,
    Certificates,
    SingleConnectionTransports,
    proxy_for,
    trust,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerObservation:
    """What was observed of one answer."""

    sent_at: datetime  #: our clock, aware UTC, when the request was handed over
    took_s: float  #: until the answer's head was there
    date: datetime | None  #: the `Date` header, aware UTC, in whole seconds; None when there is none to read
    tls: str = ""  #: for example TLSv1.3; "" without TLS
    certificate_ends: datetime | None = None  #: aware UTC

    @property
    def skew_s(self) -> float | None:
        """How far our clock is ahead of theirs, seconds; their fraction and the round trip are uncertain.

        0 when the two may be the same.
        """
        if self.date is None:
            return None
        ahead_at_most = (self.sent_at - self.date).total_seconds() + self.took_s
        ahead_at_least = (self.sent_at - self.date).total_seconds() - 1.0
        return ahead_at_least if ahead_at_least > 0 else min(ahead_at_most, 0.0)


class RecordingTransport(httpx.AsyncBaseTransport):
    """httpx transports that keep an observation of the last answer."""

    def __init__(self, url: str, certificates: Certificates = NO_CERTIFICATES) -> None:
        context = trust(httpx.URL(url), certificates)
        self._transport = SingleConnectionTransports(ssl_context=context, proxy=proxy_for(url))
        self.proxy = self._transport.proxy
        self.last: ServerObservation | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        sent_at, began_s = datetime.now(UTC), time.monotonic()
        response = await self._transport.handle_async_request(request)
        took_s = time.monotonic() - began_s
        stream = response.extensions.get("network_stream")
        peer = stream.get_extra_info("ssl_object") if stream is not None else None
        self.last = ServerObservation(
            sent_at=sent_at,
            took_s=took_s,
            date=_parse_date(response.headers.get("date")),
            tls=(peer.version() or "") if peer is not None else "",
            certificate_ends=_expiry_of(peer.getpeercert()) if peer is not None else None,
        )
        return response

    async def aclose(self) -> None:
        await self._transport.aclose()


def _parse_date(text: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(text or "")
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _expiry_of(certificate: object) -> datetime | None:
    if not isinstance(certificate, dict) or "notAfter" not in certificate:
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
