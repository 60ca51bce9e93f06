"""What a worker does with a run's ledger: it claims blocks of rows, records each attempt and reports how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from batch_enroll.ledger.interface import Pending
from batch_enroll.models import Counts, Outcome

BLOCK_ROWS = 500


class Block(NamedTuple):
    """Consecutive places of the plan that one worker sends."""

    lo: int  #: the first place, by which the block is known
    hi: int  #: the last place
    rows: Sequence[Pending]  #: those that are PLANNED now, in seq order


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReport:
    """What a worker says of itself."""

    in_flight: int
    done: Counts = field(default_factory=Counts)  #: rows that it finished
    wants_rate: bool = True  #: False: it has no row left to send, and others may have its share


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOrders:
    """What a worker is to do now."""

    paused: bool = False
    pause_s: float = 0.0  #: the platform throttled the run: nothing leaves for so long
    rate_per_s: float | None = None  #: this worker's share; None = unlimited, 0.0 = send nothing
    concurrency: int = 1  #: this worker's share
    stop_reason: str = ""  #: take no more rows
    rows_left: bool = True  #: a row is PLANNED or in flight
    workers: int = 1  #: at work on the run, this one included


class WorkerLedger(Protocol):
    """A run's rows as one of its workers moves them. Cancellation and durability as for `RunLedger`."""

    async def claim_block(self) -> Block | None:
        """Take the next block that no worker holds; None when there is none now (see `WorkerOrders.rows_left`).

        Raises:
            Fenced: this worker was given up for dead.
        """
        ...

    async def record_intent(self, seq: int, *, at: datetime) -> int:
        """PLANNED -> INTENT, on disk when this returns. Returns the attempt's number, from 1.

        Raises:
            RowTaken: the row is not PLANNED any more: it must not be sent, and it is no fault.
            Fenced: this worker was given up for dead.
            LedgerError: the disk does not take it.
        """
        ...

    async def release(self, seq: int, *, code: str, message: str) -> None:
        """INTENT -> PLANNED: surely nothing was accepted. A finished block that holds the row can be claimed again."""
        ...

    async def record_outcome(self, outcome: Outcome) -> None:
        """INTENT -> SUCCESS, ERROR or UNKNOWN, on disk when this returns; also allowed when the worker is fenced."""
        ...

    async def finish_block(self, lo: int, *, given_up: int) -> None:
        """Give a block back; with more rows PLANNED than the `given_up` ones it can be claimed again."""
        ...

    async def beat(self, report: WorkerReport) -> WorkerOrders:
        """Show that the worker lives, and fetch its orders; once a second.

        Raises:
            Fenced: this worker was given up for dead.
        """
        ...

    async def throttled(self, pause_s: float) -> None:
        """Make all workers of the run pause: the platform said that requests come too fast."""
        ...

    async def end(self) -> None:
        """Give back every block and leave the run."""
        ...
