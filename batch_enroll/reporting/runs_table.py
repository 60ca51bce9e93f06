"""Earlier runs as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

from batch_enroll.clock import local_time
from batch_enroll.models import Counts
from batch_enroll.reporting.formatting import rows_text
from batch_enroll.reporting.reason_counts import ReasonLine
from batch_enroll.reporting.summary_table import resume_step

if TYPE_CHECKING:
    from batch_enroll.reporting.rich_console import TextScreen


_INDENT, _GAP = 2, 2  #: columns, of a table on the screen


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTotal:
    """One run and the outcomes of its rows. Times are aware UTC."""

    run_id: str
    state: str  #: `open` or `finished`
    worker: str  #: the process that works on it; "" when there is none
    input_name: str
    scenario: int
    url: str
    matching: str
    created_at: datetime
    ended_at: datetime | None
    stop_reason: str
    counts: Counts
    results: str
    reasons: tuple[ReasonLine, ...] = ()
    folder: Path | None = None  #: the run's own

    @property
    def progress(self) -> str:
        """`running`, `unfinished` (the same command resumes it) or `finished`."""
        if self.worker:
            return "running"
        return "unfinished" if self.state == "open" else self.state


def print_runs(runs: Sequence[RunTotal], stream: IO[str], *, width: int | None = None) -> None:
    """Print runs, one on a line; on a terminal too narrow for that, input and counts one below the other.

    Args:
        width: as for `TextScreen`.
    """
    screen = _screen(stream, width)
    head = ("run", "begun", "state", "scenario", "rows", "success", "other", "input")
    lines = [
        (
            run.run_id,
            local_time(run.created_at),
            run.progress,
            f"#{run.scenario}",
            f"{run.counts.rows:,}",
            f"{run.counts.success:,}",
            _others(run),
            run.input_name,
        )
        for run in runs
    ]
    widest = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    if _INDENT + sum(widest) + _GAP * (len(widest) - 1) <= screen.width:
        screen.columns([head, *lines], right={3, 4, 5})
        return
    below = []
    for run, (run_id, begun, state, scenario, _, success, other, name) in zip(runs, lines, strict=True):
        rows = rows_text(run.counts.rows)
        counts = f"{scenario}: {rows}, {success} success{other and f', {other}'}"
        below.append((run_id, begun, state, f"{name}\n{counts}"))
    screen.columns([("run", "begun", "state", "input, scenario and rows"), *below])


def print_run(run: RunTotal, stream: IO[str]) -> None:
    """Print one run with its reasons."""
    screen = _screen(stream)
    screen.line(f"Run {run.run_id} ({run.progress})\n", style="bold")
    screen.columns(
        [
            ("input", run.input_name),
            ("scenario", f"#{run.scenario} at {run.url}"),
            ("matching", run.matching),
            ("begun", local_time(run.created_at, seconds=True)),
            *([("ended", local_time(run.ended_at, seconds=True))] if run.ended_at else []),
            *([("at work", run.worker)] if run.worker else []),
            *([("stopped", run.stop_reason)] if run.stop_reason and not run.worker else []),
            *([("results", run.results)] if run.results else []),
        ]
    )
    screen.line()
    screen.columns([(name, f"{count:,}") for name, count in run.counts.as_dict().items() if count], right={1})
    if run.reasons:
        screen.line("\nWhy", style="bold")
        screen.columns([(f"{line.count:,}", line.status, line.text(screen.arrow)) for line in run.reasons], right={0})
    if run.progress == "unfinished" and run.counts.not_sent:
        sentence, command = resume_step(run.run_id, run.counts)
        screen.line(f"\n{sentence}", style="bold")
        screen.unbroken(command)


def _others(run: RunTotal) -> str:
    named = run.counts.as_dict()
    if run.worker:  # a row in flight has this state in the ledger
        named = {"unknown or in flight" if name == "unknown" else name: count for name, count in named.items()}
    return ", ".join(f"{count:,} {name}" for name, count in named.items() if count and name not in ("success", "rows"))


def _screen(stream: IO[str], width: int | None = None) -> TextScreen:
    from batch_enroll.reporting.rich_console import TextScreen

    return TextScreen(stream, width=width)
