"""Translate an `OSError` into the project's error: one sentence with the reason, and a hint."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from batch_enroll.errors import RunStopped

_E = TypeVar("_E", bound=RunStopped)

_FULL = (errno.ENOSPC, errno.EDQUOT)
_MISSING = (errno.ENOENT, errno.ENOTDIR)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_HINTS = {
    **dict.fromkeys(_FULL, "Make room, then give the same command again."),
    **dict.fromkeys(_MISSING, "Check the name and the folder."),
    **dict.fromkeys(_FORBIDDEN, "Ask for the right to use it, and close it in other programs."),
    errno.EIO: "Check the disk.",
}
_OTHER_HINT = "Give another name or place."


@contextmanager
def translate_os_errors(
    what: str | Path, *, to: type[RunStopped] = RunStopped, hint: str = "", writes: Path | None = None
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
        if isinstance(what, Path):
            raise translate_os_error(error, f"{what} cannot be written", to=to, hint=hint, writes=what) from error
        raise translate_os_error(error, what, to=to, hint=hint, writes=writes) from error


def translate_os_error(
    error: OSError, what: str = "", *, to: type[_E], hint: str = "", writes: Path | None = None
) -> _E:
    """Build the error that `translate_os_errors` raises; without `what` the message begins with the file's name."""
    if not what and isinstance(error.filename, str):
        what = error.filename
    reason = os_error_reason(error, writes=writes)
    return to(f"{what}: {reason}." if what else f"{reason}.", hint=hint or _HINTS.get(error.errno or 0, _OTHER_HINT))


def os_error_reason(error: OSError, *, writes: Path | None = None) -> str:
    """Say why the system refused, as the end of a sentence.

    Args:
        writes: the file that is written, None for any other access.
    """
    if error.errno in _FULL:
        return "the disk is full"
    if error.errno == errno.EADDRINUSE:
        return "it is in use"
    if os.name == "nt" and error.errno in _FORBIDDEN and (writes is None or writes.exists()):
        return "it is open in another program, such as Excel, or the right to use it is missing"
    if writes is not None and error.errno in _MISSING:
        return f"the folder {writes.parent} is not there"
    if writes is not None and error.errno in _FORBIDDEN:
        return f"the folder {writes.parent} does not allow it"
    return error.strerror or str(error)
