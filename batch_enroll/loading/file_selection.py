"""Which files of a folder or a pattern may be an input, and which are left alone and why.

In: a folder or a pattern such as `/data/leads-*.csv`, or what somebody else listed, and the moment. Out: the files, the
oldest first, and those that were passed over, by reason. Never: a look into a file; the choice among several.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from pathlib import Path
from typing import Generic, TypeVar

from batch_enroll.errors import InputError
from batch_enroll.os_errors import translate_os_errors

_TEMPORARY = re.compile(
    r"[.~]|.*(?:~|\.(?:tmp|temp|part|partial|filepart|crdownload|download|upload|swp|lock|bak))\Z", re.I | re.S
)
_OURS = re.compile(r".*\.(?:results\.(?:csv|xlsx)|(?:failed|unknown|problems)\.csv|summary\.json)\Z", re.I | re.S)
_TABLE = re.compile(
    r".*\.(?:csv|tsv|tab|txt|dat|xlsx|xlsm|xlsb|xls|ods)(?:\.(?:gz|bz2|xz|zip))?\Z|.*\.(?:gz|bz2|xz|zip)\Z", re.I | re.S
)
Place = TypeVar("Place")

OURS = "written by this program"
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedFiles:
    """Files that are left alone for one reason."""

    why: str  #: after the number of files: `changed less than 10 seconds ago`
    names: tuple[str, ...]

    def __str__(self) -> str:
        if self.why == OURS:
            return f"{len(self.names):,} {self.why}"
        more = ", ..." if len(self.names) > _SHOWN else ""
        return f"{len(self.names):,} {self.why} ({', '.join(self.names[:_SHOWN])}{more})"


@dataclass(frozen=True, kw_only=True)
class FileMatches(Generic[Place]):
    """What there is to choose from."""

    files: tuple[Place, ...]  #: by the time of their last change, the oldest first; of equal times by name
    passed_over: tuple[SkippedFiles, ...]


def is_multi_input(name: str) -> bool:
    """Tell whether an input's name stands for a folder or a pattern, not for one file."""
    path = Path(name)
    if path.is_dir():
        return True
    return glob.has_magic(name) and not path.exists()


def find_files(name: str, *, now: datetime, settle_s: float, leave: Collection[Path] = ()) -> FileMatches[Path]:
    """Look through a folder (not the folders inside it), or for the files that a pattern fits.

    In a folder only files are taken whose name is that of a table; a pattern says itself which names are meant. Files
    that are temporary by their name, that this program wrote, or that changed a moment ago are never taken.

    Args:
        name: of the folder, or the pattern.
        now: aware.
        settle_s: a file that changed less than so many seconds ago may still be growing.
        leave: resolved paths that are no input; also all that lies in one of them.
    Raises:
        InputError: the folder cannot be read, or there is none that the pattern could fit.
    """
    is_folder = Path(name).is_dir()
    seen: list[tuple[str, int, Path]] = []
    for path in sorted(_inside(Path(name)) if is_folder else _fitting(name)):
        with suppress(OSError):  # it was moved away this moment
            if path.is_file() and not any(_real(path).is_relative_to(place) for place in leave):
                seen.append((path.name, path.stat().st_mtime_ns, path))
    return filter_files(seen, is_folder=is_folder, now=now, settle_s=settle_s)


def filter_files(
    seen: Iterable[tuple[str, int, Place]], *, is_folder: bool, now: datetime, settle_s: float
) -> FileMatches[Place]:
    """Tell the files that may be an input from those that are left alone.

    Args:
        seen: of each file its name, its last change in nanoseconds of Unix time, and where it is.
        is_folder: all that lies there was listed, so that the name must be that of a table.
    """
    passed: dict[str, list[str]] = {}
    files: list[tuple[int, str, Place]] = []
    for name, changed_ns, place in seen:
        age_s = now.timestamp() - changed_ns / 1e9
        if why := _why_not(name, is_folder=is_folder, age_s=age_s, settle_s=settle_s):
            passed.setdefault(why, []).append(name)
        else:
            files.append((changed_ns, name, place))
    return FileMatches(
        files=tuple(place for *_, place in sorted(files, key=itemgetter(0, 1))),
        passed_over=tuple(SkippedFiles(why=why, names=tuple(names)) for why, names in passed.items()),
    )


def _why_not(name: str, *, is_folder: bool, age_s: float, settle_s: float) -> str:
    if _OURS.match(name):
        return OURS
    if _TEMPORARY.match(name):
        return "temporary or hidden"
    if is_folder and not _TABLE.match(name):
        return "no table by the name"
    if abs(age_s) < settle_s:  # a clock of another machine may be a little ahead
        return f"changed less than {settle_s:g} seconds ago"
    return ""


def _real(path: Path) -> Path:
    return path.parent.resolve() / path.name


def _inside(folder: Path) -> Iterable[Path]:
    with translate_os_errors(f"The folder {folder} cannot be read", to=InputError):
        return list(folder.iterdir())


def _fitting(pattern: str) -> Iterable[Path]:
    pattern = str(Path(pattern).expanduser())
    fixed = Path(*_before_magic(pattern))
    if not fixed.is_dir():
        raise InputError(f"There is no folder {fixed}, in which {Path(pattern).name} is looked for.")
    return [Path(name) for name in glob.glob(pattern, recursive=True)]  # noqa: PTH207 - a pattern may be absolute


def _before_magic(pattern: str) -> Iterable[str]:
    """The folders in front of the first part with a wildcard."""
    for part in Path(pattern).parts[:-1] or (os.curdir,):
        if glob.has_magic(part):
            return
        yield part
