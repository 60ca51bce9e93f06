from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from batch_enroll.ledger.interface import Ledger
from tests.support.disks import small_disk
from tests.support.ledgers import sqlite_ledger


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def tmp_path(quick_path: Path) -> Path:
    return quick_path


LEDGERS: dict[str, Callable[[Path], Ledger]] = {
    "sqlite": sqlite_ledger,
    "sqlite-inline": partial(sqlite_ledger, inline=True),
}
"""Every ledger there is, made in a folder: what holds for one must hold for all."""


@pytest.fixture(params=LEDGERS)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Ledger:
    return LEDGERS[request.param](tmp_path)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MiB."""
    with small_disk(tmp_path, megabytes=8) as place:
        yield place
