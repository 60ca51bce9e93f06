"""How many rows are worked on at once; the number may change while the pool works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from batch_enroll.sending.stop_signal import StopSignal


class ConcurrencyLimit:
    """The workers of one run."""

    def __init__(self, size: int, *, stop: StopSignal | None = None) -> None:
        """Set how many there should be.

        Args:
            stop: the signal through which rows wait for a permit or for their next attempt; without it a row that
                waits counts as one in flight.
        Raises:
            ValueError: not a number above 0.
        """
        self.busy = 0  #: rows that workers have now
        self.present = 0  #: workers there are
        self.start_workers: Callable[[], None] | None = None  #: set by the pool while it works
        self._stop = stop
        self._paused = False
        self.size = self._checked(size)

    @property
    def is_paused(self) -> bool:
        """Whether the run is paused."""
        return self._paused

    @property
    def over_limit(self) -> bool:
        """Whether a worker that has no row should end."""
        return self.present > self.size

    @property
    def in_flight(self) -> int:
        """How many rows have their permit and no outcome yet."""
        return self.busy - (self._stop.waiting if self._stop else 0)

    def is_blocked(self) -> bool:
        """Whether no permit may be given out now: in a pause, and while surplus workers still have rows.

        After the limit was lowered, more rows than it allows wait for permits; they must not all leave.
        """
        return self._paused or (self.present > self.size and self.in_flight >= self.size)

    def resize(self, size: int) -> None:
        """Change how many workers there should be; surplus workers end when their row has its outcome.

        Raises:
            ValueError: not a number above 0.
        """
        self.size = self._checked(size)
        if self.start_workers is not None:
            self.start_workers()

    def pause(self) -> None:
        """Let no row leave until `resume`; requests in flight are finished."""
        self._paused = True

    def resume(self) -> None:
        """Let rows leave again."""
        self._paused = False

    @contextmanager
    def session(self) -> Iterator[None]:
        """Reset the counters when a pool ends, in whatever way."""
        try:
            yield
        finally:
            self.start_workers, self.present, self.busy = None, 0, 0

    @staticmethod
    def _checked(size: int) -> int:
        if size < 1:
            raise ValueError(f"there must be at least one worker, not {size}")
        return size
