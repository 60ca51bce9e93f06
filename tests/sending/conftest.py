"""Virtual time for the sending stage: an hour of waiting takes milliseconds; two waits at once take as long as one."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
import trio.testing

from tests.support.certificates import self_signed


class VirtualClock:
    """Reads and waits by the event loop, whose time jumps whenever every task sleeps. Keeps what was slept."""

    def __init__(self) -> None:
        self.sleeps: list[float] = []

    def now(self) -> datetime:
        return datetime(2026, 11, 25, tzinfo=UTC) + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return anyio.current_time()

    def boottime(self) -> float:
        return self.monotonic()

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(float(seconds))
        await anyio.sleep(max(0.0, seconds))


@pytest.fixture
def anyio_backend():
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture(scope="session")
def virtual_clock() -> VirtualClock:
    """For a property test, whose examples share one fixture; nobody looks at its sleeps."""
    return VirtualClock()


@dataclass(frozen=True)
class Certificate:
    """A certificate for 127.0.0.1 that vouches for itself."""

    path: Path
    server: ssl.SSLContext


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    path = self_signed(tmp_path_factory.mktemp("tls") / "certificate.pem")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return Certificate(path, server)


@pytest.fixture
def trusted(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the certificate be trusted as a company's own would be."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
