"""The stop signal of a run, and how far the transmission of one request has come."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio

T = TypeVar("T")


@dataclass(slots=True)
class TransmissionState:
    """How far one request has come. The client keeps it true, so that a cancelled call can be judged."""

    surely_unsent: bool = False  #: not a byte of it has left; it may have left when nobody says so
    seq: int = 0  #: the row's place in the plan; 0 for what is no row
    on_stray: Callable[[int], None] | None = None  #: called with `seq`

    def write(self) -> None:
        """Note that the first byte leaves now."""
        self.surely_unsent = False

    def stray(self) -> None:
        """Note that bytes which nobody asked for came behind its answer: that may be the answer to another request."""
        if self.on_stray is not None:
            self.on_stray(self.seq)


class StopRequested(Exception):
    """A wait ended because the run is asked to stop."""


class StopSignal:
    """An event that also ends the waits which were made through it; requests in flight are left alone."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self._waits: set[anyio.CancelScope] = set()

    def set(self) -> None:
        """Ask the run to stop: no more rows are taken, waits end, answers are awaited."""
        self._event.set()
        for scope in self._waits:
            scope.cancel()

    @property
    def waiting(self) -> int:
        """How many waits it could end now: rows that are not in flight."""
        return len(self._waits)

    def is_set(self) -> bool:
        return self._event.is_set()

    async def wait(self) -> None:
        await self._event.wait()

    async def unless_set(self, wait: Callable[[], Awaitable[T]]) -> T:
        """Wait for something that may be cancelled at any moment.

        Raises:
            StopRequested: the signal was set before or meanwhile.
        """
        if self._event.is_set():
            raise StopRequested
        with anyio.CancelScope() as scope:
            self._waits.add(scope)
            try:
                return await wait()
            finally:
                self._waits.discard(scope)
        raise StopRequested
