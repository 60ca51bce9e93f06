"""An input that lies elsewhere, brought here whole.

In: an address, a private folder. Out: a file in that folder which its owner alone can read, with the name under which
people know it. Never: half a file, a second try.

Importing this module costs nothing; fsspec and the library of the protocol are loaded when a file is fetched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from batch_enroll.errors import InputError, JobError, RunStopped
from batch_enroll.loading.remote import S3, WEB, Remote
from batch_enroll.loading.remote_words import in_words
from batch_enroll.loading.source import private_file
from batch_enroll.model import Fetched

_CHUNK_BYTES = 1 << 20
_CONNECT_S, _SILENCE_S = 30.0, 60.0
_PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "sftp": "paramiko",
    "ssh": "paramiko",
    "http": "aiohttp",
    "https": "aiohttp",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "smb": "smbprotocol",
    "webdav": "webdav4",
    "webhdfs": "requests",
}
_VERSION_KEYS = ("ETag", "etag", "VersionId", "LastModified", "mtime", "md5Hash", "generation", "created")


def fetch(
    remote: Remote,
    folder: Path,
    *,
    salt: bytes,
    plain_allowed: Callable[[str], bool],
    stop_reason: Callable[[], str],
) -> Fetched:
    """Bring an input here; blocks.

    Args:
        folder: private to its owner; gets the file.
        salt: the installation's secret.
        plain_allowed: tells of a host whether it may be spoken to without encryption.
        stop_reason: asked between blocks; what it gives, when it is not "", ends the fetching.
    Raises:
        JobError: a package for this protocol is not installed; a place named elsewhere is not encrypted.
        NoSuchInput: there is no such file.
        InputError: it cannot be fetched, came cut short, or changed meanwhile.
        RunStopped: `stop_reason` gave one.
    """
    copy = folder / remote.file_name
    with told(remote):
        files, path = open_place(remote, plain_allowed)
        before = _look(files, path, remote)
        size = 0
        with files.open(path, "rb", **_reading(remote)) as stream, private_file(copy) as file:
            while chunk := stream.read(_CHUNK_BYTES):
                file.write(chunk)
                size += len(chunk)
                if reason := stop_reason():
                    raise RunStopped(f"{reason} Nothing was sent.")
        files.invalidate_cache()
        after = _look(files, path, remote)
    expected = before.get("size")
    if expected is not None and size != expected and before == after:
        raise InputError(
            f"{remote.shown} came cut short: {size:,} of {expected:,} bytes.", hint="Give the same command again."
        )
    if before != after:
        raise InputError(
            f"{remote.shown} changed while it was being fetched.",
            hint="Wait until the program that writes it has finished, then start again.",
        )
    return Fetched(path=copy, name=remote.shown, place=remote.place(salt))


def open_place(remote: Remote, plain_allowed: Callable[[str], bool]) -> tuple[Any, str]:
    """Open the file system of the address, one that nobody else shares and that remembers no password."""
    try:
        import fsspec
    except ImportError:
        raise _missing(remote, "fsspec") from None
    settings: dict[str, Any] = {"skip_instance_cache": True}
    try:
        if remote.scheme in WEB:
            import aiohttp

            patience = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENCE_S)
            settings["client_kwargs"] = {"timeout": patience, "trust_env": True}
        if remote.scheme in ("sftp", "ssh"):
            from batch_enroll.loading.remote_sftp import KnownHostsFileSystem

            options = KnownHostsFileSystem._get_kwargs_from_urls(remote.url)
            files = KnownHostsFileSystem(**{**options, **settings})
            return files, KnownHostsFileSystem._strip_protocol(remote.url)
        files, path = fsspec.url_to_fs(remote.url, **settings)
    except ImportError:
        raise _missing(remote, _PACKAGES.get(remote.scheme, f"for {remote.scheme}://")) from None
    except ValueError as error:
        if "Protocol not known" not in str(error):
            raise
        raise JobError(
            f"{remote.shown}: {remote.scheme}:// is no protocol that is known here.",
            hint="Known are for example s3://, sftp:// and https://.",
        ) from None
    if remote.scheme in S3:
        from batch_enroll.loading.remote_s3 import see_endpoint

        see_endpoint(files, remote, plain_allowed)
    return files, path


def _reading(remote: Remote) -> dict[str, Any]:
    """Over HTTP one answer and not a request for each block: an answer that breaks off is then seen."""
    return {"block_size": 0} if remote.scheme in WEB else {}


def _look(files: Any, path: str, remote: Remote) -> dict[str, Any]:
    """What tells one version of a file from another, as far as the place knows."""
    info = files.info(path)
    if info.get("type") == "directory":
        raise InputError(
            f"{remote.shown} is a folder.", hint="Name the file inside it, or end the address with / and say --pick."
        )
    keys = ("ETag",) if remote.scheme in WEB else _VERSION_KEYS  # pages made on demand change their date at each look
    return {"size": info.get("size"), **{key: info[key] for key in keys if info.get(key) is not None}}


def _missing(remote: Remote, package: str) -> JobError:
    in_extra = package in ("fsspec", "s3fs", "paramiko", "aiohttp")
    what = "the extra 'remote'" if in_extra else f"the package {package}"
    command = "pip install 'batch-enroll[remote]'" if in_extra else f"pip install {package}"
    return JobError(f"{remote.shown}: reading from {remote.scheme}:// needs {what}.", hint=f"Install it: {command}")


@contextmanager
def told(remote: Remote) -> Iterator[None]:
    """Turn what a library says into one sentence without a secret; its own exception may hold one and is dropped."""
    try:
        yield
    except RunStopped:
        raise
    except Exception as error:
        raise in_words(remote, error) from None
