"""Where runs are remembered when nobody says otherwise: the user's data folder.

In: what `--ledger` says. Out: a ledger, or how it stands. Never: a run.
"""

from __future__ import annotations

from pathlib import Path

from batch_enroll.errors import JobError
from batch_enroll.ledger.interface import Ledger
from batch_enroll.ledger.ledger_health import LedgerHealth

_NAME = "batch-enroll"


def open_ledger(where: str | None) -> Ledger:
    """Open the ledger at `where`, or in the user's data folder.

    Raises:
        JobError: the place is of a kind that this version does not know.
        LedgerError: the place cannot keep a promise.
    """
    from batch_enroll.clock import SystemClock
    from batch_enroll.ledger.sqlite import SqliteLedger

    path, state_folder = _places(where)
    return SqliteLedger(path, clock=SystemClock(), state_folder=state_folder)


def examine_ledger(where: str | None) -> LedgerHealth:
    """Look at the ledger at `where`, or in the user's data folder, and at its disk; it blocks.

    Raises:
        JobError, LedgerError: as `open_ledger`.
    """
    from batch_enroll.ledger.sqlite.health_check import examine

    return examine(*_places(where))


def _places(where: str | None) -> tuple[Path, Path]:
    """Give the index's path and the folder of the marks."""
    from platformdirs import user_data_path, user_state_path

    if where is not None and "://" in where:
        raise JobError(
            f"--ledger: {where.split('://', 1)[0]}:// is no place that this version can keep a ledger in.",
            hint="Name a file on a disk of this machine.",
        )
    try:
        path = Path(where).expanduser().absolute() if where else user_data_path(_NAME) / "ledger.sqlite"
    except RuntimeError:  # ~somebody
        raise JobError(f"--ledger: there is no home folder for {where}.", hint="Name a file.") from None
    if path.is_dir():
        raise JobError(f"--ledger: {path} is a folder.", hint=f"Name a file in it, such as {path / 'ledger.sqlite'}.")
    return path, user_state_path(_NAME)
