"""A hand on a run from outside: pause it, change its pace, stop it, break it off.

In: wishes of signals, of other terminals, of the page, of a program. Out: calls of whatever sends the run's rows, and
why it was stopped. Never: a decision of its own, a row, a file.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import anyio

from batch_enroll.sending import StopSignal


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How the sending of a run stands at one moment."""

    is_paused: bool
    rate_per_s: float | None  #: at most; None is unlimited
    concurrency: int
    in_flight: int  #: requests whose answer has not come
    is_sending: bool = True  #: False before the first request: what stands here is what will be


class Steered(Protocol):
    """What a `Control` steers: the sending of one run."""

    def standing(self) -> Standing: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def set_pace(self, *, rate_per_s: float | None, concurrency: int) -> None: ...
    def stopping(self, reason: str) -> None: ...


class _Ahead:
    """Steered in place of a run that does not send yet: remembers what will be."""

    def __init__(self, *, rate_per_s: float | None, concurrency: int) -> None:
        self._planned = self._pace = (rate_per_s, concurrency)
        self._is_paused = False

    def standing(self) -> Standing:
        rate_per_s, concurrency = self._pace
        return Standing(
            is_paused=self._is_paused, rate_per_s=rate_per_s, concurrency=concurrency, in_flight=0, is_sending=False
        )

    def pause(self) -> None:
        self._is_paused = True

    def resume(self) -> None:
        self._is_paused = False

    def set_pace(self, *, rate_per_s: float | None, concurrency: int) -> None:
        self._pace = (rate_per_s, concurrency)

    def stopping(self, reason: str) -> None:
        """Whoever makes the plan asks `Control.reason`."""

    def hand_over(self, steered: Steered) -> None:
        """Let what was remembered hold for the sending that begins."""
        if self._pace != self._planned:
            rate_per_s, concurrency = self._pace
            steered.set_pace(rate_per_s=rate_per_s, concurrency=concurrency)
        if self._is_paused:
            steered.pause()


class Control:
    """A hand on a run from outside.

    Every call must come from the event loop's own thread. What is wished before the sending begins holds from its
    first row on.
    """

    def __init__(self) -> None:
        self.signal = StopSignal()
        self.reason = ""  #: the first reason to stop, one sentence; "" while there is none
        self.exit_code: int | None = None  #: 130 or 143 when a signal of the system stopped the run
        self._scope = anyio.CancelScope()
        self._steered: Steered | None = None
        self._ahead: _Ahead | None = None
        self._wishes: list[Callable[[Steered], None]] = []

    def stop(self, reason: str, *, exit_code: int | None = None) -> None:
        """Take no more rows; answers in flight are awaited. Only the first reason counts."""
        if self.reason:
            return
        self.reason, self.exit_code = reason, exit_code
        if self._steered is not None:
            self._steered.stopping(reason)
        self.signal.set()

    def break_off(self) -> None:
        """Wait for no answer: rows in flight become unknown."""
        self._scope.cancel()

    @property
    def is_broken_off(self) -> bool:
        """Whether nobody wants to wait any more."""
        return self._scope.cancel_called

    def pause(self) -> None:
        """Let no more requests leave until `resume`; answers in flight come in."""
        self._wish(lambda steered: steered.pause())

    def resume(self) -> None:
        """Let requests leave again, at the rate that is set and without making up for the pause."""
        self._wish(lambda steered: steered.resume())

    def set_rate(self, rate_per_s: float | None) -> None:
        """Change the limit from the next request on; None is unlimited.

        Raises:
            ValueError: not a number above 0.
        """
        if rate_per_s is not None and not 0 < rate_per_s < float("inf"):
            raise ValueError(f"a rate is a number above 0, not {rate_per_s}")
        self._wish(lambda steered: steered.set_pace(rate_per_s=rate_per_s, concurrency=steered.standing().concurrency))

    def set_concurrency(self, concurrency: int) -> None:
        """Change how many requests may be in flight at once; those that are too many are awaited.

        Raises:
            ValueError: not a number above 0.
        """
        if concurrency < 1:
            raise ValueError(f"at least one request must be allowed in flight, not {concurrency}")
        self._wish(lambda steered: steered.set_pace(rate_per_s=steered.standing().rate_per_s, concurrency=concurrency))

    def expect(self, *, rate_per_s: float | None, concurrency: int) -> None:
        """A run is on its way to sending at this pace: from now on wishes are answered, and remembered until then."""
        self._steered = self._ahead = _Ahead(rate_per_s=rate_per_s, concurrency=concurrency)
        self._grant(self._ahead)

    def standing(self) -> Standing | None:
        """Say how the sending stands, or will; None when no run is on its way to it."""
        return self._steered.standing() if self._steered else None

    async def over(self, steered: Steered, sending: Callable[[], Awaitable[None]]) -> None:
        """Run the sending so that it is steered, and ended by `break_off`."""
        self._steered = steered
        if self._ahead is not None:
            self._ahead.hand_over(steered)
        self._grant(steered)
        try:
            with self._scope:
                await sending()
        finally:
            self._steered = None

    def _grant(self, steered: Steered) -> None:
        for wish in self._wishes:
            wish(steered)
        self._wishes.clear()

    def _wish(self, wish: Callable[[Steered], None]) -> None:
        if self._steered is None:
            self._wishes.append(wish)
        else:
            wish(self._steered)
