"""Installed versions of this package and its libraries, read without importing them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version

_PACKAGE = "batch-enroll"
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A library that is needed, always or for one extra."""

    name: str
    version: str  #: "" when it is not installed
    extra: str = ""  #: "" when it is always needed


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


def _libraries(needed: list[str]) -> Iterator[Library]:
    for line in needed:
        name = _NAME.match(line)
        if name is None:
            continue
        extra = _EXTRA.search(line)
        yield Library(name=name[0], version=version_of(name[0]), extra=extra[1] if extra else "")
