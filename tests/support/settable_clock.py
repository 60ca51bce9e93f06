"""Run `batch-enroll` with a clock that a test sets: `python -m tests.support.settable_clock SPEED FILE run ...`.

It replaces the methods of `SystemClock` in the started process. Network timeouts still take real seconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path


class SettableClock:
    """The clock of all processes that its `program` starts.

    Args:
        path: the file that holds the time, created by `set`.
        speed: seconds of this clock in one real second.
    """

    def __init__(self, path: Path, *, speed: float = 1.0) -> None:
        self._path, self._speed = path, speed

    def set(self, now: datetime, *, suspended_s: float = 0.0) -> None:
        """Set the clock to an aware time, as a person does, or as it reads after the machine was suspended."""
        partial = self._path.with_suffix(".part")
        partial.write_text(f"{time.time()} {now.timestamp()} {suspended_s}", encoding="utf-8")
        partial.replace(self._path)

    def now(self) -> datetime:
        """Get the current time, aware UTC."""
        set_at, time_set, _ = map(float, self._path.read_text(encoding="utf-8").split())
        return datetime.fromtimestamp(time_set + (time.time() - set_at) * self._speed, UTC)

    def boottime(self) -> float:
        """Get the seconds of the clock that counts suspension."""
        return time.monotonic() * self._speed + float(self._path.read_text(encoding="utf-8").split()[2])

    @property
    def program(self) -> tuple[str, ...]:
        """The arguments of the interpreter, for `cli.program`."""
        return ("-m", "tests.support.settable_clock", str(self._speed), str(self._path))


def main(words: Sequence[str]) -> int:
    """Replace the clock, then run the command line."""
    import anyio

    from batch_enroll.cli.main import main as command
    from batch_enroll.clock import SystemClock

    speed = float(words[0])
    clock = SettableClock(Path(words[1]), speed=speed)

    async def sleep(_: SystemClock, seconds: float) -> None:
        await anyio.sleep(max(0.0, seconds) / speed)

    own = {
        "now": lambda _: clock.now(),
        "monotonic": lambda _: time.monotonic() * speed,
        "boottime": lambda _: clock.boottime(),
        "sleep": sleep,
    }
    for name, method in own.items():
        setattr(SystemClock, name, method)
    return command(words[2:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
