"""Parse one HTTP/1.1 answer as its bytes come in, and know whether its connection may carry another request.

httptools reads the HTTP. Refused is what it would forgive: a blank line before an answer, a version other than 1.x, a
head above 64 KiB or with control characters, a switch of protocols that nobody asked for.
"""

from __future__ import annotations

from typing import Any, Final

import httptools

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_BODY_BYTES: Final = 1024 * 1024

LINE_ENDS: Final = b"\r\n"
"""Some servers send one more behind a body; it cannot be taken for an answer."""

_START: Final = b"HTTP/1."
_HEAD_END: Final = b"\r\n\r\n"
_TEXT: Final = bytes({*b"\t\r\n", *range(0x20, 0x7F), *range(0x80, 0x100)})  #: RFC 9112 lets a head hold nothing else
_LAST_CHUNK: Final = b"0\r\n\r\n"
_PARSER_ERRORS: Final = (httptools.HttpParserError, httptools.HttpParserUpgrade)


class ResponseParser:
    """The answer to one request. Interim answers (1xx) before it are read and forgotten, trailers behind it too."""

    __slots__ = ("_body_bytes", "_bytes_behind_head", "_head", "_is_chunked", "_parser", "error", "headers", "is_done",
                 "is_followed", "is_last", "is_too_large", "is_whole", "pieces", "status")  # fmt: skip

    def __init__(self) -> None:
        self.status = 0  #: 0 until the head is whole
        self.headers: list[tuple[bytes, bytes]] = []
        self.pieces: list[bytes] = []  #: of the body
        self.is_whole = False
        self.is_too_large = False  #: more of a body came than any answer of the platform has
        self.is_done = False  #: nothing more need be read: it is whole or too large
        self.is_last = True  #: the connection must not carry another request
        self.is_followed = False  #: more than line ends came behind it, which nobody asked for
        self.error = ""  #: why this is not an answer; nothing is read after it
        self._head = b""
        self._bytes_behind_head = 0
        self._body_bytes = 0
        self._is_chunked = False
        self._parser: Any = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Read what came next."""
        if not self.status:
            data = self._read_heads(data)
        if data:
            self._read_body(data)
        if self.is_whole or self.error:
            self._parser = None  # it refers to this object, and a circle waits long for the garbage collector

    def end(self) -> None:
        """Nothing more will come: the connection has ended."""
        self.is_last = True
        if self.is_whole or self.error:
            return
        if self.status and not self._named(b"content-length") and not self._named(b"transfer-encoding"):
            self.is_whole = self.is_done = True
        else:
            self.error = "Server disconnected before its answer was whole."
        self._parser = None

    def _read_heads(self, data: bytes) -> bytes:
        """Read up to the end of the answer's own head; gives what is behind it."""
        while data and not self.status and not self.error:
            head = self._head + data
            end = head.find(_HEAD_END) + len(_HEAD_END)
            is_whole = end >= len(_HEAD_END)
            if not is_whole:
                end = len(head)
            if not _START.startswith(head[: len(_START)]):
                self.error = "What came is not HTTP/1."
            elif end > MAX_HEAD_BYTES:
                self.error = f"The head of the answer is larger than {MAX_HEAD_BYTES // 1024} KiB."
            elif (piece := head[len(self._head) : end]).translate(None, _TEXT):
                self.error = "The head of the answer holds a control character."
            else:
                self._parse(piece)
            self._head, data = (b"", head[end:]) if is_whole else (head, b"")
        return data

    def _read_body(self, data: bytes) -> None:
        if self.is_whole or self.error:
            self.is_last = True
            self.is_followed = bool(data.strip(LINE_ENDS))
            return
        self._bytes_behind_head += len(data)
        self._parse(data)
        if self.is_whole and not self._ends_with(data):
            self.is_last = True

    def _ends_with(self, data: bytes) -> bool:
        """Say whether the answer ends where the data ends; the parser swallows line ends between two answers."""
        return data.endswith(_LAST_CHUNK) if self._is_chunked else self._body_bytes == self._bytes_behind_head

    def _check_encoding(self) -> None:
        if self._named(b"transfer-encoding") not in ([], [b"chunked"]):
            raise ValueError("a transfer encoding besides chunked")

    def _named(self, wanted: bytes) -> list[bytes]:
        return [value.lower() for name, value in self.headers if name.lower() == wanted]

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except _PARSER_ERRORS as error:
            if self.is_whole:  # so it is about what came behind
                self.is_last = self.is_followed = True
            else:
                self.error = f"{error}."

    # Called by the parser

    def on_message_begin(self) -> None:
        if self.is_whole:
            raise ValueError("a second answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:
            self.headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 100 or status == 101:
            raise ValueError("a status that is no answer")
        if status < 200 or status in (204, 304):
            self._check_encoding()
        if status < 200:
            self.headers.clear()
            return
        self.status = status
        self.is_last = not self._parser.should_keep_alive()

    def on_chunk_header(self) -> None:
        if not self._is_chunked:
            self._is_chunked = True
            self._check_encoding()

    def on_body(self, piece: bytes) -> None:
        self.pieces.append(piece)
        self._body_bytes += len(piece)
        if self._body_bytes > MAX_BODY_BYTES:
            self.is_too_large = self.is_done = True

    def on_message_complete(self) -> None:
        if self.status:
            self.is_whole = self.is_done = True
