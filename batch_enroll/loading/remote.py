"""An input that lies elsewhere, `s3://`, `sftp://`, `https://` and whatever else fsspec knows, brought here whole.

In: an address, a private folder. Out: a file in that folder which its owner alone can read, with the name under which
people know it. Never: half a file, a password or a signed query in a message, a name or a record, a second try.

Importing this module costs nothing; fsspec and the library of the protocol are loaded when a file is fetched.
"""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from batch_enroll.errors import InputError, JobError, NoSuchInput, RunStopped
from batch_enroll.loading.source import private_file
from batch_enroll.model import Fetched

_CHUNK_BYTES = 1 << 20
_CONNECT_S, _SILENCE_S = 30.0, 60.0
_REMOTE = re.compile(r"[a-z][a-z0-9+.-]+://", re.I)
_PATTERN = re.compile(r"[*?\[]")
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
_OPEN_PROTOCOLS = ("http", "ftp", "webdav")  # they carry rows of people, and passwords, for everybody to read
_PLACELESS = ("file", "local", "memory")
_VERSION_KEYS = ("ETag", "etag", "VersionId", "LastModified", "mtime", "md5Hash", "generation", "created")
_SECRET_MASK = "***"


@dataclass(frozen=True, slots=True)
class Remote:
    """The address of an input; only `shown` may be said."""

    url: str

    def __repr__(self) -> str:
        return f"Remote({self.shown})"

    def __str__(self) -> str:
        return self.shown

    @property
    def parts(self) -> SplitResult:
        return urlsplit(self.url)

    @property
    def shown(self) -> str:
        """Without user, password and query: an address that may be signed is a password."""
        return f"{self.parts.scheme}://{self.parts.netloc.rpartition('@')[2]}{self.parts.path}"

    @property
    def file_name(self) -> str:
        """The last part of the path, fit for a file system."""
        name = unquote(self.parts.path.rpartition("/")[2])
        return re.sub(r"[^\w.() +-]", "_", name).lstrip(".")[:100] or "input"

    def place(self, salt: bytes) -> str:
        """Name it in the ledger, so that an edited file is known again; of a query only a keyed hash is kept."""
        if not self.parts.query:
            return self.shown
        query = self.parts.query.encode(errors="surrogateescape")
        return f"{self.shown}?{hashlib.blake2b(query, key=salt, digest_size=6).hexdigest()}"

    def without_secrets(self, text: str) -> str:
        """Take what must not be said out of somebody else's message."""
        found = {self.url: self.shown}
        for secret in (self.parts.query, self.parts.password, self.parts.username):
            for form in {secret or "", unquote(secret or "")}:
                found[form] = _SECRET_MASK
        for secret in sorted(found, key=len, reverse=True):
            if secret:
                text = text.replace(secret, found[secret])
        return text


def is_remote(name: str) -> bool:
    """Tell whether an input's name is an address and not a path."""
    return _REMOTE.match(name) is not None


def remote_input(url: str, *, plain_allowed: Callable[[str], bool]) -> Remote:
    """Look at an address before anything is fetched.

    Args:
        plain_allowed: tells of a host whether it may be spoken to without encryption.
    Raises:
        JobError: it cannot be used as it stands.
    """
    remote = Remote(url)
    if "::" in url:
        raise JobError(
            "The input's address is a chain of addresses (it holds ::).", hint="Name the file itself by one address."
        )
    try:
        scheme, host, path = remote.parts.scheme.lower(), remote.parts.hostname or "", remote.parts.path
        _ = remote.parts.port
    except ValueError:
        raise JobError("The input's address cannot be read.", hint="Write for example s3://bucket/leads.csv.") from None
    if not host and scheme not in _PLACELESS:
        raise JobError(f"{remote.shown} names no server.", hint="Write for example s3://bucket/leads.csv.")
    if scheme in _OPEN_PROTOCOLS and not plain_allowed(host):
        raise JobError(
            f"{remote.shown} would bring the profiles here unencrypted.",
            hint="Use https:// or sftp://, or add --insecure-http if that is really meant.",
        )
    if _PATTERN.search(path) and scheme not in ("http", "https"):
        raise JobError(
            f"{remote.shown} is a pattern, and those are looked for on this machine only.", hint="Name one file."
        )
    return remote


def fetch(remote: Remote, folder: Path, *, salt: bytes, stop_reason: Callable[[], str]) -> Fetched:
    """Bring an input here; blocks.

    Args:
        folder: private to its owner; gets the file.
        salt: the installation's secret.
        stop_reason: asked between blocks; what it gives, when it is not "", ends the fetching.
    Raises:
        JobError: a package for this protocol is not installed.
        NoSuchInput: there is no such file.
        InputError: it cannot be fetched, came cut short, or changed meanwhile.
        RunStopped: `stop_reason` gave one.
    """
    copy = folder / remote.file_name
    with _told(remote):
        files, path = _file_system(remote)
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


