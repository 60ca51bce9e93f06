"""Progress, while a run goes: a bar on a terminal, a plain line now and then in a log. tqdm's home.

In: the run's events. Out: text on the stream given (stderr). Never: stdout, a person's data, an exception (a terminal
that went away must not end a run), more work for each row than counting it. tqdm is imported when a bar is first shown.
"""

from __future__ import annotations

import logging
import threading
from collections import abc
from dataclasses import dataclass
from types import TracebackType
from typing import IO, TYPE_CHECKING, Never, Protocol, Self

from batch_enroll.clock import Clock
from batch_enroll.events import (
    Event,
    PaceChanged,
    PaceSet,
    Paused,
    PlanningStarted,
    Resumed,
    RowFinished,
    RowsRead,
    RunFinished,
    RunStarted,
    Stopping,
    WritingResults,
)
from batch_enroll.models import RowStatus
from batch_enroll.reporting.formatting import duration_text, rate_text, rows_text

if TYPE_CHECKING:
    from tqdm import tqdm

_log = logging.getLogger(__name__)

SCREEN_EVERY_S = 0.1
LOG_EVERY_S = 30.0
_WORTH_TELLING_S = 1.0  # a shorter pause is over before it is read


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressState:
    """How far sending has come."""

    done: int
    to_send: int
    counts: abc.Mapping[RowStatus, int]  #: what became of the rows that are done
    elapsed_s: float  #: pauses that somebody made are left out
    is_paused: bool = False

    def __str__(self) -> str:
        """`12 success, 3 error`: every status that occurred; `paused` in front in a pause."""
        told = [f"{count:,} {status}" for status, count in self.counts.items() if count]
        return ", ".join(["paused", *told] if self.is_paused else told)


class ProgressDisplay(Protocol):
    """Where progress shows."""

    def reading(self, rows: int, *, run_id: str) -> None:
        """So many rows were read; the run's id is "" for a check."""
        ...

    def sending(self, standing: ProgressState) -> None:
        """Sending has come so far."""
        ...

    def writing(self, rows: int, of: int) -> None:
        """So many rows of the results were written."""
        ...

    def say(self, sentence: str) -> None:
        """Something happened that people should know."""
        ...

    def close(self) -> None:
        """Leave the stream ready for other text; what comes later shows again."""
        ...


def progress_on(stream: IO[str], *, clock: Clock, quiet: bool, log_every_s: float = LOG_EVERY_S) -> Progress:
    """Make the listener that suits the stream: a bar on a terminal, lines elsewhere, nothing when `quiet`."""
    if quiet:
        return Progress(None, clock=clock, every_s=log_every_s)
    if stream.isatty():
        return Progress(BarDisplay(stream), clock=clock, every_s=SCREEN_EVERY_S)
    return Progress(LogDisplay(stream), clock=clock, every_s=log_every_s)


