"""The one spelling of a platform's address and of a file's path, by which runs, people and locks are compared."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


def canonical_url(url: str) -> str:
    """Write the address of a platform in the one form that is compared.

    Scheme and host in lower case, the host by IDNA and without a final dot, no default port, no slash at the end
    (RFC 3986, section 6.2).

    Args:
        url: scheme, host, optional port and path.
    Raises:
        ValueError: the port is not a number up to 65535.
    """
    parts = urlsplit(url.strip())
    scheme = parts.scheme.lower()
    host = _ascii_host((parts.hostname or "").rstrip("."))
    if ":" in host:
        host = f"[{host}]"
    port = parts.port
    where = host if port is None or port == _DEFAULT_PORTS.get(scheme) else f"{host}:{port}"
    return f"{scheme}://{where}{parts.path.rstrip('/')}"


def canonical_path(path: Path) -> Path:
    """Give the absolute path without `..` and links; a path that cannot be followed is only made absolute."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a loop of links
        return path.absolute()


def _ascii_host(host: str) -> str:
    try:
        return host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:  # not a name that the network knows; it stays comparable
        return host
