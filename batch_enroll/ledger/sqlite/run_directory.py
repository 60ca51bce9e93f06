"""The files of one run: lock, open, sync, merge into the index and delete them; every method blocks."""

from __future__ import annotations

import logging
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from batch_enroll.errors import LedgerError
from batch_enroll.ledger.interface import PlanAgain
from batch_enroll.ledger.records import FoundRow, RunRecord
from batch_enroll.ledger.sqlite import erasure, pruning, salvage
from batch_enroll.ledger.sqlite.connection import (
    check_stamp,
    closed_on_error,
    fsync_path,
    open_for_reading,
    open_for_sending,
    translate_sqlite_errors,
)
from batch_enroll.ledger.sqlite.filesystem_checks import DiskReserve, check_owner, probe
from batch_enroll.ledger.sqlite.plan_queries import create_file
from batch_enroll.ledger.sqlite.process_lock import OwnedLock
from batch_enroll.ledger.sqlite.restored_copy_guard import HighWaterMark
from batch_enroll.ledger.sqlite.row_queries import anything_sent, counts, recover
from batch_enroll.ledger.sqlite.run_index import FILE_NAME, RunIndex
from batch_enroll.ledger.sqlite.schema import count_commit, read_commits, totals_agree
from batch_enroll.ledger.staged_rows import FileStage
from batch_enroll.messages import Message, message

_UNREADABLE = ("ledger.damaged", "ledger.not_ours", "ledger.not_usable")
# Why a run may be written off; a full disk or a missing permission, for example, says nothing about its files.
_DISTRUSTED = ("ledger.run_file_changed", "ledger.run_file_missing", "ledger.faults_found")
_ROWS_LOST = ("ledger.staged_gone", "ledger.staged_damaged")

logger = logging.getLogger(__name__)


