"""The exit codes, their meanings, and the exit code of each error."""

from __future__ import annotations

from batch_enroll.errors import (
    AlreadyFinished,
    BatchEnrollError,
    InputError,
    JobError,
    NoSuchRun,
    PreflightError,
    RunLocked,
    RunNotActive,
)

EXIT_CODES: dict[int, str] = {
    0: "every row is success or skipped",
    1: "finished, some rows are error or invalid",
    2: "usage, job file or input is wrong, or the preflight failed; nothing was sent",
    3: "stopped before the end; the same command resumes the run",
    4: "finished, some rows are unknown (also when some are error)",
    5: "another process is working on this run",
    130: "Ctrl-C: waited for the requests in flight, saved; the same command resumes the run",
    143: "SIGTERM: the same as 130",
}


def exit_codes_text() -> str:
    """Give the table of exit codes for a help page."""
    return "exit codes:\n" + "\n".join(f"  {code:<4} {meaning}" for code, meaning in EXIT_CODES.items())


def exit_code_for_error(error: BatchEnrollError) -> int:
    """Give the exit code of an error that ended the command."""
    if isinstance(error, RunLocked):
        return 5
    if isinstance(error, JobError | InputError | PreflightError | AlreadyFinished | NoSuchRun | RunNotActive):
        return 2
    return 3
