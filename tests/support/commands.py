"""`batch-enroll` as a child process, as a shell starts it."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.support.secrecy import MARKER, said_token

PATIENCE_S = 600.0


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

    def __call__(self, *words: object, stdin: bytes = b"", measured: bool = False, **environment: str) -> Ended: ...

    def start(self, *words: object, stdin: int = ..., **environment: str) -> subprocess.Popen[str]: ...


@pytest.fixture
def cli(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Cli]:
    """The command in a folder of its own; what it says is searched for the token, whatever the test looks at."""
    commands = _Cli(tmp_path)
    yield commands
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
        self.program: tuple[str, ...] = ("-m", "batch_enroll")
        self.heard: list[tuple[list[str], str, str]] = []  #: words, standard output, standard error

    def __call__(self, *words: object, stdin: bytes = b"", measured: bool = False, **environment: str) -> Ended:
        done = subprocess.run(
            [sys.executable, "-c", _MEASURED, *map(str, words)] if measured else self._words(words),
            input=stdin,
            capture_output=True,
            env=self._environment(environment),
            cwd=self.folder,
            timeout=PATIENCE_S,
            check=False,
        )
        ended = Ended(done.returncode, done.stdout.decode(), done.stderr.decode())
        self.heard.append(([*map(str, words)], ended.out, ended.err))
        return ended

    def start(self, *words: object, stdin: int = subprocess.DEVNULL, **environment: str) -> subprocess.Popen[str]:
        return _Overheard(
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

    def _words(self, words: Sequence[object]) -> list[str]:
        return [sys.executable, *self.program, *map(str, words)]

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        root = str(Path(__file__).resolve().parents[2])
        return {**os.environ, "BATCH_ENROLL_TOKEN": "sandbox-token", "PYTHONPATH": root, **more}


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
