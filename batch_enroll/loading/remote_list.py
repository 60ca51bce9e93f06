"""Which files lie in a folder elsewhere: `s3://bucket/out/`, `sftp://host/out/leads-*.csv`.

In: the address of a folder or of a pattern, and the moment. Out: the addresses of the files that may be an input, the
oldest first, and those that were passed over. Never: a look into a file, or into the folders inside the folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlunsplit

from batch_enroll.errors import InputError, NoSuchInput
from batch_enroll.loading.picking import Found, sift
from batch_enroll.loading.remote import S3, Remote
from batch_enroll.loading.remote_fetch import open_place, told

_TIME_KEYS = ("LastModified", "mtime", "last_modified", "updated", "modified", "created")


def list_files(
    remote: Remote, *, now: datetime, settle_s: float, plain_allowed: Callable[[str], bool]
) -> Found[Remote]:
    """List a folder, or what fits a pattern in it, by the rules of `picking`; blocks.

    Args:
        now: aware.
        settle_s: a file that changed less than so many seconds ago may still be growing.
        plain_allowed: as for `fetch`.
    Raises:
        JobError: as for `fetch`.
        InputError: the folder is not there or cannot be listed, or its server does not tell when files changed.
    """
    folder, _, pattern = remote.parts.path.rpartition("/")
    place = Remote(urlunsplit(remote.parts._replace(path=f"{folder}/")))
    seen = [
        (name, _changed_ns(entry, remote), Remote(urlunsplit(remote.parts._replace(path=f"{folder}/{name}"))))
        for name, entry in _entries(place, plain_allowed)
        if not pattern or fnmatchcase(name, pattern)
    ]
    return sift(seen, is_folder=not pattern, now=now, settle_s=settle_s)


def _entries(place: Remote, plain_allowed: Callable[[str], bool]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the name of each file in the folder, and what the server says of it."""
    try:
        with told(place):
            files, path = open_place(place, plain_allowed)
            entries = files.ls(path, detail=True)
    except NoSuchInput:
        if place.scheme in S3:  # it knows no folders: one in which nothing lies is not there
            return
        raise InputError(f"There is no folder {place}.", hint="Check the address.") from None
    for entry in entries:
        name = str(entry["name"]).rpartition("/")[2]
        if name and entry.get("type") == "file" and not set(name) & set("?#"):  # an address cannot hold these in a name
            yield name, entry


def _changed_ns(entry: dict[str, Any], remote: Remote) -> int:
    """When a file changed, nanoseconds of Unix time."""
    for key in _TIME_KEYS:
        match entry.get(key):
            case datetime() as moment:
                return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e9)
            case int() | float() as seconds:
                return int(seconds * 1e9)
    raise InputError(
        f"{remote.shown}: the server does not tell when its files changed, so none can be picked.",
        hint="Name one file.",
    )
