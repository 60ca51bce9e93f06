"""Blocking work at once in the event loop's own thread, where virtual time must not pass while a thread works."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def no_threads() -> Iterator[None]:
    """Have the package's blocking work done without a thread while the block runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("batch_enroll.background.start_thread", lambda work: work())
        yield
