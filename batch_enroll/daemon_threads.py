"""Blocking work in daemon threads, and a coroutine with a background task."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any, Generic, TypeVar

import anyio
import anyio.lowlevel

from batch_enroll.errors import RunStopped
from batch_enroll.messages import message

T = TypeVar("T")
Background = Callable[[], Coroutine[Any, Any, object]]

_thread = threading.local()  # `call`: the one that this thread works on


async def run_in_thread(work: Callable[..., T], *args: Any) -> T:
    """Run blocking work in a thread and wait for its end, whatever happens meanwhile."""
    call = _ThreadCall(partial(work, *args))
    start_thread(call.run)
    with anyio.CancelScope(shield=True):
        await call.ended()
    return call.result()


async def run_abandonable(work: Callable[..., T], *args: Any, undo: Callable[[], object] = lambda: None) -> T:
    """Run blocking work in a thread; a cancellation ends the wait at once, even when the work hangs for ever.

    The abandoned thread ends at its next `raise_if_abandoned`, and does not hold the end of the process.

    Args:
        undo: called in the thread when the work ends after it was abandoned.
    """
    call = _ThreadCall(partial(work, *args), undo)
    start_thread(call.run)
    try:
        await call.ended()
    except anyio.get_cancelled_exc_class():
        call.abandon()
        raise
    return call.result()


@asynccontextmanager
async def open_in_thread(open_: Callable[[ExitStack], T]) -> AsyncIterator[T]:
    """Open resources in a thread and close them after the block; a cancellation ends the opening at once.

    Args:
        open_: given a stack, on which it puts what is to be closed.
    """
    stack = ExitStack()
    try:
        yield await run_abandonable(open_, stack, undo=stack.close)
    finally:
        await run_in_thread(stack.close)


@asynccontextmanager
async def entered(manager: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Enter and leave a context manager that blocks."""
    value = await run_in_thread(manager.__enter__)
    try:
        yield value
    finally:
        await run_in_thread(manager.__exit__, None, None, None)


def raise_if_abandoned() -> None:
    """End blocking work that was abandoned; for loops that may take long."""
    call: _ThreadCall[Any] | None = getattr(_thread, "call", None)
    if call is not None and call.is_abandoned:
        raise RunStopped(message("report.abandoned"))


@contextmanager
def on_abandon(callback: Callable[[], object]) -> Iterator[None]:
    """Call back from another thread when the work of this thread is abandoned in the block."""
    call: _ThreadCall[Any] | None = getattr(_thread, "call", None)
    if call is None:
        yield
        return
    call.add(callback)
    try:
        yield
    finally:
        call.remove(callback)


def start_thread(work: Callable[[], None]) -> None:
    """Start a daemon thread: unlike those of a pool it does not hold the end of the process."""
    threading.Thread(target=work, daemon=True, name="blocking work").start()


async def run_with_background(work: Callable[[], Awaitable[T]], background: Background = anyio.sleep_forever) -> T:
    """Run a coroutine with a background task, which is cancelled when it ends.

    The work runs in a task of its own, so that `asyncio.Task.cancel` of the caller is a cancellation from which a
    shielded block is safe. What the work raises comes out as itself, not in a group.
    """
    done: list[T] = []
    failure: Exception | KeyboardInterrupt | None = None

    async def supervised() -> None:
        nonlocal failure
        try:
            done.append(await work())
        except (Exception, KeyboardInterrupt) as error:
            failure = error
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(background)
        tasks.start_soon(supervised)
    if failure is not None:
        raise failure
    return done[0]


class _ThreadCall(Generic[T]):
    """Work that a thread does and a task waits for."""

    def __init__(self, work: Callable[[], T], undo: Callable[[], object] = lambda: None) -> None:
        self.is_abandoned = False
        self._work = work
        self._undo = undo
        self._is_done = False
        self._result: T | None = None
        self._error: BaseException | None = None
        self._on_abandon: list[Callable[[], object]] = []
        self._lock = threading.Lock()
        self._event = anyio.Event()
        token = anyio.lowlevel.current_token()
        native: Any = getattr(token, "native_token", token)  # before anyio 4.11 the token is the loop's own
        is_asyncio = isinstance(native, asyncio.AbstractEventLoop)
        self._call_in_loop: Callable[..., object] = native.call_soon_threadsafe if is_asyncio else native.run_sync_soon

    def run(self) -> None:
        """Do the work, in the thread."""
        outer, _thread.call = getattr(_thread, "call", None), self
        try:
            self._result = self._work()
        except BaseException as error:
            self._error = error
        finally:
            _thread.call = outer
        with self._lock:
            self._is_done = True
        if self.is_abandoned:
            with suppress(Exception):
                self._undo()
        else:
            with suppress(RuntimeError):  # the event loop is gone
                self._call_in_loop(self._event.set)

    async def ended(self) -> None:
        """Wait for the end."""
        if self._is_done:
            await anyio.lowlevel.checkpoint()
        else:
            await self._event.wait()

    def result(self) -> T:
        """Return the result of the work, or raise its error."""
        error, self._error = (
            self._error,
            None,
        )  # else the error's traceback, which holds this call, and it hold each other
        if error is not None:
            raise error
        return self._result  # type: ignore[return-value]  # set, when there is no error

    def abandon(self) -> None:
        with self._lock:
            self.is_abandoned = not self._is_done
        if self.is_abandoned:
            for callback in self._on_abandon:
                with suppress(Exception):
                    callback()

    def add(self, callback: Callable[[], object]) -> None:
        with self._lock:
            self._on_abandon = [*self._on_abandon, callback]
        if self.is_abandoned:
            callback()

    def remove(self, callback: Callable[[], object]) -> None:
        with self._lock:
            self._on_abandon = [other for other in self._on_abandon if other is not callback]


def run_without_event_loop(call: Callable[[], Coroutine[Any, Any, T]], *, name: str, instead: str) -> T:
    """Run a coroutine in an event loop of its own, for the functions that wait for the end.

    Raises:
        RuntimeError: an event loop runs in this thread already, as in a notebook.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return anyio.run(call)
    raise RuntimeError(f"{name}() waits for the end, which an event loop that runs cannot; write `{instead}`")
