"""CSV file with one line for each problem of an input."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from batch_enroll.atomic_file import ANYONE
from batch_enroll.messages import message
from batch_enroll.models import Row
from batch_enroll.os_errors import translate_os_errors
from batch_enroll.reporting.table_writers import CsvTableWriter
from batch_enroll.result_columns import guard

PROBLEM_COLUMNS = ("row", "column", "code", "message", "advice")


def write_problems(
    path: Path,
    rows: Iterable[Row],
    *,
    columns: Sequence[str],
    advice: Callable[[str], str],
    delimiter: str = ",",
    mode: int = ANYONE,
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
            sheet.write(_lines(rows, columns, advice))
            sheet.save()
            sheet.commit()
        finally:
            sheet.abandon()


def _lines(rows: Iterable[Row], columns: Sequence[str], advice: Callable[[str], str]) -> Iterator[list[str]]:
    for row in rows:
        for problem in row.problems:
            column = "" if problem.column is None else columns[problem.column]
            cells = (column, problem.code, str(problem.message), advice(problem.code))
            yield [str(row.number), *map(guard, cells)]
