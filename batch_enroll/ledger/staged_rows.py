"""The staged rows of a run in a file: every row with its request, so that a changed input cannot change the run.

The file holds personal data, so only its owner can read it. It is UTF-8, one line for each row, the fields separated by
U+001F: row number, problems as a JSON array ("" when none), the request's JSON body without the token ("" when
invalid), then the input's cells; in the first line the input's header takes the place of the cells. A backslash escapes
a backslash, a line feed or U+001F inside a field. Few fields have one, and a line without is one `join` to write and
one `split` to read; CSV, which doubles every quote of every body, takes ten times as long.
"""

from __future__ import annotations

import io
import json
import re
from bisect import bisect_left
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from batch_enroll.atomic_file import OWNER_ONLY, AtomicFile
from batch_enroll.errors import LedgerError
from batch_enroll.ledger.records import StagedRow
from batch_enroll.messages import Message, message, verbatim
from batch_enroll.models import Problem, Row
from batch_enroll.os_errors import os_error_reason, translate_os_errors

STAGE_NAME = "rows.staged"
_SEPARATOR = "\x1f"
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", _SEPARATOR: "\\f"})
_UNESCAPED = {"\\": "\\", "n": "\n", "f": _SEPARATOR}
_ESCAPED = re.compile(r"\\(.)")
_BLOCK_ROWS = 1_000
_FIRST_FIELDS = ["number", "problems", "body"]
_STEP_BYTES = 1 << 16  #: between two places of the file whose line numbers are known


class FileStageWriter:
    """Writes the staged rows of one run; the file exists only when it is complete. The caller holds the run's lock.

    Raises:
        LedgerError: the file cannot be written.
    """

    def __init__(self, folder: Path, columns: Sequence[str]) -> None:
        self._path = folder / STAGE_NAME
        with _translate_write_errors(self._path):
            for partial in _partial_files(folder):  # of a process that died while it planned
                partial.unlink(missing_ok=True)
            self._atomic = AtomicFile(self._path, mode=OWNER_ONLY)
            self._file = io.TextIOWrapper(self._atomic.binary, encoding="utf-8", errors="surrogatepass", newline="\n")
            self._file.write(_line([*_FIRST_FIELDS, *columns]))

    def write(self, rows: Sequence[tuple[Row, str]]) -> None:
        """Add a block of (row, body) in plan order."""
        with _translate_write_errors(self._path):
            self._file.writelines(
                [
                    _line([str(row.number), _problems_text(row.problems) if row.problems else "", body, *row.cells])
                    for row, body in rows
                ]
            )

    def finish(self) -> None:
        """Sync the file to the disk and give it its name."""
        with _translate_write_errors(self._path):
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
        LedgerError: the file was removed or is damaged, or cannot be read or written.
    """

    def __init__(self, folder: Path, rows: Callable[[], int]) -> None:
        """Take the names; no file is opened yet.

        Args:
            folder: the run's folder.
            rows: returns how many rows the whole plan has according to the ledger.
        """
        self._folder = folder
        self._path = folder / STAGE_NAME
        self._rows = rows
        self._lines_before: list[int] = []  #: how many lines end before each `_STEP_BYTES` of the file

    @property
    def path(self) -> Path:
        """Where the rows lie."""
        return self._path

    def writer(self, columns: Sequence[str]) -> FileStageWriter:
        """Begin to stage the rows of a new plan; `columns` is the input's own header."""
        return FileStageWriter(self._folder, columns)

    def exists(self) -> bool:
        """Return whether the rows are still stored."""
        return self._path.exists()

    def columns(self) -> tuple[str, ...]:
        """Return the input's own header, column by column."""
        with self._reading() as file:
            return _columns(file.readline())

    def check(self) -> None:
        """Check the number of lines and their encoding without parsing them: 0.2 s of CPU for a million rows."""
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
        """Read the rows from place `lo` to place `hi` of the plan, both included; fewer where the plan ends."""
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
        """Remove the file and what a dead process left unfinished; returns False if there was no finished file."""
        with _translate_write_errors(self._path):
            for path in _partial_files(self._folder):
                path.unlink(missing_ok=True)
            try:
                self._path.unlink()
            except FileNotFoundError:
                return False
        return True

    def forget(self, seqs: Iterable[int]) -> None:
        """Empty the cells, problems and bodies of some rows; the caller holds the run's lock.

        Every line keeps its place and its length: a reader that has opened the older file goes on with this one.
        """
        if not self.exists():
            return
        self.check()
        chosen = set(seqs)
        with _translate_write_errors(self._path):
            for left in _partial_files(self._folder):
                left.unlink(missing_ok=True)
            with self._path.open("rb") as file, AtomicFile(self._path, mode=OWNER_ONLY) as emptied:
                for seq, line in enumerate(file):
                    emptied.binary.write(_emptied(line) if seq in chosen else line)
                emptied.commit()

    def size(self) -> int:
        """Return how many bytes `delete` would free."""
        files = [self._path, *_partial_files(self._folder)]
        return sum(path.stat().st_size for path in files if path.exists())

    def damaged(self, seq: int) -> LedgerError:
        """Build the error that the file is damaged from place `seq` of the plan on; 0 is the header."""
        return LedgerError(
            message("ledger.staged_damaged", run_id=self._folder.name, line=seq + 1, path=str(self._path))
        )

    def changed(self, row: int) -> LedgerError:
        """Build the error that the request of a row is not the one that was planned."""
        return LedgerError(message("ledger.staged_changed", run_id=self._folder.name, row=row, path=str(self._path)))

    @contextmanager
    def _reading(self) -> Iterator[BinaryIO]:
        """Open the file; an `OSError` or a decoding error while it is read becomes a LedgerError."""
        run_id = self._folder.name
        try:
            with self._path.open("rb") as file:
                yield file
        except FileNotFoundError as error:
            raise LedgerError(message("ledger.staged_gone", run_id=run_id, path=str(self._path))) from error
        except OSError as error:
            reason = os_error_reason(error)
            raise LedgerError(
                message("ledger.staged_not_read", run_id=run_id, path=str(self._path), reason=reason)
            ) from error
        except ValueError as error:  # the first line is not a header, or not UTF-8
            raise self.damaged(0) from error


