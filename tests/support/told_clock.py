"""`batch-enroll` with a clock that a test sets: a night passes in seconds, half past five comes when it is wanted.

In: `python -m tests.support.told_clock SPEED FILE run ...`, and the file that a `ToldClock` writes. Out: what the
command does, all of its times and waits by that clock. Never: a switch inside the package (its one clock is replaced
from here); a shorter wait for an answer: those are the network's and take real seconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path


class ToldClock:
    """A clock for all processes that are started by its `program`.

    Args:
        path: a file of its own, there once it was set.
        speed: its seconds in one second of the machine.
    """

    def __init__(self, path: Path, *, speed: float = 1.0) -> None:
        self._path, self._speed = path, speed

    def set(self, now: datetime) -> None:
        """Let it show this time, aware, from now on."""
        partial = self._path.with_suffix(".part")
        partial.write_text(f"{time.time()} {now.timestamp()}", encoding="utf-8")
        partial.replace(self._path)

    def now(self) -> datetime:
        """What it shows, aware UTC."""
        told_at, told = map(float, self._path.read_text(encoding="utf-8").split())
        return datetime.fromtimestamp(told + (time.time() - told_at) * self._speed, UTC)

    @property
    def program(self) -> tuple[str, ...]:
        """The words after the interpreter's name, for `cli(..., program=...)`."""
        return ("-m", "tests.support.told_clock", str(self._speed), str(self._path))


def main(words: Sequence[str]) -> int:
    """Put the clock in, then do what the command line says."""
    import anyio

    from batch_enroll.cli.main import main as command
    from batch_enroll.clock import SystemClock

    speed = float(words[0])
    clock = ToldClock(Path(words[1]), speed=speed)

    async def sleep(_: SystemClock, seconds: float) -> None:
        await anyio.sleep(max(0.0, seconds) / speed)

    own = {"now": lambda _: clock.now(), "monotonic": lambda _: time.monotonic() * speed, "sleep": sleep}
    for name, method in own.items():
        setattr(SystemClock, name, method)
    return command(words[2:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
