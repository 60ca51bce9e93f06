"""Progress of a run: a bar on a terminal, a line every 30 seconds elsewhere."""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from typing import IO, TYPE_CHECKING, Never, Protocol, Self

from batch_enroll.clock import Clock
from batch_enroll.events import (
    EnrolledMeanwhile,
    Event,
    Paused,
    PlanningStarted,
    RateChanged,
    RateSet,
    Resumed,
    RowFinished,
    RowsRead,
    RunFinished,
    RunStarted,
    Stopping,
    StrayAnswer,
    WaitingForScenario,
    WritingResults,
)
from batch_enroll.messages import message
from batch_enroll.reporting.formatting import duration_text, rate_text
from batch_enroll.reporting.run_state import RunSnapshot, RunStateTracker

if TYPE_CHECKING:
    from tqdm import tqdm

_log = logging.getLogger(__name__)

SCREEN_EVERY_S = 0.1
LOG_EVERY_S = 30.0
_SHORTEST_SHOWN_PAUSE_S = 1.0  # a shorter one is over before it is read


class ProgressDisplay(Protocol):
    """Where progress is shown."""

    def reading(self, rows: int, *, run_id: str | None) -> None:
        """Show how many rows were read; a check has no run id."""
        ...

    def sending(self, state: RunSnapshot) -> None:
        """Show how many rows were sent."""
        ...

    def writing(self, rows: int, of: int) -> None:
        """Show how many rows of the results were written."""
        ...

    def say(self, sentence: str) -> None:
        """Show a sentence."""
        ...

    def close(self) -> None:
        """Leave the stream ready for other text; later calls show progress again."""
        ...


def progress_on(stream: IO[str], *, state: RunStateTracker, clock: Clock, quiet: bool) -> Progress:
    """Make the listener that suits the stream: a bar on a terminal, lines elsewhere, nothing when `quiet`."""
    if quiet:
        return Progress(None, state=state, clock=clock, every_s=LOG_EVERY_S)
    if stream.isatty():
        return Progress(BarDisplay(stream), state=state, clock=clock, every_s=SCREEN_EVERY_S)
    return Progress(LogDisplay(stream), state=state, clock=clock, every_s=LOG_EVERY_S)


