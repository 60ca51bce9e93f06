"""`batch-enroll` for tests: in the test's own process, or as a child process that a shell would start.

Starting an interpreter costs more than most commands, so a command runs in the process unless the test is about one.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from batch_enroll.cli import console
from tests.support.secrecy import MARKER, said_token

PATIENCE_S = 600.0
DEFAULT_PROGRAM = ("-m", "batch_enroll")
_READ_ONCE = ("PYTHON", "LC_", "LANG", "TZ", "SSL_")  # variables that an interpreter or a library reads once


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The object that `--json` printed."""
        return json.loads(self.out)


class Cli(Protocol):
    """`cli("run", path, "--rate", "none")` runs it to the end; `start` leaves it running."""

    folder: Path
    program: tuple[str, ...]  #: how the interpreter is told what to run

    def __call__(
        self, *words: object, stdin: bytes = b"", measured: bool = False, child: bool = False, **environment: str
    ) -> Ended: ...

    def start(self, *words: object, stdin: int = ..., **environment: str) -> subprocess.Popen[str]: ...

    def paste(self, line: str) -> Ended: ...


@pytest.fixture
def cli(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Cli]:
    """The command in a folder of its own; what it says is searched for the token, whatever the test looks at."""
    commands = _Cli(tmp_path)
    yield commands
    commands.end()
    if request.node.get_closest_marker(MARKER) is None:
        told = [words for words, out, err in commands.heard if said_token(out, err)]
        assert not told, f"the token was said by {told}"


# The peak of this very process: `ru_maxrss` would begin with what the parent had when it started the child.
_MEASURED = """
import re, sys
from pathlib import Path
from batch_enroll.cli.main import main
code = main(sys.argv[1:])
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print("\\npeak", peak, file=sys.stderr)
sys.exit(code)
"""


def peak_kb(ended: Ended) -> int:
    """The peak memory, KiB, of a command that ran with `measured=True`."""
    return int(ended.err.rpartition("peak ")[2])


class _Overheard(subprocess.Popen[str]):
    """A command that is left running; what `communicate` hears is kept."""

    def __init__(self, heard: list[tuple[list[str], str, str]], words: list[str], **how: Any) -> None:
        super().__init__(words, **how)
        self._heard, self._said = heard, words

    def communicate(self, input: str | None = None, timeout: float | None = None) -> tuple[str, str]:
        out, err = super().communicate(input, timeout)
        self._heard.append((self._said, out or "", err or ""))
        return out, err


class _Cli:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program: tuple[str, ...] = DEFAULT_PROGRAM
        self.heard: list[tuple[list[str], str, str]] = []  #: words, standard output, standard error
        self._started: list[subprocess.Popen[str]] = []

    def __call__(
        self, *words: object, stdin: bytes = b"", measured: bool = False, child: bool = False, **environment: str
    ) -> Ended:
        """Run a command to its end.

        Args:
            measured: as a child process that reports its `peak_kb`.
            child: as a child process.
        """
        own = self.program != DEFAULT_PROGRAM or any(name.startswith(_READ_ONCE) for name in environment)
        if measured or child or own or not _can_run_here():
            ended = self._run_child(words, stdin, measured=measured, environment=environment)
        else:
            ended = self._run_here(words, stdin, environment)
        self.heard.append(([*map(str, words)], ended.out, ended.err))
        return ended

    def _run_child(
        self, words: Sequence[object], stdin: bytes, *, measured: bool, environment: dict[str, str]
    ) -> Ended:
        done = subprocess.run(
            [sys.executable, "-c", _MEASURED, *map(str, words)] if measured else self._words(words),
            input=stdin,
            capture_output=True,
            env=self._environment(environment),
            cwd=self.folder,
            timeout=PATIENCE_S,
            check=False,
        )
        return Ended(
            done.returncode,
            done.stdout.decode(errors="backslashreplace"),
            done.stderr.decode(errors="backslashreplace"),
        )

    def _run_here(self, words: Sequence[object], stdin: bytes, environment: dict[str, str]) -> Ended:
        from batch_enroll.cli.job_options import warn_if_open
        from batch_enroll.cli.main import main

        warn_if_open.cache_clear()  # each process warns once
        with _standard_streams(stdin) as (out, err), pytest.MonkeyPatch.context() as patch:
            for name, value in self._environment(environment).items():
                patch.setenv(name, value)
            patch.chdir(self.folder)
            patch.setattr(tempfile, "tempdir", None)  # the module remembers the folder of the first TMPDIR
            patch.setattr(console, "_secrets", set())
            code = main([*map(str, words)])
        return Ended(code, _written(out), _written(err))

    def start(self, *words: object, stdin: int = subprocess.DEVNULL, **environment: str) -> subprocess.Popen[str]:
        process = _Overheard(
            self.heard,
            self._words(words),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._environment(environment),
            cwd=self.folder,
            text=True,
            encoding="utf-8",
        )
        self._started.append(process)
        return process

    def paste(self, line: str) -> Ended:
        """Give a printed command to a shell, as it stands."""
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        program = folder / "batch-enroll"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m batch_enroll "$@"\n')
        program.chmod(0o755)
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=self._environment({"PATH": f"{folder}:{os.environ['PATH']}"}),
            cwd=self.folder,
            timeout=PATIENCE_S,
            check=False,
        )
        ended = Ended(
            done.returncode,
            done.stdout.decode(errors="backslashreplace"),
            done.stderr.decode(errors="backslashreplace"),
        )
        self.heard.append(([line], ended.out, ended.err))
        return ended

    def end(self) -> None:
        """End what a test left running, and close its pipes."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()

    def _words(self, words: Sequence[object]) -> list[str]:
        return [sys.executable, *self.program, *map(str, words)]

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        root = str(Path(__file__).resolve().parents[2])
        return {**os.environ, "BATCH_ENROLL_TOKEN": "sandbox-token", "PYTHONPATH": root, **more}


def _can_run_here() -> bool:
    """Tell whether a command may handle signals and start an event loop here."""
    if threading.current_thread() is not threading.main_thread():
        return False
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop()
        return False
    return True


@contextmanager
def _standard_streams(stdin: bytes) -> Iterator[tuple[io.TextIOWrapper, io.TextIOWrapper]]:
    """Replace the three standard streams; yields standard output and standard error."""
    read_end, write_end = os.pipe()

    def write() -> None:
        with contextlib.suppress(BrokenPipeError), os.fdopen(write_end, "wb", buffering=0) as pipe:
            pipe.write(stdin)

    writer = threading.Thread(target=write)
    writer.start()
    before = sys.stdin, sys.stdout, sys.stderr
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
    with os.fdopen(read_end, encoding="utf-8") as source:
        sys.stdin, sys.stdout, sys.stderr = source, console.unfailing(out), console.unfailing(err)
        try:
            yield out, err
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            sys.stdin, sys.stdout, sys.stderr = before
    writer.join()


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode()


def write_csv(path: Path, *rows: Sequence[str], header: Sequence[str] = ("email", "first_name")) -> Path:
    """Write a small input."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def read_results(path: Path) -> list[dict[str, str]]:
    """Read one of our results files."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def people(count: int, *, domain: str = "example.com") -> list[tuple[str, str]]:
    """Rows for `write_csv`: so many people."""
    return [(f"user{number:05d}@{domain}", f"Name {number}") for number in range(1, count + 1)]
