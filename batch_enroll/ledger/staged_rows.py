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
import re
from bisect import bisect_left
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from batch_enroll.atomic_file import OWNER_ONLY, AtomicFile
from batch_enroll.errors import LedgerError
from batch_enroll.ledger.records import StagedRow
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
_STEP_BYTES = 1 << 16  #: from one known place in the file to the next


class FileStageWriter:
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


class FileStage:
    """The staged rows of one run in its folder. Every method blocks.

    Raises:
        LedgerError: the file is gone (pruned) or damaged, or cannot be read or written.
    """

    def __init__(self, folder: Path, rows: Callable[[], int]) -> None:
        """Read and write nothing yet.

        Args:
            folder: the run's own.
            rows: gives how many rows the whole plan holds, as the ledger knows it.
        """
        self._folder = folder
        self._path = folder / STAGE_NAME
        self._rows = rows
        self._lines_before: list[int] = []  #: how many lines end before each `_STEP_BYTES` of the file

    def writer(self, columns: Sequence[str]) -> FileStageWriter:
        """Stage the rows of a new plan; `columns` is the input's own header."""
        return FileStageWriter(self._folder, columns)

    def columns(self) -> tuple[str, ...]:
        """Give the input's own header, column by column."""
        with self._reading() as file:
            return _columns(file.readline())

    def check(self) -> None:
        """Count the lines and check that they are text, without reading the rows: 0.2 s of CPU for a million."""
        self.columns()
        lines_before, lines, is_whole = [], 0, False
        decoder = getincrementaldecoder("utf-8")("surrogatepass")
        with self._reading() as file:
            while part := file.read(_STEP_BYTES):
                lines_before.append(lines)
                lines += part.count(b"\n")
                try:
                    decoder.decode(part)
                except ValueError as error:
                    raise self.damaged(lines_before[-1]) from error
                is_whole = part.endswith(b"\n")
        if lines != self._rows() + 1 or not is_whole:
            raise self.damaged(min(lines, self._rows() + 1))
        self._lines_before = lines_before

    def rows(self, lo: int, hi: int) -> list[StagedRow]:
        """Read the rows from place `lo` to place `hi` of the plan, from anywhere in the file."""
        if not self._lines_before:
            self.check()
        seq, hi = lo, min(hi, self._rows())
        step = bisect_left(self._lines_before, lo) - 1
        staged = []
        with self._reading() as file:
            file.seek(step * _STEP_BYTES)
            skipped = lo - self._lines_before[step]
            try:
                for line in islice(file, skipped, skipped + hi - lo + 1):
                    staged.append(StagedRow(seq, *_staged(_fields(line))))
                    seq += 1
            except (ValueError, KeyError, TypeError) as error:
                raise self.damaged(seq) from error
        if seq <= hi:
            raise self.damaged(seq)
        return staged

    def blocks(self) -> Iterator[list[StagedRow]]:
        """Read all rows in plan order, in blocks of at most 1,000."""
        self.check()
        for lo in range(1, self._rows() + 1, _BLOCK_ROWS):
            yield self.rows(lo, lo + _BLOCK_ROWS - 1)

    def delete(self) -> bool:
        """Remove the personal data of a run; what happened to its rows stays in the ledger. False: it was gone."""
        with _translated(self._path):
            for path in _partial_files(self._folder):
                path.unlink(missing_ok=True)
            try:
                self._path.unlink()
            except FileNotFoundError:
                return False
        return True

    def size(self) -> int:
        """How many bytes `delete` would free, what a dead process left unfinished included."""
        files = [self._path, *_partial_files(self._folder)]
        return sum(path.stat().st_size for path in files if path.exists())

    def damaged(self, seq: int) -> LedgerError:
        """Build the error that the file is not as it was written from a row of the plan on; 0 is the header."""
        return LedgerError(
            f"The kept rows of run {self._folder.name} are damaged from line {seq + 1} of {self._path} on, "
            "so they can be neither sent nor reported.",
            hint="Put a good copy of that file back, then give the same command again; "
            f"`batch-enroll show {self._folder.name}` tells how far the run came.",
        )

    @contextmanager
    def _reading(self) -> Iterator[BinaryIO]:
        """Open the file; errors of the system or the decoder while it is read become a LedgerError."""
        run_id = self._folder.name
        try:
            with self._path.open("rb") as file:
                yield file
        except FileNotFoundError as error:
            raise LedgerError(
                f"The rows of run {run_id} are no longer kept ({self._path} is gone).",
                hint=f"Its totals are still shown by `batch-enroll show {run_id}`; its files cannot be written again.",
            ) from error
        except OSError as error:
            raise LedgerError(
                f"The kept rows of run {run_id} cannot be read at {self._path}: {os_error_reason(error)}.",
                hint="Correct that, then give the same command again.",
            ) from error
        except ValueError as error:  # the header is no header, or no text
            raise self.damaged(0) from error


def _columns(header: bytes) -> tuple[str, ...]:
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


def _fields(binary: bytes) -> list[str]:
    line = binary.decode("utf-8", "surrogatepass")
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
