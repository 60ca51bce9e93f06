"""The mock server on 127.0.0.1: the platform's API, and paths to read its counts and to control it.

GET  /stats          the counts as JSON; `?totals` omits those that grow with the number of profiles
GET  /requests       the last API requests, tokens masked
GET  /control        settings and switches
POST /control        changes them; `"reset": true` first restores the initial settings and sets all counts to 0
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from batch_enroll.clock import Clock, SystemClock
from batch_enroll.errors import JobError
from batch_enroll.messages import message
from batch_enroll.os_errors import translate_os_errors
from batch_enroll.sandbox.http11_server import DateHeader, ServerConnection, ServerRequest
from batch_enroll.sandbox.platform import API, Platform
from batch_enroll.sandbox.sandbox_settings import SandboxSettings
from batch_enroll.sandbox.scripted_response import ScriptedResponse, build_response

HOST = "127.0.0.1"
BACKLOG = 1024


async def serve(settings: SandboxSettings, *, started: Callable[[str], None] = lambda url: None) -> None:
    """Serve until cancelled.

    Args:
        started: called once with the URL, when the server accepts connections.

    Raises:
        JobError: the port is not available, or the dataset file cannot be used.
    """
    sandbox = Sandbox(settings, clock=SystemClock())
    unavailable = message("sandbox.port_unavailable", port=str(settings.port), host=HOST)
    with translate_os_errors(unavailable, to=JobError, hint=message("sandbox.other_port")):
        server = await asyncio.get_running_loop().create_server(
            lambda: ServerConnection(sandbox), HOST, settings.port, backlog=BACKLOG
        )
    try:
        started(f"http://{HOST}:{server.sockets[0].getsockname()[1]}")
        await asyncio.Event().wait()
    finally:
        server.close()
        sandbox.close()


class Sandbox:
    """Passes the requests of all connections to the mock platform."""

    def __init__(self, settings: SandboxSettings, *, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._platform = Platform(settings, clock=clock)
        self._connections: set[ServerConnection] = set()
        self._clients: set[ServerConnection] = set()  #: those with an API request
        self._loop = asyncio.get_running_loop()
        self._date = DateHeader(clock)

    @property
    def date_header(self) -> bytes:
        """The current line of the header `Date`."""
        return self._date.now()

    @property
    def idle_timeout_s(self) -> float | None:
        """Seconds after which an idle connection is closed; None = never."""
        return self._platform.settings.idle_timeout_s

    def on_open(self, connection: ServerConnection) -> None:
        self._connections.add(connection)

    def on_close(self, connection: ServerConnection) -> None:
        self._connections.discard(connection)
        self._clients.discard(connection)

    def on_idle_close(self) -> None:
        self._platform.stats.idle_closes += 1

    def on_request(self, connection: ServerConnection, request: ServerRequest) -> None:
        if not request.path.startswith(API):
            connection.send(self._observe(request))
            return
        platform = self._platform  # a late enrolment counts with its request, also after a reset
        if connection not in self._clients:
            self._clients.add(connection)
            platform.stats.record_connection(len(self._clients))
        response = platform.receive(request)
        if response.wait_s:
            self._loop.call_later(response.wait_s, self._complete, platform, response, connection)
        else:
            self._complete(platform, response, connection)

    def close(self) -> None:
        """Drop every connection."""
        for connection in tuple(self._connections):
            connection.close()

    def _complete(self, platform: Platform, response: ScriptedResponse, connection: ServerConnection) -> None:
        platform.complete(response, client_left=connection.is_closed)
        connection.send(response)

    def _observe(self, request: ServerRequest) -> ScriptedResponse:
        stats = self._platform.stats
        match request.method, request.path:
            case "GET", "/stats":
                return _json(200, stats.totals() if request.query == "totals" else stats.as_dict())
            case "GET", "/requests":
                return _json(200, self._platform.requests())
            case "GET", "/control":
                return _json(200, self._platform.state())
            case "POST", "/control":
                return self._control(request.body)
        return _json(404, {"error": 404, "error_text": "Not found"})

    def _control(self, body: bytes) -> ScriptedResponse:
        try:
            changes = json.loads(body)
            if not isinstance(changes, dict):
                raise JobError(message("sandbox.control_not_json"))
            self._change(changes)
        except (JobError, ValueError) as error:
            return _json(400, {"error": 400, "error_text": str(error)})
        return _json(200, self._platform.state())

    def _change(self, changes: Mapping[str, Any]) -> None:
        changes = dict(changes)
        platform = Platform(self._settings, clock=self._clock) if changes.pop("reset", False) else self._platform
        platform.change(changes)
        self._platform = platform


def _json(status: int, content: object) -> ScriptedResponse:
    return build_response(status, json.dumps(content, default=str, ensure_ascii=False).encode())
