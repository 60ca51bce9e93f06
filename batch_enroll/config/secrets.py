"""Read the token and other secrets from environment, file or keyring; no message and no log line holds one."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from batch_enroll.errors import JobError
from batch_enroll.installed_versions import missing_packages
from batch_enroll.messages import NO_TEXT, Message, message
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


def find_token(*, environment: Mapping[str, str], token_file: Path | None, url: str) -> tuple[str, Message]:
    """Find the token as `read_token` does, and name where it was found.

    Raises:
        JobError: as `read_token`.
    """
    origin = message("job.token_in_variable", name=TOKEN_VARIABLE)
    token = environment.get(TOKEN_VARIABLE, "").strip()
    if not token and token_file is not None:
        token = read_secret_file(token_file, what="token file")
        origin = message("job.token_in_file", path=str(token_file))
    if not token:
        token, origin = _from_keyring(url), message("job.token_in_keyring")
    if not token:
        packages = missing_packages("keyring")
        without_keyring = message("job.no_keyring", packages=packages) if packages else NO_TEXT
        raise JobError(message("job.no_token", variable=TOKEN_VARIABLE, without_keyring=without_keyring))
    if any(character.isspace() or not character.isprintable() for character in token):
        raise JobError(message("job.token_malformed"))
    return token, origin


def read_secret_file(path: Path, *, what: str) -> str:
    """Read one line from a file.

    Raises:
        JobError: the file cannot be read or is empty; the message never holds its content.
    """
    unreadable = message("job.secret_file_unreadable", what=what, path=str(path))
    with translate_os_errors(unreadable, to=JobError), path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:  # a spreadsheet, or an endless device
        raise JobError(message("job.secret_file_too_long", what=what, path=str(path)))
    try:
        secret = content.decode("utf-8-sig").strip("\r\n \t")
    except UnicodeDecodeError as error:
        raise JobError(message("job.secret_file_not_utf8", what=what, path=str(path))) from error
    if not secret:
        raise JobError(message("job.secret_file_empty", what=what, path=str(path)))
    return secret


def open_to_others(path: Path) -> bool:
    """Return whether other users of this machine may read or change a file that holds a secret.

    False on a read-only mount, where Docker and Kubernetes set a mode that nobody inside can change, and on Windows,
    where the mode has no meaning.
    """
    if os.name == "nt":
        return False
    try:
        loose = path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        return bool(loose) and not os.statvfs(path).f_flag & os.ST_RDONLY
    except OSError:
        return False  # reading the file reports what is wrong with it


def _from_keyring(url: str) -> str:
    try:
        import keyring
    except ImportError:
        return ""
    try:
        return (keyring.get_password(KEYRING_SERVICE, url) or "").strip()
    except Exception:  # a locked or missing key store raises any class; `read_token` says what to do
        return ""
