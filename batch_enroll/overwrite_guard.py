"""Refuse an output that would replace the ledger, another output, a file that the command reads, or one of others."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from batch_enroll.errors import JobError
from batch_enroll.messages import Message, message

_BESIDE_LEDGER = ("", "-wal", "-shm", "-journal")  #: endings of the files that SQLite keeps
_LEDGER_FOLDERS = (".runs", ".locks")
_MARK = ".seen"
_HEAD_BYTES = 4096

NEVER_OURS = re.compile(rb"(?!)")
"""For a file that a command makes once, such as a job file: whatever is there stays."""


@dataclass(frozen=True, slots=True)
class Output:
    """A file that a command is to write."""

    path: Path
    what: Message  #: begins a sentence: "The results"
    elsewhere: Message  #: how to choose another place
    begins: re.Pattern[bytes] | None = None  #: how our files of this kind begin; None = its writer looks closer
    is_live: bool = False  #: written while the command still reads
    may_overwrite: bool = True  #: the command has `--overwrite`


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFiles:
    """The files that a command reads; no output may take the place of one of them."""

    files: tuple[tuple[Message, Path], ...] = ()  #: with what each is: "the input"
    ledger: Path | None = None  #: its index; the files beside it and its folders belong to it
    ledger_state: Path | None = None  #: folder of the marks that detect an older copy of the ledger
    overwrite: bool = False  #: a person allowed outputs to replace other files; never the ledger

    def check(self, *outputs: Output) -> None:
        """Compare files, not their names: a link, a hard link and another spelling are the same file.

        Raises:
            JobError: an output belongs to the ledger, two outputs are one file, or, unless that is allowed, an output
                is a file that is read, or a file that this program did not write.
        """
        for place, output in enumerate(outputs):
            if self._is_of_ledger(output.path):
                raise _overwrites(output, message("report.read_ledger"))
            for other in outputs[:place]:
                if is_same_file(output.path, other.path):
                    raise JobError(
                        message("report.same_output", output=output.what, path=str(output.path)), hint=output.elsewhere
                    )
            if not self.overwrite or output.is_live:  # what is written while it is read is not what was sent
                for what, path in self.files:
                    if is_same_file(output.path, path):
                        raise _overwrites(output, what)
            if not self.overwrite and output.begins is not None and not _begins(output.path, output.begins):
                raise not_ours(output)

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


def _begins(path: Path, pattern: re.Pattern[bytes]) -> bool:
    """Tell whether a file may go: it begins as ours do, or nothing would be lost (no file, an empty one, a device)."""
    try:
        if not path.is_file():
            return True
    except OSError:  # a name that no file can have: who writes it says so
        return True
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    return pattern.match(head) is not None if head else pattern is not NEVER_OURS


def not_ours(output: Output) -> JobError:
    """Make the error for an output whose place holds a file that this program did not write."""
    if output.begins is NEVER_OURS:
        return JobError(message("report.exists", path=str(output.path)), hint=output.elsewhere)
    hint = message("report.or_overwrite", elsewhere=output.elsewhere) if output.may_overwrite else output.elsewhere
    return JobError(message("report.not_ours", output=output.what, path=str(output.path)), hint=hint)


def _overwrites(output: Output, what: Message) -> JobError:
    return JobError(
        message("report.overwrites_read", output=output.what, what=what, path=str(output.path)), hint=output.elsewhere
    )


def flag_output(
    path: Path, what: Message, flag: str, *, begins: re.Pattern[bytes], may_overwrite: bool = True
) -> Output:
    """Make the output that a flag of one command names."""
    elsewhere = message("report.other_flag", flag=flag)
    return Output(path, what, elsewhere, begins=begins, may_overwrite=may_overwrite)
