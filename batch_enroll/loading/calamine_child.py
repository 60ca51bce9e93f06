"""Read an .xls or .xlsb with pandas and calamine, in a process of its own.

In: the path of the workbook and of a folder. Out, in the folder: `sheets.json` and, for each sheet, `<place>.jsonl`
with one row a line. Never: the rest of this package; it runs as a script.

Why a process: calamine is native code, and a damaged .xls makes it take all memory or abort (an endless chain of
sectors, a count of four billion texts), which no `except` can catch.
"""

from __future__ import annotations

import json
import sys
from datetime import date, time, timedelta
from pathlib import Path
from typing import Any, cast

import pandas

_MAX_MEMORY_BYTES = 6 << 30


def main(workbook: Path, folder: Path) -> None:
    """Write out all worksheets."""
    _limit_memory()
    sheets = []
    with pandas.ExcelFile(workbook, engine="calamine") as book:
        calamine = cast(Any, book.book)
        for place, found in enumerate(calamine.sheets_metadata):
            if not str(found.typ).endswith(".WorkSheet"):
                continue
            frame = pandas.read_excel(book, sheet_name=found.name, header=None, dtype=object, na_filter=False)
            with (folder / f"{place}.jsonl").open("w", encoding="utf-8") as rows:
                for values in frame.itertuples(index=False, name=None):
                    rows.write(json.dumps([_plain(value) for value in values]) + "\n")
            sheets.append(
                {
                    "name": found.name,
                    "place": place,
                    "is_visible": str(found.visible).endswith(".Visible"),
                    "is_empty": frame.empty,
                    "merges": calamine.get_sheet_by_name(found.name).merged_cell_ranges or [],
                }
            )
    (folder / "sheets.json").write_text(json.dumps(sheets), encoding="utf-8")


def _plain(value: object) -> object:
    """Keep texts, numbers and booleans; write dates in ISO form, durations in seconds."""
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat().replace("T", " ").removesuffix(" 00:00:00")
    if isinstance(value, timedelta):
        return {"seconds": value.total_seconds()}
    return value


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