def _columns(header: bytes) -> tuple[str, ...]:
    first, columns = (fields := _fields(header))[: len(_FIRST_FIELDS)], fields[len(_FIRST_FIELDS) :]
    if first != _FIRST_FIELDS:
        raise ValueError("the first line is not a header")
    return tuple(columns)


def _staged(fields: list[str]) -> tuple[Row, str]:
    number, problems, body, *cells = fields
    found = tuple(map(_problem, json.loads(problems))) if problems else ()
    return Row(int(number), tuple(cells), found), body


def _problem(content: dict[str, Any]) -> Problem:
    stored = content["message"]  # plain text in rows staged before messages had ids
    problem = verbatim(stored) if isinstance(stored, str) else Message.from_json(stored)
    return Problem(code=content["code"], message=problem, column=content["column"])


def _line(fields: Sequence[str]) -> str:
    line = _SEPARATOR.join(fields)
    if "\\" in line or "\n" in line or line.count(_SEPARATOR) >= len(fields):
        line = _SEPARATOR.join(field.translate(_ESCAPES) for field in fields)
    return line + "\n"


def _emptied(line: bytes) -> bytes:
    """Keep the row number and the number of cells; blanks before the number fill up the line."""
    number, _, _, *cells = _fields(line)
    emptied = _line([number.strip(), "", "", *("" for _ in cells)]).encode()
    return b" " * (len(line) - len(emptied)) + emptied


def _fields(binary: bytes) -> list[str]:
    line = binary.decode("utf-8", "surrogatepass")
    if not line.endswith("\n"):
        raise ValueError("the line is cut off")
    fields = line[:-1].split(_SEPARATOR)
    return [_ESCAPED.sub(_unescaped, field) for field in fields] if "\\" in line else fields


def _unescaped(found: re.Match[str]) -> str:
    return _UNESCAPED[found[1]]


def _problems_text(problems: tuple[Problem, ...]) -> str:
    found = [
        {
            "code": problem.code,
            "message": problem.message.to_json(),
            "column": problem.column,
        }
        for problem in problems
    ]
    return json.dumps(found, ensure_ascii=False)


def _partial_files(folder: Path) -> list[Path]:
    return list(folder.glob(f"{STAGE_NAME}*.part"))


def _translate_write_errors(path: Path) -> AbstractContextManager[None]:
    return translate_os_errors(
        message("ledger.staged_not_written", path=str(path)),
        to=LedgerError,
        hint=message("ledger.make_room_or_choose_another"),
    )
