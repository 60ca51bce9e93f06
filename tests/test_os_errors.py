"""An `OSError` becomes one sentence with a reason and a hint."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from batch_enroll.errors import (
    FileSystemError,
    InputError,
    JobError,
    RunStopped,
)
from batch_enroll.messages import verbatim
from batch_enroll.os_errors import translate_os_error, translate_os_errors


def refused(number):
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("number", "message", "hint"),
    [
        (errno.ENOSPC, "x cannot be read: the disk is full.", "Make room"),
        (errno.EDQUOT, "x cannot be read: the disk is full.", "Make room"),
        (errno.ENOENT, "x cannot be read: No such file or directory.", "Check the name"),
        (errno.EACCES, "x cannot be read: Permission denied.", "Ask for the right"),
        (errno.EIO, "x cannot be read: Input/output error.", "Check the disk"),
        (errno.EFBIG, "x cannot be read: File too large.", "Give another"),
    ],
)
def test_reason_and_hint_follow_the_error(number, message, hint):
    with pytest.raises(InputError) as told, translate_os_errors(verbatim("x cannot be read"), to=InputError):
        raise refused(number)
    assert told.value.message == message
    assert told.value.hint.startswith(hint)
    assert isinstance(told.value.__cause__, OSError)


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOENT, "the folder out is not there"),
        (errno.ENOTDIR, "the folder out is not there"),
        (errno.EACCES, "the folder out does not allow it"),
        (errno.EROFS, "the folder out does not allow it"),
        (errno.ENOSPC, "the disk is full"),
    ],
)
def test_reason_names_the_folder_of_a_file_that_is_written(number, reason):
    path = Path("out/x.csv")
    with pytest.raises(RunStopped) as told, translate_os_errors(path, hint=verbatim("Do that.")):
        raise refused(number)
    assert (told.value.message, told.value.hint) == (f"{path} cannot be written: {reason}.", "Do that.")


def test_other_errors_pass():
    with pytest.raises(JobError, match="mine"), translate_os_errors(verbatim("x"), to=InputError):
        raise JobError(verbatim("mine"))
    with pytest.raises(ValueError, match="a bug"), translate_os_errors(verbatim("x"), to=InputError):
        raise ValueError("a bug")


def test_untranslated_error_names_its_file(tmp_path):
    with pytest.raises(OSError, match="gone") as missing:
        (tmp_path / "gone").read_bytes()
    told = translate_os_error(missing.value, to=FileSystemError)
    assert told.message == f"{tmp_path / 'gone'}: No such file or directory."
    assert translate_os_error(OSError("odd"), to=FileSystemError).message == "odd."
