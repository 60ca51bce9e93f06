"""Where a request is on its way, and a way to stop those that are not on it yet.

In: the sender's word that nothing has left; the wish to stop. Out: what a cancelled call may have done; waits that end
at once. Never: a decision about a row.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio

T = TypeVar("T")


@dataclass(slots=True)
class TransmissionState:
    """One request on its way. The sender keeps it true, so that a call which was cancelled can be judged."""

    surely_unsent: bool = False  #: not a byte of it has left; a sender that says nothing leaves it in doubt

    def write(self) -> None:
        """Note that the first byte leaves now."""
        self.surely_unsent = False


class StopRequested(Exception):
    """A wait ended because the run is asked to stop."""


class StopSignal:
    """An event that also ends the waits which were made through it; requests in flight are left alone."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self._waits: set[anyio.CancelScope] = set()

    def set(self) -> None:
        """Ask the run to stop: take no more rows, end the waits, let answers come."""
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
        """Wait for something that may be given up at any moment.

        Raises:
            Stopped: the signal was set before or meanwhile.
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