def _file_system(remote: Remote) -> tuple[Any, str]:
    """Open the file system of the address, one that nobody else shares and that remembers no password."""
    scheme = remote.parts.scheme.lower()
    try:
        import fsspec
    except ImportError:
        raise _missing(remote, "fsspec") from None
    settings: dict[str, Any] = {"skip_instance_cache": True}
    try:
        if scheme in ("http", "https"):
            import aiohttp

            patience = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENCE_S)
            settings["client_kwargs"] = {"timeout": patience, "trust_env": True}
        if scheme in ("sftp", "ssh"):
            from batch_enroll.loading.remote_sftp import KnownHostsFileSystem

            options = KnownHostsFileSystem._get_kwargs_from_urls(remote.url)
            files = KnownHostsFileSystem(**{**options, **settings})
            return files, KnownHostsFileSystem._strip_protocol(remote.url)
        files, path = fsspec.url_to_fs(remote.url, **settings)
    except ImportError:
        raise _missing(remote, _PACKAGES.get(scheme, f"for {scheme}://")) from None
    except ValueError as error:
        if "Protocol not known" not in str(error):
            raise
        raise JobError(
            f"{remote.shown}: {scheme}:// is no protocol that is known here.",
            hint="Known are for example s3://, sftp:// and https://.",
        ) from None
    return files, path


def _reading(remote: Remote) -> dict[str, Any]:
    """Over HTTP one answer and not a request for each block: an answer that breaks off is then seen."""
    return {"block_size": 0} if remote.parts.scheme.lower() in ("http", "https") else {}


def _look(files: Any, path: str, remote: Remote) -> dict[str, Any]:
    """What tells one version of a file from another, as far as the place knows."""
    info = files.info(path)
    if info.get("type") == "directory":
        raise InputError(f"{remote.shown} is a folder.", hint="Name the file inside it.")
    is_web = remote.parts.scheme.lower() in ("http", "https")
    keys = ("ETag",) if is_web else _VERSION_KEYS  # pages made on demand change their date at each look
    return {"size": info.get("size"), **{key: info[key] for key in keys if info.get(key) is not None}}


def _missing(remote: Remote, package: str) -> JobError:
    scheme = remote.parts.scheme.lower()
    in_extra = package in ("fsspec", "s3fs", "paramiko", "aiohttp")
    what = "the extra 'remote'" if in_extra else f"the package {package}"
    command = "pip install 'batch-enroll[remote]'" if in_extra else f"pip install {package}"
    return JobError(f"{remote.shown}: reading from {scheme}:// needs {what}.", hint=f"Install it: {command}")


@contextmanager
def _told(remote: Remote) -> Iterator[None]:
    """Turn what a library says into one sentence without a secret; its own exception may hold one and is dropped."""
    try:
        yield
    except RunStopped:
        raise
    except Exception as error:
        raise _in_words(remote, error) from None


def _in_words(remote: Remote, error: Exception) -> InputError:
    causes = list(_causes(error))
    status = next((status for cause in causes if isinstance(status := getattr(cause, "status", None), int)), None)
    names = {cls.__name__ for cause in causes for cls in type(cause).__mro__}
    if status == 404 or (status is None and isinstance(error, FileNotFoundError) and not names & _UNREACHABLE):
        return NoSuchInput(f"There is no file {remote.shown}.", hint="Check the address.")
    if status in (401, 403) or isinstance(error, PermissionError) or names & _REFUSED:
        return InputError(
            f"{remote.shown} cannot be fetched: access was refused.",
            hint="Check the user, the key or the rights; they are set where the protocol's own tools look for them.",
        )
    if status is not None:
        return InputError(f"{remote.shown} cannot be fetched: the server answered {status}.", hint=_AGAIN)
    if names & _CUT:
        return InputError(f"{remote.shown} came cut short: the connection broke off.", hint=_AGAIN)
    if "BadHostKeyException" in names or "UnknownHost" in names:
        return InputError(
            f"{remote.shown} cannot be fetched: the server's key is not known, or not the one in ~/.ssh/known_hosts.",
            hint="Connect once with ssh or sftp and compare the key, then start again.",
        )
    if isinstance(error, TimeoutError) or names & {"TimeoutError", "ServerTimeoutError", "ConnectTimeoutError"}:
        return InputError(f"{remote.shown} cannot be fetched: the server was silent for too long.", hint=_AGAIN)
    if any(isinstance(cause, ConnectionError | socket.gaierror | ssl.SSLError) for cause in causes) or (
        names & _UNREACHABLE
    ):
        return InputError(f"{remote.shown} cannot be fetched: the server cannot be reached.", hint=_AGAIN)
    said = " ".join(remote.without_secrets(str(error)).split())[:200]
    why = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return InputError(f"{remote.shown} cannot be fetched ({why}).", hint=_AGAIN)


_AGAIN = "Nothing was sent. Check the address and the network, then give the same command again."
_REFUSED = {"AuthenticationException", "NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError"}
_CUT = {"ClientPayloadError", "IncompleteRead", "ResponseStreamingError", "IncompleteReadError"}
_UNREACHABLE = {
    "ClientConnectorError",
    "ClientOSError",
    "ServerDisconnectedError",
    "EndpointConnectionError",
    "NoValidConnectionsError",
    "SSHException",
}


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
