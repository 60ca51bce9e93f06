"""A mock platform as an httpx transport, without a socket; the test decides each answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx

Reply = httpx.Response | Exception
OK = {"error": 0, "error_text": "Successful operation"}
SCENARIO = {
    "id": 3,
    "name": "Welcome",
    "list_id": 1,
    "is_active": True,
    "mode": "skip_in_any_case",
    "nodes": [{"name": "DEFAULT_START_NODE_TITLE", "type": "start", "node_id": 0}],
}


class _Post:
    method = b"POST"


class ScriptedPlatform:
    """Answers `workflows/start` with `reply(body)` and records the requests.

    Args:
        reply: maps the body of a start request to an answer; the default accepts everybody.
    """

    def __init__(self, reply: Callable[[dict[str, Any]], Reply] | None = None) -> None:
        self.reply = reply or (lambda body: httpx.Response(200, json=OK))
        self.started: list[dict[str, Any]] = []
        self.scenario = dict(SCENARIO)  #: its entry in `workflows/list`
        self.asked = 0  #: number of `workflows/list` requests
        self.transport = httpx.MockTransport(self._answer)

    def emails(self) -> list[str]:
        """Get the emails of the start requests, in order."""
        return [body["email"] for body in self.started]

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        if request.url.path.endswith("/workflows/list"):
            self.asked += 1
            return httpx.Response(200, json={**OK, "data": [self.scenario], "total": 1})
        self.started.append(body)
        reply = self.reply(body)
        if isinstance(reply, Exception):
            # a failure after the request was sent, reported as httpcore does
            await request.extensions["trace"]("http11.send_request_headers.started", {"request": _Post})
            raise reply
        return reply
