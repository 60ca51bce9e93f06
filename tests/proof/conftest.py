"""Fixtures of the proof."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.proof.harness import Trial

needs_sigkill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")


@pytest.fixture
def trial(tmp_path, sandbox) -> Callable[..., Trial]:
    """`trial(rows, concurrency=4, faults=...)`: a trial against the session's sandbox, all counts at 0."""

    def fresh(rows, *, faults=(), latency_s=0.0, name="leads", **how) -> Trial:
        handle = sandbox(faults=faults, latency_s=latency_s)
        return Trial(folder=tmp_path, sandbox=handle, rows=rows, name=name, **how)

    return fresh
