"""A lock that the operating system releases when its process dies, with a note of who holds it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import filelock

from batch_enroll.atomic_file import OWNER_ONLY, write_atomic
from batch_enroll.clock import iso_utc
from batch_enroll.errors import RunLocked
from batch_enroll.ledger.sqlite.connection import translate_sqlite_errors
from batch_enroll.messages import Message, message

_WAIT_S = 0.3  # `held_briefly` holds the lock for a moment only


class OwnedLock:
    """A lock file, and beside it a note with the process, host and time of its owner."""

    def __init__(self, folder: Path, name: str, *, what: Message) -> None:
        """Name the files; nothing is locked yet.

        Args:
            folder: the folder of both files.
            name: of the two files, without a suffix.
            what: what is locked, for messages: `Run a906cc51`.
        """
        self._what = what
        self._owner_file = folder / f"{name}.owner"
        self._path = folder / f"{name}.lock"
        # Not bound to a thread; not the library's singleton: a second lock in this process must fail too.
        self._lock = filelock.FileLock(self._path, mode=0o600, thread_local=False)

    @property
    def held(self) -> bool:
        """Whether this object has the lock."""
        return self._lock.is_locked

    def acquire(self, *, now: datetime, doing: Message | None = None) -> None:
        """Acquire the lock and write the note.

        Raises:
            RunLocked: another process, or another part of this one, has it.
            LedgerError: the folder cannot be used.
        """
        with translate_sqlite_errors(self._path):
            try:
                self._lock.acquire(timeout=_WAIT_S, poll_interval=_WAIT_S / 10)
            except filelock.Timeout as error:
                raise self._locked() from error
            note = {
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "since": iso_utc(now),
                "doing": doing and doing.to_json(),
            }
            write_atomic(self._owner_file, json.dumps(note).encode(), mode=OWNER_ONLY, sync=False)

    def release(self) -> None:
        """Release the lock; the note is removed first, so that a free lock has no note."""
        if self.held:
            with suppress(OSError):  # a note that cannot be removed is overwritten by the next owner
                self._owner_file.unlink(missing_ok=True)
            self._lock.release()

    @contextmanager
    def held_briefly(self) -> Iterator[None]:
        """Hold the lock during the block, without a note; does nothing when the folder is gone.

        Raises:
            RunLocked: another process, or another part of this one, holds it.
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
        """Describe who holds the lock; "" when it is free."""
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
            since = datetime.fromisoformat(owner["since"])
            process = message("ledger.owner", pid=str(owner["pid"]), host=owner["host"], since=since)
            doing = owner.get("doing")
            return message("ledger.owner_run", doing=Message.from_json(doing), process=process) if doing else process
        except (OSError, ValueError, TypeError, KeyError):
            return message("ledger.owner_unknown")
