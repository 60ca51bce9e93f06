"""The summary of a run as a table, with the next step."""

from __future__ import annotations

from typing import IO

from batch_enroll.messages import Message, command_line, message
from batch_enroll.models import Counts
from batch_enroll.reporting.formatting import duration_text, rate_text
from batch_enroll.reporting.rich_console import TextScreen
from batch_enroll.reporting.summary import RESULTS_BESIDE, RunEnd, RunSummary, assert_totals_match

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
    for notice in run.notices:
        if notice.code == RESULTS_BESIDE:  # the others stood in the plan
            screen.line(f"\n{notice.message}", style="yellow")
    sentence, command = next_step(run)
    screen.line(f"\n{sentence}", style="bold")
    if command:
        screen.unbroken(command)
    for notice in run.unfinished:
        screen.unbroken(f"{notice.message} {notice.hint}")


def next_step(run: RunSummary) -> tuple[str, str]:
    """Return the next step as a sentence, and the command or file that it names ("" when there is none)."""
    counts = run.counts
    if run.end is RunEnd.STOPPED or counts.not_sent:
        return resume_step(run.run_id, counts)
    if counts.unknown:
        id = "report.next_resolve_one" if counts.unknown == 1 else "report.next_resolve"
        return str(message(id, unknown=counts.unknown)), command_line(f"resolve {run.run_id}")
    refused = counts.error + counts.invalid
    if refused and run.failed:
        return str(message("report.next_correct", refused=refused)), command_line(["run", str(run.failed)])
    if refused:
        return str(message("report.next_write_failed", refused=refused)), command_line(f"report {run.run_id}")
    return str(message("report.next_earlier_runs" if run.unfinished else "report.next_nothing")), ""


def resume_step(run_id: str, counts: Counts) -> tuple[str, str]:
    """Return the sentence and the command that resumes a run."""
    id = "report.next_held_one" if counts.unknown == 1 else "report.next_held"
    held = message(id, unknown=counts.unknown) if counts.unknown else ""
    return str(message("report.next_resume", left=counts.not_sent, held=held)), command_line(f"resume {run_id}")


def trouble_text(run: RunSummary) -> str:
    """Return what went wrong with a run in a sentence or two, "" when nothing did; for quiet output."""
    if not run.exit_code:
        return ""
    if run.stop_reason:
        return run.stop_reason
    counts = run.counts
    named = [(counts.not_sent, "not sent"), (counts.unknown, "unknown"), (counts.error + counts.invalid, "refused")]
    wrong = tuple(message("report.count", count=many, what=name) for many, name in named if many)
    return str(message("report.trouble", run_id=run.run_id, end=run.end.value, counts=wrong)) if wrong else ""


def _headline(run: RunSummary) -> str:
    return str(
        message(
            "report.headline",
            run_id=run.run_id,
            end=run.end.value,
            rows=run.counts.rows,
            took=duration_text(run.duration_s),
            rate=_rate(run.rate_per_s) if run.rate_per_s else "",
        )
    )


def _rate(rate_per_s: float) -> Message:
    shown = rate_text(rate_per_s)
    return message("report.headline_rate_one") if shown == "1" else message("report.headline_rate", rate=shown)


def _print_reasons(run: RunSummary, screen: TextScreen) -> None:
    if not run.reasons:
        return
    screen.line("\nWhy", style="bold")
    shown, more = run.reasons[:_SHOWN_REASONS], run.reasons[_SHOWN_REASONS:]
    screen.columns([(f"{line.count:,}", line.status, line.text(screen.arrow)) for line in shown], right={0})
    if more:
        rows = sum(line.count for line in more)
        screen.line(f"  {message('report.more_reasons', rows=rows, reasons=len(more))}")
