"""A listener on this machine for what the program tells others: keeps every request, answers as it is told to."""

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
class Told:
    """One request."""

    path: str
    body: str

    @property
    def json(self) -> Any:
        """Its body, parsed."""
        return json.loads(self.body)


class Receiver:
    """Hears what is told on 127.0.0.1."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.answer = 200  #: the HTTP status it gives
        self.silent = threading.Event()  #: set: it gives none
        self._end = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                receiver.told.append(Told(self.path, body))
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
        """Hear no more."""
        self._end.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def paths(self) -> list[str]:
        """The paths that were asked for, in order."""
        return [told.path for told in self.told]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A listener for one test."""
    one = Receiver()
    yield one
    one.close()
