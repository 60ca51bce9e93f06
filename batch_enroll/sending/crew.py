"""A crew of worker processes that carry the requests, for one coordinator that decides everything.

In: the body of one request. Out: what `Client.start` gives: an `Answer`, or `Retryable` when not a byte left, or
`Ambiguous` when one may have. Never: a request given to two workers, a decision about a row; permit, ledger,
classification and breaker stay with the caller, so that promise and pace are those of one process.

A worker that dies, or stays silent past its own deadline, leaves what it carried in doubt, since nobody can tell how
far it came; another takes its place. The event loop must be asyncio's.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Final, Self

import anyio

from batch_enroll.errors import Retryable, ServiceRefused
from batch_enroll.sending.classify import Answer
from batch_enroll.sending.crew_line import NOT_GIVEN, Line
from batch_enroll.sending.flight import Flight
from batch_enroll.sending.frames import Frame, Kind

START_S: Final = 30.0  #: how long a worker may take to be ready
END_S: Final = 1.0  #: how long it may take to end by itself; it has nothing to put away
MARGIN_S: Final = 5.0  #: beyond the deadline of its requests; a worker that is silent for longer hangs
DEATHS_EACH: Final = 3  #: more deaths than this for each place, within a minute, and the crew gives up
_LOOK_S: Final = 1.0  #: from one look for workers that hang to the next
_MINUTE_S: Final = 60.0


class Crew:
    """Starts one profile after another, as `Client` does, in other processes."""

    def __init__(
        self, *, processes: int, token: str, timeout_s: float, margin_s: float = MARGIN_S, **client: Any
    ) -> None:
        """Prepare a crew; entering it starts the workers and waits until all are ready.

        Args:
            processes: how many workers.
            token, timeout_s, client: as `Client` takes them; JSON values only.
        """
        self._setup = Frame(Kind.SETUP, head={"token": token, "timeout_s": timeout_s, **client})
        self._environment = _environment_without(token)
        self._processes = processes
        self._patience = math.ceil((timeout_s + margin_s) / _LOOK_S)  #: in looks
        self._look = 0
        self._lines: list[Line] = []  #: those that are ready; the one used last is at the end
        self._deaths: deque[float] = deque(maxlen=processes * DEATHS_EACH + 1)
        self._trouble = ""
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._news = asyncio.Event()
        self._tasks = [asyncio.create_task(self._keep_filled()) for _ in range(self._processes)]
        self._tasks.append(asyncio.create_task(self._watch()))
        try:
            while len(self._lines) < self._processes:
                self._news.clear()
                await self._news.wait()
                self._raise_trouble()
        except BaseException:
            await self._dismiss()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._dismiss()

    async def start(self, body: str, flight: Flight | None = None) -> Answer:
        """Do as `Client.start` does, through the worker that carries least.

        Raises:
            Retryable, Ambiguous: as `Client.start`; `no_worker` and `worker_died` besides.
            ServiceRefused: workers die as fast as they are replaced.
        """
        flight = flight or Flight()
        flight.surely_unsent = True
        self._raise_trouble()
        line = min((line for line in self._lines if line.is_open), key=lambda line: line.load, default=None)
        if line is None:  # no waiting for the next: the permits that were given meanwhile would all be used at once
            raise Retryable(*NOT_GIVEN)
        self._lines.remove(line)
        self._lines.append(line)
        return await line.carry(body, flight, look=self._look)

    async def _keep_filled(self) -> None:
        """Keep one place in the crew filled, until the crew is dismissed or gives up."""
        loop = asyncio.get_running_loop()
        while not self._trouble:
            try:
                async with _employed(self._setup, self._environment) as (process, line):
                    if line.is_open:
                        await self._serve(line)
                how = _ending(process)
            except Exception as error:  # whatever it is, nobody may wait for this place
                how = f"could not be started ({type(error).__name__})"
            self._deaths.append(loop.time())
            if len(self._deaths) == self._deaths.maxlen and self._deaths[-1] - self._deaths[0] < _MINUTE_S:
                self._trouble = f"Worker processes died {len(self._deaths)} times within a minute; the last {how}."
            self._news.set()

    async def _serve(self, line: Line) -> None:
        """Let a worker that is ready take part until it is lost."""
        self._lines.append(line)
        self._news.set()
        try:
            await line.lost.wait()
        finally:
            self._lines.remove(line)

    async def _watch(self) -> None:
        """Give up workers that hang.

        Time is counted in looks: when the whole machine stood still, that was no worker's fault.
        """
        while True:
            await asyncio.sleep(_LOOK_S)
            self._look += 1
            for line in self._lines:
                if line.is_silent_since(self._look - self._patience):
                    line.close()

    def _raise_trouble(self) -> None:
        if self._trouble:
            hint = "Look at the machine's memory, then give the same command again, perhaps with --processes 1."
            raise ServiceRefused(self._trouble, hint=hint)

    async def _dismiss(self) -> None:
        for task in self._tasks:
            task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def _employed(setup: Frame, environment: Mapping[str, str]) -> AsyncIterator[tuple[Process, Line]]:
    """Start a worker; let it go at the end of the block, and end it if it does not go.

    The line is a pair of sockets, one of which is the worker's standard input: every event loop can read and write
    them, and they close when either process ends, in whatever way.
    """
    loop = asyncio.get_running_loop()
    line = Line(loop, setup)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "batch_enroll.sending.crew_worker"),
            stdin=PIPE if sys.platform == "win32" else theirs.fileno(),
            stdout=DEVNULL,
            stderr=DEVNULL,  # what Python says of a fault may hold personal data
            env=environment,
        )
        try:
            if sys.platform != "win32":
                theirs.close()  # or nobody would hear when the worker closes its own
            else:  # there a socket can be no standard stream; its name can, and it must be open until the worker has it
                assert process.stdin is not None
                process.stdin.write(theirs.share(process.pid))
                process.stdin.close()
            await loop.create_connection(lambda: line, sock=ours)
            async with asyncio.timeout(START_S):
                await line.heard.wait()
            theirs.close()
            yield process, line
        finally:
            line.close()
            with anyio.CancelScope(shield=True), anyio.move_on_after(END_S) as patience:
                await process.wait()
            if patience.cancelled_caught:
                process.kill()
                await process.wait()


def _environment_without(token: str) -> dict[str, str]:
    """Give a worker the surroundings of this process and its ways to find modules, but not the token."""
    path = os.pathsep.join(filter(None, sys.path))
    return {name: value for name, value in os.environ.items() if token not in value} | {"PYTHONPATH": path}


def _ending(process: Process) -> str:
    code = process.returncode or 0
    return f"ended with exit code {code}" if code >= 0 else f"was ended by signal {-code} ({signal.strsignal(-code)})"
