"""`batch-enroll` with an injected kill or fault.

    traced_command.py [--kill WHEN:POINT:N] [--sabotage NAME] -- run ...

The process kills itself with SIGKILL `before` or `after` the n-th call of a named point, or `during` it (shortly
after it began); with `--freeze` it stops with SIGSTOP until it gets SIGCONT. A sabotage breaks one rule of the
package, as a negative control that the check must find. Everything is patched from here; the package has no test
switch.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import itertools
import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

DURING_S = 0.05  #: from the beginning of a call to a death in the middle of it

POINTS: dict[str, str] = {
    "create": "batch_enroll.ledger.sqlite.ledger:SqliteLedger.create",
    "open": "batch_enroll.ledger.sqlite.ledger:SqliteLedger.open",
    "plan": "batch_enroll.ledger.sqlite.run_ledger:SqliteRunLedger.plan",
    "mark": "batch_enroll.ledger.sqlite.run_ledger:SqliteRunLedger.mark_duplicates",
    "stage": "batch_enroll.ledger.staged_rows:FileStageWriter.finish",
    "seal": "batch_enroll.ledger.sqlite.run_ledger:SqliteRunLedger.finish_planning",
    "intend": "batch_enroll.ledger.sqlite.worker_ledger:SqliteWorkerLedger.record_intent",
    "send": "batch_enroll.sending.client:Client.start_workflow",
    "settle": "batch_enroll.ledger.sqlite.worker_ledger:SqliteWorkerLedger.record_outcome",
    "release": "batch_enroll.ledger.sqlite.worker_ledger:SqliteWorkerLedger.release",
    "results": "batch_enroll.run.life_cycle:write_files",
    "summary": "batch_enroll.run.life_cycle:write_summary",
    "close": "batch_enroll.ledger.sqlite.run_ledger:SqliteRunLedger.close",
    "merge": "batch_enroll.ledger.sqlite.run_index:RunIndex.merge",
}
"""Name -> where the function hangs, module and attribute."""


def strike_at(spec: str, number: signal.Signals) -> None:
    """Arrange that this process sends itself a signal at `before:intend:3`."""
    when, point, nth = spec.split(":")
    calls = itertools.count(1)

    def is_now() -> bool:
        return next(calls) == int(nth)

    wrap(POINTS[point], lambda original: _struck(original, when, is_now, lambda: os.kill(os.getpid(), number)))


def wrap(place: str, change: Callable[[Any], Any]) -> None:
    """Put `change(original)` in the place of a function or method."""
    module, _, path = place.partition(":")
    *holders, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for holder in holders:
        owner = getattr(owner, holder)
    setattr(owner, name, change(getattr(owner, name)))


def _struck(original: Any, when: str, is_now: Callable[[], bool], strike: Callable[[], None]) -> Any:
    async def later(*args: Any, **named: Any) -> Any:
        now = is_now()
        if now and when == "before":
            strike()
        if now and when == "during":
            signal.signal(signal.SIGALRM, lambda *_: strike())
            signal.setitimer(signal.ITIMER_REAL, DURING_S)
        result = await original(*args, **named)
        if now and when == "after":
            strike()
        return result

    def at_once(*args: Any, **named: Any) -> Any:
        now = is_now()
        if now and when == "before":
            strike()
        result = original(*args, **named)
        if now and when == "after":
            strike()
        return result

    return later if inspect.iscoroutinefunction(original) else at_once


def resend_ambiguous() -> None:
    """Take every failure after sending for one before it, as retry presets do (ReadError, 500, 502)."""
    from batch_enroll.errors import Ambiguous, Retryable

    def change(start: Any) -> Any:
        async def started(*args: Any, **named: Any) -> Any:
            try:
                return await start(*args, **named)
            except Ambiguous as doubt:
                raise Retryable(doubt.code, doubt.content, http_status=doubt.http_status) from doubt

        return started

    wrap(POINTS["send"], change)


def resend_on_expiry() -> None:
    """Put the intents of a dead process back into the queue, as job queues do with expired leases."""
    from batch_enroll.ledger.records import RowState
    from batch_enroll.ledger.sqlite.schema import one_by_one

    @one_by_one
    def requeue(connection: Any, _: None) -> int:
        query = f"UPDATE row SET state = {RowState.PLANNED:d} WHERE state = {RowState.INTENT:d}"
        return int(connection.execute(query).rowcount)

    wrap("batch_enroll.ledger.sqlite.run_directory:recover", lambda _: requeue)


def lock_nothing() -> None:
    """Let two processes work on one run; the copies of the input stay locked, they are not what is tried here."""
    import filelock

    from batch_enroll.loading import temp_copies

    real = SimpleNamespace(FileLock=filelock.FileLock, Timeout=filelock.Timeout)
    temp_copies.filelock = real  # type: ignore[attr-defined, assignment]

    class OpenDoor:
        is_locked = False

        def __init__(self, *_: object, **__: object) -> None: ...

        def acquire(self, *_: object, **__: object) -> None:
            self.is_locked = True

        def release(self, *_: object, **__: object) -> None:
            self.is_locked = False

    filelock.FileLock = OpenDoor  # type: ignore[assignment]


def compare_nothing() -> None:
    """Continue when the ledger says that the row does not stand where the move begins: no compare-and-set."""
    from batch_enroll.errors import LedgerError, RowTaken

    def change(move: Any) -> Any:
        async def moved(*args: Any, **named: Any) -> Any:
            with contextlib.suppress(LedgerError, RowTaken):
                return await move(*args, **named)
            return 1

        return moved

    for point in ("intend", "settle", "release"):
        wrap(POINTS[point], change)


def intend_afterwards() -> None:
    """Write the intent together with the outcome: one sync saved, and a death between send and outcome forgets both."""
    due: dict[int, Any] = {}

    def intend(original: Any) -> Any:
        async def noted(self: Any, seq: int, *, at: Any) -> int:
            due[seq] = lambda: original(self, seq, at=at)
            return 1

        return noted

    def end(original: Any) -> Any:
        async def ended(self: Any, outcome: Any, **named: Any) -> Any:
            await due.pop(getattr(outcome, "seq", outcome))()
            return await original(self, outcome, **named)

        return ended

    wrap(POINTS["intend"], intend)
    wrap(POINTS["settle"], end)
    wrap(POINTS["release"], end)


def say_sent_unsent() -> None:
    """Note a success for every fifth row without sending it."""
    _answer_instead(b'{"error": 0}', send_first=False)


def say_refused_accepted() -> None:
    """Note a refusal for every fifth row although it was accepted."""
    _answer_instead(b'{"error": 404}', send_first=True)


def miss_duplicates() -> None:
    """Look for no duplicates in the input: no unique key."""
    wrap("batch_enroll.ledger.sqlite.plan_queries:mark_duplicates", lambda _: lambda *_, **__: 0)


def _answer_instead(body: bytes, *, send_first: bool) -> None:
    from batch_enroll.sending import HttpAnswer

    calls = itertools.count(1)

    def change(start: Any) -> Any:
        async def started(*args: Any, **named: Any) -> Any:
            fifth = next(calls) % 5 == 0
            answer = await start(*args, **named) if send_first or not fifth else None
            return HttpAnswer(http_status=200, headers={}, body=body) if fifth else answer

        return started

    wrap(POINTS["send"], change)


SABOTAGES: dict[str, Callable[[], None]] = {
    sabotage.__name__.replace("_", "-"): sabotage
    for sabotage in (
        resend_ambiguous,
        resend_on_expiry,
        lock_nothing,
        compare_nothing,
        intend_afterwards,
        say_sent_unsent,
        say_refused_accepted,
        miss_duplicates,
    )
}


def main(words: Sequence[str]) -> int:
    """Do to this process what the words say, then run the command after `--`."""
    from batch_enroll.cli.main import main as command

    changes, rest = words[: words.index("--")], words[words.index("--") + 1 :]
    for what, how in zip(changes[::2], changes[1::2], strict=True):
        if what == "--kill":
            strike_at(how, signal.SIGKILL)
        elif what == "--freeze":
            strike_at(how, signal.SIGSTOP)
        elif what == "--sabotage":
            SABOTAGES[how]()
        else:
            raise SystemExit(f"{what} is nothing that can be done here")
    return command(rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
