"""Start the mock server in a child process, for tests and the demo.

The child ends when its standard input closes, so also when this process is killed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from batch_enroll.errors import JobError
from batch_enroll.messages import message, verbatim
from batch_enroll.sandbox.sandbox_settings import SandboxSettings

END_S = 5.0  #: how long the child may take to end by itself
ANSWER_S = 30.0
PACKAGE_ROOT = Path(__file__).resolve().parents[2]


class SandboxHandle:
    """A mock server in another process."""

    def __init__(self, url: str, *, token: str, pid: int) -> None:
        self.url = url
        self.token = token
        self.pid = pid

    def stats(self) -> dict[str, Any]:
        """Get every count; see `Stats.as_dict`."""
        counts: dict[str, Any] = self._request("/stats")
        return counts

    def totals(self) -> dict[str, Any]:
        """Get the counts that do not grow with the number of profiles; see `Stats.totals`."""
        counts: dict[str, Any] = self._request("/stats?totals")
        return counts

    def enrolments(self, scenario: int = 3) -> dict[str, int]:
        """Get profile key -> how often it was enrolled in the scenario."""
        by_profile: dict[str, int] = self.stats()["enrolments"].get(str(scenario), {})
        return by_profile

    def received(self, scenario: int = 3) -> dict[str, int]:
        """Get identity key -> number of start requests for it, whatever their outcome."""
        by_identity: dict[str, int] = self.stats()["received"].get(str(scenario), {})
        return by_identity

    def requests(self) -> list[dict[str, Any]]:
        """Get the last API requests, oldest first: at_s, method, path, headers, body; tokens masked."""
        requests: list[dict[str, Any]] = self._request("/requests")
        return requests

    def control(self, **changes: object) -> dict[str, Any]:
        """Change the running server; see `Platform.change`. `reset=True` first restores its initial state.

        Returns:
            The settings and switches after the change.
        Raises:
            JobError: a change is not possible; nothing was changed.
        """
        state: dict[str, Any] = self._request("/control", json.dumps(changes, default=_to_json_value).encode())
        return state

    def _request(self, path: str, body: bytes | None = None) -> Any:
        from urllib.error import HTTPError  # slow to load, not needed for `--help`
        from urllib.request import ProxyHandler, build_opener

        try:
            with build_opener(ProxyHandler({})).open(self.url + path, body, timeout=ANSWER_S) as answer:
                return json.loads(answer.read())
        except HTTPError as refusal:
            with refusal:
                raise JobError(verbatim(json.loads(refusal.read())["error_text"])) from None


@contextmanager
def sandbox_process(settings: SandboxSettings | None = None) -> Iterator[SandboxHandle]:
    """Start a mock server, wait until it listens, and end it with the block.

    Raises:
        JobError: it ended before it listened; standard error has the reason.
    """
    settings = settings or SandboxSettings()
    search_path = os.pathsep.join(filter(None, [str(PACKAGE_ROOT), os.environ.get("PYTHONPATH")]))
    with subprocess.Popen(
        [sys.executable, "-m", "batch_enroll.sandbox", "--settings-from-stdin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": search_path},
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(settings.to_json() + "\n")
            child.stdin.flush()
            url = child.stdout.readline().strip()
            if not url:
                raise JobError(message("sandbox.not_started"))
            yield SandboxHandle(url, token=settings.token, pid=child.pid)
        finally:
            _end(child)


def _end(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.close()
    try:
        child.wait(END_S)
    except subprocess.TimeoutExpired:
        child.kill()


def _to_json_value(value: object) -> object:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)
