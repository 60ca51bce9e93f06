"""Rows to send: the blocks that a worker claims, joined with their staged requests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass

from batch_enroll.ledger.interface import Stage, WorkerLedger
from batch_enroll.ledger.records import Block
from batch_enroll.run.identity_keys import ContentHashes
from batch_enroll.sending import RowToSend


@dataclass(slots=True)
class _OpenBlock:
    lo: int
    rows_left: int
    given_up: int = 0


class RowBlocks:
    """Claims blocks for a worker pool and finishes each one when its last row has ended."""

    def __init__(self, worker: WorkerLedger, stage: Stage, hashes: ContentHashes) -> None:
        """Create it; with `hashes` each staged request is compared with what was planned."""
        self._worker = worker
        self._stage = stage
        self._content_hash = hashes.of
        self._block_of: dict[int, _OpenBlock] = {}  #: by the place of a row that has not ended

    async def rows(self, *, limit: int | None) -> AsyncIterator[list[RowToSend]]:
        """Yield up to `limit` rows that are still planned, in plan order, in blocks.

        Raises:
            LedgerError: the kept rows are gone or damaged, or are not the rows of the plan.
        """
        left = limit
        while (left is None or left > 0) and (block := await self._worker.claim_block()) is not None:
            opened = _OpenBlock(block.lo, len(block.rows))
            self._block_of.update((row.seq, opened) for row in block.rows)
            rows = self._with_requests(block)[:left]
            left = None if left is None else left - len(rows)
            yield rows

    def end_row(self, row: RowToSend, *, given_up: bool) -> Awaitable[None] | None:
        """Note that a row has ended; `given_up`: it stays PLANNED, and this run of the program does not send it.

        Returns:
            After the last row of a block: to be awaited, it finishes the block.
        """
        block = self._block_of.pop(row.seq)
        block.rows_left -= 1
        block.given_up += given_up
        return None if block.rows_left else self._worker.finish_block(block.lo, given_up=block.given_up)

    async def give_back(self) -> None:
        """Give back the blocks of which rows have not ended: they can be claimed again."""
        blocks = {block.lo: block for block in self._block_of.values()}
        self._block_of.clear()
        for block in blocks.values():
            await self._worker.finish_block(block.lo, given_up=block.given_up)

    def _with_requests(self, block: Block) -> list[RowToSend]:
        staged = {row.seq: row for row in self._stage.rows(block.rows[0].seq, block.rows[-1].seq)}
        for planned in block.rows:
            row = staged[planned.seq]
            if row.row.number != planned.number or self._content_hash(row.body) != planned.content_hash:
                raise self._stage.changed(planned.number)
        return [RowToSend(row.seq, row.number, staged[row.seq].body, row.key) for row in block.rows]
