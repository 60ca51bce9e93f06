"""The rows of a run at rest between plan and send, so that a file that changes later cannot change the run.

In: rows in plan order with the request each became. Out: the same rows, in the same order, as often as asked.
Never: a decision, a token. The file holds personal data: its owner alone can read it, and it lies in the run's folder.

One CSV line (RFC 4180, UTF-8) for each row: row number, problems as JSON ("" when none), the request's JSON body
without the token ("" when invalid), then the input's cells. The first line holds the input's header in the last part.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from batch_enroll.errors import LedgerError
from batch_enroll.model import Problem, Row

STAGE_NAME = "rows.csv"
_BLOCK_ROWS = 1_000
_OWN_COLUMNS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedRow:
    """A row of the plan with what it will send."""

    seq: int  #: place in the plan, from 1
    row: Row  #: with every problem found, by the loader and by the mapping
    body: str  #: the request's JSON object without the token; "" when the row is invalid


class StageWriter:
    """Writes the staged rows of one run; the file is whole or not there."""

    def __init__(self, folder: Path, columns: Sequence[str]) -> None:
        self._path = folder / STAGE_NAME
        self._partial = folder / (STAGE_NAME + ".part")
        self._seq = 0
        try:
            descriptor = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            self._file: IO[str] = os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogatepass", newline="")
            self._csv = csv.writer(self._file)
            self._csv.writerow(["number", "problems", "body", *columns])
        except OSError as error:
            raise _trouble(self._partial, error) from error

    def write(self, rows: Sequence[tuple[Row, str]]) -> None:
        """Add a block of (row, body) in plan order.

        Raises:
            LedgerError: the disk does not take it.
        """
        try:
            self._csv.writerows(
                [row.number, _problems_text(row.problems) if row.problems else "", body, *row.cells]
                for row, body in rows
            )
        except OSError as error:
            raise _trouble(self._partial, error) from error
        self._seq += len(rows)

    def finish(self) -> None:
        """Put the file on disk under its name.

        Raises:
            LedgerError: the disk does not take it.
        """
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._partial.replace(self._path)
        except OSError as error:
            raise _trouble(self._path, error) from error

    def abandon(self) -> None:
        """Close and remove an unfinished file."""
        self._file.close()
        self._partial.unlink(missing_ok=True)


def staged_columns(folder: Path) -> tuple[str, ...]:
    """Give the input's own header, column by column."""
    with _open(folder) as file:
        return tuple(next(csv.reader(file))[_OWN_COLUMNS:])


def staged_rows(folder: Path, *, after_seq: int = 0) -> Iterator[list[StagedRow]]:
    """Read the rows back in plan order, in blocks of at most 1,000, from the one after `after_seq` on.

    Raises:
        LedgerError: the file is gone (pruned) or damaged.
    """
    csv.field_size_limit(2**31 - 1)
    with _open(folder) as file:
        reader = csv.reader(file)
        next(reader)
        block: list[StagedRow] = []
        for seq, line in enumerate(reader, start=1):
            if seq <= after_seq:
                continue
            number, problems, body, *cells = line
            row = Row(
                number=int(number),
                cells=tuple(cells),
                problems=tuple(Problem(**problem) for problem in json.loads(problems)) if problems else (),
            )
            block.append(StagedRow(seq=seq, row=row, body=body))
            if len(block) == _BLOCK_ROWS:
                yield block
                block = []
        if block:
            yield block


def forget_rows(folder: Path) -> bool:
    """Remove the personal data of a run; what happened to its rows stays in the ledger. False: it was gone already."""
    try:
        (folder / STAGE_NAME).unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _trouble(folder / STAGE_NAME, error) from error
    return True


def _open(folder: Path) -> IO[str]:
    path = folder / STAGE_NAME
    try:
        return path.open(encoding="utf-8", errors="surrogatepass", newline="")
    except FileNotFoundError as error:
        raise LedgerError(
            f"The rows of this run are no longer kept ({path} is gone).",
            hint="Its totals are still shown by `batch-enroll show`; its files cannot be written again.",
        ) from error
    except OSError as error:
        raise _trouble(path, error) from error


def _problems_text(problems: tuple[Problem, ...]) -> str:
    return json.dumps(
        [{"code": p.code, "message": p.message, "column": p.column} for p in problems], ensure_ascii=False
    )


def _trouble(path: Path, error: OSError) -> LedgerError:
    return LedgerError(
        f"The rows of this run cannot be kept at {path}: {error.strerror or error}.",
        hint="Make room or choose another place with --ledger, then give the same command again.",
    )
