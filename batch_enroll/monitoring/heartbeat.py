"""Heartbeat: report the start and the end of a run to a monitoring URL.

The address is a secret: no message holds it, and redirects are not followed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

from batch_enroll.messages import Message, message, verbatim
from batch_enroll.reporting.run_result import RunResult

_TRIES = 2
_MARGIN_S = 2.0


class Heartbeat:
    """Report the start and the end of a run to one URL.

    Args:
        address: http:// or https://, already validated.
        timeout_s: seconds for one call.
        user_agent: for the header of that name.
        warn: called for each call that failed.
    """

    def __init__(self, address: str, *, timeout_s: float, user_agent: str, warn: Callable[[Message], None]) -> None:
        self._address, self._timeout_s, self._user_agent, self._warn = address, timeout_s, user_agent, warn
        self._first: _HeartbeatThread | None = None

    def begin(self) -> None:
        """Report the start; does not wait for the answer."""
        self._first = self._call("start", "")

    def end(self, ending: RunResult, *, text: str) -> None:
        """Report the end, after the first call has ended."""
        if self._first is not None:
            self._finish(self._first)
        self._finish(self._call("" if ending.succeeded else "fail", text))

    def _call(self, name: str, text: str) -> _HeartbeatThread:
        call = _HeartbeatThread(_append_path(self._address, name), text, self._timeout_s, self._user_agent)
        call.start()
        return call

    def _finish(self, call: _HeartbeatThread) -> None:
        call.join(self._timeout_s * _TRIES + _MARGIN_S)
        late = message("monitoring.no_answer", seconds=self._timeout_s)
        problem = late if call.is_alive() else call.problem
        if problem:
            host = urlsplit(self._address).hostname
            self._warn(message("monitoring.heartbeat_failed", host=host, reason=problem))


class _HeartbeatThread(threading.Thread):
    """Make one call, in a daemon thread: a server that hangs must not delay the exit."""

    def __init__(self, address: str, text: str, timeout_s: float, user_agent: str) -> None:
        super().__init__(daemon=True, name="heartbeat")
        self._address, self._text, self._timeout_s, self._user_agent = address, text, timeout_s, user_agent
        self.problem: Message | None = None

    def run(self) -> None:
        import httpx

        for _ in range(_TRIES):
            try:
                answer = httpx.post(
                    self._address,
                    content=self._text.encode(),
                    headers={"User-Agent": self._user_agent, "Content-Type": "text/plain; charset=utf-8"},
                    timeout=self._timeout_s,
                    follow_redirects=False,
                )
            except Exception as error:  # httpx's texts may hold the address
                self.problem = verbatim(type(error).__name__)
            else:
                self.problem = (
                    None if answer.is_success else message("monitoring.http_status", status=answer.status_code)
                )
                return


def _append_path(address: str, name: str) -> str:
    """Append a name to the path, before the query."""
    if not name:
        return address
    parts = urlsplit(address)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{name}"))
