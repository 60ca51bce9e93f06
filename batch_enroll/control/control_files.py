"""Control requests and replies as files in the run's own folder; they work alike on every system.

A request is taken by removing its file, which only one side can do: the running process, or the sender when it gives
up. So both know whether it was done.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

from batch_enroll.atomic_file import OWNER_ONLY, write_atomic
from batch_enroll.clock import Clock
from batch_enroll.errors import RunLocked
from batch_enroll.messages import message
from batch_enroll.os_errors import translate_os_errors

_OLD_S: Final = 60.0  #: a reply that was not fetched for so long is removed
_FOLDER: Final = "asks"
_REQUEST, _REPLY = ".request", ".answer"


class ControlCommand(StrEnum):
    """What can be asked of an active run."""

    SET = "set"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRequest:
    """One command to a run."""

    name: str  #: of its file, without the ending; begins with the time, so that the oldest is first
    command: ControlCommand
    pace: Mapping[str, Any] = field(default_factory=dict)  #: SET only: `rate` and `concurrency`, those that change


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlReply:
    """The result of a command, as `--json` prints it."""

    run: str
    asked: str
    done: bool
    said: str  #: one sentence
    paused: bool
    rate_per_s: float | None  #: at most; None is unlimited
    concurrency: int
    in_flight: int
    stop_reason: str | None  #: why it takes no more rows; None while it does


class ControlInbox:
    """The running process's side: reads requests and writes replies. A poll lists one small folder."""

    def __init__(self, folder: Path, *, clock: Clock) -> None:
        """Remove old replies.

        Args:
            folder: of the run.
        """
        self._folder = folder / _FOLDER
        self._clock = clock
        for path in self._files(_REPLY):
            with suppress(OSError, ValueError):
                if clock.now().timestamp() - int(path.name.partition("-")[0]) / 1e9 > _OLD_S:
                    path.unlink()

    def poll(self) -> list[ControlRequest]:
        """Take the waiting requests, the oldest first."""
        taken = (self._take(path) for path in sorted(self._files(_REQUEST)))
        return [request for request in taken if request is not None]

    def send_reply(self, request: ControlRequest, reply: ControlReply) -> None:
        """Write the reply to a request; a disk error must not end the run."""
        with suppress(OSError):
            _write(self._folder / (request.name + _REPLY), asdict(reply))

    def _files(self, ending: str) -> list[Path]:
        try:
            with os.scandir(self._folder) as entries:
                return [Path(entry.path) for entry in entries if entry.name.endswith(ending)]
        except OSError:  # there was no request yet
            return []

    def _take(self, path: Path) -> ControlRequest | None:
        try:
            asked = json.loads(path.read_bytes())
            path.unlink()
        except OSError:  # withdrawn, or (on Windows) being withdrawn at this moment
            return None
        except ValueError:
            with suppress(OSError):
                path.unlink()
            return None
        try:
            if self._clock.now().timestamp() > asked["until"]:  # the sender was killed
                return None
            return ControlRequest(
                name=path.name.removesuffix(_REQUEST), command=ControlCommand(asked["wish"]), pace=dict(asked["pace"])
            )
        except (KeyError, TypeError, ValueError):  # not a request of this program
            return None


class ControlRequestFile:
    """The sender's side of one request."""

    def __init__(self, folder: Path, name: str) -> None:
        self._request = folder / (name + _REQUEST)
        self._reply = folder / (name + _REPLY)

    @classmethod
    def post(
        cls, run_folder: Path, command: ControlCommand, pace: dict[str, Any], *, clock: Clock, patience_s: float
    ) -> Self:
        """Write the request to the run's folder.

        Raises:
            RunLocked: it cannot be written.
        """
        now = clock.now().timestamp()
        folder = run_folder / _FOLDER
        name = f"{int(now * 1e9):020d}-{secrets.token_hex(4)}"
        path = folder / (name + _REQUEST)
        with translate_os_errors(message("control.not_asked"), to=RunLocked, writes=path):
            folder.mkdir(mode=0o700, exist_ok=True)
            _write(path, {"wish": command.value, "pace": pace, "until": now + patience_s})
        return cls(folder, name)

    def reply(self) -> ControlReply | None:
        """Fetch the reply; None when there is none yet."""
        try:
            said = json.loads(self._reply.read_bytes())
        except OSError:
            return None
        with suppress(OSError):
            self._reply.unlink()
        return ControlReply(**said)

    def withdraw(self) -> bool:
        """Withdraw the request; False when the process has taken it."""
        try:
            self._request.unlink()
        except OSError:
            return False
        return True


def _write(path: Path, value: Mapping[str, Any]) -> None:
    write_atomic(path, json.dumps(value).encode(), mode=OWNER_ONLY, sync=False)
