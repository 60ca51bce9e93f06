"""Run the work on a run's file in a thread and commit calls in groups; a call returns after its commit.

Calls that arrive during a commit become one transaction, and calls of the same work share a few statements: each
statement releases the interpreter lock and must win it back from a busy event loop. A call that is cancelled is carried
out all the same.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar, TypeVarTuple

import anyio
import anyio.lowlevel
import anyio.to_thread

from batch_enroll.errors import LedgerError
from batch_enroll.ledger.sqlite.connection import is_full, translate_sqlite_error, translate_sqlite_errors
from batch_enroll.ledger.sqlite.filesystem_checks import DiskReserve
from batch_enroll.ledger.sqlite.restored_copy_guard import HighWaterMark
from batch_enroll.ledger.sqlite.schema import count_commit, read_commits
from batch_enroll.messages import message

_COMMITS_PER_SYNC = 128  #: of the mark, which is written at each

P = TypeVar("P")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")
Work = Callable[[sqlite3.Connection, list[P]], Sequence[R]]
"""Does the same for each payload, or raises and then has changed nothing that a rollback would not undo."""


class LedgerExecutor(Protocol):
    """Runs works on the connection of one file."""

    async def submit(self, work: Work[P, R], payload: P, *, begins: bool = False) -> R:
        """Run a work and return its result after the commit. `begins`: refuse it when the disk is full."""
        ...

    async def stop(self) -> None:
        """Finish the submitted works and close the file."""
        ...


class SerialExecutor:
    """Runs one work at a time in a worker thread; for planning and for reading."""

    def __init__(self, connection: sqlite3.Connection, path: Path, threads: LedgerThreads) -> None:
        self._connection = connection
        self._path = path
        self._threads = threads
        self._lock = anyio.Lock(fast_acquire=True)

    async def submit(self, work: Work[P, R], payload: P, *, begins: bool = False) -> R:
        async with self._lock:
            return await self._threads.run(self._do, work, payload)

    async def stop(self) -> None:
        async with self._lock:
            await self._threads.run(self._connection.close)

    def _do(self, work: Work[P, R], payload: P) -> R:
        with translate_sqlite_errors(self._path):
            self._connection.execute("BEGIN")
            try:
                return work(self._connection, [payload])[0]
            finally:  # a plan has no journal to roll back to; a failed work ends it
                if self._connection.in_transaction:
                    self._connection.execute("COMMIT")


class _Waiter(Protocol):
    """Wakes one task, once."""

    async def wait(self) -> object: ...
    def set(self) -> object: ...


class _FutureWaiter:
    """An `anyio.Event` for asyncio alone, at a tenth of its cost: every row waits twice."""

    __slots__ = ("_future",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._future: asyncio.Future[None] = loop.create_future()

    async def wait(self) -> None:
        await self._future

    def set(self) -> None:
        if not self._future.done():  # the task was cancelled and does not wait any more
            self._future.set_result(None)


@dataclass(slots=True, eq=False)
class _Call:
    work: Work[Any, Any]
    payload: Any
    begins: bool
    waiter: _Waiter
    is_done: bool = False
    result: Any = None
    error: Exception | None = None


class GroupCommitExecutor:
    """A thread that owns the only writing connection; bound to the event loop in which it was created."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        *,
        disk_reserve: DiskReserve,
        mark: HighWaterMark,
    ) -> None:
        """Start the thread.

        Args:
            connection: opened for sending.
            path: of its file, for messages.
            disk_reserve: released when the disk is full.
            mark: advanced after each commit.
        """
        self._connection = connection
        self._path = path
        self._disk_reserve = disk_reserve
        self._mark = mark
        self.commits = read_commits(connection)  #: number on disk; read it only after `stop`
        self._broken: BaseException | None = None  #: after it nothing is written
        self._stopped = False
        self._calls: queue.SimpleQueue[list[_Call] | None] = queue.SimpleQueue()
        self._gathered: list[_Call] = []  #: in this round of the event loop
        self._loop = _EventLoop()
        self._thread = threading.Thread(target=self._serve, name=f"ledger {path.parent.name}", daemon=True)
        self._thread.start()

    async def submit(self, work: Work[P, R], payload: P, *, begins: bool = False) -> R:
        if self._stopped:
            raise LedgerError(message("ledger.closed", path=str(self._path)))
        call = _Call(work, payload, begins, self._loop.waiter())
        if not self._gathered:
            self._loop.soon(self._flush)
        self._gathered.append(call)
        try:
            await call.waiter.wait()
        except anyio.get_cancelled_exc_class():
            # The work is carried out all the same, and a cancelled caller relies on it.
            with anyio.CancelScope(shield=True):
                while not call.is_done:
                    call.waiter = self._loop.waiter()
                    await call.waiter.wait()
            if call.error is None:
                raise
        if call.error is not None:
            raise call.error
        result: R = call.result
        return result

    def _flush(self) -> None:
        """Pass the calls of one iteration of the event loop to the thread at once, to save thread switches."""
        calls, self._gathered = self._gathered, []
        if calls:
            self._calls.put(calls)

    async def stop(self) -> None:
        self._stopped = True
        self._flush()
        self._calls.put(None)
        await anyio.to_thread.run_sync(self._thread.join)

    def _serve(self) -> None:
        last, synced = False, self.commits
        while not last:
            handed = [self._calls.get()]
            with suppress(queue.Empty):
                while True:
                    handed.append(self._calls.get_nowait())
            last = None in handed
            calls = [call for group in handed if group for call in group]
            before = self.commits
            try:
                self._commit(calls)
                if self.commits > before:
                    is_due = self.commits - synced >= _COMMITS_PER_SYNC
                    self._mark.note(self.commits, sync=is_due)
                    synced = self.commits if is_due else synced
            except BaseException as error:  # any error: a call without a result would block the run for ever
                self._fail(calls, error)
            with suppress(RuntimeError):  # the event loop is closed; the commit is done
                self._loop.soon_from_thread(_wake, calls)
        self._mark.close()
        with suppress(sqlite3.Error):  # closing checkpoints the WAL; the WAL alone is as safe
            self._connection.close()

    def _commit(self, calls: list[_Call], *, last_try: bool = False) -> None:
        """Run the calls in one transaction; on a full disk free space and try once more."""
        if self._broken is not None:
            self._fail(calls, self._broken)
            return
        try:
            self._transact([call for call in calls if not self._refuse_on_full_disk(call)])
        except sqlite3.Error as error:
            self._roll_back()
            if not is_full(error):
                self._fail(calls, error)  # after a failed sync the content of the disk is unknown: no second try
            elif not last_try:
                self._free_disk_space()
                self._commit(calls, last_try=True)
            else:
                for call in calls:
                    call.error = self._translate(error)

    def _fail(self, calls: list[_Call], error: BaseException) -> None:
        """Stop writing; these calls and all later ones raise the error."""
        self._broken = error
        self._roll_back()
        for call in calls:
            call.error = self._translate(error)

    def _translate(self, error: BaseException) -> LedgerError:
        if isinstance(error, sqlite3.Error):
            translated = translate_sqlite_error(self._path, error)
        else:  # only its class name: its text may hold values of a row
            translated = LedgerError(message("ledger.not_written", path=str(self._path), error=type(error).__name__))
        translated.__cause__ = error
        return translated

    def _free_disk_space(self) -> None:
        """Release the disk reserve and checkpoint the WAL into the file, which does not grow by that."""
        self._disk_reserve.release()
        with suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _refuse_on_full_disk(self, call: _Call) -> bool:
        """Refuse a call that begins a new attempt after the disk was full."""
        if self._disk_reserve.released and call.begins:
            call.error = LedgerError(message("ledger.disk_full_while_sending", path=str(self._path)))
            return True
        call.error = None
        return False

    def _transact(self, calls: list[_Call]) -> None:
        if not calls:
            return
        before = self._connection.total_changes
        self._connection.execute("BEGIN IMMEDIATE")
        alike: dict[Work[Any, Any], list[_Call]] = {}  # in order of arrival
        for call in calls:
            alike.setdefault(call.work, []).append(call)
        for together in alike.values():
            self._run_batch(together)
        changed = self._connection.total_changes > before
        if changed:
            count_commit(self._connection)
        self._connection.execute("COMMIT")
        self.commits += changed

    def _run_batch(self, calls: list[_Call]) -> None:
        """Run calls of the same work together; when that fails, one by one."""
        self._connection.execute("SAVEPOINT together")
        try:
            results = calls[0].work(self._connection, [call.payload for call in calls])
            for call, result in zip(calls, results, strict=True):
                call.result = result
        except sqlite3.Error:
            raise
        except Exception as error:
            self._connection.execute("ROLLBACK TO together")
            if len(calls) == 1:
                calls[0].error = error
            else:
                for call in calls:
                    self._run_batch([call])
        self._connection.execute("RELEASE together")

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")


