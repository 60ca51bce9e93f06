"""Print messages and errors to standard error and data to standard output.

Registered secrets are masked in both. No command ends because a standard stream is closed, full, without a reader, or
cannot show a character: see `open_standard_streams` and `report_lost_output`.
"""

from __future__ import annotations

import errno
import io
import os
import re
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, TextIO
from urllib.parse import unquote

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from batch_enroll.errors import RunStopped
    from batch_enroll.models import Notice

_SHORTEST_SECRET = 6  # characters; a shorter one would mask parts of ordinary words
_CLOSED = (errno.EPIPE, errno.EBADF)
_FULL_PIPE_S = 0.05  # seconds until a full pipe that does not block is tried again
_secrets: set[str] = set()
_IN_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://(?:([^/?#\s]*)@)?[^?#\s]*(?:\?([^#\s]*))?", re.I)


class _UnfailingWriter(io.BufferedIOBase):
    """Write to a stream; what it does not take is dropped, and the first reason is kept in `problem`.

    Nothing is held back here, so that the flush at the interpreter's exit cannot fail, nor wait for a lock that a
    daemon thread holds.
    """

    def __init__(self, stream: TextIO) -> None:
        self.name = getattr(stream, "name", "")
        self.problem: OSError | None = None
        self._stream = stream  # closed when nothing holds it
        self._raw: BinaryIO = getattr(stream.buffer, "raw", stream.buffer)  # past the buffer, whose flush may fail

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._raw.isatty()

    def fileno(self) -> int:
        return self._raw.fileno()

    def write(self, data: ReadableBuffer) -> int:
        rest = memoryview(data)
        try:
            while rest:
                if (written := self._raw.write(rest)) is None:
                    time.sleep(_FULL_PIPE_S)
                else:
                    rest = rest[written:]
        except OSError as error:
            self.problem = self.problem or error
        return len(data)  # type: ignore[arg-type]  # what a text stream writes has a length


def open_standard_streams() -> None:
    """Make the standard streams usable whatever the shell gave; to be called once, before any output.

    A closed one becomes the null device: the next file that is opened, perhaps a ledger's, would take its number, and
    get what libraries write to it.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDONLY)  # writing to it fails, as it did before
            os.set_inheritable(number, True)
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    sys.stdout, sys.stderr = unfailing(sys.stdout), unfailing(sys.stderr)


def unfailing(stream: TextIO) -> io.TextIOWrapper:
    """Give a text stream in the place of another: writing never fails, and what the encoding lacks is escaped."""
    return io.TextIOWrapper(
        _UnfailingWriter(stream),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=bool(stream.line_buffering),
    )


def report_lost_output() -> bool:
    """Print why standard output did not take everything; give whether that is a failure: not when its reader left."""
    from batch_enroll.messages import message
    from batch_enroll.os_errors import os_error_reason

    sys.stdout.flush()
    writer = getattr(sys.stdout, "buffer", None)
    if not isinstance(writer, _UnfailingWriter) or (problem := writer.problem) is None:
        return False
    writer.problem = None
    closed = message("file.output_was_closed") if problem.errno in _CLOSED else None
    reason = closed or os_error_reason(problem)
    print_error(str(message("file.output_lost", reason=reason)), hint=str(message("file.output_elsewhere")))
    return problem.errno != errno.EPIPE


def register_secret(secret: str) -> None:
    """Mask this text in all output from now on: a last guard, messages should not hold secrets at all."""
    if len(secret) >= _SHORTEST_SECRET:
        _secrets.add(secret)


def register_secrets_in(words: Sequence[str]) -> None:
    """Register the passwords and queries (which may be signatures) of all addresses in the arguments."""
    for word in words:
        for userinfo, query in _IN_ADDRESS.findall(word):
            password = userinfo.partition(":")[2]
            for secret in (password, unquote(password), query):
                register_secret(secret)


def mask_secrets(text: str) -> str:
    """Give the text with every secret replaced."""
    for secret in _secrets:
        text = text.replace(secret, "***")
    return text


def print_message(text: str) -> None:
    """Print a line to standard error."""
    from batch_enroll.messages.message_text import printable

    print(printable(mask_secrets(text)), file=sys.stderr, flush=True)  # noqa: T201 - the one place that prints


def print_error(text: str, *, hint: str = "") -> None:
    """Print an error and its hint to standard error."""
    prefix = "batch-enroll: "
    print_message(prefix + text.replace("\n", "\n" + " " * len(prefix)))
    if hint:
        print_message(" " * len(prefix) + hint)


def print_refusal(error: RunStopped, *, about: str = "") -> None:
    """Print why a run ended and what to do; cells of the input are shown on a terminal only.

    Args:
        about: what was refused, when a command has several of it.
    """
    told = error if sys.stderr.isatty() else error.without_cells()
    print_error(f"{about}: {told.message}" if about else told.message, hint=told.hint)
    print_notices(error.notices)


def print_notices(notices: Sequence[Notice]) -> None:
    """Print what nobody may miss, also with `quiet`."""
    for notice in notices:
        print_error(str(notice.message), hint=notice.hint)


def print_output(text: str) -> None:
    """Print data to standard output."""
    print(mask_secrets(text), flush=True)  # noqa: T201


def print_json(value: object, *, indent: int | None = None) -> None:
    """Print the JSON value of a command; what the encoding lacks is escaped as JSON does it."""
    import json

    text = mask_secrets(json.dumps(value, ensure_ascii=False, indent=indent))
    try:
        text.encode(sys.stdout.encoding or "utf-8")  # a stream in memory has none
    except UnicodeEncodeError:
        text = re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], text)
    print_output(text)


def data_stream() -> TextIO:
    """Give standard output, for data."""
    return sys.stdout


def is_terminal() -> bool:
    """Check that standard input and standard error are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def prompt(question: str, *, again: bool = False) -> str:
    """Ask a question and give the answer, stripped; "" at the end of input.

    What was typed before the question stood there answers nothing.

    Args:
        again: it was answered wrongly just now, and the next answer may be typed already.
    """
    if not again:
        _forget_typed(sys.stdin)
    print(question, end=" ", file=sys.stderr, flush=True)  # noqa: T201
    line = _read_line(sys.stdin)
    if not line:
        print_message("")
    return line.strip()


def _forget_typed(stream: TextIO) -> None:
    """Drop what waits to be read from a terminal."""
    if sys.platform == "win32":
        import msvcrt

        while msvcrt.kbhit():
            msvcrt.getwch()
        return
    import termios

    with suppress(termios.error, OSError, ValueError):  # no terminal
        termios.tcflush(stream.fileno(), termios.TCIFLUSH)


def _read_line(stream: TextIO) -> str:
    """Read a line past the stream's buffer: waiting in it would hold a lock that shutdown needs."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(stream.fileno(), 1)):
        line += byte
    return line.decode(stream.encoding or "utf-8", "replace")
