"""Measure `ResultsWriter` alone, without ledger and stage.

    python -m benchmarks.reporter ROWS FOLDER

Prints the seconds without those for making the rows.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from batch_enroll.messages import advice_for
from batch_enroll.models import Outcome, Row, RowStatus
from batch_enroll.reporting.result_paths import result_paths
from batch_enroll.reporting.results_writer import Pair, ResultsWriter

_BLOCK_ROWS = 1000
_COLUMNS = ("client_id", "email", "phone", "first_name", "country", "note")


def written_in_s(rows: int, folder: Path) -> float:
    """Write the results of so many rows."""
    paths = result_paths(str(folder / "people.csv"), run_id="bench", results=None)
    began = time.perf_counter()
    spent_elsewhere_s = 0.0
    with ResultsWriter(paths, _COLUMNS, run_id="bench", advice=advice_for) as writer:
        for start in range(1, rows + 1, _BLOCK_ROWS):
            left = time.perf_counter()
            block = list(_pairs(start, min(start + _BLOCK_ROWS, rows + 1)))
            spent_elsewhere_s += time.perf_counter() - left
            writer.write(block)
        writer.finish()
    return time.perf_counter() - began - spent_elsewhere_s


def _pairs(start: int, stop: int) -> Iterator[Pair]:
    sent_at = datetime.now(UTC)
    for n in range(start, stop):
        cells = (f"{n:010d}", f"user{n}@example.com", f"+7000{n:07d}", "Anna", "RU", "")
        yield (
            Row(number=n + 1, cells=cells),
            Outcome(seq=n, status=RowStatus.SUCCESS, http_status=200, attempts=1, sent_at=sent_at),
        )


if __name__ == "__main__":
    sys.stdout.write(f"{written_in_s(int(sys.argv[1]), Path(sys.argv[2]))}\n")
