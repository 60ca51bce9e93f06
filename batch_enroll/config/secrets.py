"""The token and the workbook's password: read once, shown never.

In: the environment, a file, the system keyring. Out: the secret as text; whether others may read its file. Never: a log
line, a message that holds it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from batch_enroll.errors import JobError
from batch_enroll.os_errors import translate_os_errors

TOKEN_VARIABLE = "BATCH_ENROLL_TOKEN"
KEYRING_SERVICE = "batch-enroll"

_MAX_BYTES = 64 * 1024


def read_token(*, environment: Mapping[str, str], token_file: Path | None, url: str) -> str:
    """Find the token: the variable, else the file, else the keyring entry of this platform's address.

    Raises:
        JobError: there is none, or the file cannot be read.
    """
    token, _ = find_token(environment=environment, token_file=token_file, url=url)
    return token


def find_token(*, environment: Mapping[str, str], token_file: Path | None, url: str) -> tuple[str, str]:
    """Do as `read_token`, and say in words where the token was found.

    Raises:
        JobError: as `read_token`.
    """
    origin = f"the variable {TOKEN_VARIABLE}"
    token = environment.get(TOKEN_VARIABLE, "").strip()
    if not token and token_file is not None:
        token, origin = read_secret_file(token_file, what="token file"), f"the file {token_file}"
    if not token:
        token, origin = _from_keyring(url), "the system's keyring"
    if not token:
        raise JobError(
            "No API token was given.",
            hint=f"Put it into the variable {TOKEN_VARIABLE}, or into a file and give --token-file FILE, or into the "
            "system's keyring (pip install 'batch-enroll[keyring]'). "
            "A token is made in the platform under Settings > Tokens.",
        )
    if any(character.isspace() or not character.isprintable() for character in token):
        raise JobError("The API token holds blanks or line breaks inside.", hint="Copy it again, one line, no quotes.")
    return token, origin


def read_secret_file(path: Path, *, what: str) -> str:
    """Read one line from a file.

    Raises:
        JobError: the file cannot be read or is empty; the message never holds its content.
    """
    with translate_os_errors(f"The {what} {path} cannot be read", to=JobError), path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:  # a table, or a device without end
        raise JobError(f"The {what} {path} is far too long to be one.", hint="Look whether it is the right file.")
    try:
        secret = content.decode("utf-8-sig").strip("\r\n \t")
    except UnicodeDecodeError as error:
        raise JobError(f"The {what} {path} is not UTF-8 text.") from error
    if not secret:
        raise JobError(f"The {what} {path} is empty.")
    return secret


def open_to_others(path: Path) -> bool:
    """Tell whether other users of this machine may read or change a file that holds a secret.

    A read-only mount is left alone: Docker and Kubernetes put secrets there with a mode of their own that nobody inside
    can change. So is Windows, where the mode says nothing.
    """
    if os.name == "nt":
        return False
    try:
        loose = path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        return bool(loose) and not os.statvfs(path).f_flag & os.ST_RDONLY
    except OSError:
        return False  # whoever reads the file says what is wrong with it


def _from_keyring(url: str) -> str:
    try:
        import keyring
    except ImportError:
        return ""
    try:
        return (keyring.get_password(KEYRING_SERVICE, url) or "").strip()
    except Exception:  # key stores raise what they like when they are locked or not there; `read_token` says what to do
        return ""
