"""Fuzz the loader with atheris: any byte string gives rows or one clear error.

    pip install atheris && python -m tests.fuzz.loader -max_total_time=600

The corpus of spreadsheets is the seed; libFuzzer's own flags work. A finding is written to `crash-*` in the current
folder and ends the run. Old workbooks (.xls, .xlsb) are omitted, because each is read in a process of its own.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path

import atheris

SEEDS = Path(__file__).parents[1] / "spreadsheets"
OLD_WORKBOOK = b"\xd0\xcf\x11\xe0"
MAX_ROWS = 5_000

with atheris.instrument_imports(include=["batch_enroll.loading", "batch_enroll.column_lookup"]):
    from batch_enroll.errors import InputError
    from batch_enroll.loading import open_table
    from batch_enroll.models import InputOptions

SPOOL = Path(tempfile.mkdtemp(prefix="batch-enroll-fuzz-"))


def read_it(data: bytes) -> None:
    """Read one input to its end."""
    if data.startswith(OLD_WORKBOOK) or b"xl/workbook.bin" in data:
        return
    try:
        with open_table(io.BytesIO(data), InputOptions(limit=MAX_ROWS), spool=SPOOL) as table:
            width = len(table.columns)
            for block in table.blocks():
                assert all(len(row.cells) == width for row in block)
    except InputError:
        return  # one clear sentence, which is as good as rows


def main() -> None:
    """Run until libFuzzer has enough."""
    seeds = Path(shutil.copytree(SEEDS, SPOOL / "seeds"))
    try:
        atheris.Setup([sys.argv[0], *sys.argv[1:], str(seeds)], read_it)
        atheris.Fuzz()
    finally:
        shutil.rmtree(SPOOL, ignore_errors=True)


if __name__ == "__main__":
    main()
