"""How a ledger's place stands, as far as that can be found out without a run.

In: nothing. Out: one value. Never: I/O.
"""

from __future__ import annotations

from dataclasses import dataclass

from batch_enroll.models import Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerHealth:
    """What was found at the ledger's place."""

    path: str
    file_system: str  #: for example ext4; "" when it could not be found out
    volatile: Notice | None  #: it lies in the machine's memory
    free_bytes: int  #: on its disk, for this user
    commit_s: float  #: until a saved step is on disk, seconds, the median of three
    index_bytes: int | None  #: None: there is no ledger yet
    faults: tuple[str, ...] = ()  #: what is wrong with its files, each with what to do
    sqlite_version: str = ""