class Progress:
    """A listener that counts each row and shows the count when it is time.

    In a `with` block it leaves the stream clean however the block ends. `close` does so in the middle, before a
    question for instance; later events show again.
    """

    def __init__(self, face: ProgressDisplay | None, *, clock: Clock, every_s: float) -> None:
        self._face = face
        self._clock = clock
        self._every_s = every_s
        self._paused_at: float | None = None
        self._begin(run_id="", to_send=0)

    def __call__(self, event: Event) -> None:
        if self._face is None:
            return
        try:
            self._take(event, self._face)
        except Exception as error:  # whatever it is (mostly a terminal that is gone), the run matters more
            self._give_up(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Leave the stream ready for other text."""
        try:
            if self._face is not None:
                self._face.close()
        except Exception as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._face = None
        _log.warning("progress is shown no more", exc_info=error)

    def _take(self, event: Event, face: ProgressDisplay) -> None:
        match event:
            case RowFinished(outcome=outcome):
                self._counts[outcome.status] += 1
                self._done += 1
                if self._is_time():
                    face.sending(self._standing())
            case PlanningStarted(run_id=run_id):
                self._begin(run_id=run_id, to_send=0)
            case RowsRead(rows=rows):
                if self._is_time():
                    face.reading(rows, run_id=self._run_id)
            case RunStarted(run_id=run_id, to_send=to_send):
                face.close()
                self._begin(run_id=run_id, to_send=to_send)
                face.sending(self._standing())
            case PaceChanged(pause_s=pause_s) if pause_s >= _WORTH_TELLING_S:
                face.say(f"The platform asked for a pause of {duration_text(pause_s)}.")
            case PaceSet(rate_per_s=rate_per_s, concurrency=concurrency):
                rate = "without a limit" if rate_per_s is None else f"{rate_text(rate_per_s)} a second"
                face.say(f"The pace was set: {rate}, {concurrency:,} at once.")
            case Paused(in_flight=in_flight):
                self._paused_at = self._clock.monotonic()
                awaited = f" {in_flight:,} in flight are awaited." if in_flight else ""
                face.say(f"Paused; `batch-enroll resume {self._run_id}` lets it go on.{awaited}")
                face.sending(self._standing())
            case Resumed():
                self._began_at += self._paused_for()
                self._paused_at = None
                face.say("Resumed.")
                face.sending(self._standing())
            case Stopping(reason=reason):
                face.say(f"Stopping, waiting for the answers in flight: {reason}")
            case WritingResults(rows=rows, of=of):
                self._end_sending(face)
                if self._is_time():
                    face.writing(rows, of)
            case RunFinished():
                self._end_sending(face)
                face.close()

    def _begin(self, *, run_id: str, to_send: int) -> None:
        self._is_sending = True
        self._run_id = run_id
        self._paused_at = None
        self._counts = dict.fromkeys(RowStatus, 0)
        self._done = 0
        self._to_send = to_send
        self._began_at: float = self._clock.monotonic()
        self._shown_at = self._began_at

    def _end_sending(self, face: ProgressDisplay) -> None:
        """Show once how the sending ended."""
        if self._is_sending:
            self._is_sending = False
            face.sending(self._standing())
            face.close()
            self._shown_at = self._clock.monotonic()

    def _standing(self) -> ProgressState:
        return ProgressState(
            done=self._done,
            to_send=self._to_send,
            counts=self._counts,
            elapsed_s=self._clock.monotonic() - self._began_at - self._paused_for(),
            is_paused=self._paused_at is not None,
        )

    def _paused_for(self) -> float:
        return 0.0 if self._paused_at is None else self._clock.monotonic() - self._paused_at

    def _is_time(self) -> bool:
        now = self._clock.monotonic()
        if now - self._shown_at < self._every_s:
            return False
        self._shown_at = now
        return True


class BarDisplay:
    """One line of a terminal, drawn over itself."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._bar: tqdm[Never] | None = None

    def reading(self, rows: int, *, run_id: str) -> None:
        if self._bar is None:
            self._bar = self._open(total=None, bar_format=f"{_of_run(run_id)}read {{n:,}} rows", leave=False)
        self._bar.update(rows - self._bar.n)

    def sending(self, standing: ProgressState) -> None:
        if self._bar is None:
            form = "{percentage:3.0f}% {bar} {n:,}/{total:,}, {rate_noinv_fmt}, {remaining} left{postfix}"
            self._bar = self._open(total=standing.to_send, bar_format=form, leave=True)
        self._bar.set_postfix_str(str(standing), refresh=False)
        self._bar.update(standing.done - self._bar.n)

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

        tqdm.monitor_interval = 0  # no thread that redraws: `Progress` says when it is time
        tqdm.set_lock(threading.RLock())  # tqdm's own is made for several processes and may start one
        return tqdm(
            total=total,
            bar_format=bar_format,
            leave=leave,
            file=self._stream,
            unit=" rows",
            mininterval=0,  # every update is drawn: `Progress` already waited
            miniters=0,
            smoothing=0.05,
            dynamic_ncols=True,
        )


class LogDisplay:
    """Plain lines, for a log that somebody reads later."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def reading(self, rows: int, *, run_id: str) -> None:
        self.say(f"{_of_run(run_id)}read {rows_text(rows)}")

    def sending(self, standing: ProgressState) -> None:
        if not standing.done and not standing.is_paused:
            self.say(f"sending {rows_text(standing.to_send)}")
            return
        per_s = standing.done / standing.elapsed_s if standing.elapsed_s else 0.0
        left_s = (standing.to_send - standing.done) / per_s if per_s else 0.0
        pace = (
            f"; {rate_text(per_s)} a second, {duration_text(left_s)} left" if per_s and not standing.is_paused else ""
        )
        self.say(f"{standing.done:,} of {rows_text(standing.to_send)}: {standing}{pace}")

    def writing(self, rows: int, of: int) -> None:
        self.say(f"writing results: {rows:,} of {rows_text(of)}")

    def say(self, sentence: str) -> None:
        self._stream.write(f"{sentence}\n")
        self._stream.flush()

    def close(self) -> None:
        pass


def _of_run(run_id: str) -> str:
    return f"run {run_id}: " if run_id else ""