class Progress:
    """Show the state of a run at intervals, and some events at once.

    A `with` block leaves the stream clean however it ends. `close` does so before it ends, for a prompt for instance.

    Args:
        display: None shows nothing.
        state: hears each event before this listener does.
        clock: measures the interval.
        every_s: seconds between two displays of the same count.
    """

    def __init__(
        self, display: ProgressDisplay | None, *, state: RunStateTracker, clock: Clock, every_s: float
    ) -> None:
        self._display = display
        self._state = state
        self._clock = clock
        self._every_s = every_s
        self._is_sending = False
        self._shown_at = clock.monotonic()

    def __call__(self, event: Event) -> None:
        if self._display is None:
            return
        try:
            self._show(event, self._display)
        except Exception as error:  # usually a terminal that is gone; the run continues without its progress
            self._disable(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Leave the stream ready for other text."""
        try:
            if self._display is not None:
                self._display.close()
        except Exception as error:
            self._disable(error)

    def _disable(self, error: Exception) -> None:
        self._display = None
        _log.warning("progress is no longer shown", exc_info=error)

    def _show(self, event: Event, display: ProgressDisplay) -> None:
        match event:
            case RowFinished():
                if self._is_due():
                    display.sending(self._state.snapshot())
            case PlanningStarted():
                self._shown_at = self._clock.monotonic()
            case RowsRead(rows=rows):
                if self._is_due():
                    display.reading(rows, run_id=self._state.snapshot().run_id)
            case WaitingForScenario(owner=owner):
                display.say(str(message("report.waiting_for_scenario", owner=owner)))
            case EnrolledMeanwhile(rows=rows):
                display.say(str(message("report.enrolled_meanwhile", rows=rows)))
            case RunStarted():
                display.close()
                self._is_sending = True
                self._shown_at = self._clock.monotonic()
                display.sending(self._state.snapshot())
            case StrayAnswer(row_number=row):
                display.say(str(message("report.stray_answer", row=row)))
            case RateChanged(pause_s=pause_s) if pause_s >= _SHORTEST_SHOWN_PAUSE_S:
                display.say(str(message("report.platform_pause", pause=duration_text(pause_s))))
            case RateSet(rate_per_s=rate_per_s, concurrency=concurrency):
                if rate_per_s is None:
                    display.say(str(message("report.rate_unlimited", concurrency=concurrency)))
                else:
                    display.say(str(message("report.rate_set", rate=rate_text(rate_per_s), concurrency=concurrency)))
            case Paused(in_flight=in_flight):
                state = self._state.snapshot()
                id = "report.paused_waiting" if in_flight else "report.paused"
                display.say(str(message(id, run_id=state.run_id, in_flight=in_flight)))
                display.sending(state)
            case Resumed():
                display.say(str(message("report.resumed")))
                display.sending(self._state.snapshot())
            case Stopping(reason=reason):
                display.say(str(message("report.stopping", reason=reason)))
            case WritingResults(rows=rows, of=of):
                self._end_sending(display)
                if self._is_due():
                    display.writing(rows, of)
            case RunFinished():
                self._end_sending(display)
                display.close()

    def _end_sending(self, display: ProgressDisplay) -> None:
        """Show once how the sending ended."""
        if self._is_sending:
            self._is_sending = False
            display.sending(self._state.snapshot())
            display.close()
            self._shown_at = self._clock.monotonic()

    def _is_due(self) -> bool:
        now = self._clock.monotonic()
        if now - self._shown_at < self._every_s:
            return False
        self._shown_at = now
        return True


class BarDisplay:
    """A bar on one line of a terminal."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._bar: tqdm[Never] | None = None

    def reading(self, rows: int, *, run_id: str | None) -> None:
        if self._bar is None:
            prefix = f"run {run_id}: " if run_id else ""
            self._bar = self._open(total=None, bar_format=f"{prefix}read {{n:,}} rows", leave=False)
        self._bar.update(rows - self._bar.n)

    def sending(self, state: RunSnapshot) -> None:
        if self._bar is None:
            form = "{percentage:3.0f}% {bar} {n:,}/{total:,}{postfix}"
            self._bar = self._open(total=state.to_send, bar_format=form, leave=True)
        rate, left = _rate_and_time_left(state)
        told = [f"{rate} a second", f"{left} left", _counts_text(state)] if rate else [_counts_text(state)]
        self._bar.set_postfix_str(", ".join(filter(None, told)), refresh=False)
        self._bar.update(state.done - self._bar.n)

    def writing(self, rows: int, of: int) -> None:
        if self._bar is None:
            form = "writing results {percentage:3.0f}% {bar} {n:,}/{total:,}"
            self._bar = self._open(total=of, bar_format=form, leave=False)
        self._bar.update(rows - self._bar.n)

    def say(self, sentence: str) -> None:
        if self._bar is None:
            self._stream.write(f"{sentence}\n")
        else:
            self._bar.write(sentence, file=self._stream)

    def close(self) -> None:
        if self._bar is not None:
            bar, self._bar = self._bar, None
            bar.close()

    def _open(self, *, total: int | None, bar_format: str, leave: bool) -> tqdm[Never]:
        from tqdm import tqdm

        tqdm.monitor_interval = 0  # no thread that redraws
        tqdm.set_lock(threading.RLock())  # tqdm's own lock is for several processes and may start one
        return tqdm(
            total=total,
            bar_format=bar_format,
            leave=leave,
            file=self._stream,
            unit=" rows",
            mininterval=0,  # every update is drawn; `Progress` sets the interval
            miniters=0,
            smoothing=0.05,
            dynamic_ncols=True,
        )


class LogDisplay:
    """Plain lines, for a log."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def reading(self, rows: int, *, run_id: str | None) -> None:
        self.say(str(message("report.reading_run" if run_id else "report.reading", run_id=run_id, rows=rows)))

    def sending(self, state: RunSnapshot) -> None:
        if not state.done and not state.paused:
            self.say(str(message("report.sending", rows=state.to_send)))
            return
        progress = message("report.progress", done=state.done, to_send=state.to_send, counts=_counts_text(state))
        rate, left = _rate_and_time_left(state)
        if rate:
            progress = message("report.progress_rate", progress=progress, rate=rate, left=left)
        self.say(str(progress))

    def writing(self, rows: int, of: int) -> None:
        self.say(str(message("report.writing", rows=rows, of=of)))

    def say(self, sentence: str) -> None:
        self._stream.write(f"{sentence}\n")
        self._stream.flush()

    def close(self) -> None:
        pass


def _rate_and_time_left(state: RunSnapshot) -> tuple[str, str]:
    """Give the rows sent per second and the time that is left at this rate; "" in a pause, or before a row was sent."""
    if not state.rows_per_s or state.paused:
        return "", ""
    return rate_text(state.rows_per_s), duration_text((state.to_send - state.done) / state.rows_per_s)


def _counts_text(state: RunSnapshot) -> str:
    """`12 success, 3 error`: every status that occurred; `paused` in front in a pause."""
    counts = [f"{count:,} {status}" for status, count in state.done_by_status.items() if count]
    return ", ".join(["paused", *counts] if state.paused else counts)
