"""Print messages and errors to standard error and data to standard output.

Registered secrets are masked in both.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TextIO
from urllib.parse import unquote

if TYPE_CHECKING:
    from batch_enroll.errors import RunStopped

_SHORTEST_SECRET = 6  # characters; a shorter one would mask parts of ordinary words
_secrets: set[str] = set()
_IN_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://(?:([^/?#\s]*)@)?[^?#\s]*(?:\?([^#\s]*))?", re.I)


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
    """Print a line to standard error; a closed terminal must not end a run."""
    from batch_enroll.messages.message_text import printable

    with contextlib.suppress(OSError, ValueError):
        print(_showable(printable(mask_secrets(text))), file=sys.stderr, flush=True)  # noqa: T201 - the one place that prints


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


def print_output(text: str) -> None:
    """Print data to standard output; a closed pipe is reported and does not end the run."""
    with _closed_output_reported():
        print(mask_secrets(text), flush=True)  # noqa: T201


def print_json(value: dict[str, object]) -> None:
    """Print the JSON object of a command."""
    import json

    print_output(json.dumps(value, ensure_ascii=False))


def data_stream() -> TextIO:
    """Give standard output, for data."""
    return sys.stdout


@contextlib.contextmanager
def text_for_people() -> Iterator[TextIO]:
    """Give standard output for a text: what its encoding cannot show is escaped, a closed pipe is reported."""
    with _closed_output_reported():
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        yield sys.stdout
        sys.stdout.flush()


@contextlib.contextmanager
def _closed_output_reported() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - so that the interpreter's own flush stays quiet
        print_message("batch-enroll: standard output was closed before everything was written.")


def is_terminal() -> bool:
    """Check that standard input and standard error are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def prompt(question: str) -> str:
    """Ask a question and give the answer, stripped; "" at the end of input."""
    print(question, end=" ", file=sys.stderr, flush=True)  # noqa: T201
    line = _read_line(sys.stdin)
    if not line:
        print_message("")
    return line.strip()


def _read_line(stream: TextIO) -> str:
    """Read a line past the stream's buffer: waiting in it would hold a lock that shutdown needs."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(stream.fileno(), 1)):
        line += byte
    return line.decode(stream.encoding or "utf-8", "replace")


def _showable(text: str) -> str:
    """Replace what the terminal's encoding cannot show, so that printing never fails."""
    encoding = sys.stderr.encoding or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)
