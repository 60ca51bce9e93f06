"""The worker processes of a coordinator, as the kernel shows them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROC = Path("/proc")
PATIENCE_S = 20.0
MODULE = b"batch_enroll.sending.crew_worker"


def workers_of(pid: int) -> list[int]:
    """The live workers that a process has started."""
    children = [int(word) for task in _tasks(pid) for word in _read(task / "children").split()]
    return sorted(child for child in children if is_worker(child))


def is_worker(pid: int) -> bool:
    """Say whether a process is there, no zombie, and a worker."""
    return MODULE in _read(PROC / str(pid) / "cmdline")


def alive(pids: list[int]) -> list[int]:
    """Those that are still there."""
    return [pid for pid in pids if is_worker(pid)]


def seen_from_outside(pid: int) -> bytes:
    """What any program of the same user can read of a process: its command line and its environment."""
    return _read(PROC / str(pid) / "cmdline") + _read(PROC / str(pid) / "environ")


def wait_for_workers(pid: int, count: int, *, but: tuple[int, ...] = ()) -> list[int]:
    """Wait until a process has so many workers, some old ones not counted."""
    give_up = time.monotonic() + PATIENCE_S
    while len(found := [each for each in workers_of(pid) if each not in but]) < count:
        assert time.monotonic() < give_up, f"{found} are too few"
        time.sleep(0.01)
    return found


@contextmanager
def gone_within(seconds: float, pids: list[int]) -> Iterator[None]:
    """Check that workers end at most so long after the block; whatever is left of them is ended then."""
    try:
        yield
        give_up = time.monotonic() + seconds
        while alive(pids) and time.monotonic() < give_up:
            time.sleep(0.01)
        assert alive(pids) == []
    finally:
        for pid in alive(pids):
            os.kill(pid, 9)


def _tasks(pid: int) -> list[Path]:
    try:
        return list((PROC / str(pid) / "task").iterdir())
    except OSError:
        return []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
