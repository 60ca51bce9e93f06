"""The files through which a run that goes is asked: a request and its answer, in the run's own folder.

In: a wish, or what came of it. Out: the same on the other side. Never: a row or the token in a file, half a file under
its name, a request that is taken twice or after whoever asked has given up.

A request is taken by removing its file, which only one can do: the running process, or whoever asked when nobody
answers in time. So both know whether it was done. Files work alike on every system, and whoever may write into the
folder owns the run already.
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
from batch_enroll.os_errors import translate_os_errors

_OLD_S: Final = 60.0  #: an answer that nobody fetched for so long is removed
_FOLDER: Final = "asks"
_REQUEST, _ANSWER = ".request", ".answer"


class ControlCommand(StrEnum):
    """What can be asked of a run that goes."""

    SET = "set"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRequest:
    """One wish on its way."""

    name: str  #: of its file, without the ending; begins with the time, so that the oldest is first
    wish: ControlCommand
    pace: Mapping[str, Any] = field(default_factory=dict)  #: SET only: `rate` and `concurrency`, those that change


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlReply:
    """What came of it, as `--json` prints it."""

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
    """Where the running process finds what it is asked. Looking costs one listing of a small folder."""

    def __init__(self, folder: Path, *, clock: Clock) -> None:
        """Remove what was left of earlier times.

        Args:
            folder: the run's own.
        """
        self._folder = folder / _FOLDER
        self._clock = clock
        for path in self._files(_ANSWER):
            with suppress(OSError, ValueError):
                if clock.now().timestamp() - int(path.name.partition("-")[0]) / 1e9 > _OLD_S:
                    path.unlink()

    def look(self) -> list[ControlRequest]:
        """Take the requests that are there, the oldest first."""
        taken = (self._take(path) for path in sorted(self._files(_REQUEST)))
        return [request for request in taken if request is not None]

    def answer(self, request: ControlRequest, answer: ControlReply) -> None:
        """Tell what came of a request; a disk that does not take it must not end a run."""
        with suppress(OSError):
            _write(self._folder / (request.name + _ANSWER), asdict(answer))

    def _files(self, ending: str) -> list[Path]:
        try:
            with os.scandir(self._folder) as entries:
                return [Path(entry.path) for entry in entries if entry.name.endswith(ending)]
        except OSError:  # nobody has asked yet
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
            if self._clock.now().timestamp() > asked["until"]:  # whoever asked died
                return None
            return ControlRequest(
                name=path.name.removesuffix(_REQUEST), wish=ControlCommand(asked["wish"]), pace=dict(asked["pace"])
            )
        except (KeyError, TypeError, ValueError):  # no request of ours
            return None


class ControlRequestFile:
    """A request from the side of whoever asks."""

    def __init__(self, folder: Path, name: str) -> None:
        self._request = folder / (name + _REQUEST)
        self._answer = folder / (name + _ANSWER)

    @classmethod
    def post(
        cls, run_folder: Path, wish: ControlCommand, pace: dict[str, Any], *, clock: Clock, patience_s: float
    ) -> Self:
        """Put it into the run's folder.

        Raises:
            RunLocked: the folder does not take it.
        """
        now = clock.now().timestamp()
        folder = run_folder / _FOLDER
        name = f"{int(now * 1e9):020d}-{secrets.token_hex(4)}"
        path = folder / (name + _REQUEST)
        with translate_os_errors("The run cannot be asked", to=RunLocked, writes=path):
            folder.mkdir(mode=0o700, exist_ok=True)
            _write(path, {"wish": wish.value, "pace": pace, "until": now + patience_s})
        return cls(folder, name)

    def answer(self) -> ControlReply | None:
        """Fetch the answer, if it is there."""
        try:
            said = json.loads(self._answer.read_bytes())
        except OSError:
            return None
        with suppress(OSError):
            self._answer.unlink()
        return ControlReply(**said)

    def withdraw(self) -> bool:
        """Take the request back; False when the process has taken it (or is just taking it)."""
        try:
            self._request.unlink()
        except OSError:
            return False
        return True


def _write(path: Path, value: Mapping[str, Any]) -> None:
    write_atomic(path, json.dumps(value).encode(), mode=OWNER_ONLY, sync=False)
