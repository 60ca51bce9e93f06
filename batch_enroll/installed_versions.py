"""Installed versions of this package and its libraries, read without importing them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version

_PACKAGE = "batch-enroll"
_NAME = re.compile(r"([A-Za-z0-9._-]+)\s*(\[[^]]*\])?")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A library that is needed, always or for one extra."""

    name: str
    version: str  #: "" when it is not installed
    extra: str = ""  #: "" when it is always needed
    parts: str = ""  #: its own extras that are needed: `[http,sftp]`


def tool_version() -> str:
    """The version of this package; `unknown` when it runs from a tree that was not installed."""
    return version_of(_PACKAGE) or "unknown"


def version_of(name: str) -> str:
    """The installed version of a package, "" when it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def libraries() -> tuple[Library, ...]:
    """Every library that the package names, in its order; none when it runs from a tree that was not installed."""
    try:
        needed = distribution(_PACKAGE).requires or []
    except PackageNotFoundError:
        return ()
    return tuple(_libraries(needed))


def missing_packages(extra: str | None = None, *, failed: Iterable[str] = ()) -> str:
    """Name the packages that are not installed, separated by blanks, for `{install:...}` of a message.

    Args:
        extra: that needs them; "" = those that are always needed, None = those of all extras.
        failed: packages of which an import failed, whether they are installed or not.
    """
    wanted = (one for one in libraries() if (bool(one.extra) if extra is None else one.extra == extra))
    missing = {one.name: one.name + one.parts for one in wanted if not one.version}
    return " ".join(({name: name for name in failed} | missing).values())


def _libraries(needed: list[str]) -> Iterator[Library]:
    for line in needed:
        name = _NAME.match(line)
        if name is None:
            continue
        extra = _EXTRA.search(line)
        version = version_of(name[1])
        yield Library(name=name[1], version=version, extra=extra[1] if extra else "", parts=name[2] or "")
