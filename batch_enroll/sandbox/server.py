"""The server: sockets on 127.0.0.1, the API on one side, control and counts on the other.

In: `SandboxSettings`. Out: `serve`, which runs until it is cancelled. Never: a decision about an API request.

    GET  /stats          the counts as JSON; `?totals` leaves out what grows with the number of profiles
    GET  /requests       the last API requests, tokens masked
    GET  /control        settings and switches
    POST /control        changes them; `"reset": true` first goes back to the settings of the start, all counts at 0
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from batch_enroll.clock import Clock, SystemClock
from batch_enroll.errors import JobError
from batch_enroll.os_errors import translate_os_errors
from batch_enroll.sandbox.date_header import DateLine
from batch_enroll.sandbox.http11_server import ServerConnection, ServerRequest
from batch_enroll.sandbox.platform import API, Platform
from batch_enroll.sandbox.sandbox_settings import SandboxSettings
from batch_enroll.sandbox.scripted_response import ScriptedResponse, answer

HOST = "127.0.0.1"
BACKLOG = 1024


async def serve(settings: SandboxSettings, *, started: Callable[[str], None] = lambda url: None) -> None:
    """Serve until cancelled.

    Args:
        started: called once with the URL, when connections are accepted.

    Raises:
        JobError: the port is not to be had, or the world file cannot be used.
    """
    sandbox = Sandbox(settings, clock=SystemClock())
    hint = "Choose another with --port, or --port 0 for any free one."
    with translate_os_errors(f"Port {settings.port} of {HOST} cannot be opened", to=JobError, hint=hint):
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
    """Owns the connections, and the platform that answers them."""

    def __init__(self, settings: SandboxSettings, *, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._platform = Platform(settings, clock=clock)
        self._connections: set[ServerConnection] = set()
        self._clients: set[ServerConnection] = set()  #: those that came for the API, not only to look or to steer
        self._loop = asyncio.get_running_loop()
        self._date = DateLine(clock)

    @property
    def date_line(self) -> bytes:
        """The `Date` of an answer that leaves now."""
        return self._date.now()

    @property
    def idle_timeout_s(self) -> float | None:
        """After how long an idle connection is closed."""
        return self._platform.settings.idle_timeout_s

    def opened(self, connection: ServerConnection) -> None:
        self._connections.add(connection)

    def lost(self, connection: ServerConnection) -> None:
        self._connections.discard(connection)
        self._clients.discard(connection)

    def closed_idle(self) -> None:
        self._platform.stats.idle_closes += 1

    def asked(self, connection: ServerConnection, request: ServerRequest) -> None:
        if not request.path.startswith(API):
            connection.deliver(self._observe(request))
            return
        platform = self._platform  # a late act counts where its request was counted, also after a reset
        if connection not in self._clients:
            self._clients.add(connection)
            platform.stats.connected(len(self._clients))
        play = platform.receive(request)
        if play.wait_s:
            self._loop.call_later(play.wait_s, self._act, platform, play, connection)
        else:
            self._act(platform, play, connection)

    def close(self) -> None:
        """Drop every connection."""
        for connection in tuple(self._connections):
            connection.close()

    def _act(self, platform: Platform, play: ScriptedResponse, connection: ServerConnection) -> None:
        platform.acted(play, client_left=connection.gone)
        connection.deliver(play)

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
                raise JobError("A control request is a JSON object.")
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
    return answer(status, json.dumps(content, default=str, ensure_ascii=False).encode())
