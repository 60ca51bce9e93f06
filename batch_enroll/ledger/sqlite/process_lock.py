"""Who is working on something: a lock that the system takes away from a dead process, and a note of who holds it.

In: a folder, and what is locked in it: a run, a job, a scenario. Out: the lock, or a RunLocked that names process and
host. Never: a guess by age or by pid; a lock whose process is gone is free at once.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import filelock

from batch_enroll.clock import iso_utc
from batch_enroll.errors import RunLocked
from batch_enroll.ledger.sqlite.connection import translate_sqlite_errors
from batch_enroll.messages import Message, message

_WAIT_S = 0.3  # whoever borrows the lock has it for a moment


class OwnedLock:
    """A lock that is signed by who has it."""

    def __init__(self, folder: Path, name: str, *, what: Message | str) -> None:
        """Name the files; nothing is locked yet.

        Args:
            folder: where they lie.
            name: of the two files, without a suffix.
            what: is locked, as people call it: `Run a906cc51`.
        """
        self._what = what
        self._owner_file = folder / f"{name}.owner"
        self._path = folder / f"{name}.lock"
        # Not bound to the thread that took it; not the library's singleton: a second one in this process must fail too.
        self._lock = filelock.FileLock(self._path, thread_local=False)

    @property
    def held(self) -> bool:
        """Whether this object has the lock."""
        return self._lock.is_locked

    def acquire(self, *, now: datetime) -> None:
        """Take the lock and sign it.

        Raises:
            RunLocked: another process, or another part of this one, has it.
            LedgerError: the folder cannot be used.
        """
        with translate_sqlite_errors(self._path):
            try:
                self._lock.acquire(timeout=_WAIT_S, poll_interval=_WAIT_S / 10)
            except filelock.Timeout as error:
                raise self._locked() from error
            self._owner_file.write_text(
                json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": iso_utc(now)}), encoding="utf-8"
            )

    def release(self) -> None:
        """Let go; the note goes first, so that nobody reads a note about a lock that is free."""
        if self.held:
            with suppress(OSError):  # a note that cannot be removed is written over by the next who takes the lock
                self._owner_file.unlink(missing_ok=True)
            self._lock.release()

    @contextmanager
    def held_briefly(self) -> Iterator[None]:
        """Keep others out for a moment, unsigned; a run whose folder is gone is nobody's.

        Raises:
            RunLocked: somebody works on the run.
        """
        if not self._path.parent.exists():
            yield
            return
        with translate_sqlite_errors(self._path):
            try:
                self._lock.acquire(blocking=False)
            except filelock.Timeout as error:
                raise self._locked() from error
            try:
                yield
            finally:
                self._lock.release()

    def owner(self) -> str:
        """Name who has the lock; "" when nobody has."""
        try:
            with self.held_briefly():
                return ""
        except RunLocked:
            return str(self._read_owner())

    def _locked(self) -> RunLocked:
        return RunLocked(message("ledger.locked", what=self._what, owner=self._read_owner()))

    def _read_owner(self) -> Message:
        try:
            owner = json.loads(self._owner_file.read_text(encoding="utf-8"))
            return message("ledger.owner", pid=str(owner["pid"]), host=owner["host"], since=owner["since"])
        except (OSError, ValueError, TypeError, KeyError):
            return message("ledger.owner_unknown")
