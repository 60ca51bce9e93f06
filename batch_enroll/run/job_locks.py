"""What two starts at the same moment may not both do: the same job, and a look at what others sent within a window.

In: a job, its name, the ledger. Out: a block during which this process is alone with it. Never: a wait; whoever comes
second is refused, and told who is at work. (The run itself, and its input's path, are locked by the ledger.)
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from batch_enroll.config.job import Job
from batch_enroll.ledger.interface import Ledger


def job_lock(name: str, ledger: Ledger) -> AbstractContextManager[None]:
    """Keep other starts of the same job away, whatever their input.

    Args:
        name: the job file's path and the profile chosen from it; "" for a job without a file: nothing is locked.
    Raises:
        RunLocked: the job is at work.
        LedgerError: the ledger's place cannot keep a promise.
    """
    return ledger.lock(f"job {name}", what=f"Job {Path(name).name.rstrip()}") if name else nullcontext()


def scenario_lock(job: Job, ledger: Ledger) -> AbstractContextManager[None]:
    """Let runs with a window over the same scenario go one after the other.

    A plan asks what other runs sent so far: of two that plan at the same moment neither would see what the other is
    about to send, and both would enroll a person who stands in both files.

    Raises:
        RunLocked, LedgerError: as above.
    """
    if not job.send.window:
        return nullcontext()
    return ledger.lock(
        f"window {job.url} {job.scenario}",
        what=f"Scenario {job.scenario} (runs with a window go one after the other)",
    )
