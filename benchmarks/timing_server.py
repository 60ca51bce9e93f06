"""Compile, start and end the C server that answers after an exact delay and records the time of each request."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.machine import on_cores

_SOURCE = Path(__file__).with_name("clock_server.c")
_COMPILE_S = 60.0
_END_S = 10.0


@dataclass(frozen=True, slots=True)
class Clocked:
    """A server that listens."""

    url: str
    moments: list[float] = field(default_factory=list)
    """When each request arrived, sorted, seconds since 1970; there when the block is over."""


def missing() -> str:
    """Say why it cannot run here; "" when it can."""
    if sys.platform != "linux":
        return "its server needs Linux"
    return "" if shutil.which("cc") else "there is no C compiler (cc)"


@contextmanager
def clock_server(
    cores: set[int], *, delay_ms: int = 0, refuse_at: int = 0, retry_after_s: int = 1
) -> Iterator[Clocked]:
    """Start it on these cores.

    Args:
        delay_ms: how long each answer waits.
        refuse_at: the request, counted from 1, that is answered with 429; 0 = none.
        retry_after_s: what that answer asks for.
    """
    with tempfile.TemporaryDirectory(prefix="batch-enroll-clock-") as name:
        program, written = Path(name) / "clock_server", Path(name) / "moments"
        subprocess.run(["cc", "-O2", "-o", str(program), str(_SOURCE)], check=True, timeout=_COMPILE_S)
        words = [str(program), str(delay_ms), str(written), str(refuse_at), str(retry_after_s)]
        with on_cores(cores):
            process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin is not None
        assert process.stdout is not None
        with process.stdout:
            try:
                server = Clocked(f"http://127.0.0.1:{int(process.stdout.readline())}")
                yield server
            finally:
                process.stdin.close()
                try:
                    process.wait(_END_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        server.moments.extend(sorted(map(float, written.read_text(encoding="ascii").split())))
