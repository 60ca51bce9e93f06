"""The address of an input that lies elsewhere: `s3://`, `sftp://`, `https://` and whatever else fsspec knows.

In: what somebody wrote. Out: an address that can be used, and the part of it that may be said. Never: a connection; a
password or a signed query in a message, a name or a record.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from batch_enroll.errors import JobError

S3 = ("s3", "s3a")
WEB = ("http", "https")
_REMOTE = re.compile(r"[a-z][a-z0-9+.-]+://", re.I)
_PATTERN = re.compile(r"[*?\[]")
_OPEN_PROTOCOLS = ("http", "ftp", "webdav")  # they carry rows of people, and passwords, for everybody to read
_PLACELESS = ("file", "local", "memory")
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
        """Nothing but the protocol when it cannot be read; `remote_input` refuses such a one."""
        try:
            return urlsplit(self.url)
        except ValueError:
            return SplitResult(self.url.partition(":")[0], "", "", "", "")

    @property
    def scheme(self) -> str:
        return self.parts.scheme.lower()

    @property
    def shown(self) -> str:
        """Without user, password and query: an address that may be signed is a password."""
        return f"{self.parts.scheme}://{self.parts.netloc.rpartition('@')[2]}{self.parts.path}"

    @property
    def names_many(self) -> bool:
        """A folder (it ends with /) or a pattern in place of the file's name; a web server lists neither."""
        path = self.parts.path
        return self.scheme not in WEB and (path.endswith("/") or _PATTERN.search(path.rpartition("/")[2]) is not None)

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
        parts = urlsplit(url)
        scheme, host, path = remote.scheme, parts.hostname or "", parts.path
        _ = parts.port
    except ValueError:
        raise JobError("The input's address cannot be read.", hint="Write for example s3://bucket/leads.csv.") from None
    if not host and scheme not in _PLACELESS:
        raise JobError(f"{remote.shown} names no server.", hint="Write for example s3://bucket/leads.csv.")
    if scheme in _OPEN_PROTOCOLS and not plain_allowed(host):
        raise JobError(
            f"{remote.shown} would bring the profiles here unencrypted.",
            hint="Use https:// or sftp://, or add --insecure-http if that is really meant.",
        )
    if scheme in S3 and "@" in remote.parts.netloc:
        raise JobError(
            f"{remote.shown}: an address of S3 holds no user and no password.",
            hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.",
        )
    if scheme not in WEB and _PATTERN.search(path.rpartition("/")[0]):
        raise JobError(
            f"{remote.shown}: elsewhere a pattern may stand for the file's name only, not for a folder.",
            hint="Write for example s3://bucket/folder/leads-*.csv.",
        )
    return remote
