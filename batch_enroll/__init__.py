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
    from batch_enroll.control.run_control import Control
    from batch_enroll.errors import (
        AlreadyFinished,
        BatchEnrollError,
        InputError,
        JobError,
        LedgerError,
        PreflightError,
        RunLocked,
        RunStopped,
    )
    from batch_enroll.ledger.location import open_ledger
    from batch_enroll.ledger.sqlite import SqliteLedger
    from batch_enroll.models import Counts, RowStatus
    from batch_enroll.reporting.summary import RunSummary
    from batch_enroll.run.api import check_async, enroll, enroll_async

_MODULES = {
    **dict.fromkeys(
        (
            "AlreadyFinished",
            "BatchEnrollError",
            "InputError",
            "JobError",
            "LedgerError",
            "PreflightError",
            "RunLocked",
            "RunStopped",
        ),
        "errors",
    ),
    **dict.fromkeys(("Counts", "RowStatus"), "models"),
    **dict.fromkeys(("check_async", "enroll", "enroll_async"), "run.api"),
    "Control": "control.run_control",
    "Job": "config.job",
    "RunSummary": "reporting.summary",
    "SqliteLedger": "ledger.sqlite",
    "open_ledger": "ledger.location",
}

__all__ = [
    "AlreadyFinished",
    "BatchEnrollError",
    "Control",
    "Counts",
    "InputError",
    "Job",
    "JobError",
    "LedgerError",
    "PreflightError",
    "RowStatus",
    "RunLocked",
    "RunStopped",
    "RunSummary",
    "SqliteLedger",
    "check_async",
    "enroll",
    "enroll_async",
    "open_ledger",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'batch_enroll' has no attribute {name!r}")
    return getattr(import_module(f"batch_enroll.{_MODULES[name]}"), name)
