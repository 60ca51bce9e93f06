"""Fixtures of the proof."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

if sys.platform == "win32":
    collect_ignore_glob = ["test_*.py"]  # there is no SIGKILL; the harness is made of it
else:
    from tests.proof.harness import Trial


@pytest.fixture
def trial(tmp_path, sandbox) -> Callable[..., Trial]:
    """`trial(rows, concurrency=4, faults=...)`: a trial against the session's sandbox, all counts at 0."""

    def fresh(rows, *, faults=(), latency_s=0.0, **how) -> Trial:
        return Trial(folder=tmp_path, sandbox=sandbox(faults=faults, latency_s=latency_s), rows=rows, **how)

    return fresh
