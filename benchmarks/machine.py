"""The machine: the cores of server and client, and its description in the table."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

_CAN_PIN = hasattr(os, "sched_setaffinity")
CORES = sorted(os.sched_getaffinity(0)) if _CAN_PIN else []
SERVER_CORES = set(CORES[:1])  #: empty = wherever the system likes
CLIENT_CORES = set(CORES[-1:])
ALL_CORES = set(CORES)


@contextmanager
def on_cores(cores: set[int]) -> Iterator[None]:
    """Start processes in this block so that they, and all they start, stay on these cores."""
    if _CAN_PIN and cores:
        os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        if _CAN_PIN and cores:
            os.sched_setaffinity(0, ALL_CORES)


def describe() -> str:
    """Say in one line what the figures were measured on."""
    if len(CORES) > 1:
        pinning = "server and client each on a core of its own"
    else:
        pinning = "server and client NOT apart, so that every figure is too low"
    load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown"
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, Python {platform.python_version()}, {platform.system()}, "
        f"{os.cpu_count()} cores, {_cpu_model()}, {load}; {pinning}."
    )


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown CPU")
