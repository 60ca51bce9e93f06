"""A worker of a `Crew`, as a process: it carries requests for the coordinator, and says what came of each.

In: frames from the socket that is its standard input. Out: frames. Never: a decision about a row, a word on the
terminal, a life longer than the coordinator's.

Signals that end a run are sent to the whole group (Ctrl-C, a closed terminal, a service manager) and are the
coordinator's business: a worker that obeyed them would leave its requests in doubt. It ends when the socket closes, at
once and without clearing up, since the coordinator may have been killed and nobody waits for an answer any more.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from typing import NoReturn

from anyio.lowlevel import checkpoint

from batch_enroll.errors import Ambiguous, Retryable
from batch_enroll.sending.client import Client
from batch_enroll.sending.frames import Frame, Kind, Splitter, answer_frame, encode, failure_frame, fault_frame


def main() -> None:
    """Work until the coordinator closes the line."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    asyncio.run(_work(_line()))


def _line() -> socket.socket:
    """Find the socket: on Windows no socket can be a standard stream, so what names it comes there instead."""
    if sys.platform == "win32":
        return socket.fromshare(sys.stdin.buffer.read())
    return socket.socket(fileno=sys.stdin.fileno())


async def _work(line: socket.socket) -> NoReturn:
    frame = _first_frame(line)
    await checkpoint()  # anyio loads 70 ms of itself at its first use; a first request so late would crowd the next
    async with Client(**frame.head) as client:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: Worker(loop, client), sock=line)
        await asyncio.Event().wait()
    _end()


def _first_frame(line: socket.socket) -> Frame:
    """Wait for what makes the client; the coordinator says nothing more before it hears READY."""
    splitter = Splitter()
    frames: list[Frame] = []
    while not frames:
        if not (piece := line.recv(65536)):
            _end()
        frames = splitter.feed(piece)
    return frames[0]


class Worker(asyncio.Protocol):
    """The worker's end of the line."""

    def __init__(self, loop: asyncio.AbstractEventLoop, client: Client) -> None:
        self._loop = loop
        self._client = client
        self._transport: asyncio.Transport
        self._splitter = Splitter()
        self._carried: dict[int, asyncio.Task[None]] = {}
        self._outbox: list[bytes] = []

    async def _carry(self, number: int, body: bytes) -> None:
        try:
            self._say(answer_frame(number, await self._client.start(body.decode())))
        except (Retryable, Ambiguous) as failure:
            self._say(failure_frame(number, failure))
        except Exception as error:
            self._say(fault_frame(number, error))
        finally:
            del self._carried[number]

    def _say(self, frame: Frame) -> None:
        """Write it together with whatever else is said in this round of the loop."""
        if not self._outbox:
            self._loop.call_soon(self._flush)
        self._outbox.append(encode(frame))

    def _flush(self) -> None:
        self._transport.write(b"".join(self._outbox))
        self._outbox.clear()

    # Called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._say(Frame(Kind.READY))

    def data_received(self, data: bytes) -> None:
        for frame in self._splitter.feed(data):
            if frame.kind is Kind.START:
                self._carried[frame.number] = self._loop.create_task(self._carry(frame.number, frame.body))
            elif frame.kind is Kind.CANCEL and (task := self._carried.get(frame.number)):
                task.cancel()

    def connection_lost(self, error: Exception | None) -> None:
        _end()


def _end() -> NoReturn:
    os._exit(0)


if __name__ == "__main__":
    main()
