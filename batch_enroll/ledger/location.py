"""Open the ledger at a given location, by default in the user's data folder."""

from __future__ import annotations

from pathlib import Path

from batch_enroll.errors import JobError
from batch_enroll.ledger.interface import Ledger
from batch_enroll.ledger.ledger_health import LedgerHealth
from batch_enroll.messages import message

_NAME = "batch-enroll"


def open_ledger(where: str | Path | None) -> Ledger:
    """Return the ledger at `where`, the path of its index file; None means the user's data folder.

    Raises:
        JobError: `where` is a folder, a URL, or begins with an unknown user's home folder.
    """
    from batch_enroll.clock import SystemClock
    from batch_enroll.ledger.sqlite import SqliteLedger

    path, state_folder = locate_ledger(str(where) if isinstance(where, Path) else where)
    return SqliteLedger(path, clock=SystemClock(), state_folder=state_folder)


def examine_ledger(where: str | None) -> LedgerHealth:
    """Examine the ledger at `where` (as for `open_ledger`) and its disk; it blocks.

    Raises:
        JobError: as for `open_ledger`.
        LedgerError: no ledger can be kept there.
    """
    from batch_enroll.ledger.sqlite.health_check import examine

    return examine(*locate_ledger(where))


def locate_ledger(where: str | None) -> tuple[Path, Path]:
    """Return the path of the index and the folder that tells whether an older copy of the ledger was restored.

    Raises:
        JobError: as for `open_ledger`.
    """
    from platformdirs import user_data_path, user_state_path

    if where is not None and "://" in where:
        raise JobError(message("ledger.unknown_scheme", scheme=where.split("://", 1)[0]))
    try:
        path = Path(where).expanduser().absolute() if where else None
    except RuntimeError:  # ~user of a user that does not exist
        raise JobError(message("ledger.no_home", path=where)) from None
    try:
        path, state_folder = path or user_data_path(_NAME) / "ledger.sqlite", user_state_path(_NAME)
    except RuntimeError:  # the user's id has neither an entry nor HOME
        raise JobError(message("ledger.user_without_home")) from None
    if not (path.is_absolute() and state_folder.is_absolute()):  # the same with an older platformdirs
        raise JobError(message("ledger.user_without_home"))
    if path.is_dir():
        raise JobError(message("ledger.is_folder", path=str(path), example=str(path / "ledger.sqlite")))
    return path, state_folder
