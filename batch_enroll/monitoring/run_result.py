"""How a command ended, in the words and numbers that are told to others.

In: the exit code, the counts and the reason. Out: an `RunResult`. Never: personal data; what an error says is cleaned
first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from batch_enroll.models import Counts, RowStatus

SUCCESS_CODES = frozenset({0, 1})
"""Exit codes after which nobody need get up: every row has its final word. Refused rows (1) are in the failed file."""

_FINISHED_CODES = frozenset({0, 1, 4})
_EMAIL = re.compile(r"[^\s'\"<>]+@[^\s'\"<>]+")
# Not the id of a run, which may happen to have no letter in it, nor a date.
_NUMBER = re.compile(
    r"(?<![\w.])(?<![Rr]un )(?<!resolve )(?<!retry )(?!\d{4}-\d\d-\d\d)"  # where it may begin
    r"\+?\(?\d[\d\s().-]{5,}\d(?![\w.])"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How it ended. Texts hold no personal data."""

    exit_code: int
    meaning: str  #: of the exit code, in one sentence
    reason: str = ""  #: why it stopped or failed; "" when it went to its end
    advice: str = ""  #: what to do next
    counts: Counts | None = None  #: None when there was no run
    requests: int | None = None
    duration_s: float | None = None
    declined: bool = False  #: the person who sat there said no
    about: str = ""  #: the input's name, "" when there was none
    parts: tuple[RunResult, ...] = ()  #: of a command over several inputs, in order; then the counts are those of all

    @property
    def finished(self) -> bool:
        """No row is left to send."""
        return self.exit_code in _FINISHED_CODES

    @property
    def succeeded(self) -> bool:
        """Nobody need get up."""
        return self.exit_code in SUCCESS_CODES


def all_together(parts: Sequence[RunResult], *, exit_code: int, meaning: str, left: Sequence[str]) -> RunResult:
    """Put the endings of a command's inputs together; `left` are the inputs that it did not come to."""
    counted = [part.counts for part in parts if part.counts is not None]
    return RunResult(
        exit_code=exit_code,
        meaning=meaning,
        reason=f"Left for the next time: {', '.join(left)}." if left else "",
        counts=sum_of(counted) if counted else None,
        requests=sum(part.requests or 0 for part in parts),
        duration_s=sum(part.duration_s or 0.0 for part in parts),
        declined=all(part.declined for part in parts),
        parts=tuple(parts),
    )


def sum_of(counts: Sequence[Counts]) -> Counts:
    """Add counts up, status by status."""
    return Counts(**{status.value: sum(getattr(one, status.value) for one in counts) for status in RowStatus})


def redact_personal_data(text: str) -> str:
    """Take addresses and long numbers out of a sentence: an error may quote the cell that it is about."""
    return _NUMBER.sub("…", _EMAIL.sub("…", text))
