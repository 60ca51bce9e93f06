"""A minimal HTTP mock of the platform, for what the sandbox lacks: a wrong clock, TLS, custom texts and bytes."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any

from tests.support.scripted_platform import OK, SCENARIO


def accept(body: dict[str, Any]) -> dict[str, Any]:
    """Accept everybody."""
    return OK


@contextmanager
def small_platform(
    *,
    ahead: timedelta = timedelta(0),
    tls: ssl.SSLContext | None = None,
    reply: Callable[[dict[str, Any]], dict[str, Any]] = accept,
    write: Callable[[dict[str, Any], BufferedIOBase], object] | None = None,
    before_listing: Callable[[], object] = lambda: None,
) -> Iterator[str]:
    """Serve one scenario; yields the URL.

    Args:
        ahead: offset of the `Date` header from the real time.
        tls: the TLS context; None = plain HTTP.
        reply: maps the body of a start request to the answer.
        write: takes the place of `reply`, and writes the answer's bytes itself.
        before_listing: called before scenarios are listed; may block.
    """

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            listing = self.path.endswith("/workflows/list")
            if listing:
                before_listing()
            elif write is not None:
                write(asked, self.wfile)
                return
            told = {**OK, "data": [SCENARIO], "total": 1} if listing else reply(asked)
            body = json.dumps(told).encode()
            self.send_response_only(200)
            self.send_header("Date", format_datetime(datetime.now(UTC) + ahead, usegmt=True))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Say nothing: a client may close its connection at any time."""

    server = Quiet(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
