"""Write the results of a run (results file, failed rows, unknown rows), and the problems file of a check."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from batch_enroll.atomic_file import SHARED, open_shared, sync_folder
from batch_enroll.clock import iso_utc
from batch_enroll.messages import message
from batch_enroll.models import (
    Counts,
    Outcome,
    Row,
    RowStatus,
)
from batch_enroll.os_errors import translate_os_errors
from batch_enroll.reporting.csv_xlsx_writers import CsvTableWriter, TableWriter, XlsxTableWriter
from batch_enroll.reporting.replaceable_results import has_added_columns
from batch_enroll.reporting.result_paths import ResultPaths
from batch_enroll.result_columns import ADDED_COLUMNS, guard

PROBLEM_COLUMNS = ("row", "column", "code", "message", "advice")

PROBLEMS_BEGIN = re.compile(rb"\xef\xbb\xbf" + "[,;\t|]".join(PROBLEM_COLUMNS).encode() + rb"\r?\n")

Pair = tuple[Row, Outcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenFiles:
    """What came to lie on disk. `failed` and `unknown` are None when no row belongs there."""

    counts: Counts
    attempts: int  #: requests that were begun for all rows together
    results: Path
    failed: Path | None
    unknown: Path | None
    sha256: Mapping[str, str]  #: hex, by kind: results, failed, unknown


class ResultsWriter:
    """Writes a run's files; a `with` block that ends without `finish` leaves no trace and the older files as they were.

    Args:
        paths: where the files go.
        columns: the input's own header.
        run_id: for the column `enroll_run`.
        advice: what a person can do about a code; "" when there is nothing to say.
        delimiter: of the CSV files. The input's own is best: the person's spreadsheet program is set to it.
        mode: permissions before the umask, see `file_mode_from`.
        written: a file of the run's own folder that lists the sha256 of what was written, also before a crash.
        overwrite: files of others may lie under the names; they are replaced, never only removed.
    """

    def __init__(
        self,
        paths: ResultPaths,
        columns: Sequence[str],
        *,
        run_id: str,
        advice: Callable[[str], str],
        delimiter: str = ",",
        mode: int = SHARED,
        written: Path | None = None,
        overwrite: bool = False,
    ) -> None:
        self._paths = paths
        self._overwrite = overwrite
        self._written = written
        self._header = [*map(guard, columns), *ADDED_COLUMNS]
        self._run_id = run_id
        self._advice = advice
        self._delimiter = delimiter
        self._mode = mode
        self._counts: Counter[RowStatus] = Counter()
        self._seq = 0
        self._attempts = 0
        self._sheets: dict[Path, TableWriter] = {}
        self._finished = False

    def _translated(self, path: Path) -> contextlib.AbstractContextManager[None]:
        return translate_os_errors(path, hint=message("report.results_kept", run_id=self._run_id))

    def __enter__(self) -> Self:
        try:
            self._sheet(self._paths.results)
        except BaseException:
            self.abandon()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if not self._finished:
            self.abandon()

    def write(self, block: Sequence[Pair]) -> None:
        """Add rows, in plan order.

        Raises:
            RunStopped: the disk does not take them.
            ValueError: a row is missing, comes twice or out of turn.
        """
        lines: list[list[str]] = []
        failed: list[list[str]] = []
        unknown: list[list[str]] = []
        for row, outcome in block:
            self._seq += 1
            if outcome.seq != self._seq:
                raise ValueError(f"the row in place {self._seq} is due, the one in place {outcome.seq} came")
            line = self._line(row, outcome)
            lines.append(line)
            if outcome.status in (RowStatus.ERROR, RowStatus.INVALID):
                failed.append(line)
            elif outcome.status is RowStatus.UNKNOWN:
                unknown.append(line)
        self._counts.update(outcome.status for _, outcome in block)
        self._attempts += sum(outcome.attempts for _, outcome in block)
        for path, some in zip(self._paths.all()[:3], (lines, failed, unknown), strict=True):
            if some:
                sheet = self._sheet(path)
                with self._translated(path):
                    sheet.write(some)

    def finish(self) -> WrittenFiles:
        """Put the files under their names and remove older ones that would hold no row now.

        Everything is on disk before the first name changes, and the results come last: a full disk leaves every older
        file as it was, and who finds the results new finds the others new too.

        Raises:
            RunStopped: the disk does not take them, or an older file is in use.
        """
        results, failed, unknown, _ = self._paths.all()
        sha256: dict[str, str] = {}
        for kind, path in (("results", results), ("failed", failed), ("unknown", unknown)):
            if path in self._sheets:
                with self._translated(path):
                    self._sheets[path].save()
                    sha256[kind] = self._sheets[path].sha256()
        if self._written is not None:  # before the first rename: a crash between here and the summary loses no name
            with (
                self._translated(self._written),
                open(self._written, "a", encoding="ascii", opener=open_shared) as file,
            ):
                file.writelines(f"{digest}\n" for digest in sha256.values())
        for path in (unknown, failed, results):
            with self._translated(path):
                if path in self._sheets:
                    self._sheets[path].commit()
                elif not self._overwrite or has_added_columns(path):
                    _remove(path)
        self._finished = True
        return WrittenFiles(
            counts=Counts.of(self._counts),
            attempts=self._attempts,
            results=results,
            failed=failed if failed in self._sheets else None,
            unknown=unknown if unknown in self._sheets else None,
            sha256=sha256,
        )

    def abandon(self) -> None:
        """Leave nothing behind; older files stay."""
        for sheet in self._sheets.values():
            sheet.abandon()

    def _sheet(self, path: Path) -> TableWriter:
        if path not in self._sheets:
            with self._translated(path):
                if path.suffix.lower() == ".xlsx":
                    sheet: TableWriter = XlsxTableWriter(path, mode=self._mode)
                else:
                    sheet = CsvTableWriter(path, delimiter=self._delimiter, mode=self._mode)
                self._sheets[path] = sheet
                sheet.write([self._header])
        return self._sheets[path]

    def _line(self, row: Row, outcome: Outcome) -> list[str]:
        code, message, advice = self._why(row, outcome)
        return [
            *map(guard, row.cells),
            str(row.number),
            outcome.status,
            guard(code),
            guard(message),
            guard(advice),
            "" if outcome.http_status is None else str(outcome.http_status),
            str(outcome.attempts),
            iso_utc(outcome.sent_at) if outcome.sent_at else "",
            self._run_id,
        ]

    def _why(self, row: Row, outcome: Outcome) -> tuple[str, str, str]:
        """Code, message and advice; of an invalid row every problem counts."""
        if outcome.status is RowStatus.SUCCESS:
            return outcome.code, str(outcome.message), ""
        if outcome.status is RowStatus.INVALID and row.problems:
            codes = dict.fromkeys(problem.code for problem in row.problems)
            return (
                outcome.code or row.problems[0].code,
                "; ".join(str(problem.message).rstrip(".") for problem in row.problems),
                " ".join(dict.fromkeys(filter(None, map(self._advice, codes)))),
            )
        return outcome.code, str(outcome.message), self._advice(outcome.code) if outcome.code else ""


def _remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
        sync_folder(path.parent)


def write_problems(
    path: Path,
    rows: Iterable[Row],
    *,
    columns: Sequence[str],
    advice: Callable[[str], str],
    delimiter: str = ",",
    mode: int = SHARED,
) -> None:
    """Write every problem of every row, in row order; the file holds its header alone when there is none.

    Args:
        columns: the input's own header; a problem of the whole row names no column.
    Raises:
        RunStopped: the disk does not take it.
    """
    with translate_os_errors(path, hint=message("file.other_place")):
        sheet = CsvTableWriter(path, delimiter=delimiter, mode=mode)
        try:
            sheet.write([PROBLEM_COLUMNS])
            sheet.write(_problem_lines(rows, columns, advice))
            sheet.save()
            sheet.commit()
        finally:
            sheet.abandon()


def _problem_lines(rows: Iterable[Row], columns: Sequence[str], advice: Callable[[str], str]) -> Iterator[list[str]]:
    for row in rows:
        for problem in row.problems:
            column = "" if problem.column is None else columns[problem.column]
            cells = (column, problem.code, str(problem.message), advice(problem.code))
            yield [str(row.number), *map(guard, cells)]
