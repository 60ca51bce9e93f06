"""Decrypt a workbook that is protected with a password; msoffcrypto-tool is optional and imported when needed."""

from __future__ import annotations

from pathlib import Path

from batch_enroll.errors import InputError
from batch_enroll.loading.input_copy import private_file
from batch_enroll.messages import message

_ONLY_WRITE_PROTECTED = "VelvetSweatshop"  # Excel's own password for workbooks that all may read


def decrypt(path: Path, password: str | None, *, name: str, to: Path) -> None:
    """Decrypt a workbook into the new file `to`.

    Raises:
        InputError: no password was given, it is wrong, or msoffcrypto-tool is not installed.
    """
    locked = InputError(message("input.locked", name=name))
    try:
        import msoffcrypto
        from msoffcrypto.exceptions import DecryptionError, InvalidKeyError
    except ImportError as error:
        if password is None:
            raise locked from error
        raise InputError(message("input.no_decryption", name=name)) from error
    try:
        with path.open("rb") as file, private_file(to) as clear:
            workbook = msoffcrypto.OfficeFile(file)
            workbook.load_key(password=_ONLY_WRITE_PROTECTED if password is None else password)
            workbook.decrypt(clear)
    except (InvalidKeyError, DecryptionError) as error:
        if password is None:
            raise locked from error
        raise InputError(message("input.wrong_password", name=name)) from error
    except Exception as error:  # damaged bytes raise anything: XML, struct, OLE errors
        raise InputError(message("input.unknown_encryption", name=name)) from error
