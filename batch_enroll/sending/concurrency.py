"""How many rows may be worked on at once, changed from outside while the pool works.

In: the wish for more or fewer workers, or for a pause. Out: who may take the next row, and whether a permit may go.
Never: a row (the pool has those), a wait (the limiter asks again), a worker sent away in the middle of a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from batch_enroll.sending.stop_signal import StopSignal


class ConcurrencyLimit:
    """The workers of one run, in whichever pool they are."""

    def __init__(self, size: int, *, stop: StopSignal | None = None) -> None:
        """Name how many there should be.

        Args:
            stop: the signal through which rows wait for a permit or for their next attempt; without it a row that
                waits counts as one in flight.
        Raises:
            ValueError: not a number above 0.
        """
        self.busy = 0  #: rows that workers have now
        self.present = 0  #: workers there are
        self.hire: Callable[[], None] | None = None  #: the pool's way to get more workers; None when no pool works
        self._stop = stop
        self._paused = False
        self.size = self._checked(size)

    @property
    def is_paused(self) -> bool:
        """Whether no row may leave."""
        return self._paused

    @property
    def is_crowded(self) -> bool:
        """Whether a worker that has no row should go."""
        return self.present > self.size

    @property
    def in_flight(self) -> int:
        """How many rows are past their permit and have no word yet."""
        return self.busy - (self._stop.waiting if self._stop else 0)

    def is_held(self) -> bool:
        """Say whether no permit may go now: in a pause, and while those that are too many still have rows.

        When a team is made smaller, many more rows than it may have in flight stand in the queue for permits; they
        must not all leave because they are there already.
        """
        return self._paused or (self.present > self.size and self.in_flight >= self.size)

    def resize(self, size: int) -> None:
        """Change how many workers there should be; those that are too many go when their row has its word.

        Raises:
            ValueError: not a number above 0.
        """
        self.size = self._checked(size)
        if self.hire is not None:
            self.hire()

    def pause(self) -> None:
        """Let no row leave until `resume`; those in flight go on."""
        self._paused = True

    def resume(self) -> None:
        """Let rows leave again."""
        self._paused = False

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Leave nobody behind when a pool ends, in whatever way."""
        try:
            yield
        finally:
            self.hire, self.present, self.busy = None, 0, 0

    @staticmethod
    def _checked(size: int) -> int:
        if size < 1:
            raise ValueError(f"a team has at least one worker, not {size}")
        return size
