"""Refuse an output that would replace a file which the command reads, the ledger, or another output."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from batch_enroll.errors import JobError
from batch_enroll.messages import Message, message

_BESIDE_LEDGER = ("", "-wal", "-shm", "-journal")  #: endings of the files that SQLite keeps
_LEDGER_FOLDERS = (".runs", ".locks")
_MARK = ".seen"


@dataclass(frozen=True, slots=True)
class Output:
    """A file that a command is to write."""

    path: Path
    what: Message  #: begins a sentence: "The results"
    elsewhere: Message  #: how to choose another place


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFiles:
    """The files that a command reads; no output may take the place of one of them."""

    files: tuple[tuple[Message, Path], ...] = ()  #: with what each is: "the input"
    ledger: Path | None = None  #: its index; the files beside it and its folders belong to it
    ledger_state: Path | None = None  #: folder of the marks that detect an older copy of the ledger

    def check(self, *outputs: Output) -> None:
        """Compare files, not their names: a link, a hard link and another spelling are the same file.

        Raises:
            JobError: an output is a file that is read, or belongs to the ledger, or two outputs are one file.
        """
        for place, output in enumerate(outputs):
            for what, path in self.files:
                if is_same_file(output.path, path):
                    raise _overwrites(output, what)
            if self._is_of_ledger(output.path):
                raise _overwrites(output, message("report.read_ledger"))
            for other in outputs[:place]:
                if is_same_file(output.path, other.path):
                    raise JobError(
                        message("report.same_output", output=output.what, path=str(output.path)), hint=output.elsewhere
                    )

    def _is_of_ledger(self, path: Path) -> bool:
        if self.ledger is None:
            return False
        ledger = _resolved(self.ledger)
        if any(is_same_file(path, ledger.with_name(ledger.name + ending)) for ending in _BESIDE_LEDGER):
            return True
        if self.ledger_state is not None and path.suffix == _MARK and is_same_file(path.parent, self.ledger_state):
            return True
        return any(_is_inside(path, ledger.with_name(ledger.name + ending)) for ending in _LEDGER_FOLDERS)


def is_same_file(path: Path, other: Path) -> bool:
    """Tell whether two paths mean one file; of a file that is not there yet, whether they would."""
    with contextlib.suppress(OSError):
        return path.samefile(other)
    return _resolved(path) == _resolved(other)


def _resolved(path: Path) -> Path:
    with contextlib.suppress(OSError, RuntimeError):  # a loop of links
        return path.resolve()
    return path.absolute()


def _is_inside(path: Path, folder: Path) -> bool:
    if _resolved(path).is_relative_to(folder):
        return True
    try:
        found = path.stat()
    except OSError:
        return False
    # A second name of a file: only then are the ledger's files worth listing.
    return found.st_nlink > 1 and any(os.path.samestat(found, other) for other in _stats(folder))


def _stats(folder: Path) -> Iterator[os.stat_result]:
    for inside, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                yield (Path(inside) / name).stat()


def _overwrites(output: Output, what: Message) -> JobError:
    return JobError(
        message("report.overwrites_read", output=output.what, what=what, path=str(output.path)), hint=output.elsewhere
    )


def flag_output(path: Path, what: Message, flag: str) -> Output:
    """Make the output that a flag of one command names."""
    return Output(path, what, message("report.other_flag", flag=flag))
