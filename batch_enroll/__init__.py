"""Start every profile of a spreadsheet in an Altcraft scenario: never twice, never lost, every row accounted for.

For programs; the command line is `batch-enroll`. One call enrolls a file and returns a frozen result:

    from pathlib import Path
    from batch_enroll import Job, enroll, open_ledger

    job = Job.model_validate({
        "url": "https://ru.altkraft.com",
        "scenario": 3,
        "match": {"mode": "email", "column": "E-mail"},
        "content": {"first_name": "First name"},
    })
    summary = enroll(job, Path("leads.csv"), token=token, ledger=open_ledger(None))
    print(summary.counts.success, summary.exit_code, summary.results)

`enroll_async` does the same inside an event loop; it also takes functions that confirm the plan and review the canary,
and a `Control`. Names are imported when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batch_enroll.config.job import Job
    from batch_enroll.config.job_profiles import load_job
    from batch_enroll.control.run_control import Control
    from batch_enroll.errors import (
        AlreadyFinished,
        BatchEnrollError,
        InputError,
        JobError,
        LedgerError,
        PreflightError,
        RunDeclined,
        RunLocked,
        RunStopped,
    )
    from batch_enroll.events import (
        AttemptFailed,
        EnrolledMeanwhile,
        Event,
        Paused,
        PlanningStarted,
        RateChanged,
        RateSet,
        Resumed,
        RowFinished,
        RowsRead,
        RunDiagnosed,
        RunFinished,
        RunPlanned,
        RunStarted,
        Stopping,
        StrayAnswer,
        WaitingForScenario,
        WritingResults,
    )
    from batch_enroll.ledger.location import open_ledger
    from batch_enroll.ledger.sqlite import SqliteLedger
    from batch_enroll.maintenance.resolve import (
        ResolveVerdict,
        RowVerdict,
        UnknownRow,
        resolve,
        resolve_rows,
        unknown_rows,
    )
    from batch_enroll.models import Counts, RowStatus
    from batch_enroll.reporting.summary import RunSummary
    from batch_enroll.run.api import check_async, enroll, enroll_async, retry, retry_async

    __version__: str

_MODULES = {
    **dict.fromkeys(
        (
            "AlreadyFinished",
            "BatchEnrollError",
            "InputError",
            "JobError",
            "LedgerError",
            "PreflightError",
            "RunDeclined",
            "RunLocked",
            "RunStopped",
        ),
        "errors",
    ),
    **dict.fromkeys(
        (
            "AttemptFailed",
            "EnrolledMeanwhile",
            "Event",
            "Paused",
            "PlanningStarted",
            "RateChanged",
            "RateSet",
            "Resumed",
            "RowFinished",
            "RowsRead",
            "RunDiagnosed",
            "RunFinished",
            "RunPlanned",
            "RunStarted",
            "Stopping",
            "StrayAnswer",
            "WaitingForScenario",
            "WritingResults",
        ),
        "events",
    ),
    **dict.fromkeys(
        ("ResolveVerdict", "RowVerdict", "UnknownRow", "resolve", "resolve_rows", "unknown_rows"), "maintenance.resolve"
    ),
    **dict.fromkeys(("Counts", "RowStatus"), "models"),
    **dict.fromkeys(("check_async", "enroll", "enroll_async", "retry", "retry_async"), "run.api"),
    "Control": "control.run_control",
    "Job": "config.job",
    "RunSummary": "reporting.summary",
    "SqliteLedger": "ledger.sqlite",
    "load_job": "config.job_profiles",
    "open_ledger": "ledger.location",
}

__all__ = [
    "AlreadyFinished",
    "AttemptFailed",
    "BatchEnrollError",
    "Control",
    "Counts",
    "EnrolledMeanwhile",
    "Event",
    "InputError",
    "Job",
    "JobError",
    "LedgerError",
    "Paused",
    "PlanningStarted",
    "PreflightError",
    "RateChanged",
    "RateSet",
    "ResolveVerdict",
    "Resumed",
    "RowFinished",
    "RowStatus",
    "RowVerdict",
    "RowsRead",
    "RunDeclined",
    "RunDiagnosed",
    "RunFinished",
    "RunLocked",
    "RunPlanned",
    "RunStarted",
    "RunStopped",
    "RunSummary",
    "SqliteLedger",
    "Stopping",
    "StrayAnswer",
    "UnknownRow",
    "WaitingForScenario",
    "WritingResults",
    "check_async",
    "enroll",
    "enroll_async",
    "load_job",
    "open_ledger",
    "resolve",
    "resolve_rows",
    "retry",
    "retry_async",
    "unknown_rows",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("batch_enroll.installed_versions").tool_version()
    if name not in _MODULES:
        raise AttributeError(f"module 'batch_enroll' has no attribute {name!r}")
    return getattr(import_module(f"batch_enroll.{_MODULES[name]}"), name)
