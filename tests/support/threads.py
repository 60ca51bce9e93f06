"""Run blocking work in the event loop's thread, for tests in virtual time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def no_threads() -> Iterator[None]:
    """Run the package's blocking work without threads while the block runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("batch_enroll.daemon_threads.start_thread", lambda work: work())
        yield
