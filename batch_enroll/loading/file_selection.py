"""Select the files of a folder or a pattern that may be an input, and give the reason for the others."""

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
from batch_enroll.messages import Message, message
from batch_enroll.os_errors import require_utf8, translate_os_errors

_TEMPORARY = re.compile(
    r"[.~]|.*(?:~|\.(?:tmp|temp|part|partial|filepart|crdownload|download|upload|swp|lock|bak))\Z", re.I | re.S
)
_OWN_NAME = re.compile(r".*\.(?:results\.(?:csv|xlsx)|(?:failed|unknown|problems)\.csv|summary\.json)\Z", re.I | re.S)
_TABLE = re.compile(
    r".*\.(?:csv|tsv|tab|txt|dat|xlsx|xlsm|xlsb|xls|ods)(?:\.(?:gz|bz2|xz|zip))?\Z|.*\.(?:gz|bz2|xz|zip)\Z", re.I | re.S
)
_OWN = message("input.skipped_own")
Place = TypeVar("Place")

_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedFiles:
    """Files that are skipped for one reason."""

    why: Message | str  #: after the number of files: `changed less than 10 seconds ago`
    names: tuple[str, ...]

    def __str__(self) -> str:
        if self.why == _OWN:
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
    """Find the files of a folder (not of the folders inside it), or those that match a pattern.

    In a folder only files with the name of a table match; a pattern defines the names itself. Files with a temporary
    name, files written by this program and files that changed a moment ago are always skipped.

    Args:
        name: of the folder, or the pattern.
        now: aware.
        settle_s: a file that changed less than so many seconds ago may still be growing.
        leave: resolved paths of files and folders that are no input.
    Raises:
        InputError: the folder cannot be read, or the folder of the pattern does not exist.
    """
    is_folder = Path(name).is_dir()
    seen: list[tuple[str, int, Path]] = []
    for path in sorted(_list_folder(Path(name)) if is_folder else _match_pattern(name)):
        with suppress(OSError):  # it was just moved away
            if path.is_file() and not any(_real(path).is_relative_to(place) for place in leave):
                require_utf8(str(path), message("input.place_folder"))
                seen.append((path.name, path.stat().st_mtime_ns, path))
    return filter_files(seen, is_folder=is_folder, now=now, settle_s=settle_s)


def filter_files(
    seen: Iterable[tuple[str, int, Place]], *, is_folder: bool, now: datetime, settle_s: float
) -> FileMatches[Place]:
    """Sort files into possible inputs and skipped ones.

    Args:
        seen: of each file its name, its last change in nanoseconds of Unix time, and where it is.
        is_folder: all that lies there was listed, so that the name must be that of a table.
    """
    skipped: dict[str, list[str]] = {}
    reasons: dict[str, Message] = {}
    files: list[tuple[int, str, Place]] = []
    for name, changed_ns, place in seen:
        age_s = now.timestamp() - changed_ns / 1e9
        if why := _reason_to_skip(name, is_folder=is_folder, age_s=age_s, settle_s=settle_s):
            reasons[why.id] = why
            skipped.setdefault(why.id, []).append(name)
        else:
            files.append((changed_ns, name, place))
    return FileMatches(
        files=tuple(place for *_, place in sorted(files, key=itemgetter(0, 1))),
        passed_over=tuple(SkippedFiles(why=reasons[why], names=tuple(names)) for why, names in skipped.items()),
    )


def _reason_to_skip(name: str, *, is_folder: bool, age_s: float, settle_s: float) -> Message | None:
    if _OWN_NAME.match(name):
        return _OWN
    if _TEMPORARY.match(name):
        return message("input.skipped_temporary")
    if is_folder and not _TABLE.match(name):
        return message("input.skipped_name")
    if abs(age_s) < settle_s:  # a clock of another machine may be a little ahead
        return message("input.skipped_quiet_period", seconds=f"{settle_s:g}")
    return None


def _real(path: Path) -> Path:
    return path.parent.resolve() / path.name


def _list_folder(folder: Path) -> Iterable[Path]:
    with translate_os_errors(message("input.folder_unreadable", folder=str(folder)), to=InputError):
        return list(folder.iterdir())


def _match_pattern(pattern: str) -> Iterable[Path]:
    try:
        pattern = str(Path(pattern).expanduser())
    except RuntimeError:  # ~user of a user that does not exist
        raise InputError(message("input.no_home", pattern=pattern)) from None
    fixed = Path(*_fixed_parts(pattern))
    if not fixed.is_dir():
        raise InputError(message("input.no_folder", folder=str(fixed), pattern=Path(pattern).name))
    return [Path(name) for name in glob.glob(pattern, recursive=True)]  # noqa: PTH207 - a pattern may be absolute


def _fixed_parts(pattern: str) -> Iterable[str]:
    """List the folders before the first part with a wildcard."""
    for part in Path(pattern).parts[:-1] or (os.curdir,):
        if glob.has_magic(part):
            return
        yield part
