"""Talk to the person: everything that is not data goes to standard error.

Never: standard output, a secret that was given to `keep_secret`, a wrapped sentence when nobody sits at a terminal.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Sequence
from typing import TextIO
from urllib.parse import unquote

_SHORTEST_SECRET = 6  # characters; a shorter one would tear holes into words
_secrets: set[str] = set()
_IN_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://(?:([^/?#\s]*)@)?[^?#\s]*(?:\?([^#\s]*))?", re.I)


def keep_secret(secret: str) -> None:
    """Never say this text from now on: the last guard, behind the rule that nobody puts a secret into a message."""
    if len(secret) >= _SHORTEST_SECRET:
        _secrets.add(secret)


def keep_secrets_of(words: Sequence[str]) -> None:
    """Keep the passwords and the queries, which may be signatures, of all addresses among a command's words."""
    for word in words:
        for userinfo, query in _IN_ADDRESS.findall(word):
            password = userinfo.partition(":")[2]
            for secret in (password, unquote(password), query):
                keep_secret(secret)


def masked(text: str) -> str:
    """Give the text with every secret replaced."""
    for secret in _secrets:
        text = text.replace(secret, "***")
    return text


def print_message(text: str) -> None:
    """One line for people; a terminal that went away must not end a run."""
    with contextlib.suppress(OSError, ValueError):
        print(_showable(masked(text)), file=sys.stderr, flush=True)  # noqa: T201 - this is the one place that talks


def print_error(text: str, *, hint: str = "") -> None:
    """Say what went wrong and what to do about it."""
    prefix = "batch-enroll: "
    print_message(prefix + text.replace("\n", "\n" + " " * len(prefix)))
    if hint:
        print_message(" " * len(prefix) + hint)


def print_output(text: str) -> None:
    """Data for programs, on standard output; when nobody reads it any more, say so and go on."""
    try:
        print(masked(text), flush=True)  # noqa: T201
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - so that the interpreter's own flush stays quiet
        print_message("batch-enroll: standard output was closed before everything was written.")


def print_json(told: dict[str, object]) -> None:
    """The JSON object of a command."""
    import json

    print_output(json.dumps(told, ensure_ascii=False))


def data_stream() -> TextIO:
    """Where data for people and programs goes."""
    return sys.stdout


def is_terminal() -> bool:
    """Tell whether a person can be asked: both ends are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def prompt(question: str) -> str:
    """Ask the person and give the answer, stripped; "" when the input ends."""
    print(question, end=" ", file=sys.stderr, flush=True)  # noqa: T201
    line = _read_line(sys.stdin)
    if not line:
        print_message("")
    return line.strip()


def _read_line(stream: TextIO) -> str:
    """Read a line past the stream's buffer: a thread that waits in that holds a lock which the process's end needs."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(stream.fileno(), 1)):
        line += byte
    return line.decode(stream.encoding or "utf-8", "replace")


def _showable(text: str) -> str:
    """Replace what the terminal's encoding cannot show, so that talking never fails."""
    encoding = sys.stderr.encoding or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)