def _wake(calls: Iterable[_Call]) -> None:
    waking = iter(calls)
    try:
        for call in waking:
            call.is_done = True
            call.waiter.set()
    finally:  # when waking one fails, wake the others
        if left := list(waking):
            _wake(left)


class _EventLoop:
    """The functions of the running event loop (asyncio or trio) that the executor needs."""

    def __init__(self) -> None:
        token = anyio.lowlevel.current_token()
        native: Any = getattr(token, "native_token", token)  # before anyio 4.11 the token is the loop's own
        is_asyncio = isinstance(native, asyncio.AbstractEventLoop)
        self.waiter: Callable[[], _Waiter] = partial(_FutureWaiter, native) if is_asyncio else anyio.Event
        #: calls in the loop's next round
        self.soon: Callable[..., object] = native.call_soon if is_asyncio else native.run_sync_soon
        #: the same from a thread, without waiting for it; anyio's own way waits
        self.soon_from_thread: Callable[..., object] = (
            native.call_soon_threadsafe if is_asyncio else native.run_sync_soon
        )


class LedgerThreads:
    """Run the blocking work of a ledger outside the event loop: worker threads, and a writing thread for each run."""

    async def run(self, function: Callable[[*Ts], R], *args: *Ts) -> R:
        """Call a blocking function and return its result."""
        return await anyio.to_thread.run_sync(function, *args)

    def writer(
        self, connection: sqlite3.Connection, path: Path, *, disk_reserve: DiskReserve, mark: HighWaterMark
    ) -> LedgerExecutor:
        """Create the executor of a run that is sent."""
        return GroupCommitExecutor(connection, path, disk_reserve=disk_reserve, mark=mark)
