"""What can go wrong, grouped by what happens next.

    BatchEnrollError
      RunStopped          the run ends, the ledger stays good, the same command carries on
        JobError            flags, environment or job file are wrong; nothing was sent
        InputError          the input cannot be used; nothing was sent
        PreflightError      the platform says that this job cannot work; nothing was sent
        AlreadyFinished     the same input was sent to the same scenario before
        RunLocked           another process is working on this run
        LedgerError         the ledger cannot be written, or belongs to something else
          NoSuchRun           it knows no run of this name
        ServiceRefused      token refused, scenario inactive, breaker: the next row would fare the same
      RowError            this row ends with an outcome, the run goes on
        InvalidRow          never sent; lists every problem of the row
      AttemptError        this attempt ends
        Retryable           surely not accepted: safe to send again
        Ambiguous           perhaps accepted: sending again could enroll twice

Errors carry what a person needs (`hint`) and what a program needs (fields), not only text. No message holds a token.
"""

from __future__ import annotations

from datetime import datetime

from batch_enroll.model import Counts, Problem


class BatchEnrollError(Exception):
    """Base of everything this package raises on purpose."""


class RunStopped(BatchEnrollError):
    """The run ends here; `hint` says in one sentence what the person can do."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class JobError(RunStopped):
    """Flags, environment or job file are wrong."""


class InputError(RunStopped):
    """The input cannot be read or used."""


class PreflightError(RunStopped):
    """The platform was asked first and the job cannot work."""


class AlreadyFinished(RunStopped):
    """The same input was sent to the same scenario before, to the end.

    Attributes:
        run_id: the run that did it.
        finished_at: aware UTC; None when that is not known.
        counts: what became of its rows.
        input_sha256: hex, of the input's bytes.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        run_id: str,
        finished_at: datetime | None,
        counts: Counts,
        input_sha256: str,
    ) -> None:
        super().__init__(message, hint=hint)
        self.run_id = run_id
        self.finished_at = finished_at
        self.counts = counts
        self.input_sha256 = input_sha256


class RunLocked(RunStopped):
    """Another process is working on this run."""


class LedgerError(RunStopped):
    """What must be on disk cannot be put there, or what is there does not fit."""


class NoSuchRun(LedgerError):
    """The ledger knows no run of this name."""


class ServiceRefused(RunStopped):
    """The platform, or our own breaker, says that going on makes no sense."""


class RowError(BatchEnrollError):
    """One row ends; its neighbours go on."""


class InvalidRow(RowError):
    """The row cannot become a request.

    Attributes:
        problems: every reason, in column order, at least one.
    """

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


class AttemptError(BatchEnrollError):
    """One attempt ends; what it means for the row depends on the subclass.

    Attributes:
        code: a stable slug such as `connection_refused`.
        message: one sentence.
        http_status: of the answer, None when there was none.
    """

    def __init__(self, code: str, message: str, *, http_status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.http_status = http_status


class Retryable(AttemptError):
    """The platform surely did not accept the row.

    Attributes:
        retry_after_s: what the platform asked for, seconds; None if nothing.
        throttled: the platform said "too fast", so every worker should slow down.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        http_status: int | None = None,
        retry_after_s: float | None = None,
        throttled: bool = False,
    ) -> None:
        super().__init__(code, message, http_status=http_status)
        self.retry_after_s = retry_after_s
        self.throttled = throttled


class Ambiguous(AttemptError):
    """The platform may have accepted the row."""
