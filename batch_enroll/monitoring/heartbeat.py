"""Heartbeat: report the start and the end of a run to a monitoring URL.

The address is a secret: no message holds it, and redirects are not followed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

from batch_enroll.reporting.run_result import RunResult

_TRIES = 2
_MARGIN_S = 2.0


class Heartbeat:
    """Tells one check.

    Args:
        address: http:// or https://, checked before.
        timeout_s: for one call.
        user_agent: who calls.
        warn: hears one sentence for each call that failed.
    """

    def __init__(self, address: str, *, timeout_s: float, user_agent: str, warn: Callable[[str], None]) -> None:
        self._address, self._timeout_s, self._user_agent, self._warn = address, timeout_s, user_agent, warn
        self._first: _HeartbeatThread | None = None

    def begin(self) -> None:
        """Say that a run begins; does not wait for the answer."""
        self._first = self._call("start", "")

    def end(self, ending: RunResult, *, text: str) -> None:
        """Say how it ended, after the first call is through."""
        if self._first is not None:
            self._through(self._first)
        self._through(self._call("" if ending.succeeded else "fail", text))

    def _call(self, word: str, text: str) -> _HeartbeatThread:
        call = _HeartbeatThread(_below(self._address, word), text, self._timeout_s, self._user_agent)
        call.start()
        return call

    def _through(self, call: _HeartbeatThread) -> None:
        call.join(self._timeout_s * _TRIES + _MARGIN_S)
        trouble = f"no answer within {self._timeout_s:g} s" if call.is_alive() else call.trouble
        if trouble:
            self._warn(f"The heartbeat did not get through to {urlsplit(self._address).hostname}: {trouble}.")


class _HeartbeatThread(threading.Thread):
    """One call on its way. A thread that ends with the program: a watchman who hangs holds nobody up."""

    def __init__(self, address: str, text: str, timeout_s: float, user_agent: str) -> None:
        super().__init__(daemon=True, name="heartbeat")
        self._address, self._text, self._timeout_s, self._user_agent = address, text, timeout_s, user_agent
        self.trouble = ""

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
            except Exception as error:  # httpx's texts may hold the address; the kind of error says enough
                self.trouble = type(error).__name__
            else:
                self.trouble = "" if answer.is_success else f"HTTP {answer.status_code}"
                return


def _below(address: str, word: str) -> str:
    """Put a word behind the path, before what stands behind a question mark."""
    if not word:
        return address
    parts = urlsplit(address)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{word}"))
