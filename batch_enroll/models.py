"""The values that every stage shares: rows, start requests, outcomes, counts, and why a run stops.

A `Row` of the input becomes a `StartRequest`; sending it (in one or more
attempts) ends in exactly one `Outcome`; a row that cannot become a request has `Problem`s instead.
"""

from __future__ import annotations

from collections import abc
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

from batch_enroll.messages import NO_TEXT, Message, hint_of

RESULTS_SUFFIXES = (".csv", ".xlsx")
XLSX_CELL_CHARS = 32_767
"""What a cell of a workbook holds. Source: Microsoft, "Excel specifications and limits"."""
DEFAULT_RESULTS = "{input}.{run}.results.csv"
"""Name of the results when nobody gave one, with the input's stem and the run's id for the two words in braces."""


class RowStatus(StrEnum):
    """What became of a row, in the words that people see. The six are all there are."""

    SUCCESS = "success"  #: the platform accepted it
    ERROR = "error"  #: the platform surely refused it
    UNKNOWN = "unknown"  #: a request left and no clear answer came
    INVALID = "invalid"  #: the row could not become a request; nothing was sent
    SKIPPED = "skipped"  #: a duplicate inside the file, or enrolled by an earlier run
    NOT_SENT = "not_sent"  #: its turn never came, or surely nothing was accepted


class MatchingMode(StrEnum):
    """How the platform finds the profile; the four that `workflows/start` lists."""

    EMAIL = "email"
    PHONE = "phone"
    PROFILE_ID = "profile_id"
    CUSTOM = "custom"


class FieldType(StrEnum):
    """The JSON type in which a custom field's value is sent."""

    STRING = "string"
    INT = "int"


class Duplicates(StrEnum):
    """What happens to a row whose identity stood in an earlier row of the same input."""

    SKIP = "skip"
    SEND = "send"
    STOP = "stop"


class EnrolledBefore(StrEnum):
    """What happens to a row whose identity was enrolled in the scenario before, by whatever input."""

    SKIP = "skip"
    SEND = "send"
    STOP = "stop"


class Pick(StrEnum):
    """Which of several files in a folder are enrolled."""

    NEWEST = "newest"  #: the one that was changed last
    NEW = "new"  #: each that no finished run of the same job enrolled, the oldest first


class Delivery(StrEnum):
    """What happens to a row that may or may not have been accepted."""

    AT_MOST_ONCE = "at-most-once"  #: held as unknown
    AT_LEAST_ONCE = "at-least-once"  #: sent again, so that a customer may get the message twice


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """Which column holds the identity and what the platform compares it with."""

    mode: MatchingMode
    column: str
    field_name: str | None = None  #: the database field, for `custom` alone
    field_type: FieldType = FieldType.STRING

    def __str__(self) -> str:
        """As `--match` takes it: `email=E-mail`, `custom:CRM_ID=Client no`."""
        field = f":{self.field_name}" if self.field_name else ""
        return f"{self.mode}{field}={self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadedInput:
    """An input that was brought here from elsewhere; the copy goes when the run is over."""

    path: Path  #: of the copy
    name: str  #: its address for people, without user, password and query
    place: str  #: its address for the ledger: an edited input is recognised by it


