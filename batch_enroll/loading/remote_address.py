"""Parse the address of a remote input (`s3://`, `sftp://`, `https://` ...) and give the part that may be shown."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from batch_enroll.errors import JobError
from batch_enroll.messages import message

S3 = ("s3", "s3a")
WEB = ("http", "https")
_REMOTE = re.compile(r"[a-z][a-z0-9+.-]+://", re.I)
_PATTERN = re.compile(r"[*?\[]")
_UNENCRYPTED = ("http", "ftp", "webdav")
_WITHOUT_HOST = ("file", "local", "memory")


@dataclass(frozen=True, slots=True)
class Remote:
    """The address of a remote input; only `shown` may be printed, logged or stored."""

    url: str
    #: whether a host may be used without encryption; "" asks for any host
    plain_allowed: Callable[[str], bool] = field(default=lambda host: False, repr=False, compare=False)

    def __repr__(self) -> str:
        return f"Remote({self.shown})"

    def __str__(self) -> str:
        return self.shown

    @property
    def parts(self) -> SplitResult:
        """Only the scheme when the address cannot be parsed; `remote_input` refuses it."""
        try:
            return urlsplit(self.url)
        except ValueError:
            return SplitResult(self.url.partition(":")[0], "", "", "", "")

    @property
    def scheme(self) -> str:
        return self.parts.scheme.lower()

    @property
    def shown(self) -> str:
        """Without user, password and query, which may be a signature."""
        return f"{self.parts.scheme}://{self.parts.netloc.rpartition('@')[2]}{self.parts.path}"

    @property
    def names_many(self) -> bool:
        """A folder (it ends with /) or a pattern as the file's name; a web server lists neither."""
        path = self.parts.path
        return self.scheme not in WEB and (path.endswith("/") or _PATTERN.search(path.rpartition("/")[2]) is not None)

    @property
    def file_name(self) -> str:
        """The last part of the path, as a valid file name."""
        name = unquote(self.parts.path.rpartition("/")[2])
        return re.sub(r"[^\w.() +-]", "_", name).lstrip(".")[:100] or "input"

    def place(self, salt: bytes) -> str:
        """The address for the ledger, by which an edited file is recognised; the query becomes a keyed hash."""
        if not self.parts.query:
            return self.shown
        query = self.parts.query.encode(errors="surrogateescape")
        return f"{self.shown}?{hashlib.blake2b(query, key=salt, digest_size=6).hexdigest()}"

    def without_secrets(self, text: str) -> str:
        """Mask the user, the password and the query in the message of a library."""
        masks = {self.url: self.shown}
        for secret in (self.parts.query, self.parts.password, self.parts.username):
            masks |= dict.fromkeys({secret or "", unquote(secret or "")}, "***")
        for secret in sorted(filter(None, masks), key=len, reverse=True):
            text = text.replace(secret, masks[secret])
        return text

    def require_encryption(self, server: str) -> None:
        """Check a server on the way to the input: its own, S3's endpoint, each step of a redirect.

        An https:// address leads to no unencrypted server, not even of this machine, unless any may be used.
        """
        parts = urlsplit(server)
        host = "" if self.scheme == "https" else parts.hostname or ""
        if parts.scheme in _UNENCRYPTED and not self.plain_allowed(host):
            if server == self.url:
                raise JobError(message("input.unencrypted", address=self.shown))
            via = f"{parts.scheme}://{parts.hostname}"
            raise JobError(message("input.unencrypted_via", address=self.shown, server=via))


def is_remote(name: str) -> bool:
    """Tell whether an input's name is an address and not a path."""
    return _REMOTE.match(name) is not None


def remote_input(url: str, *, plain_allowed: Callable[[str], bool]) -> Remote:
    """Parse and check an address, without a connection.

    Args:
        plain_allowed: as `Remote.plain_allowed`.
    Raises:
        JobError: it cannot be used as it stands.
    """
    remote = Remote(url, plain_allowed)
    if "::" in url:
        raise JobError(message("input.chained_address"))
    try:
        host, _ = urlsplit(url).hostname or "", urlsplit(url).port
    except ValueError:
        raise JobError(message("input.bad_address")) from None
    if not host and remote.scheme not in _WITHOUT_HOST:
        raise JobError(message("input.no_server", address=remote.shown))
    remote.require_encryption(url)
    if remote.scheme in S3 and "@" in remote.parts.netloc:
        raise JobError(message("input.user_in_s3_address", address=remote.shown))
    if remote.scheme not in WEB and _PATTERN.search(remote.parts.path.rpartition("/")[0]):
        raise JobError(message("input.pattern_in_folder", address=remote.shown))
    return remote
