"""Refuse a ledger that was restored from an older copy, by a commit counter that is kept outside its folder.

An older copy would show rows that were sent as still to send. The mark is written after the commit, so there is no
false alarm; it is on disk at each opening and closing and every few commits between, so it misses only a copy made in
the last moments before a crash.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from batch_enroll.errors import LedgerError
from batch_enroll.ledger.sqlite.connection import translate_sqlite_errors
from batch_enroll.messages import message

_DIGITS = 20

logger = logging.getLogger(__name__)


class HighWaterMark:
    """The highest commit counter seen of one file, which is known by its uuid."""

    def __init__(self, state_folder: Path, uuid: str) -> None:
        self._path = state_folder / f"{uuid}.seen"

    def check(self, commits: Callable[[], int], ledger: Path) -> int:
        """Compare the ledger's counter with the mark and return it.

        Args:
            commits: reads the counter; called after the mark is read, since both may be growing.
            ledger: the file, for the message.
        Raises:
            LedgerError: the ledger is older than what was seen.
        """
        with translate_sqlite_errors(self._path):
            digits = self._path.read_bytes() if self._path.exists() else b""
        seen = int(digits) if digits.isdigit() else 0  # a power cut may leave a new mark empty
        held = commits()
        if held < seen:
            raise LedgerError(
                message("ledger.older_copy", ledger=str(ledger), found=held, expected=seen, mark=str(self._path))
            )
        return held

    def advance(self, commits: int) -> None:
        """Write the mark and sync it; in place, because 20 digits are written as a whole.

        Raises:
            LedgerError: it cannot be written.
        """
        with translate_sqlite_errors(self._path):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.write(descriptor, f"{commits:0{_DIGITS}}".encode("ascii"))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def try_advance(self, commits: int) -> None:
        """Write the mark; during a run a failure is only logged."""
        try:
            self.advance(commits)
        except LedgerError as error:
            logger.warning("the mark that guards against an older ledger was not written: %s", error)

    def remove(self) -> None:
        """Delete the mark of a file that is deleted."""
        self._path.unlink(missing_ok=True)
