"""A TCP proxy between the program and the platform that can refuse connections or drop all packets."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

HOST = "127.0.0.1"
START = b"POST /api/v1.1/workflows/start "
_FULL = 8  #: connections that fill a backlog of 0
_POLL_S = 0.02


class NetworkLink:
    """A proxy on a port of its own, working at first.

    The client sends a request in one piece and waits for its answer, so each piece from it is counted as one request.

    Args:
        url: the platform's address.
    """

    def __init__(self, url: str) -> None:
        self._platform = (HOST, urlsplit(url).port)
        self._listener: socket.socket | None = _listen((HOST, 0))
        self._address = self._listener.getsockname()
        self.url = f"http://{HOST}:{self._address[1]}"
        self._other: dict[socket.socket, socket.socket] = {}  #: the other end of each connection
        self._clients: set[socket.socket] = set()
        self._starts_left: int | None = None
        self._then: Callable[[], None] = self._refuse
        self._lost: list[socket.socket] = []  #: open connections that are not read
        self._full: list[socket.socket] = []
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._commands: list[Callable[[], None]] = []
        self._over = False
        self.is_cut = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._do(self._end)
        self._thread.join()
        self._selector.close()

    def refuse(self, *, after_starts: int) -> None:
        """Reset every connection, and refuse new ones, at the start request after this many."""
        self._do(lambda: self._cut_after(after_starts, self._refuse))

    def swallow(self, *, after_starts: int) -> None:
        """Drop everything silently from the start request after this many."""
        self._do(lambda: self._cut_after(after_starts, self._swallow))

    def mend(self) -> None:
        """Work again."""
        self._do(self._mend)

    def _do(self, command: Callable[[], None]) -> None:
        """Run a command in the proxy's thread, and wait for it."""
        done = threading.Event()
        self._commands += [command, done.set]
        assert done.wait(60), "the proxy's thread has ended"

    def _serve(self) -> None:
        while not self._over:
            while self._commands:
                self._commands.pop(0)()
            if self._over:
                return
            for key, _ in self._selector.select(_POLL_S):
                end = key.fileobj
                assert isinstance(end, socket.socket)
                if end is self._listener:
                    self._accept()
                elif end in self._other:  # not closed in this round
                    self._forward(end)

    def _accept(self) -> None:
        assert self._listener is not None
        client, _ = self._listener.accept()
        platform = socket.create_connection(self._platform, timeout=60)
        for end, other in (client, platform), (platform, client):
            end.setblocking(True)
            self._other[end] = other
            self._selector.register(end, selectors.EVENT_READ)
        self._clients.add(client)

    def _forward(self, end: socket.socket) -> None:
        try:
            piece = end.recv(65_536)
        except OSError:
            piece = b""
        if end in self._clients and START in piece and self._starts_left is not None:
            self._starts_left -= 1
            if self._starts_left < 0:
                self._starts_left = None
                self._then()
                self.is_cut.set()
        other = self._other.get(end)
        if other is None:  # just closed
            return
        try:
            if piece:
                other.sendall(piece)
                return
        except OSError:
            pass
        self._drop(end)
        self._drop(other)

    def _cut_after(self, starts: int, then: Callable[[], None]) -> None:
        self._starts_left, self._then = starts, then
        self.is_cut.clear()

    def _refuse(self) -> None:
        assert self._listener is not None
        self._selector.unregister(self._listener)
        self._listener.close()
        self._listener = None
        for end in list(self._other):
            if end in self._clients:  # send RST, so that unread data is lost
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            self._drop(end)

    def _swallow(self) -> None:
        """Read nothing and fill the backlog, so that the system drops new connections."""
        assert self._listener is not None
        for end in self._other:
            self._selector.unregister(end)
        self._other, self._lost = {}, [*self._other]
        self._clients.clear()
        self._selector.unregister(self._listener)
        self._listener.listen(0)
        for _ in range(_FULL):
            filler = socket.socket()
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(self._address)
            self._full.append(filler)

    def _mend(self) -> None:
        self._starts_left = None
        while silent := self._full or self._lost:
            silent.pop().close()
        for end in list(self._other):  # data sent meanwhile is lost
            self._drop(end)
        if self._listener is not None:
            self._listener.close()
        self._listener = _listen(self._address)
        self._selector.register(self._listener, selectors.EVENT_READ)

    def _drop(self, end: socket.socket) -> None:
        if self._other.pop(end, None) is not None:
            self._clients.discard(end)
            self._selector.unregister(end)
            end.close()

    def _end(self) -> None:
        self._over = True
        for end in [*self._other, *self._lost, *self._full, *([self._listener] if self._listener else [])]:
            end.close()


def _listen(address: tuple[str, int]) -> socket.socket:
    return socket.create_server(address, backlog=128)
