"""The result of a command as monitoring reports it; its texts hold no personal data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from batch_enroll.messages import message
from batch_enroll.models import Counts, Notice, RowStatus

SUCCESS_CODES = frozenset({0, 1})
"""Exit codes that need no one's attention: every row has its final status; the failed file holds refused rows (1)."""

_FINISHED_CODES = frozenset({0, 1, 4})
_EMAIL = re.compile(r"[^\s'\"<>]+@[^\s'\"<>]+")
# Seven digits or more, as phones and ids have. Not a run id, which may consist of digits alone, a date, an IP address,
# a part of a path, or what follows a part of a date, a time or a count.
_BEFORE_RUN_ID = ("[Rr]un ", "report ", "resolve ", "resume ", "retry ", "show ", "stop ")
_NUMBER = re.compile(
    r"(?<![\w./\\])(?<!\d[-:,])"
    + "".join(f"(?<!{words})" for words in _BEFORE_RUN_ID)
    + r"(?!\d{4}-\d\d-\d\d|(?:\d{1,3}\.){3}\d{1,3}(?![\d.]))"
    r"\+?\(?\d(?:[\s().-]*\d){6,}(?![\w/\\])(?!\.\w)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """The end of a command, or of one of its inputs."""

    exit_code: int
    meaning: str  #: of the exit code, in one sentence
    reason: str = ""  #: why it stopped or failed; "" when it finished
    advice: str = ""  #: what to do next
    counts: Counts | None = None  #: None when there was no run
    requests: int | None = None
    duration_s: float | None = None
    declined: bool = False  #: a person declined the run
    notices: tuple[Notice, ...] = ()  #: what the people who run the job should change
    about: str = ""  #: the input's name, "" when there was none
    parts: tuple[RunResult, ...] = ()  #: of a command over several inputs, in order; then the counts are those of all

    @property
    def finished(self) -> bool:
        """No row is left to send."""
        return self.exit_code in _FINISHED_CODES

    @property
    def succeeded(self) -> bool:
        """Every row has its final status."""
        return self.exit_code in SUCCESS_CODES


def combine_results(parts: Sequence[RunResult], *, exit_code: int, meaning: str, left: Sequence[str]) -> RunResult:
    """Combine the results of a command's inputs; `left` are the inputs that were not begun."""
    counted = [part.counts for part in parts if part.counts is not None]
    return RunResult(
        exit_code=exit_code,
        meaning=meaning,
        reason=str(message("report.inputs_left", names=tuple(left))) if left else "",
        counts=sum_counts(counted) if counted else None,
        requests=sum(part.requests or 0 for part in parts),
        duration_s=sum(part.duration_s or 0.0 for part in parts),
        declined=all(part.declined for part in parts),
        notices=_together(parts),
        parts=tuple(parts),
    )


def _together(parts: Sequence[RunResult]) -> tuple[Notice, ...]:
    """Give the notices of all inputs, each once."""
    notices: list[Notice] = []
    for part in parts:
        notices += [notice for notice in part.notices if notice not in notices]
    return tuple(notices)


def sum_counts(counts: Sequence[Counts]) -> Counts:
    """Add counts, status by status."""
    return Counts(**{status.value: sum(getattr(one, status.value) for one in counts) for status in RowStatus})


def redact_personal_data(text: str) -> str:
    """Replace email addresses and long numbers: an error may quote a cell."""
    return _NUMBER.sub("…", _EMAIL.sub("…", text))
