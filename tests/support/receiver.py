"""An HTTP server that records the notifications and heartbeats of the program."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A recorded request."""

    path: str
    body: str

    @property
    def json(self) -> Any:
        """Its body, parsed."""
        return json.loads(self.body)


class Receiver:
    """Records every request on 127.0.0.1."""

    def __init__(self) -> None:
        self.requests: list[ReceivedRequest] = []
        self.answer = 200  #: HTTP status of the answers
        self.silent = threading.Event()  #: when set, requests are not answered
        self._end = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                receiver.requests.append(ReceivedRequest(self.path, body))
                if receiver.silent.is_set():
                    receiver._end.wait(PATIENCE_S)
                self.send_response(receiver.answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop the server."""
        self._end.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def paths(self) -> list[str]:
        """The paths of the requests, in order."""
        return [request.path for request in self.requests]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver for one test."""
    one = Receiver()
    yield one
    one.close()
