"""`batch-enroll` on a pseudo-terminal, for tests that read the screen and type."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.secrecy import said_token

PATIENCE_S = 120.0


class Terminal:
    """One command at a terminal of its own; ended when the block is left.

    Args:
        words: the command line after the program's name.
        folder: where it runs.
        environment: variables beside the test's own.
    """

    def __init__(self, *words: object, folder: Path, **environment: str) -> None:
        root = str(Path(__file__).resolve().parents[2])
        self._hand, end = pty.openpty()
        self.seen = ""  #: everything on the screen so far
        self._process = subprocess.Popen(
            [sys.executable, "-m", "batch_enroll", *map(str, words)],
            stdin=end,
            stdout=end,
            stderr=end,
            cwd=folder,
            env={
                **os.environ,
                **{"BATCH_ENROLL_TOKEN": "sandbox-token", "PYTHONPATH": root, "TERM": "xterm", "COLUMNS": "120"},
                **environment,
            },
        )
        os.close(end)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._hand)

    def wait_for(self, text: str) -> None:
        """Read until a text is on the screen that was not waited for before."""
        give_up = time.monotonic() + PATIENCE_S
        while text not in self.seen[self._read_up_to :]:
            assert self._more(give_up), f"{text!r} never came; the screen shows:\n{self.seen}"
        self._read_up_to = self.seen.index(text, self._read_up_to) + len(text)

    def type(self, line: str) -> None:
        """Type a line and press Enter."""
        os.write(self._hand, f"{line}\n".encode())

    def send_signal(self, number: signal.Signals) -> None:
        """Send the command a signal, as a terminal does that is closed or where Ctrl-C is pressed."""
        self._process.send_signal(number)

    def end(self) -> int:
        """Read to the end of the command; gives its exit code."""
        give_up = time.monotonic() + PATIENCE_S
        while self._more(give_up):
            pass
        assert not said_token(self.seen)
        return self._process.wait(PATIENCE_S)

    _read_up_to = 0

    def _more(self, give_up: float) -> bool:
        """Wait for more on the screen; False when the command has let go of the terminal."""
        ready, _, _ = select.select([self._hand], [], [], max(0.0, give_up - time.monotonic()))
        assert ready, f"nothing more came; the screen shows:\n{self.seen}"
        try:
            piece = os.read(self._hand, 65_536)
        except OSError:  # Linux's way to say that nobody holds the other end any more
            return False
        self.seen += piece.decode("utf-8", "replace")
        return bool(piece)
