from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from batch_enroll.ledger.interface import Ledger
from batch_enroll.ledger.memory import MemoryLedger
from tests.ledger.building import quick_folder, sqlite_ledger
from tests.support.disks import small_disk


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with quick_folder() as folder:
        yield folder


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Ledger:
    """Every ledger there is: what holds for one must hold for all."""
    return MemoryLedger(tmp_path) if request.param == "memory" else sqlite_ledger(tmp_path)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MiB."""
    with small_disk(tmp_path, megabytes=8) as place:
        yield place
