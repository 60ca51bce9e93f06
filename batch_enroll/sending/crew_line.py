"""The coordinator's end of the line to one worker.

In: bodies to send. Out: the worker's word on each, or the word that it died. Never: a frame that is written again.

All that is said in one round of the event loop leaves in one write. Until then a request is surely unsent and can be
withdrawn; after it, it is in doubt.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import Final

from batch_enroll.errors import Ambiguous, Retryable
from batch_enroll.sending.classify import Answer
from batch_enroll.sending.flight import Flight
from batch_enroll.sending.frames import Frame, Kind, Splitter, encode, result_of

NOT_GIVEN: Final = ("no_worker", "No worker process was there to carry the request")
DIED: Final = ("worker_died", "The worker process that carried the request ended before an answer came")


@dataclass(slots=True)
class _Request:
    flight: Flight
    word: asyncio.Future[Frame]
    look: int


class Line(asyncio.Protocol):
    """One worker, as the coordinator sees it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, setup: Frame) -> None:
        self.is_open = False
        self.heard = asyncio.Event()  #: it is ready, or lost already
        self.lost = asyncio.Event()
        self._loop = loop
        self._setup = setup
        self._transport: asyncio.Transport
        self._splitter = Splitter()
        self._numbers = itertools.count(1)
        self._requests: dict[int, _Request] = {}  #: oldest first
        self._outbox: dict[int, bytes] = {}

    @property
    def load(self) -> int:
        """How many requests it carries."""
        return len(self._requests)

    async def carry(self, body: str, flight: Flight, *, look: int) -> Answer:
        """Give a request to the worker and wait for its word.

        Args:
            look: the number of the present look at the workers; see `is_silent_since`.
        Raises:
            Retryable, Ambiguous, WorkerFault: as `result_of`.
        """
        number = next(self._numbers)
        request = self._requests[number] = _Request(flight, self._loop.create_future(), look)
        if not self._outbox:
            self._loop.call_soon(self._flush)
        self._outbox[number] = encode(Frame(Kind.START, number, body=body.encode()))
        try:
            return result_of(await request.word)
        except asyncio.CancelledError:
            if not flight.surely_unsent and self.is_open:
                self._transport.write(encode(Frame(Kind.CANCEL, number)))
            raise
        finally:
            self._outbox.pop(number, None)
            del self._requests[number]

    def is_silent_since(self, look: int) -> bool:
        """Say whether a request that was given before that look still waits."""
        oldest = next(iter(self._requests.values()), None)
        return oldest is not None and oldest.look < look

    def close(self) -> None:
        """Let the worker go: it ends when it hears that nobody is there."""
        if self.is_open:
            self.is_open = False
            self._transport.abort()

    def _flush(self) -> None:
        if not self.is_open:
            return
        given = []
        for number, frame in self._outbox.items():
            request = self._requests[number]
            if not request.word.cancelled():
                request.flight.surely_unsent = False
                given.append(frame)
        self._outbox.clear()
        self._transport.write(b"".join(given))

    # Called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.is_open = True
        transport.write(encode(self._setup))

    def data_received(self, data: bytes) -> None:
        for frame in self._splitter.feed(data):
            if frame.kind is Kind.READY:
                self.heard.set()
            elif (request := self._requests.get(frame.number)) and not request.word.done():
                request.word.set_result(frame)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        for request in self._requests.values():
            if not request.word.done():
                failure = Retryable(*NOT_GIVEN) if request.flight.surely_unsent else Ambiguous(*DIED)
                request.word.set_exception(failure)
        self._outbox.clear()
        self.heard.set()
        self.lost.set()
