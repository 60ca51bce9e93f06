"""Title and text of a notification about the end of a run, without personal data."""

from __future__ import annotations

from batch_enroll.reporting.formatting import duration_text, rows_text
from batch_enroll.reporting.run_result import RunResult
from batch_enroll.reporting.run_state import RunSnapshot, RunStage


def build_title(state: RunSnapshot, ending: RunResult) -> str:
    """Return one line: the job and how it ended."""
    unknown = ending.counts.unknown if ending.counts else 0
    refused = ending.counts.error + ending.counts.invalid if ending.counts else 0
    if ending.exit_code == 5:
        what = "not started, another process is at work"
    elif ending.finished:
        what = "finished" if ending.counts else "nothing to do"
    elif ending.parts:
        what = "not every input finished"
    elif state.stage is RunStage.FAILED:
        what = "failed, nothing was sent"
    elif state.begun_before and not state.began:
        what = f"not resumed, {rows_text(state.counts.not_sent)} left"
    else:
        what = "stopped before the end"
    parts = [f"{rows_text(unknown)} unknown"] if unknown else []
    parts += [f"{rows_text(refused)} refused"] if refused else []
    return f"batch-enroll {state.job}: {', '.join([what, *parts])}"


def build_text(state: RunSnapshot, ending: RunResult, *, host: str) -> str:
    """Return a few lines: run, counts, reason, exit code and next step."""
    about = [f"Scenario #{state.scenario}"] if state.scenario is not None else []
    if ending.parts:
        about.append(f"{len(ending.parts)} inputs")
    else:
        about += [f"run {state.run_id}"] if state.run_id else []
        name = ending.about or state.input_name
        about += [f"input {name}"] if name else []
    lines = [f"{', '.join(about)}{' on ' if about else 'On '}{host}", *_counts(ending)]
    for part in ending.parts:
        said = [*_counts(part), part.reason, part.advice]
        lines.append(f"- {part.about}: exit code {part.exit_code}; {' '.join(filter(None, said))}")
    lines += [ending.reason] if ending.reason else []
    lines.append(f"Exit code {ending.exit_code}: {ending.meaning}.")
    lines += [ending.advice] if ending.advice else []
    return "\n".join(lines)


def _counts(ending: RunResult) -> list[str]:
    if ending.counts is None:
        return []
    named = [f"{count:,} {name}" for name, count in ending.counts.as_dict().items() if count and name != "rows"]
    took = f" in {duration_text(ending.duration_s)}" if ending.duration_s is not None else ""
    return [f"{', '.join(named) or 'nothing'}; {rows_text(ending.counts.rows)}{took}"]
