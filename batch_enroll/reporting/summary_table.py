"""The summary of a run as a table, with the next step."""

from __future__ import annotations

from typing import IO

from batch_enroll.reporting.formatting import duration_text, rate_text, rows_text
from batch_enroll.reporting.rich_console import TextScreen
from batch_enroll.reporting.summary import RunEnd, RunSummary, assert_totals_match

_SHOWN_REASONS = 10


def print_summary(run: RunSummary, stream: IO[str], *, width: int | None = None) -> None:
    """Print how a run ended.

    Args:
        width: wrap at this column although the stream is not a terminal.
    Raises:
        LedgerError: the totals do not add up.
    """
    assert_totals_match(run.counts, planned_rows=run.planned_rows)
    screen = TextScreen(stream, width=width)
    screen.line(_headline(run), style="bold")
    if run.stop_reason:
        screen.line(run.stop_reason, style="yellow")
    screen.line()
    screen.columns([(name, f"{count:,}") for name, count in run.counts.as_dict().items() if count], right={1})
    _print_reasons(run, screen)
    if run.files:
        screen.line("\nFiles", style="bold")
        for kind, path in run.files.items():
            screen.unbroken(f"{kind:<7}  {path}")
    sentence, command = next_step(run)
    screen.line(f"\n{sentence}", style="bold")
    if command:
        screen.unbroken(command)


def next_step(run: RunSummary) -> tuple[str, str]:
    """Return the next step as a sentence, and the command or file that it names ("" when there is none)."""
    counts = run.counts
    stay = "stays" if counts.unknown == 1 else "stay"
    held = f", and {rows_text(counts.unknown)} of unknown outcome {stay} held until resolved" if counts.unknown else ""
    if run.end is RunEnd.STOPPED or counts.not_sent:
        return f"Next: give the same command again; it resumes with {rows_text(counts.not_sent)}{held}.", ""
    if counts.unknown:
        are = "is" if counts.unknown == 1 else "are"
        return (
            f"Next: {rows_text(counts.unknown)} {are} unknown and may have been enrolled; look them up "
            "on the platform, then record your decisions:",
            f"batch-enroll resolve {run.run_id}",
        )
    refused = counts.error + counts.invalid
    if refused and run.failed:
        return f"Next: correct the {rows_text(refused)} in the failed file and run it:", str(run.failed)
    if refused:
        return f"Next: correct {rows_text(refused)}; this writes them to a file:", f"batch-enroll report {run.run_id}"
    return "Nothing is left to do: every row is enrolled or was skipped.", ""


def trouble_text(run: RunSummary) -> str:
    """Return what went wrong with a run in a sentence or two, "" when nothing did; for quiet output."""
    if not run.exit_code:
        return ""
    if run.stop_reason:
        return run.stop_reason
    counts = run.counts
    named = [(counts.not_sent, "not sent"), (counts.unknown, "unknown"), (counts.error + counts.invalid, "refused")]
    wrong = [f"{rows_text(many)} {name}" for many, name in named if many]
    return f"Run {run.run_id} {run.end}: {', '.join(wrong)}." if wrong else ""


def _headline(run: RunSummary) -> str:
    took = f"{rows_text(run.counts.rows)} in {duration_text(run.duration_s)}"
    rate = f", {rate_text(run.rate_per_s)} requests a second" if run.rate_per_s else ""
    return f"Run {run.run_id} {run.end}: {took}{rate}."


def _print_reasons(run: RunSummary, screen: TextScreen) -> None:
    if not run.reasons:
        return
    screen.line("\nWhy", style="bold")
    shown, more = run.reasons[:_SHOWN_REASONS], run.reasons[_SHOWN_REASONS:]
    screen.columns([(f"{line.count:,}", line.status, line.text(screen.arrow)) for line in shown], right={0})
    if more:
        screen.line(f"  and {rows_text(sum(line.count for line in more))} for {len(more):,} more reasons")