@dataclass(frozen=True, slots=True, kw_only=True)
class InputOptions:
    """How to read the input; everything that is None is found out or asked for."""

    sheet: str | None = None
    header_row: int | None = None  #: as the person counts, the first row is 1
    encoding: str | None = None
    delimiter: str | None = None
    password: str | None = None
    start_row: int | None = None  #: the first row number to take, as the person counts
    limit: int | None = None  #: at most so many data rows

    def __repr__(self) -> str:
        """Everything but the password."""
        return (
            f"InputOptions(sheet={self.sheet!r}, header_row={self.header_row!r}, encoding={self.encoding!r}, "
            f"delimiter={self.delimiter!r}, start_row={self.start_row!r}, limit={self.limit!r})"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One reason why a row, or one cell of it, cannot be used."""

    code: str  #: a stable slug such as `email_invalid`; advice is looked up by it
    message: Message  #: one sentence that names the column and shows the value
    column: int | None = None  #: position in the header from 0; None = the whole row


class EarlierResult(NamedTuple):
    """What a results file, given as input, says of a row: an earlier run sent it, or may have sent it."""

    status: RowStatus  #: SUCCESS or UNKNOWN
    run_id: str  #: "" when the file does not say it
    row: str = ""  #: its number in that run's input


class Row(NamedTuple):
    """One data row of the input, all text. A tuple itself, as there are millions.

    The cells are a tuple beside the table's header and not a mapping by name: a header may hold one name twice or
    none at all, and the results file repeats every column as it was.
    """

    number: int  #: the sheet's own row number; in CSV the physical line on which the row begins; the first is 1
    cells: tuple[str, ...]  #: as many as the header has columns; "" when the cell is empty
    problems: tuple[Problem, ...] = ()  #: found while reading: too many cells, a NUL byte, an Excel error
    earlier: EarlierResult | None = None  #: only in a results file, and only of a row that was or may have been sent


UNFINISHED_RUN: Final = "unfinished_run"
"""Code of the notice that an earlier run of the job left rows unsent: every start of the job tells it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A fact about the input, the plan or the ledger that people should know before anything is sent."""

    code: str
    message: Message  #: one sentence
    advice: Message | None = None  #: what to do about it, if the catalogue has no hint for `message`
    rows: tuple[int, ...] = ()  #: the first few row numbers concerned
    count: int = 0  #: how many rows in all; 0 when it is about the file

    @property
    def hint(self) -> str:
        """What to do about it, in the current wording; "" when there is nothing to do."""
        return str(self.advice) if self.advice else hint_of(self.message)


class StartRequest(NamedTuple):
    """One profile to start in one scenario: what one row asks of the platform.

    A tuple and not a dataclass: a plan makes one for each of millions of rows.
    """

    scenario: int
    mode: MatchingMode
    identity: str | int  #: the value matched; an int only for a custom field of type int
    field_name: str | None = None
    resource_id: int | None = None
    content: tuple[tuple[str, str], ...] = ()  #: (name, text) pairs; empty cells are left out

    def __repr__(self) -> str:
        """Name the request without the person."""
        return f"StartRequest(scenario={self.scenario}, mode={self.mode.value!r}, identity=***)"


class Outcome(NamedTuple):
    """The last word on a row: exactly one for each row of a run."""

    seq: int  #: place of the row in the plan, from 1
    status: RowStatus
    code: str = ""  #: the platform's code, or our slug for what went wrong
    message: Message = NO_TEXT  #: the platform's text, or our sentence; the ledger keeps its text
    http_status: int | None = None
    attempts: int = 0  #: requests that were begun for this row in this run
    sent_at: datetime | None = None  #: aware UTC, when the last attempt began


class StopCause(StrEnum):
    """Why a run stopped before its end, in one word."""

    REQUESTED = "requested"  #: a person, a signal of the system, or the canary
    DEADLINE = "deadline"  #: the job's deadline, or the end of its allowed hours
    REFUSED = "refused"  #: the answer to one row holds for every row
    FAILED = "failed"  #: any other `RunStopped`: the ledger, the disk
    TOKEN = "token"  #: circuit breaker: a code that a dead token gives
    ADDRESS = "address"  #: circuit breaker: redirects
    OUT_OF_REACH = "out_of_reach"  #: circuit breaker: rows use up their attempts
    UNKNOWN = "unknown"  #: circuit breaker: too many rows without a clear answer
    NEW_ERROR = "new_error"  #: circuit breaker: an error that no row had before, several times running
    ERRORS = "errors"  #: circuit breaker: too many rows refused

    @property
    def is_breaker(self) -> bool:
        """Whether the circuit breaker stopped the run."""
        return self not in (StopCause.REQUESTED, StopCause.DEADLINE, StopCause.REFUSED, StopCause.FAILED)


class Finding(StrEnum):
    """What the platform answers when it is asked about the job, in one word."""

    FINE = "fine"  #: the token works, the scenario is there and active
    TOKEN = "token"  #: the token is refused, has no right, or its account's limit is reached
    SCENARIO_GONE = "scenario_gone"  #: not there, or hidden from this token
    SCENARIO_OFF = "scenario_off"
    OUT_OF_REACH = "out_of_reach"  #: no answer came
    NOT_THE_PLATFORM = "not_the_platform"  #: something else answers at this address
    ROWS = "rows"  #: all of that is fine: it is the rows
    UNCLEAR = "unclear"  #: an answer that says none of these


@dataclass(frozen=True, slots=True)
class StopReason:
    """Why a run stopped before its end. `str()` gives the sentence with its hint, in the current wording."""

    message: Message
    cause: StopCause = StopCause.REQUESTED
    exit_code: int | None = None  #: 130 or 143 when a signal of the system stopped the run
    code: str = ""  #: the platform's code, when the answer to one row stopped the run
    finding: Finding | None = None  #: what the platform answered during the sending, when that stopped the run
    answer: Message | None = None  #: the same as a sentence

    def __str__(self) -> str:
        return f"{self.message} {hint_of(self.message)}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many rows ended in each status; `rows` is what they must add up to."""

    success: int = 0
    error: int = 0
    unknown: int = 0
    invalid: int = 0
    skipped: int = 0
    not_sent: int = 0

    @property
    def rows(self) -> int:
        """All rows, whatever became of them."""
        return self.success + self.error + self.unknown + self.invalid + self.skipped + self.not_sent

    @property
    def sent(self) -> int:
        """Rows whose request left: accepted, refused, or without a clear answer."""
        return self.success + self.error + self.unknown

    @classmethod
    def of(cls, by_status: abc.Mapping[RowStatus, int]) -> Counts:
        """Make the counts from a mapping; a status that is missing counts 0."""
        return cls(**{status.value: by_status.get(status, 0) for status in RowStatus})

    def as_dict(self) -> dict[str, int]:
        """The six statuses in the order people read them, then `rows`."""
        return {**{status.value: getattr(self, status.value) for status in RowStatus}, "rows": self.rows}
