"""Runtime control of a run: pause, resume, set the rate, stop, end at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Protocol

import anyio

from batch_enroll.sending import StopSignal


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlStatus:
    """How the sending of a run stands at one moment."""

    is_paused: bool
    rate_per_s: float | None  #: at most; None is unlimited
    concurrency: int
    in_flight: int  #: requests whose answer has not come
    is_sending: bool = True  #: False before the first request: what stands here is what will be
    is_over: bool = False  #: nothing is sent any more; the results are being written


class Controllable(Protocol):
    """What a `Control` steers: the sending of one run."""

    def standing(self) -> ControlStatus: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def set_pace(self, *, rate_per_s: float | None, concurrency: int) -> None: ...
    def stopping(self, reason: str) -> None: ...


class _PendingControl:
    """Steered in place of a run that does not send yet: remembers what will be."""

    def __init__(self, *, rate_per_s: float | None, concurrency: int) -> None:
        self._planned = self._pace = (rate_per_s, concurrency)
        self._is_paused = False

    def standing(self) -> ControlStatus:
        rate_per_s, concurrency = self._pace
        return ControlStatus(
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

    def hand_over(self, steered: Controllable) -> None:
        """Let what was remembered hold for the sending that begins."""
        if self._pace != self._planned:
            rate_per_s, concurrency = self._pace
            steered.set_pace(rate_per_s=rate_per_s, concurrency=concurrency)
        if self._is_paused:
            steered.pause()


class _Over:
    """Steered in place of a run that sends no more: nothing can be changed."""

    def __init__(self, last: ControlStatus) -> None:
        self._last = replace(last, in_flight=0, is_over=True)

    def standing(self) -> ControlStatus:
        return self._last

    def pause(self) -> None:
        """There is nothing to pause."""

    def resume(self) -> None:
        """There is nothing to resume."""

    def set_pace(self, *, rate_per_s: float | None, concurrency: int) -> None:
        """There is nothing left to send."""

    def stopping(self, reason: str) -> None:
        """It ends by itself."""


class Control:
    """Runtime control of one run, from its planning to its report; every run needs a `Control` of its own.

    Every call must come from the event loop's own thread. What is set before the sending begins holds from its
    first row on.
    """

    def __init__(self) -> None:
        self.signal = StopSignal()
        self.reason = ""  #: the first reason to stop, one sentence; "" while there is none
        self.exit_code: int | None = None  #: 130 or 143 when a signal of the system stopped the run
        self.is_broken_off = False  #: nobody wants to wait any more
        self._breaks_all = False
        self._stoppable: set[anyio.CancelScope] = set()
        self._breakable: set[anyio.CancelScope] = set()
        self._steered: Controllable | None = None
        self._ahead: _PendingControl | None = None
        self._wishes: list[Callable[[Controllable], None]] = []

    def stop(self, reason: str, *, exit_code: int | None = None) -> None:
        """Take no more rows; answers in flight are awaited. Only the first reason counts.

        Before the first row is sent this ends the planning, the preflight and the question; after the last one it
        ends the diagnosis, and the results are still written.
        """
        if not self.reason:
            self.reason, self.exit_code = reason, exit_code
            if self._steered is not None:
                self._steered.stopping(reason)
            self.signal.set()
        for scope in self._stoppable:
            scope.cancel()

    def break_off(self) -> None:
        """End the phase that goes on at once: rows in flight become unknown, results are left unwritten.

        Before the sending it ends all that would follow; while rows are in flight their results are still written.
        """
        self.is_broken_off = True
        self._breaks_all = self._breaks_all or not self._breakable
        self.stop("Stopped at once.")
        for scope in self._breakable:
            scope.cancel()

    def stoppable(self) -> _Ended:
        """Have `stop` end the block, without an exception, however many reasons to stop there were before it."""
        return _Ended(self._stoppable)

    def breakable(self) -> _Ended:
        """Have `break_off` end the block, without an exception, even in a shielded scope."""
        return _Ended(self._breakable, at_once=self._breaks_all)

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
        """A run is on its way to sending at this pace: from now on wishes are answered, and remembered until then.

        Raises:
            RuntimeError: another run used this control.
        """
        if self._steered is not None:
            raise RuntimeError("A Control is for one run, and this one had its run: make a new one for each call.")
        self._steered = self._ahead = _PendingControl(rate_per_s=rate_per_s, concurrency=concurrency)
        self._grant(self._ahead)

    def standing(self) -> ControlStatus | None:
        """Say how the sending stands, stood or will; None before the run began."""
        return self._steered.standing() if self._steered else None

    async def over(self, steered: Controllable, sending: Callable[[], Awaitable[None]]) -> None:
        """Run the sending so that it is steered, and ended by `break_off`."""
        self._steered = steered
        if self._ahead is not None:
            self._ahead.hand_over(steered)
        self._grant(steered)
        try:
            with self.breakable():
                await sending()
        finally:
            self._steered = _Over(steered.standing())

    def _grant(self, steered: Controllable) -> None:
        for wish in self._wishes:
            wish(steered)
        self._wishes.clear()

    def _wish(self, wish: Callable[[Controllable], None]) -> None:
        if self._steered is None:
            self._wishes.append(wish)
        else:
            wish(self._steered)


class _Ended:
    """A block that is cancelled, without an exception, when one of a set of scopes is."""

    def __init__(self, scopes: set[anyio.CancelScope], *, at_once: bool = False) -> None:
        self._scopes = scopes
        self._scope = anyio.CancelScope()
        if at_once:
            self._scope.cancel()

    def __enter__(self) -> None:
        self._scope.__enter__()
        self._scopes.add(self._scope)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        self._scopes.discard(self._scope)
        return bool(self._scope.__exit__(kind, error, at))