class RunFiles:
    """The folder of one run."""

    def __init__(self, index: RunIndex, folder: Path, run_id: str, *, state_folder: Path) -> None:
        self.index = index
        self.folder = folder
        self.path = folder / FILE_NAME
        self.disk_reserve = DiskReserve(folder)
        self.lock = OwnedLock(folder, "run", what=message("ledger.run", run_id=run_id))
        self.commit_s = 0.0  #: how long a commit took when the run was taken, seconds
        self.rows = 0  #: of the finished plan, for the stage
        self._found: tuple[str | None, int] | None = None  #: the index's uuid and the file's inode when it was opened
        self.stage = FileStage(folder, lambda: self.rows)
        self._new = False
        self._run_id = run_id
        self._state_folder = state_folder

    def acquire(self, *, now: datetime) -> None:
        """Lock the run and check that its folder can be used.

        Raises:
            RunLocked, LedgerError: and nothing is held.
        """
        self._new = not self.folder.exists()
        try:
            with translate_sqlite_errors(self.folder):
                for folder in (self.folder.parent, self.folder):
                    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.lock.acquire(now=now)
            self.commit_s = probe(self.folder)
            self.disk_reserve.create()
        except BaseException:
            self.rollback()
            raise

    def release(self) -> None:
        """Release the run."""
        if self.lock.held:
            self.disk_reserve.remove()
            self.lock.release()

    def rollback(self) -> None:
        """Release a run that could not be created or opened; a folder made for it is deleted."""
        if self._new:
            self._remove_folder()
        self.release()

    def start_plan(self) -> sqlite3.Connection:
        """Open an empty file for planning."""
        with self._translate():
            return create_file(self.path, self._run_id)

    def make_durable(self) -> None:
        """Sync the closed file of a finished plan and the folders above it."""
        with self._translate():
            for path in (self.path, self.folder, self.folder.parent, self.folder.parent.parent):
                fsync_path(path)

    def open(self) -> tuple[sqlite3.Connection, int]:
        """Open a planned file for sending; return also how many intents of a dead process became unknown.

        Raises:
            LedgerError: the file is damaged, belongs to something else, or is older than it was.
        """
        self._check_owner()
        with self._translate():
            self._check_exists()
            connection = open_for_sending(self.path)
            with closed_on_error(connection):
                rows = self._check(connection)
                if pruning.has_no_rows(connection):
                    raise LedgerError(message("ledger.run_pruned", run_id=self._run_id))
                if not totals_agree(connection, rows=rows):
                    raise self._damaged(message("ledger.totals_differ"))
                connection.execute("BEGIN IMMEDIATE")
                recovered = recover(connection, [None])[0]
                count_commit(connection)  # so that every copy made before this opening is older
                connection.execute("COMMIT")
                self.mark(connection).advance(read_commits(connection))
                self._found = (self.index.uuid(), self.path.stat().st_ino)
                return connection, recovered

    def read(self) -> sqlite3.Connection:
        """Open a planned file for reading, also while another process sends.

        Raises:
            LedgerError: as `open`.
        """
        self._check_owner()
        with self._translate():
            self._check_exists()
            connection = open_for_reading(self.path)
            with closed_on_error(connection):
                self._check(connection)
            return connection

    def mark(self, connection: sqlite3.Connection) -> HighWaterMark:
        """Return the high-water mark of this file."""
        (uuid,) = connection.execute("SELECT uuid FROM run").fetchone()
        return HighWaterMark(self._state_folder, uuid)

    def mark_path(self, name: str) -> Path:
        """Where a mark of the run lies; releases before 1.0 wrote the same file."""
        return self.folder / name

    def set_mark(self, name: str) -> None:
        """Set a mark of the run."""
        with translate_sqlite_errors(self.folder):
            self.mark_path(name).touch(mode=0o600)

    def finalize(self, record: RunRecord) -> None:
        """Record in the index how the run ended, and release it; if that fails, the next opening does it.

        Raises:
            LedgerError: the index or the file is not there any more, or is another one.
        """
        self.disk_reserve.remove()  # the index may need the space
        try:
            self._check_in_place()
            self._record_end(record)
        finally:
            self.release()

    def _record_end(self, record: RunRecord) -> None:
        try:
            if record.rows:
                with self._translate(), closing(self.read()) as connection:
                    self.mark(connection).advance(read_commits(connection))
                    self.index.merge(record.run_id, connection)
            self.index.update(record, unmerged=False)
        except LedgerError as error:
            logger.warning("the end of run %s was not recorded in the index: %s", record.run_id, error)

    def _check_in_place(self) -> None:
        if self._found is None:
            return
        uuid, inode = self._found
        path, is_there = self.index.path, False
        try:
            if self.index.uuid() == uuid:
                path = self.path
                is_there = path.stat().st_ino == inode
        except (LedgerError, OSError) as error:
            logger.warning("%s cannot be read any more: %s", path, error)
        if not is_there:
            raise LedgerError(message("ledger.replaced_meanwhile", path=str(path), run_id=self._run_id))

    def merge_sent(self) -> None:
        """Merge into the index what an interrupted or active run has sent.

        Raises:
            LedgerError: the file is gone, damaged, or older than it was.
        """
        self._check_owner()
        self._check_exists()
        with self._translate(), closing(self.read()) as connection:
            self.index.merge(self._run_id, connection)

    def unknown(self) -> int:
        """Count the unknown rows of a planned file, rows in flight included."""
        with self._translate(), closing(self.read()) as connection:
            return counts(connection, [None])[0].unknown

    def anything_sent(self) -> bool:
        """Return whether a request may have been sent for any row of a planned file."""
        with self._translate(), closing(self.read()) as connection:
            return anything_sent(connection, [None])[0]

    def reclaimable_bytes(self) -> int:
        """How many bytes `prune` would free."""
        with translate_sqlite_errors(self.folder):
            staged = self.stage.size()
            if not self.path.exists():
                return staged
            with closing(self.read()) as connection:
                return staged if pruning.has_no_rows(connection) else staged + _size(self.path)

    def prune(self) -> None:
        """Remove the rows; the caller holds the lock. Personal data is removed first."""
        if not self.path.exists():
            self.stage.delete()
            return
        self.merge_sent()
        self.stage.delete()
        with self._translate(), closing(open_for_sending(self.path)) as connection:
            self._check(connection)
            pruning.remove_rows(connection)
            self.mark(connection).advance(read_commits(connection))

    def is_pruned(self) -> bool:
        """Return whether only the index knows whom the run enrolled."""
        with self._translate(), closing(self.read()) as connection:
            return pruning.has_no_rows(connection)

    def is_trusted(self) -> bool:
        """Return whether the file is there, whole, and as new as it was.

        Raises:
            LedgerError: it cannot be looked at.
        """
        try:
            with self._translate(), closing(self.read()) as connection:
                if pruning.has_no_rows(connection):
                    return True
                return totals_agree(connection, rows=self.rows) and not salvage.faults(connection)
        except LedgerError as error:
            if error.content.id not in _DISTRUSTED:
                raise
            logger.info("run %s cannot be trusted: %s", self._run_id, error)
            return False

    def write_off(self, planned: PlanAgain, *, at: datetime) -> int | None:
        """Make unknown what is not settled; return how many rows are unknown then, None when nothing is left.

        A file that cannot be read is kept beside the new one, which is planned again from the staged rows.
        The caller holds the lock.

        Raises:
            LedgerError: something else than the damage is in the way; the run stays as it is, and blocks its scenario.
        """
        try:
            return self._write_off_rows(at)
        except LedgerError as error:
            if error.content.id not in _DISTRUSTED:
                raise
            logger.warning("run %s is planned again, its file cannot be used: %s", self._run_id, error)
        try:
            with self._translate():
                salvage.set_aside(self.path)
                with closing(self.start_plan()) as connection:
                    salvage.plan_again(connection, planned(self.stage))
            self.make_durable()
        except LedgerError as error:
            with self._translate():
                self.path.unlink(missing_ok=True)
            if error.content.id not in _ROWS_LOST:
                raise
            logger.warning("nothing is left of run %s: %s", self._run_id, error)
            return None
        return self._write_off_rows(at)

    def _write_off_rows(self, at: datetime) -> int:
        with self._translate():
            self._check_exists()
            with closing(open_for_sending(self.path)) as connection:
                self._check_content(connection)
                mark = self.mark(connection)
                salvage.write_off(connection, commits=mark.seen(), at=at)
                mark.advance(read_commits(connection))
                self.index.merge(self._run_id, connection)
                return counts(connection, [None])[0].unknown

    def find_rows(self, keys: Sequence[bytes]) -> list[FoundRow]:
        """Find the rows with some keys; none when the rows were removed."""
        with self._translate(), closing(self.read()) as connection:
            return [] if pruning.has_no_rows(connection) else erasure.find_rows(connection, keys)

    def forget_rows(self, keys: Sequence[bytes], seqs: Sequence[int]) -> None:
        """Erase a profile from its rows; the caller holds the lock.

        In this order a crash in the middle leaves rows that are never sent and that the next call finds again.

        Raises:
            LedgerError: one of the rows is unknown.
        """
        with self._translate():
            self._check_exists()
            with closing(open_for_sending(self.path)) as connection:
                self._check(connection)
                if pruning.has_no_rows(connection):
                    return
                seqs = sorted({*seqs, *erasure.find_seqs(connection, keys)})
                if not seqs:
                    return
                if unknown := erasure.count_unknown(connection, seqs):
                    raise LedgerError(message("ledger.run_kept_unknown", run_id=self._run_id, rows=unknown))
                erasure.empty_rows(connection, seqs)
                self.stage.forget(seqs)
                erasure.remove_keys(connection, seqs)
                self.mark(connection).advance(read_commits(connection))

    def purge(self) -> None:
        """Remove every trace of a run; the caller holds the lock.

        In this order a crash in the middle leaves neither personal data nor a record whose folder is gone.
        """
        self.stage.delete()
        mark = None
        if self.path.exists():
            with (
                suppress(LedgerError),
                self._translate(),
                closing(open_for_reading(self.path)) as connection,
            ):
                mark = self.mark(connection)
        self.index.purge(self._run_id)
        self._remove_folder()
        if mark is not None:
            mark.remove()

    def delete(self) -> None:
        """Remove every trace of a run that sent nothing."""
        self.disk_reserve.remove()
        try:
            self.index.remove(self._run_id)
        except LedgerError:
            self.release()
            raise
        self._remove_folder()
        self.release()

    def _remove_folder(self) -> None:
        """Remove the folder while the lock is held: without it another process may use it."""
        if self.lock.held:
            shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def _translate(self) -> Iterator[None]:
        try:
            with translate_sqlite_errors(self.path):
                yield
        except LedgerError as error:
            if error.content.id in _UNREADABLE:
                raise self._damaged(message("ledger.not_readable", what=error.content)) from error
            raise

    def _check_owner(self) -> None:
        check_owner(self.folder, self.path, self.stage.path)

    def _check_exists(self) -> None:
        if not self.path.exists():
            raise LedgerError(message("ledger.run_file_missing", run_id=self._run_id, path=str(self.path)))

    def _check(self, connection: sqlite3.Connection) -> int:
        """Check that the file belongs to this run and is no older copy; return the number of its rows."""
        rows = self._check_content(connection)
        seen = self.mark(connection).seen()  # first: both may be growing
        held = read_commits(connection)
        if held < seen:
            raise self._damaged(message("ledger.fewer_commits", found=held, expected=seen))
        self.rows = rows
        return rows

    def _check_content(self, connection: sqlite3.Connection) -> int:
        check_stamp(connection, self.path)
        (run_id, rows), *more = connection.execute("SELECT run_id, rows FROM run").fetchall() or [(None, None)]
        if more or run_id != self._run_id or rows is None:
            raise self._damaged(message("ledger.holds_other_run", run_id=str(run_id)))
        return int(rows)

    def _damaged(self, why: Message) -> LedgerError:
        return LedgerError(message("ledger.run_file_changed", path=str(self.path), run_id=self._run_id, why=why))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
