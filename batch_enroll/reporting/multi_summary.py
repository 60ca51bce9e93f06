"""JSON summaries of commands with several inputs, and of commands that sent nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from batch_enroll.clock import iso_utc
from batch_enroll.errors import AlreadyFinished
from batch_enroll.messages import Message, message
from batch_enroll.models import Counts, Notice
from batch_enroll.reporting.reason_counts import notice_to_json

_WORST_FIRST = (130, 143, 3, 5, 2, 4, 1, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedRun:
    """What a command was to do, for its JSON object."""

    input_name: str | None  #: a file, or the folder or pattern as it was given; None when only a run was named
    url: str | None  #: None, like the scenario, when the job is wrong and names none
    scenario: int | None


def worst_exit_code(codes: Iterable[int]) -> int:
    """Return the exit code of several runs: the most severe.

    First what a signal stopped, then rows that are left (3), a run that another process works on (5), an input that
    could not be sent at all (2), unknown rows (4), refused rows (1), and 0 only when all of them are 0.
    """
    return min(codes, key=_WORST_FIRST.index, default=0)


def build_multi_summary(runs: Sequence[dict[str, object]], *, left: Sequence[str], exit_code: int) -> dict[str, object]:
    """Return the JSON object of several runs.

    Keys: those of one run, with `run` null, the sums of `counts`, `duration_s` and `requests`, `files` empty; `runs`, a
    list of the objects of the runs in their order; `left`, the inputs whose turn did not come.
    """
    counts = [run["counts"] for run in runs]
    stopped = [run for run in runs if run["status"] not in ("finished", "unchanged")]
    return {
        "run": None,
        "status": "stopped" if stopped or left else "finished",
        "stop_reason": stopped[0]["stop_reason"] if stopped else None,
        "counts": {name: sum(each[name] for each in counts if isinstance(each, dict)) for name in Counts().as_dict()},
        "duration_s": round(sum(_number(run["duration_s"]) for run in runs), 3),
        "requests": sum(int(_number(run["requests"])) for run in runs),
        "files": {},
        "exit_code": exit_code,
        "runs": list(runs),
        "left": list(left),
    }


def multi_summary_line(together: dict[str, object]) -> str:
    """Summarize several inputs in one line, from the object of `build_multi_summary`."""
    runs, counts = together["runs"], together["counts"]
    assert isinstance(runs, list)
    assert isinstance(counts, dict)
    return str(
        message(
            "report.inputs_together",
            inputs=len(runs),
            counts=_counted(counts) or message("report.nothing_sent"),
            exit_code=together["exit_code"],
        )
    )


def build_nothing_new_summary(
    asked: RequestedRun, *, at: datetime, earlier: AlreadyFinished | None, notices: Sequence[Notice] = ()
) -> dict[str, object]:
    """Return the JSON object of a command that found nothing to enroll.

    Keys: those of a run, with `status` `unchanged` and every count 0, for nothing happened now; `run` is the run that
    enrolled the input before and `earlier` describes it (`finished_at`, `counts`); both null when there was no file.
    """
    return {
        "run": earlier.run_id if earlier else None,
        "status": "unchanged",
        **_nothing_sent(asked, at=at, reason=None, exit_code=0, notices=notices),
        "earlier": {
            "run": earlier.run_id,
            "finished_at": iso_utc(earlier.finished_at) if earlier.finished_at else None,
            "counts": earlier.counts.as_dict(),
        }
        if earlier
        else None,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedRun:
    """A run that ended without a summary."""

    run_id: str
    counts: Counts
    requests: int  #: of this start; 0 when only earlier ones have sent
    sent_now: bool  #: this start had begun to send


def build_refused_summary(
    asked: RequestedRun,
    *,
    at: datetime,
    reason: str,
    exit_code: int,
    finding: str = "",
    begun: StartedRun | None = None,
    notices: Sequence[Notice] = (),
) -> dict[str, object]:
    """Return the JSON object of a command, or of one input among several, that ended before it could sum up a run.

    Keys: those of a run, with `status` `refused`, or `stopped` when it had begun to send; `run` is null and every
    count 0 unless rows of the run were sent, now or by an earlier start: then they are those of the run.
    """
    nothing = _nothing_sent(asked, at=at, reason=reason, exit_code=exit_code, notices=notices)
    return {
        "run": begun.run_id if begun else None,
        "status": "stopped" if begun and begun.sent_now else "refused",
        **nothing,
        "counts": (begun.counts if begun else Counts()).as_dict(),
        "requests": begun.requests if begun else 0,
        "finding": finding or None,
    }


def nothing_new_line(
    input_name: str, *, earlier: AlreadyFinished | None, is_empty: bool = False, skipped: str = ""
) -> str:
    """Explain in one line why there was nothing to enroll."""
    if is_empty:
        return str(message("report.no_new_row", name=input_name))
    if earlier is None:
        return " ".join(filter(None, [str(message("report.no_new_file", name=input_name)), skipped]))
    when: Message | str = ""
    if earlier.finished_at:
        when = message("report.at_time", time=earlier.finished_at)
    counts = _counted(earlier.counts.as_dict())
    return str(message("report.nothing_new", name=input_name, run_id=earlier.run_id, when=when, counts=counts))


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count and name != "rows")


def _nothing_sent(
    asked: RequestedRun, *, at: datetime, reason: str | None, exit_code: int, notices: Sequence[Notice]
) -> dict[str, object]:
    return {
        "stop_reason": reason,
        "counts": Counts().as_dict(),
        "duration_s": 0.0,
        "requests": 0,
        "files": {},
        "exit_code": exit_code,
        "scenario": {"id": asked.scenario, "name": ""},
        "url": asked.url,
        "input": asked.input_name,
        "started_at": iso_utc(at),
        "reasons": [],
        "notices": [notice_to_json(notice) for notice in notices],
        "finding": None,
    }


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
