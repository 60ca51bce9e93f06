"""The rows of a run at rest between plan and send, so that a file that changes later cannot change the run.

In: rows in plan order with the request each became. Out: the same rows, in the same order, as often as asked.
Never: a decision, a token. The file holds personal data: its owner alone can read it, and it lies in the run's folder.

One line of UTF-8 for each row, its fields separated by U+001F: row number, problems as JSON ("" when none), the
request's JSON body without the token ("" when invalid), then the input's cells. The first line holds the input's
header in the last part. A backslash escapes a backslash, a line feed or U+001F inside a field; few hold one, and a
line without is written by one `join` and read by one `split`. (CSV would double every quote of every body, at ten
times the cost.)
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from batch_enroll.errors import LedgerError
from batch_enroll.model import Problem, Row

STAGE_NAME = "rows.staged"
STAGE_PARTIAL = STAGE_NAME + ".part"
_BETWEEN = "\x1f"
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", _BETWEEN: "\\f"})
_MEANT = {"\\": "\\", "n": "\n", "f": _BETWEEN}
_ESCAPED = re.compile(r"\\(.)")
_BLOCK_ROWS = 1_000
_OWN_COLUMNS = 3


class StagedRow(NamedTuple):
    """A row of the plan with what it will send."""

    seq: int  #: place in the plan, from 1
    row: Row  #: with every problem found, by the loader and by the mapping
    body: str  #: the request's JSON object without the token; "" when the row is invalid


class StageWriter:
    """Writes the staged rows of one run; the file is whole or not there."""

    def __init__(self, folder: Path, columns: Sequence[str]) -> None:
        self._path = folder / STAGE_NAME
        self._partial = folder / STAGE_PARTIAL
        self._seq = 0
        try:
            descriptor = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            self._file: IO[str] = os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogatepass", newline="\n")
            self._file.write(_line(["number", "problems", "body", *columns]))
        except OSError as error:
            raise _trouble(self._partial, error) from error

    def write(self, rows: Sequence[tuple[Row, str]]) -> None:
        """Add a block of (row, body) in plan order.

        Raises:
            LedgerError: the disk does not take it.
        """
        try:
            self._file.writelines(
                [
                    _line([str(row.number), _problems_text(row.problems) if row.problems else "", body, *row.cells])
                    for row, body in rows
                ]
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
        return tuple(_fields(next(file))[_OWN_COLUMNS:])


def staged_rows(folder: Path, *, after_seq: int = 0) -> Iterator[list[StagedRow]]:
    """Read the rows back in plan order, in blocks of at most 1,000, from the one after `after_seq` on.

    Raises:
        LedgerError: the file is gone (pruned) or damaged.
    """
    with _open(folder) as file:
        next(file)
        block: list[StagedRow] = []
        for seq, line in enumerate(file, start=1):
            if seq <= after_seq:
                continue
            try:
                row, body = _staged(_fields(line))
            except (ValueError, KeyError, TypeError) as error:
                raise _damaged(folder / STAGE_NAME, seq) from error
            block.append(StagedRow(seq, row, body))
            if len(block) == _BLOCK_ROWS:
                yield block
                block = []
        if block:
            yield block


def forget_rows(folder: Path) -> bool:
    """Remove the personal data of a run; what happened to its rows stays in the ledger. False: it was gone already."""
    try:
        (folder / STAGE_PARTIAL).unlink(missing_ok=True)
        (folder / STAGE_NAME).unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _trouble(folder / STAGE_NAME, error) from error
    return True


def _open(folder: Path) -> IO[str]:
    path = folder / STAGE_NAME
    try:
        return path.open(encoding="utf-8", errors="surrogatepass", newline="\n")
    except FileNotFoundError as error:
        raise LedgerError(
            f"The rows of this run are no longer kept ({path} is gone).",
            hint="Its totals are still shown by `batch-enroll show`; its files cannot be written again.",
        ) from error
    except OSError as error:
        raise _trouble(path, error) from error


def _staged(fields: list[str]) -> tuple[Row, str]:
    number, problems, body, *cells = fields
    found = tuple(Problem(**problem) for problem in json.loads(problems)) if problems else ()
    return Row(int(number), tuple(cells), found), body


def _line(fields: Sequence[str]) -> str:
    line = _BETWEEN.join(fields)
    if "\\" in line or "\n" in line or line.count(_BETWEEN) >= len(fields):
        line = _BETWEEN.join(field.translate(_ESCAPES) for field in fields)
    return line + "\n"


def _fields(line: str) -> list[str]:
    if not line.endswith("\n"):
        raise ValueError("the line is cut off")
    fields = line[:-1].split(_BETWEEN)
    return [_ESCAPED.sub(_unescaped, field) for field in fields] if "\\" in line else fields


def _unescaped(found: re.Match[str]) -> str:
    return _MEANT[found[1]]


def _problems_text(problems: tuple[Problem, ...]) -> str:
    return json.dumps(
        [{"code": p.code, "message": p.message, "column": p.column} for p in problems], ensure_ascii=False
    )


def _trouble(path: Path, error: OSError) -> LedgerError:
    return LedgerError(
        f"The rows of this run cannot be kept at {path}: {error.strerror or error}.",
        hint="Make room or choose another place with --ledger, then give the same command again.",
    )


def _damaged(path: Path, seq: int) -> LedgerError:
    return LedgerError(
        f"The kept rows of this run are damaged at place {seq} ({path}).",
        hint="What happened to each row is still in the ledger: `batch-enroll show` tells it.",
    )
