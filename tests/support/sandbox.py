"""The sandbox fixtures, and a raw client that returns the bytes of the socket."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import pytest

from batch_enroll.sandbox import (
    DEFAULT_TOKEN,
    SandboxHandle,
    SandboxSettings,
    sandbox_process,
)

PATIENCE_S = 10.0
KEEP_REQUESTS = 20_000


class SandboxFactory(Protocol):
    """`sandbox(faults="drop_after_acting@1", rate_per_s=5)`: the settings and switches of `SandboxHandle.control`."""

    def __call__(self, **changes: object) -> SandboxHandle: ...


@pytest.fixture(scope="session")
def sandbox_server() -> Iterator[SandboxHandle]:
    """One sandbox process for the whole session."""
    with sandbox_process(SandboxSettings(keep_requests=KEEP_REQUESTS)) as handle:
        yield handle


@pytest.fixture
def sandbox(sandbox_server: SandboxHandle) -> SandboxFactory:
    """The session's sandbox, all counts at 0, set as asked. A test that needs two starts its own `sandbox_process`."""

    def fresh(**changes: object) -> SandboxHandle:
        sandbox_server.control(reset=True, **changes)
        return sandbox_server

    return fresh


@dataclass(frozen=True, slots=True)
class RawResponse:
    """What a raw client response for one request, and how it ended: answered, closed, reset or silent."""

    data: bytes
    ending: str

    @property
    def status(self) -> int | None:
        """The HTTP status, if there is one."""
        found = re.match(rb"HTTP/1\.1 (\d{3}) ", self.data)
        return int(found[1]) if found else None

    @property
    def headers(self) -> dict[str, str]:
        """The answer's headers, names in lower case."""
        lines = self.data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    @property
    def text(self) -> str:
        """The answer's body."""
        return self.data.partition(b"\r\n\r\n")[2].decode()

    @property
    def json(self) -> Any:
        """The answer's body, parsed."""
        return json.loads(self.text)


class RawClient:
    """One connection to the sandbox, byte by byte."""

    def __init__(self, sandbox: SandboxHandle) -> None:
        address = urlsplit(sandbox.url)
        self.socket = socket.create_connection((address.hostname, address.port), timeout=PATIENCE_S)

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, method: str = "workflows/start", **body: object) -> None:
        """Send one API request; the token and the content type are added."""
        self.socket.sendall(request_bytes(method, **body))

    def receive(self, *, timeout_s: float = PATIENCE_S) -> RawResponse:
        """Listen until an answer is whole, the connection ends, or nothing came for `timeout_s`."""
        self.socket.settimeout(timeout_s)
        data = b""
        try:
            while not _whole(data):
                if not (more := self.socket.recv(65536)):
                    return RawResponse(data, "closed")
                data += more
        except ConnectionResetError:
            return RawResponse(data, "reset")
        except TimeoutError:
            return RawResponse(data, "silent")
        return RawResponse(data, "answered")

    def call(self, method: str = "workflows/start", **body: object) -> RawResponse:
        """Send one API request and hear its answer."""
        self.send(method, **body)
        return self.receive()

    def start(self, email: str = "john@example.com", *, scenario: int = 3) -> RawResponse:
        """Start one profile."""
        return self.call(id=scenario, matching="email", email=email)


def request_bytes(method: str, **body: object) -> bytes:
    """Write one API request as it goes over the wire."""
    content = json.dumps({"token": DEFAULT_TOKEN, **body}).encode()
    head = f"POST /api/v1.1/{method} HTTP/1.1\r\nHost: sandbox\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def wait_until(condition: Callable[[], bool], *, timeout_s: float = 6 * PATIENCE_S) -> None:
    """Ask again and again until it is so."""
    give_up = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < give_up, "it never came to pass"
        time.sleep(0.005)


def _whole(data: bytes) -> bool:
    head, found, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    return bool(found and length and len(body) >= int(length[1]))
