"""Results files of another ledger as input: which of their rows are skipped, and what the plan says of them."""

from __future__ import annotations

from collections.abc import Collection

from batch_enroll.config.job import Job
from batch_enroll.ledger.interface import Ledger
from batch_enroll.loading import InputTable
from batch_enroll.messages import message
from batch_enroll.models import EarlierResult, EnrolledBefore, Notice, RowStatus


class EnrolledElsewhere:
    """Decides which rows of a results file are skipped because a run that the ledger does not know sent them."""

    def __init__(self, job: Job, *, known_runs: Collection[str]) -> None:
        """Take the job's decision about people who were enrolled before.

        Args:
            known_runs: their people are in the ledger's memory, which knows more than the file.
        """
        self._known_runs = known_runs
        self._skipped: set[RowStatus] = set()
        if not job.send.again:
            self._skipped.add(RowStatus.UNKNOWN)
            if job.send.enrolled_before is not EnrolledBefore.SEND:
                self._skipped.add(RowStatus.SUCCESS)

    def is_skipped(self, earlier: EarlierResult) -> bool:
        """Return whether a row with this result must not be sent."""
        return earlier.status in self._skipped and earlier.run_id not in self._known_runs


async def enrolled_elsewhere(job: Job, table: InputTable, ledger: Ledger) -> EnrolledElsewhere | None:
    """Make the rule for an input; None when it is no results file.

    Raises:
        LedgerError: as `Ledger.runs`.
    """
    if not table.is_results:
        return None
    return EnrolledElsewhere(job, known_runs={run.run_id for run in await ledger.runs()})


def elsewhere_notices(job: Job, *, skipped: int, first_rows: Collection[int]) -> list[Notice]:
    """Say how many rows of a results file are skipped and how to enroll them in another scenario."""
    if not skipped:
        return []
    sends_enrolled = job.send.enrolled_before is EnrolledBefore.SEND
    said = message("run.unknown_elsewhere" if sends_enrolled else "run.enrolled_elsewhere", count=skipped)
    return [Notice(code="enrolled_elsewhere", message=said, rows=tuple(first_rows), count=skipped)]
