"""Translate an `OSError` into the project's error: one sentence with the reason, and a hint."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from batch_enroll.errors import JobError, RunStopped
from batch_enroll.messages import Message, message, verbatim

_E = TypeVar("_E", bound=RunStopped)

_FULL = (errno.ENOSPC, errno.EDQUOT)
_MISSING = (errno.ENOENT, errno.ENOTDIR)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_HINTS = {
    **dict.fromkeys(_FULL, message("file.make_room")),
    **dict.fromkeys(_MISSING, message("file.check_name")),
    **dict.fromkeys(_FORBIDDEN, message("file.ask_for_permission")),
    errno.EIO: message("file.check_disk"),
}
_OTHER_HINT = message("file.other_place")


@contextmanager
def translate_os_errors(
    what: Message | Path,
    *,
    to: type[RunStopped] = RunStopped,
    hint: Message | None = None,
    writes: Path | None = None,
) -> Iterator[None]:
    """Raise an `OSError` of the block as `to`, with the message "WHAT: REASON."

    Args:
        what: the sentence up to its reason ("leads.csv cannot be read"); a path means that this file cannot be written.
        to: the class to raise.
        hint: what the person can do; "" takes a hint that fits the reason.
        writes: the file that is written, so that the reason can name its folder; known when `what` is a path.
    """
    try:
        yield
    except OSError as error:
        raise translate_os_error(error, what, to=to, hint=hint, writes=writes) from error


def translate_os_error(
    error: OSError,
    what: Message | Path | None = None,
    *,
    to: type[_E],
    hint: Message | None = None,
    writes: Path | None = None,
) -> _E:
    """Build the error that `translate_os_errors` raises; without `what` the message begins with the file's name."""
    advice = hint or _HINTS.get(error.errno or 0, _OTHER_HINT)
    if isinstance(what, Path):
        return to(message("file.not_written", path=str(what), reason=os_error_reason(error, writes=what)), hint=advice)
    reason = os_error_reason(error, writes=writes)
    named = what or (error.filename if isinstance(error.filename, str) else "")
    if not named:
        return to(message("file.refused_unnamed", reason=reason), hint=advice)
    return to(message("file.refused", what=named, reason=reason), hint=advice)


def require_utf8(name: str, place: Message) -> None:
    """Refuse a name from the system that is no text: ledger, results and JSON could not hold it.

    Raises:
        JobError: Python stands in for its bytes with half characters.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        shown = name.encode(errors="backslashreplace").decode()
        raise JobError(message("file.not_utf8", place=place, text=shown)) from None


def os_error_reason(error: OSError, *, writes: Path | None = None) -> Message:
    """Return the reason why the system refused, as the end of a sentence.

    Args:
        writes: the file that is written, None for any other access.
    """
    if error.errno in _FULL:
        return message("file.disk_full")
    if error.errno == errno.EADDRINUSE:
        return message("file.address_in_use")
    if os.name == "nt" and error.errno in _FORBIDDEN and (writes is None or writes.exists()):
        return message("file.open_elsewhere")
    if writes is not None and error.errno in _MISSING:
        return message("file.no_folder", folder=str(writes.parent))
    if writes is not None and error.errno in _FORBIDDEN:
        return message("file.folder_forbidden", folder=str(writes.parent))
    return verbatim(error.strerror or str(error))
