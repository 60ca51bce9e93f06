"""Workbooks that are locked with a password.

In: the locked file and the password. Out: the workbook in the clear, in the run's private folder. Never: the password
in a message. msoffcrypto-tool is an extra: it is imported here, when a locked workbook is met.
"""

from __future__ import annotations

from pathlib import Path

from batch_enroll.errors import InputError
from batch_enroll.loading.input_copy import private_file

_ONLY_WRITE_PROTECTED = "VelvetSweatshop"  # Excel's own password for workbooks that all may read
_ADVICE = "Give the password with --password-file, or save a copy of the workbook without one."


def decrypt(path: Path, password: str | None, *, name: str, to: Path) -> None:
    """Decrypt a workbook into the new file `to`.

    Raises:
        InputError: no password was given, it is wrong, or what it takes to try is not installed.
    """
    locked = InputError(f"'{name}' is protected with a password.", hint=_ADVICE)
    try:
        import msoffcrypto
        from msoffcrypto.exceptions import DecryptionError, InvalidKeyError
    except ImportError as error:
        if password is None:
            raise locked from error
        raise InputError(
            f"'{name}' is protected with a password, and msoffcrypto-tool, which opens it, is not installed.",
            hint="Install it (pip install 'batch-enroll[password]'), or save a copy without a password.",
        ) from error
    try:
        with path.open("rb") as file, private_file(to) as clear:
            workbook = msoffcrypto.OfficeFile(file)
            workbook.load_key(password=_ONLY_WRITE_PROTECTED if password is None else password)
            workbook.decrypt(clear)
    except (InvalidKeyError, DecryptionError) as error:
        if password is None:
            raise locked from error
        raise InputError(f"The password does not open '{name}'.", hint=_ADVICE) from error
    except Exception as error:  # damaged bytes bring up anything: XML, struct, OLE errors
        raise InputError(
            f"'{name}' is protected in a way that is not known here, or damaged.",
            hint="Save a copy of the workbook without a password.",
        ) from error
