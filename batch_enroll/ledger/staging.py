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

import contextlib
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from batch_enroll.atomic_file import OWNER_ONLY, AtomicFile
from batch_enroll.errors import LedgerError
from batch_enroll.model import Problem, Row
from batch_enroll.os_errors import translate_os_errors

STAGE_NAME = "rows.staged"
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
    """Writes the staged rows of one run; the file is whole or not there. The caller holds the run's lock.

    Raises:
        LedgerError: the disk does not take the file.
    """

    def __init__(self, folder: Path, columns: Sequence[str]) -> None:
        self._path = folder / STAGE_NAME
        with _translated(self._path):
            for left in _partial_files(folder):  # by a process that died while it planned
                left.unlink(missing_ok=True)
            self._atomic = AtomicFile(self._path, mode=OWNER_ONLY)
            self._file = io.TextIOWrapper(self._atomic.binary, encoding="utf-8", errors="surrogatepass", newline="\n")
            self._file.write(_line(["number", "problems", "body", *columns]))

    def write(self, rows: Sequence[tuple[Row, str]]) -> None:
        """Add a block of (row, body) in plan order.

        Raises:
            LedgerError: the disk does not take it.
        """
        with _translated(self._path):
            self._file.writelines(
                [
                    _line([str(row.number), _problems_text(row.problems) if row.problems else "", body, *row.cells])
                    for row, body in rows
                ]
            )

    def finish(self) -> None:
        """Put the file on disk under its name.

        Raises:
            LedgerError: the disk does not take it.
        """
        with _translated(self._path):
            self._file.flush()
            self._atomic.commit()

    def abandon(self) -> None:
        """Close and remove an unfinished file."""
        with contextlib.suppress(OSError):
            self._file.close()
        self._atomic.abandon()


def stage_files(folder: Path) -> list[Path]:
    """Name every file that holds staged rows of a run, also those that a dead process left unfinished."""
    return [folder / STAGE_NAME, *_partial_files(folder)]


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
    with _translated(folder / STAGE_NAME):
        for path in _partial_files(folder):
            path.unlink(missing_ok=True)
        try:
            (folder / STAGE_NAME).unlink()
        except FileNotFoundError:
            return False
    return True


def _open(folder: Path) -> IO[str]:
    path = folder / STAGE_NAME
    with _translated(path):
        try:
            return path.open(encoding="utf-8", errors="surrogatepass", newline="\n")
        except FileNotFoundError as error:
            raise LedgerError(
                f"The rows of this run are no longer kept ({path} is gone).",
                hint="Its totals are still shown by `batch-enroll show`; its files cannot be written again.",
            ) from error


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


def _partial_files(folder: Path) -> list[Path]:
    return list(folder.glob(f"{STAGE_NAME}*.part"))


def _translated(path: Path) -> contextlib.AbstractContextManager[None]:
    return translate_os_errors(
        f"The rows of this run cannot be kept at {path}",
        to=LedgerError,
        hint="Make room or choose another place with --ledger, then give the same command again.",
    )


def _damaged(path: Path, seq: int) -> LedgerError:
    return LedgerError(
        f"The kept rows of this run are damaged at place {seq} ({path}).",
        hint="What happened to each row is still in the ledger: `batch-enroll show` tells it.",
    )
