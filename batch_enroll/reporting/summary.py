"""The summary of a run, as a record and as JSON, and its exit code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from batch_enroll.atomic_file import SHARED, write_atomic
from batch_enroll.clock import iso_utc
from batch_enroll.errors import LedgerError
from batch_enroll.messages import message
from batch_enroll.models import UNFINISHED_RUN, Counts, Notice
from batch_enroll.os_errors import translate_os_errors
from batch_enroll.reporting.reason_counts import ReasonLine, notice_to_json, reason_to_json

EXIT_DONE = 0  #: every row is success or skipped
EXIT_SOME_REFUSED = 1  #: finished, some rows are error or invalid
EXIT_STOPPED = 3  #: stopped before the end; the same command resumes the run
EXIT_SOME_UNKNOWN = 4  #: finished, some rows are unknown

RESULTS_BESIDE = "results_beside"
"""Code of the notice that the results have another name than was asked for."""


class RunEnd(StrEnum):
    """How a run ended."""

    FINISHED = "finished"  #: no row is left to send
    STOPPED = "stopped"  #: rows are left; the same command resumes the run


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """A run that has ended. Times are aware UTC."""

    run_id: str
    end: RunEnd
    stop_reason: str = ""  #: one sentence; "" when it finished
    finding: str = ""  #: diagnosis after the run had stopped by itself, one of `errors.Finding`
    exit_code: int
    counts: Counts
    planned_rows: int  #: rows in the plan, counted apart from `counts`: the two must agree
    requests: int  #: requests begun, retries included
    started_at: datetime
    duration_s: float
    url: str
    scenario: int
    scenario_name: str = ""
    input_name: str
    reasons: tuple[ReasonLine, ...] = ()  #: the most frequent first
    notices: tuple[Notice, ...] = ()  #: what the people who run the job should change
    results: Path | None = None  #: files that were written; None when they were not
    failed: Path | None = None
    unknown: Path | None = None
    summary: Path | None = None
    sha256: Mapping[str, str] = field(default_factory=dict)  #: hex, of results, failed and unknown rows as written
    archived: Path | None = None  #: where the input was moved; None when it was not
    archive_problem: str = ""  #: why it was not moved although it should have been, one sentence

    @property
    def files(self) -> dict[str, Path]:
        """The files that are there, by kind."""
        named = {
            "results": self.results,
            "failed": self.failed,
            "unknown": self.unknown,
            "summary": self.summary,
            "input": self.archived,
        }
        return {kind: path for kind, path in named.items() if path is not None}

    @property
    def unfinished(self) -> tuple[Notice, ...]:
        """The notices that name earlier runs of the job with rows left."""
        return tuple(notice for notice in self.notices if notice.code == UNFINISHED_RUN)

    @property
    def rate_per_s(self) -> float | None:
        """Requests a second over the whole run; None when no time passed."""
        return self.requests / self.duration_s if self.duration_s > 0 else None


def exit_code_for(counts: Counts, *, stopped: bool) -> int:
    """Return the exit code of a run that began to send (2, 5, 130 and 143 are decided elsewhere).

    A row that was not sent gives 3, whatever stopped the run: the same command resumes it.
    """
    if stopped or counts.not_sent:
        return EXIT_STOPPED
    if counts.unknown:
        return EXIT_SOME_UNKNOWN
    return EXIT_SOME_REFUSED if counts.error or counts.invalid else EXIT_DONE


def summary_to_json(run: RunSummary) -> dict[str, object]:
    """Return the JSON object of a run.

    Keys: `run`, `status` (`finished` | `stopped`), `stop_reason` (text or null), `finding` (one of
    `errors.Finding`, null when the platform was not asked why), `counts` (the six statuses and `rows`), `duration_s`,
    `requests`, `files` (kind -> path, only those that exist; `input` when it was moved to the archive), `exit_code`,
    `scenario` (`id`, `name`), `url`, `input`, `started_at` (ISO 8601 UTC), `reasons` (a list
    of `status`, `code`, `message`, `advice`, `count`, `first_rows`), `notices` (a list of the same without `status`).

    Raises:
        LedgerError: the totals do not add up.
    """
    assert_totals_match(run.counts, planned_rows=run.planned_rows)
    return {
        "run": run.run_id,
        "status": run.end.value,
        "stop_reason": run.stop_reason or None,
        "finding": run.finding or None,
        "counts": run.counts.as_dict(),
        "duration_s": round(run.duration_s, 3),
        "requests": run.requests,
        "files": {kind: str(path) for kind, path in run.files.items()},
        "exit_code": run.exit_code,
        "scenario": {"id": run.scenario, "name": run.scenario_name},
        "url": run.url,
        "input": run.input_name,
        "started_at": iso_utc(run.started_at),
        "reasons": [reason_to_json(reason) for reason in run.reasons],
        "notices": [notice_to_json(notice) for notice in run.notices],
    }


def assert_totals_match(counts: Counts, *, planned_rows: int) -> None:
    """Check that every row of the plan has exactly one status.

    Raises:
        LedgerError: the totals differ.
    """
    if counts.rows != planned_rows:
        raise LedgerError(message("report.totals_differ", planned=planned_rows, counted=counts.rows))


def write_summary(path: Path, run: RunSummary, *, mode: int = SHARED) -> None:
    """Write the JSON object of `summary_to_json` as a file, with `sha256`: the hex digest of each file by its kind.

    By these a later run tells whether a file is still as it was written, see `replaceable_results`.

    Raises:
        LedgerError: the totals do not add up.
        RunStopped: the disk does not take it.
    """
    content = {**summary_to_json(run), "sha256": dict(run.sha256)}
    content["sha256"] = {**run.sha256, "summary": hashlib.sha256(summary_bytes(content)).hexdigest()}
    with translate_os_errors(path):
        write_atomic(path, summary_bytes(content), mode=mode)


def summary_bytes(content: Mapping[str, object]) -> bytes:
    """Write the content of a summary file."""
    text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    return text.encode(errors="backslashreplace")  # half a surrogate pair: \ud83d in JSON
