"""The exceptions of the package, grouped by what happens next.

    BatchEnrollError
      RunStopped          the run ends, the ledger stays valid, the same command resumes the run
        JobError            flags, environment or job file are wrong; nothing was sent
        InputError          the input cannot be used; nothing was sent
          NoSuchInput         the input does not exist
          EmptyInput          the input has a header but no rows
          NoSuchSheet         the workbook has no sheet of the name that the job gives
        PreflightError      the platform's answer shows that the job cannot work; nothing was sent
        RunDeclined         the person did not confirm the plan; nothing was sent
        AlreadyFinished     the same input was sent to the same scenario before
        RunLocked           another process is working on this run
        RunNotActive        no process is working on this run, so it cannot be paused or stopped
        LedgerError         the ledger cannot be written, or does not match
          NoSuchRun           the ledger has no run with this id
        ServiceRefused      token refused, scenario inactive, circuit breaker: the next row would be refused too
        FileSystemError     the operating system refused a file or a folder (see `os_errors.py`)
      RowError            this row ends with an outcome, the run continues
        InvalidRow          never sent; lists every problem of the row
        RowTaken            not planned any more: another worker has taken it
      AttemptError        this attempt ends
        Retryable           surely not accepted: safe to send again
        Ambiguous           perhaps accepted: sending again could enroll twice

An error has fields for programs and a `hint` for people. No message holds a token.
"""

from __future__ import annotations

from datetime import datetime

from batch_enroll.messages import Message, hint_of, without_cells
from batch_enroll.models import Counts, Finding, Notice, Problem


class BatchEnrollError(Exception):
    """Base of everything this package raises on purpose."""


class RunStopped(BatchEnrollError):
    """The run ends here.

    Attributes:
        content: what happened, as a message with an id and values.
        advice: what the person can do; a message of its own, else the hint that the catalogue has for `content`.
        notices: the earlier runs that left rows unsent, of a start that sends nothing.
    """

    def __init__(self, content: Message, *, hint: Message | None = None) -> None:
        self.content = content
        self.advice: list[Message] = [hint] if hint else []
        self.notices: tuple[Notice, ...] = ()
        super().__init__(self.content)

    @property
    def message(self) -> str:
        """What happened, in the current wording."""
        return str(self.content)

    @property
    def hint(self) -> str:
        """What the person can do, in the current wording; "" when there is nothing to add."""
        return " ".join(filter(None, [hint_of(self.content), *map(str, self.advice)]))

    def without_cells(self) -> RunStopped:
        """Give the same words without the cells of the input that they quote: they are personal data."""
        told = RunStopped(without_cells(self.content))
        told.advice = [without_cells(advice) for advice in self.advice]
        return told

    def add_hint(self, hint: Message) -> None:
        """Add one sentence that says what the person can do or should know."""
        self.advice.append(hint)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class JobError(RunStopped):
    """Flags, environment or job file are wrong."""


class InputError(RunStopped):
    """The input cannot be read or used."""


class NoSuchInput(InputError):
    """There is no such input; perhaps it has not come yet."""


class EmptyInput(InputError):
    """The input has a header but no rows; perhaps there is nothing new."""


class NoSuchSheet(InputError):
    """The workbook has no sheet of the name that the job gives."""


class PreflightError(RunStopped):
    """The platform was asked first and the job cannot work.

    Attributes:
        finding: what is wrong, for programs.
    """

    def __init__(self, message: Message, *, hint: Message | None = None, finding: Finding = Finding.UNCLEAR) -> None:
        super().__init__(message, hint=hint)
        self.finding = finding


class RunDeclined(RunStopped):
    """The person did not confirm the plan; nothing was sent."""


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
        message: Message,
        *,
        hint: Message | None = None,
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


class RunNotActive(RunStopped):
    """No process is working on the run that should be steered."""


class LedgerError(RunStopped):
    """What must be on disk cannot be put there, or what is there does not fit."""


class NoSuchRun(LedgerError):
    """The ledger knows no run of this name."""


class ServiceRefused(RunStopped):
    """The platform, or our own breaker, says that going on makes no sense.

    Attributes:
        code: the platform's, when the answer to a row stopped the run; "" otherwise.
    """

    def __init__(self, message: Message, *, hint: Message | None = None, code: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class FileSystemError(RunStopped):
    """The operating system refused a file or a folder, and no more was known about it where that happened."""


class RowError(BatchEnrollError):
    """One row ends; its neighbours go on."""


class InvalidRow(RowError):
    """The row cannot become a request.

    Attributes:
        problems: every reason, in column order, at least one.
    """

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "; ".join(str(problem.message) for problem in self.problems)


class RowTaken(RowError):
    """The row is not planned any more, since another worker has taken it: this one must not send it.

    Attributes:
        seq: its place in the plan.
    """

    def __init__(self, seq: int) -> None:
        super().__init__(f"place {seq} of the plan is taken")
        self.seq = seq


class AttemptError(BatchEnrollError):
    """One attempt ended without a whole answer; what it means for the row depends on the subclass.

    Attributes:
        code: a stable slug such as `connection_refused`.
        content: what happened, as a message with an id and values.
        http_status: of the answer, None when there was none.
    """

    def __init__(self, code: str, content: Message | None = None, *, http_status: int | None = None) -> None:
        self.code = code
        self.content = content or Message(f"reason.{code}")
        self.http_status = http_status
        super().__init__(self.content)

    @property
    def message(self) -> str:
        """What happened, one sentence in the current wording."""
        return str(self.content)


class Retryable(AttemptError):
    """The request surely did not leave: it is safe to send it again."""


class Ambiguous(AttemptError):
    """The platform may have accepted the row."""
