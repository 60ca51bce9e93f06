"""What `doctor` reports about the location of a ledger."""

from __future__ import annotations

from dataclasses import dataclass

from batch_enroll.models import Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerHealth:
    """What was found at a ledger's location."""

    path: str
    file_system: str  #: for example ext4; "" when it is not known
    volatile: Notice | None  #: set when the location is in the machine's memory
    free_bytes: int  #: on its disk, for this user
    commit_s: float  #: how long a commit takes, seconds, the median of three
    index_bytes: int | None  #: size of the index file; None when there is no ledger yet
    faults: tuple[str, ...] = ()  #: what is wrong with its files, each with what to do
    sqlite_version: str = ""
