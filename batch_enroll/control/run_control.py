"""Runtime control of a run: pause, resume, set the rate, stop, end at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Protocol

import anyio

from batch_enroll.messages import Message, message, verbatim
from batch_enroll.models import StopReason
from batch_enroll.sending import StopSignal


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlStatus:
    """The state of the sending of a run at one moment."""

    is_paused: bool
    rate_per_s: float | None  #: at most; None is unlimited
    concurrency: int
    in_flight: int  #: requests without an answer yet
    is_sending: bool = True  #: False before the first request: rate and concurrency are those it will have
    is_over: bool = False  #: nothing is sent any more; the results are being written


class Controllable(Protocol):
    """What a `Control` controls: the sending of one run."""

    def standing(self) -> ControlStatus: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def set_pace(self, *, rate_per_s: float | None, concurrency: int) -> None: ...
    def stopping(self, reason: str) -> None: ...


class _PendingControl:
    """Takes the place of the sending before it begins: remembers the settings for it."""

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
        """Nothing is sent yet; the phases before the sending read `Control.reason`."""

    def apply_to(self, sending: Controllable) -> None:
        """Apply the remembered settings to the sending that begins."""
        if self._pace != self._planned:
            rate_per_s, concurrency = self._pace
            sending.set_pace(rate_per_s=rate_per_s, concurrency=concurrency)
        if self._is_paused:
            sending.pause()


class _EndedSending:
    """Takes the place of the sending after it ended: nothing can be changed."""

    def __init__(self, last: ControlStatus) -> None:
        self._last = replace(last, in_flight=0, is_over=True)

    def standing(self) -> ControlStatus:
        return self._last

    def pause(self) -> None:
        """Nothing to pause."""

    def resume(self) -> None:
        """Nothing to resume."""

    def set_pace(self, *, rate_per_s: float | None, concurrency: int) -> None:
        """Nothing left to send."""

    def stopping(self, reason: str) -> None:
        """It ends without that."""


class Control:
    """Runtime control of one run, from its planning to its report; every run needs a `Control` of its own.

    Every call must come from the event loop's own thread. What is set before the sending begins holds from its
    first row on.
    """

    def __init__(self) -> None:
        self.signal = StopSignal()
        self.stop_reason: StopReason | None = None  #: the first one
        self.is_broken_off = False  #: `break_off` was called
        self._breaks_all = False
        self._stoppable: set[anyio.CancelScope] = set()
        self._breakable: set[anyio.CancelScope] = set()
        self._target: Controllable | None = None
        self._pending: _PendingControl | None = None
        self._changes: list[Callable[[Controllable], None]] = []

    @property
    def reason(self) -> str:
        """The first reason to stop, in the current wording; "" while there is none."""
        return str(self.stop_reason) if self.stop_reason is not None else ""

    @property
    def exit_code(self) -> int | None:
        """130 or 143 when a signal of the system stopped the run."""
        return self.stop_reason.exit_code if self.stop_reason is not None else None

    def stop(self, reason: StopReason | Message | str, *, exit_code: int | None = None) -> None:
        """Take no more rows; requests in flight are awaited. Only the first reason counts.

        Before the first row is sent this cancels the planning, the preflight and the question; after the last one it
        cancels the diagnosis, and the results are still written.
        """
        if self.stop_reason is None:
            if not isinstance(reason, StopReason):
                reason = StopReason(verbatim(reason) if isinstance(reason, str) else reason, exit_code=exit_code)
            self.stop_reason = reason
            if self._target is not None:
                self._target.stopping(str(reason))
            self.signal.set()
        for scope in self._stoppable:
            scope.cancel()

    def break_off(self) -> None:
        """End the current phase at once: rows in flight become unknown, results are left unwritten.

        Before the sending it ends all that would follow; while rows are in flight their results are still written.
        """
        self.is_broken_off = True
        self._breaks_all = self._breaks_all or not self._breakable
        self.stop(message("control.stopped_at_once"))
        for scope in self._breakable:
            scope.cancel()

    def stoppable(self) -> _CancellableBlock:
        """Let `stop` cancel the block, without an exception; earlier calls of `stop` do not."""
        return _CancellableBlock(self._stoppable)

    def breakable(self) -> _CancellableBlock:
        """Let `break_off` cancel the block, without an exception, even in a shielded scope."""
        return _CancellableBlock(self._breakable, at_once=self._breaks_all)

    def pause(self) -> None:
        """Send no more requests until `resume`; those in flight are awaited."""
        self._change(lambda sending: sending.pause())

    def resume(self) -> None:
        """Send again, at the current rate and without making up for the pause."""
        self._change(lambda sending: sending.resume())

    def set_rate(self, rate_per_s: float | None) -> None:
        """Change the limit from the next request on; None is unlimited.

        Raises:
            ValueError: not a number above 0.
        """
        if rate_per_s is not None and not 0 < rate_per_s < float("inf"):
            raise ValueError(f"a rate is a number above 0, not {rate_per_s}")
        self._change(
            lambda sending: sending.set_pace(rate_per_s=rate_per_s, concurrency=sending.standing().concurrency)
        )

    def set_concurrency(self, concurrency: int) -> None:
        """Change how many requests may be in flight at once; those beyond it are awaited.

        Raises:
            ValueError: not a number above 0.
        """
        if concurrency < 1:
            raise ValueError(f"at least one request must be allowed in flight, not {concurrency}")
        self._change(
            lambda sending: sending.set_pace(rate_per_s=sending.standing().rate_per_s, concurrency=concurrency)
        )

    def expect(self, *, rate_per_s: float | None, concurrency: int) -> None:
        """Begin the control of one run, which will send at this rate; changes are kept until the sending begins.

        Raises:
            RuntimeError: another run used this control.
        """
        if self._target is not None:
            raise RuntimeError("A Control is for one run, and this one had its run: make a new one for each call.")
        self._target = self._pending = _PendingControl(rate_per_s=rate_per_s, concurrency=concurrency)
        self._apply_changes(self._pending)

    def standing(self) -> ControlStatus | None:
        """Give the state of the sending, or what it will be or was; None before `expect`."""
        return self._target.standing() if self._target else None

    async def over(self, sending: Controllable, send: Callable[[], Awaitable[None]]) -> None:
        """Run the sending under this control; `break_off` cancels it."""
        self._target = sending
        if self._pending is not None:
            self._pending.apply_to(sending)
        self._apply_changes(sending)
        try:
            with self.breakable():
                await send()
        finally:
            self._target = _EndedSending(sending.standing())

    def _apply_changes(self, target: Controllable) -> None:
        for change in self._changes:
            change(target)
        self._changes.clear()

    def _change(self, change: Callable[[Controllable], None]) -> None:
        if self._target is None:
            self._changes.append(change)
        else:
            change(self._target)


class _CancellableBlock:
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
