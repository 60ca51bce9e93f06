"""`load`: some bytes, or a file, through the whole loader."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from batch_enroll.loading import InputTable, open_table
from batch_enroll.models import InputOptions, Notice, Row


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What came of a file."""

    table: InputTable
    rows: list[Row]

    @property
    def cells(self) -> list[tuple[str, ...]]:
        return [row.cells for row in self.rows]

    @property
    def numbers(self) -> list[int]:
        return [row.number for row in self.rows]

    @property
    def codes(self) -> list[list[str]]:
        """The codes of each row's problems."""
        return [[problem.code for problem in row.problems] for row in self.rows]

    @property
    def notices(self) -> dict[str, Notice]:
        return {notice.code: notice for notice in self.table.notices}

    @property
    def said(self) -> str:
        return " ".join(str(problem.message) for row in self.rows for problem in row.problems)


Load = Callable[..., Loaded]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    spool = tmp_path / "spool"
    spool.mkdir()

    def load(source: bytes | str | Path, *, wanted: tuple[str, ...] = (), **options) -> Loaded:
        if isinstance(source, str):
            source = source.encode()
        stream = source if isinstance(source, Path) else io.BytesIO(source)
        with open_table(stream, InputOptions(**options), wanted=wanted, spool=spool) as table:
            rows = [row for block in table.blocks() for row in block]
        assert not list(spool.iterdir()), "a copy of the input was left behind"
        return Loaded(table=table, rows=rows)

    return load
