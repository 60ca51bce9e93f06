"""Refuse a ledger that is older than it was, by a commit counter that is kept outside its folder.

An older copy would show rows that were sent as still to send; so does a file after a crash in whose WAL a bit flipped:
SQLite drops all that follows, without an error. The mark is written after each commit and before anybody hears of it,
so there is no false alarm and no acknowledged commit is missed. It is synced at each opening and closing and every few
commits between: only a power cut together with damage to the file can go unnoticed.
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
        self._descriptor: int | None = None  #: open between `note` and `close`
        self._failed = False

    @property
    def path(self) -> Path:
        """Where the counter stands."""
        return self._path

    def seen(self) -> int:
        """Read the mark; 0 when there is none."""
        with translate_sqlite_errors(self._path):
            digits = self._path.read_bytes() if self._path.exists() else b""
        return int(digits) if digits.isdigit() else 0  # a power cut may leave a new mark empty

    def check(self, commits: Callable[[], int], ledger: Path) -> int:
        """Compare the ledger's counter with the mark and return it.

        Args:
            commits: reads the counter; called after the mark is read, since both may be growing.
            ledger: the file, for the message.
        Raises:
            LedgerError: the ledger is older than what was seen.
        """
        seen = self.seen()
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
            descriptor = self._open()
            try:
                os.write(descriptor, _digits(commits))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def note(self, commits: int, *, sync: bool) -> None:
        """Write the mark during a run, after each commit; a failure is only logged, once."""
        try:
            if self._descriptor is None:
                self._descriptor = self._open()
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            os.write(self._descriptor, _digits(commits))
            if sync:
                os.fsync(self._descriptor)
        except OSError as error:
            if not self._failed:
                self._failed = True
                logger.warning("the mark %s that guards against an older ledger was not written: %s", self._path, error)

    def close(self) -> None:
        """Close what `note` has opened."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def remove(self) -> None:
        """Delete the mark of a file that is deleted."""
        self._path.unlink(missing_ok=True)

    def _open(self) -> int:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)


def _digits(commits: int) -> bytes:
    return f"{commits:0{_DIGITS}}".encode("ascii")
