"""Download a remote input whole, or list the files of a remote folder.

fsspec and the library of the protocol are imported when they are used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from stat import S_ISDIR, S_ISLNK
from typing import Any
from urllib.parse import urlunsplit

from batch_enroll.errors import InputError, JobError, NoSuchInput, RunStopped
from batch_enroll.installed_versions import missing_packages
from batch_enroll.loading.file_selection import FileMatches, filter_files
from batch_enroll.loading.input_copy import private_file
from batch_enroll.loading.remote_address import S3, WEB, Remote
from batch_enroll.loading.remote_errors import translate_download_errors
from batch_enroll.messages import message
from batch_enroll.models import DownloadedInput

_CHUNK_BYTES = 1 << 20
_CONNECT_S, _SILENCE_S = 30.0, 60.0
_SFTP = ("sftp", "ssh")
_PACKAGES = dict.fromkeys(S3, "s3fs") | dict.fromkeys(WEB, "aiohttp") | dict.fromkeys(_SFTP, "paramiko")
_SSH_PORT = 22
# fsspec's `ukey` will not do: over HTTP it ignores the content, over SFTP it holds the time of the last access.
_VERSION_KEYS = ("ETag", "etag", "VersionId", "LastModified", "mtime", "md5Hash", "generation", "created")
_TIME_KEYS = ("LastModified", "mtime", "last_modified", "updated", "modified", "created")


def download(remote: Remote, folder: Path, *, salt: bytes, stop_reason: Callable[[], str]) -> DownloadedInput:
    """Download an input; blocks.

    Args:
        folder: private to its owner; gets the file.
        salt: the installation's secret.
        stop_reason: called between blocks; the download ends when it returns a reason.
    Raises:
        JobError: a package for this protocol is not installed; a server on the way is not encrypted.
        NoSuchInput: there is no such file.
        InputError: it cannot be downloaded, came cut short, or changed meanwhile.
        RunStopped: `stop_reason` returned one.
    """
    copy = folder / remote.file_name
    size = 0
    with translate_download_errors(remote):
        files, path = _open_filesystem(remote)
        before = _version(files, path, remote)
        # `get_file` is no help: over SFTP it has no callback, so that a signal would wait for the whole file.
        with files.open(path, "rb") as stream, private_file(copy) as file:
            while chunk := stream.read(_CHUNK_BYTES):
                file.write(chunk)
                size += len(chunk)
                if reason := stop_reason():
                    raise RunStopped(message("input.download_stopped", reason=reason))
        files.invalidate_cache()
        after = _version(files, path, remote)
    if before != after:
        raise InputError(message("input.changed_in_download", address=remote.shown))
    if before["size"] not in (None, size):
        raise InputError(message("input.download_incomplete", address=remote.shown, size=size, count=before["size"]))
    return DownloadedInput(path=copy, name=remote.shown, place=remote.place(salt))


def list_files(remote: Remote, *, now: datetime, settle_s: float) -> FileMatches[Remote]:
    """List the files of a folder, or those that match a pattern, by the rules of `filter_files`; blocks.

    Args:
        now: aware.
        settle_s: a file that changed less than so many seconds ago may still be growing.
    Raises:
        JobError: as `download`.
        InputError: the folder does not exist or cannot be listed, or the server does not report when files changed.
    """
    folder, _, pattern = remote.parts.path.rpartition("/")

    def inside(name: str) -> Remote:
        return replace(remote, url=urlunsplit(remote.parts._replace(path=f"{folder}/{name}")))

    try:
        with translate_download_errors(inside("")):
            files, path = _open_filesystem(inside(""))
            entries = files.ls(path, detail=True)
    except NoSuchInput:
        if remote.scheme not in S3:  # S3 has no folders: an empty one does not exist
            raise InputError(message("input.no_remote_folder", address=inside("").shown)) from None
        entries = []
    named = [(str(entry["name"]).rpartition("/")[2], entry) for entry in entries if entry.get("type") == "file"]
    seen = [
        (name, _changed_ns(entry, remote), inside(name))
        for name, entry in named
        if name and not set(name) & set("?#") and fnmatchcase(name, pattern or "*")  # an address cannot hold ? or #
    ]
    return filter_files(seen, is_folder=not pattern, now=now, settle_s=settle_s)


def _open_filesystem(remote: Remote) -> tuple[Any, str]:
    """Open the file system of the address, uncached: fsspec would keep the password for the life of the process."""
    try:
        import fsspec

        if remote.scheme not in fsspec.available_protocols():
            raise JobError(message("input.unknown_protocol", address=remote.shown, protocol=remote.scheme))
        if remote.scheme in _SFTP:
            return _SftpFiles(remote), remote.parts.path
        settings = _http_settings(remote) if remote.scheme in WEB else {}
        files, path = fsspec.url_to_fs(remote.url, skip_instance_cache=True, **settings)
    except ImportError as error:
        needed = _PACKAGES.get(remote.scheme, "")
        if needed or error.name == "fsspec":
            packages = missing_packages("remote", failed=("fsspec" if error.name == "fsspec" else needed,))
            raise JobError(
                message("input.needs_extra", address=remote.shown, protocol=remote.scheme, packages=packages)
            ) from None
        raise JobError(
            message("input.needs_package", address=remote.shown, protocol=remote.scheme, error=str(error))
        ) from None
    if remote.scheme in S3:  # AWS's own settings name the server: variables, or a profile in ~/.aws/config
        remote.require_encryption(str(files.connect().meta.endpoint_url))
    return files, path


def _http_settings(remote: Remote) -> dict[str, Any]:
    import aiohttp

    async def require_encryption(request: Any, send: Any) -> Any:
        """Called for the first request and for each step of a redirect, before a connection is made."""
        remote.require_encryption(str(request.url))
        return await send(request)

    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENCE_S)
    client = {"timeout": timeout, "trust_env": True, "middlewares": (require_encryption,)}
    return {"client_kwargs": client, "block_size": 0}  # 0: one response, not one per block; a cut is noticed


class _SftpFiles:
    """The part of an fsspec file system that is used here, for SFTP: only servers in `~/.ssh/known_hosts`.

    fsspec's own stores the key of an unknown server and sends it the password.
    """

    def __init__(self, remote: Remote) -> None:
        import paramiko

        parts = remote.parts
        self._client = paramiko.SSHClient()  # kept: the connection is closed with it
        self._client.load_system_host_keys()
        self._client.set_missing_host_key_policy(paramiko.RejectPolicy())
        self._client.connect(
            parts.netloc.rpartition("@")[2].partition(":")[0],
            port=parts.port or _SSH_PORT,
            username=parts.username,
            password=parts.password,
            timeout=_CONNECT_S,
        )
        self._sftp = self._client.open_sftp()
        if channel := self._sftp.get_channel():
            channel.settimeout(_SILENCE_S)

    def open(self, path: str, mode: str) -> Any:
        """Open a file."""
        return self._sftp.open(path, mode)

    def info(self, path: str) -> dict[str, Any]:
        """Describe a file or folder."""
        return _sftp_entry(path, self._sftp.stat(path))

    def ls(self, path: str, *, detail: bool) -> list[dict[str, Any]]:
        """List a folder."""
        return [_sftp_entry(entry.filename, entry) for entry in self._sftp.listdir_iter(path)]

    def invalidate_cache(self) -> None:
        """Nothing is cached."""


def _sftp_entry(name: str, attributes: Any) -> dict[str, Any]:
    """Give an entry the keys that fsspec uses."""
    mode = attributes.st_mode or 0
    kind = "directory" if S_ISDIR(mode) else "link" if S_ISLNK(mode) else "file"
    return {"name": name, "type": kind, "size": attributes.st_size, "mtime": attributes.st_mtime}


def _version(files: Any, path: str, remote: Remote) -> dict[str, Any]:
    """Get what distinguishes one version of a file from another, as far as the server reports it: size, ETag, times."""
    info = files.info(path)
    if info.get("type") == "directory":
        raise InputError(message("input.is_remote_folder", address=remote.shown))
    keys = ("ETag",) if remote.scheme in WEB else _VERSION_KEYS  # a page made on demand has a new date each time
    return {"size": info.get("size"), **{key: info[key] for key in keys if info.get(key) is not None}}


def _changed_ns(entry: dict[str, Any], remote: Remote) -> int:
    """Get the time of a file's last change, nanoseconds of Unix time."""
    for key in _TIME_KEYS:
        match entry.get(key):
            case datetime() as moment:
                return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e9)
            case int() | float() as seconds:
                return int(seconds * 1e9)
    raise InputError(message("input.no_change_times", address=remote.shown))
