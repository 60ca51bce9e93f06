"""The SQLite ledger of one installation: an index of all runs and a folder for each run."""

from __future__ import annotations

import hashlib
import logging
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import anyio

from batch_enroll.canonical_address import canonical_path
from batch_enroll.clock import Clock, SystemClock
from batch_enroll.errors import JobError, LedgerError, NoSuchRun, RunLocked
from batch_enroll.ledger.interface import PlanAgain
from batch_enroll.ledger.records import (
    FoundRow,
    RebuiltIndex,
    RunRecord,
    RunState,
    WrittenOff,
    finished_before,
)
from batch_enroll.ledger.sqlite.connection import translate_sqlite_errors
from batch_enroll.ledger.sqlite.filesystem_checks import check_location
from batch_enroll.ledger.sqlite.group_commit import LedgerThreads
from batch_enroll.ledger.sqlite.process_lock import OwnedLock
from batch_enroll.ledger.sqlite.run_directory import RunFiles
from batch_enroll.ledger.sqlite.run_index import RunIndex
from batch_enroll.ledger.sqlite.run_ledger import SqliteRunLedger
from batch_enroll.messages import Message, message
from batch_enroll.models import Notice

logger = logging.getLogger(__name__)


class SqliteLedger:
    """The ledger in `path` and in the folder `<path>.runs` beside it."""

    def __init__(
        self, path: Path, *, state_folder: Path, clock: Clock | None = None, threads: LedgerThreads | None = None
    ) -> None:
        """Name the files; nothing is opened yet.

        Args:
            path: of the index.
            state_folder: keeps the marks that detect an older copy of the ledger; outside the ledger's folder,
                unless that is temporary.
            clock: for the note that says since when a run is locked; None = the machine's.
            threads: runs the blocking work; None = worker threads.
        """
        self._path = canonical_path(path)
        self._clock = clock or SystemClock()
        self._threads = threads or LedgerThreads()
        self._state_folder = state_folder
        self._index = RunIndex(self._path, state_folder)

    def notices(self) -> tuple[Notice, ...]:
        """Return what the user should know about the file system.

        Raises:
            LedgerError: no ledger can be kept there.
        """
        notices = [notice] if (notice := check_location(self._path.parent)) else []
        if sys.platform == "win32":
            what = message("ledger.owner_unchecked", path=str(self._path))
            notices.append(Notice(code="ledger_owner_unchecked", message=what))
        return tuple(notices)

    @property
    def place(self) -> tuple[Path, Path]:
        return self._path, self._state_folder

    async def salt(self) -> bytes:
        await self._threads.run(self.notices)
        return await self._threads.run(self._index.salt)

    async def runs(self) -> list[RunRecord]:
        return await self._threads.run(self._index.records)

    async def lock_owner(self, run_id: str) -> str:
        return await self._threads.run(self._files(run_id).lock.owner)

    def folder(self, run_id: str) -> Path:
        return self._files(run_id).folder

    async def find(self, identities: Sequence[str]) -> list[RunRecord]:
        marks = ", ".join("?" * len(identities))
        return await self._threads.run(self._index.records, f"identity IN ({marks})", *identities)

    async def recorded_urls(self, scenario: int) -> list[str]:
        return await self._threads.run(self._index.recorded_urls, scenario)

    async def collect_sent(self, run: RunRecord) -> None:
        await self._threads.run(self._merge_unmerged, run)

    async def rebuild_index(self) -> RebuiltIndex:
        return await self._threads.run(self._rebuild_index)

    async def write_off(self, run_id: str, planned: PlanAgain, *, at: datetime) -> WrittenOff:
        return await self._threads.run(self._write_off, run_id, planned, at)

    async def delete_staged_rows(self, *, before: datetime) -> int:
        old = finished_before(await self.runs(), before)
        return await self._threads.run(lambda: sum(self._files(run.run_id).stage.delete() for run in old))

    async def reclaimable_bytes(self, run_id: str) -> int:
        await self._threads.run(self._record, run_id)
        return await self._threads.run(self._files(run_id).reclaimable_bytes)

    async def prune(self, run_id: str) -> None:
        await self._threads.run(self._prune, run_id)

    async def delete_run(self, run_id: str) -> None:
        await self._threads.run(self._delete_run, run_id)

    async def find_rows(self, run_id: str, keys: Sequence[bytes]) -> list[FoundRow]:
        return await self._threads.run(self._find_rows, run_id, keys)

    async def forget_rows(self, run_id: str, keys: Sequence[bytes], *, seqs: Sequence[int] = ()) -> None:
        await self._threads.run(self._forget_rows, run_id, keys, seqs)

    async def forget_sent(self, keys: Sequence[bytes]) -> None:
        await self._threads.run(self._index.forget, keys)

    @contextmanager
    def lock(self, name: str, *, what: Message, doing: Message | None = None) -> Iterator[None]:
        self.notices()
        folder = self._path.with_name(self._path.name + ".locks")
        with translate_sqlite_errors(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = OwnedLock(folder, hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:16], what=what)
        lock.acquire(now=self._clock.now(), doing=doing)
        try:
            yield
        finally:
            lock.release()

    async def create(self, record: RunRecord) -> SqliteRunLedger:
        run = self._threads.run
        record = replace(record, state=RunState.PLANNING, rows=0)
        files = await self._acquire_files(record.run_id)
        try:
            await run(lambda: self._index.add(record, check=lambda others: self._check_new(record, others)))
            await run(self._index.keep_copies)
            await run(self._merge_unmerged, record)
            return await SqliteRunLedger.start_plan(record, files, self._threads)
        except BaseException:
            await self._rollback(files)
            raise

    async def open(self, run_id: str, *, read_only: bool) -> SqliteRunLedger:
        run = self._threads.run
        record = await run(self._record, run_id)
        if read_only:
            return await SqliteRunLedger.read(record, self._files(run_id), self._threads)
        files = await self._acquire_files(run_id)
        try:
            record = await run(self._record, run_id)  # as the last owner left it
            others = await run(self._index.records, "identity = ?", record.identity)
            await run(self._check_exclusive, record, others)
            await run(self._merge_unmerged, record)
            await run(lambda: self._index.update(record, unmerged=record.state is not RunState.PLANNING))
            if record.state is RunState.PLANNING:
                return await SqliteRunLedger.start_plan(record, files, self._threads)
            return await SqliteRunLedger.resume(record, files, self._threads)
        except BaseException:
            await self._rollback(files)
            raise

    def _prune(self, run_id: str) -> None:
        self.notices()
        files = self._files(run_id)
        with files.lock.held_briefly():
            record = self._record(run_id)
            if record.state is not RunState.FINISHED:
                raise LedgerError(message("ledger.run_kept_unfinished", run_id=run_id))
            if unknown := files.unknown():
                raise LedgerError(message("ledger.run_kept_unknown", run_id=run_id, rows=unknown))
            files.prune()
            self._index.mark_merged(run_id)

    def _delete_run(self, run_id: str) -> None:
        self.notices()
        files = self._files(run_id)
        with files.lock.held_briefly():
            record = self._record(run_id)
            if record.state is not RunState.PLANNING:
                if unknown := files.unknown():
                    raise LedgerError(message("ledger.run_kept_unknown", run_id=run_id, rows=unknown))
                if record.state is RunState.OPEN and files.anything_sent():
                    raise LedgerError(message("ledger.run_kept_unfinished", run_id=run_id))
            files.purge()

    def _find_rows(self, run_id: str, keys: Sequence[bytes]) -> list[FoundRow]:
        if self._record(run_id).state is RunState.PLANNING:
            raise LedgerError(message("ledger.run_being_planned", run_id=run_id))
        # Also for a run with its rows: an erasure may have been interrupted before the memory.
        return self._files(run_id).find_rows(keys) or self._index.sent_rows(run_id, keys)

    def _forget_rows(self, run_id: str, keys: Sequence[bytes], seqs: Sequence[int]) -> None:
        self.notices()
        files = self._files(run_id)
        with files.lock.held_briefly():
            if self._record(run_id).state is RunState.PLANNING:
                raise LedgerError(message("ledger.run_being_planned", run_id=run_id))
            files.forget_rows(keys, seqs)

    def _record(self, run_id: str) -> RunRecord:
        records = self._index.records("run_id = ?", run_id)
        if not records:
            raise NoSuchRun(message("ledger.no_such_run", run_id=run_id))
        return records[0]

    async def _acquire_files(self, run_id: str) -> RunFiles:
        files = self._files(run_id)
        await self._threads.run(self.notices)
        await self._threads.run(lambda: files.acquire(now=self._clock.now()))
        return files

    async def _rollback(self, files: RunFiles) -> None:
        with anyio.CancelScope(shield=True):
            await self._threads.run(files.rollback)

    def _files(self, run_id: str) -> RunFiles:
        if not re.fullmatch(r"\w[\w.+-]*", run_id):
            raise LedgerError(message("ledger.bad_run_id", run_id=repr(run_id)))
        folder = self._index.runs_folder / run_id
        return RunFiles(self._index, folder, run_id, state_folder=self._state_folder)

    def _check_new(self, record: RunRecord, others: Sequence[RunRecord]) -> None:
        """Check also that no run of the same id exists."""
        if any(other.run_id == record.run_id and other.state is not RunState.PLANNING for other in others):
            raise RunLocked(message("ledger.run_exists", run_id=record.run_id))
        self._check_exclusive(record, others)

    def _check_exclusive(self, record: RunRecord, others: Sequence[RunRecord]) -> None:
        """Refuse a run while another one with the same identity is worked on."""
        for other in others:
            if other.run_id != record.run_id and other.identity == record.identity:
                with self._files(other.run_id).lock.held_briefly():
                    pass

    def _merge_unmerged(self, wanted: RunRecord) -> None:
        """Merge into the index what interrupted runs and active runs have sent.

        Raises:
            LedgerError: a run of the wanted one's scenario cannot be trusted; those of other scenarios are passed over.
        """
        for record in self._index.records("unmerged"):
            if record.run_id == wanted.run_id:
                continue  # it is opened itself
            files = self._files(record.run_id)
            try:
                try:
                    with files.lock.held_briefly():
                        files.merge_sent()
                        self._index.mark_merged(record.run_id)
                except RunLocked:
                    files.merge_sent()
            except LedgerError as error:
                if (record.url, record.scenario) == (wanted.url, wanted.scenario):
                    raise _untrusted(record, error) from error
                logger.warning("run %s cannot be trusted: %s", record.run_id, error)

    def _rebuild_index(self) -> RebuiltIndex:
        self.notices()
        records = self._index.rebuild()
        damaged, lost = [], self._index.folders() - len(records)
        for record in records:
            files = self._files(record.run_id)
            try:
                lost += files.is_pruned()
                files.merge_sent()
            except LedgerError as error:
                damaged.append(record.run_id)
                logger.warning("run %s cannot be trusted: %s", record.run_id, error)
            else:
                self._index.update(record, unmerged=record.state is RunState.OPEN)
        return RebuiltIndex(runs=len(records), lost=lost, damaged=tuple(damaged))

    def _write_off(self, run_id: str, planned: PlanAgain, at: datetime) -> WrittenOff:
        self.notices()
        files, record = self._files(run_id), self._record(run_id)
        if record.state is RunState.PLANNING:
            raise LedgerError(message("ledger.run_being_planned", run_id=run_id))
        files.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with files.lock.held_briefly():
            files.rows = record.rows
            if files.is_trusted():
                raise JobError(message("ledger.run_trusted", run_id=run_id))
            unknown = files.write_off(planned, at=at)
            stop_reason = str(message("ledger.written_off"))
            record = replace(record, state=RunState.FINISHED, stop_reason=stop_reason, finished_at=at)
            self._index.update(record, unmerged=False)
        return WrittenOff(rows=record.rows, unknown=unknown)


def _untrusted(record: RunRecord, error: LedgerError) -> LedgerError:
    return LedgerError(
        message(
            "ledger.run_untrusted",
            run_id=record.run_id,
            input=record.input_name,
            scenario=record.scenario,
            why=error.message,
        )
    )
