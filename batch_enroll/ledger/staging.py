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

import io
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from batch_enroll.atomic_file import OWNER_ONLY, AtomicFile
from batch_enroll.errors import LedgerError
from batch_enroll.messages import Message, verbatim
from batch_enroll.models import Problem, Row
from batch_enroll.os_errors import os_error_reason, translate_os_errors

STAGE_NAME = "rows.staged"
_BETWEEN = "\x1f"
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", _BETWEEN: "\\f"})
_MEANT = {"\\": "\\", "n": "\n", "f": _BETWEEN}
_ESCAPED = re.compile(r"\\(.)")
_BLOCK_ROWS = 1_000
_OWN_COLUMNS = ["number", "problems", "body"]
_PART_BYTES = 1 << 20


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
            self._file.write(_line([*_OWN_COLUMNS, *columns]))

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
        with suppress(OSError):
            self._file.close()
        self._atomic.abandon()


def stage_files(folder: Path) -> list[Path]:
    """Name every file that holds staged rows of a run, also those that a dead process left unfinished."""
    return [folder / STAGE_NAME, *_partial_files(folder)]


def staged_columns(folder: Path) -> tuple[str, ...]:
    """Give the input's own header, column by column.

    Raises:
        LedgerError: the file is gone (pruned) or damaged.
    """
    with _reading(folder) as file:
        return _columns(file.readline())


def check_staged_rows(folder: Path, *, rows: int) -> None:
    """Count the lines without reading the rows: 0.2 s of CPU for a million.

    Raises:
        LedgerError: there are fewer or more than `rows`, or the last one is cut off.
    """
    staged_columns(folder)
    lines, is_whole = 0, False
    with _reading(folder) as file:
        while part := os.read(file.fileno(), _PART_BYTES):
            lines += part.count(b"\n")
            is_whole = part.endswith(b"\n")
    if lines != rows + 1 or not is_whole:
        raise damaged_rows(folder, min(lines, rows + 1))


def staged_rows(folder: Path, *, rows: int, after_seq: int = 0) -> Iterator[list[StagedRow]]:
    """Read the rows back in plan order, in blocks of at most 1,000, from the one after `after_seq` on.

    Args:
        folder: the run's own.
        rows: how many the whole plan holds, as the ledger knows it.
        after_seq: the place of the last row that is passed over.
    Raises:
        LedgerError: the file is gone (pruned) or damaged, or holds another number of rows.
    """
    seq = 0
    with _reading(folder) as file:
        _columns(file.readline())
        block: list[StagedRow] = []
        try:
            for line in file:
                seq += 1
                if seq <= after_seq:
                    continue
                row, body = _staged(_fields(line))
                block.append(StagedRow(seq, row, body))
                if len(block) == _BLOCK_ROWS:
                    yield block
                    block = []
        except (ValueError, KeyError, TypeError) as error:
            raise damaged_rows(folder, seq) from error
        if seq != rows:
            raise damaged_rows(folder, min(seq, rows) + 1)
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


@contextmanager
def _reading(folder: Path) -> Iterator[IO[str]]:
    """Open the file; what the system or the decoder says of it while it is read becomes a LedgerError."""
    path = folder / STAGE_NAME
    try:
        with path.open(encoding="utf-8", errors="surrogatepass", newline="\n") as file:
            yield file
    except FileNotFoundError as error:
        show = f"batch-enroll show {folder.name}"
        raise LedgerError(
            f"The rows of run {folder.name} are no longer kept ({path} is gone).",
            hint=f"Its totals are still shown by `{show}`; its files cannot be written again.",
        ) from error
    except OSError as error:
        raise LedgerError(
            f"The kept rows of run {folder.name} cannot be read at {path}: {os_error_reason(error)}.",
            hint="Correct that, then give the same command again.",
        ) from error
    except ValueError as error:  # the header is no header, or no text
        raise damaged_rows(folder, 0) from error


def _columns(header: str) -> tuple[str, ...]:
    own, columns = (fields := _fields(header))[: len(_OWN_COLUMNS)], fields[len(_OWN_COLUMNS) :]
    if own != _OWN_COLUMNS:
        raise ValueError("this is no header")
    return tuple(columns)


def _staged(fields: list[str]) -> tuple[Row, str]:
    number, problems, body, *cells = fields
    found = tuple(map(_problem, json.loads(problems))) if problems else ()
    return Row(int(number), tuple(cells), found), body


def _problem(content: dict[str, Any]) -> Problem:
    said = content["message"]  # plain text in rows staged before messages had ids
    said = verbatim(said) if isinstance(said, str) else Message.from_json(said)
    return Problem(code=content["code"], message=said, column=content["column"])


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
    found = [
        {
            "code": problem.code,
            "message": problem.message if isinstance(problem.message, str) else problem.message.to_json(),
            "column": problem.column,
        }
        for problem in problems
    ]
    return json.dumps(found, ensure_ascii=False)


def _partial_files(folder: Path) -> list[Path]:
    return list(folder.glob(f"{STAGE_NAME}*.part"))


def _translated(path: Path) -> AbstractContextManager[None]:
    return translate_os_errors(
        f"The rows of this run cannot be kept at {path}",
        to=LedgerError,
        hint="Make room or choose another place with --ledger, then give the same command again.",
    )


def damaged_rows(folder: Path, seq: int) -> LedgerError:
    """Say from which row of the plan on the file is not as it was written; 0 is the header."""
    return LedgerError(
        f"The kept rows of run {folder.name} are damaged from line {seq + 1} of {folder / STAGE_NAME} on, "
        "so they can be neither sent nor reported.",
        hint="Put a good copy of that file back, then give the same command again; "
        f"`batch-enroll show {folder.name}` tells how far the run came.",
    )
