"""Parse the values of a job: rates, shares, durations, addresses; each error shows how the value is written."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from batch_enroll.canonical_address import canonical_url
from batch_enroll.messages import message
from batch_enroll.models import DEFAULT_RESULTS, RESULTS_SUFFIXES

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)\Z")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
TIME_OF_DAY = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\Z")
_LIMIT = re.compile(r"(\d+|(\d+(?:\.\d+)?)\s*%)\Z")
_CHANGE = re.compile(r"\d+(?:\.\d+)?%\Z")


def parse_name(value: object) -> object:
    """Refuse a name that would control a terminal, or that no file can hold.

    Raises:
        ValueError: it holds a character that cannot be shown.
    """
    for sign in value if isinstance(value, str) else "":
        if not sign.isprintable():
            raise ValueError(message("job.name_unprintable", code=f"U+{ord(sign):04X}"))
    return value


def parse_duration(text: object) -> float:
    """Read `90s`, `30m`, `12h`, `7d` or `2w` as seconds.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        return float(text)
    match = _DURATION.match(str(text).strip().lower())
    if match is None:
        raise ValueError(message("job.not_a_duration", value=str(text)))
    return float(match[1]) * _UNIT_S[match[2]]


def parse_rate(value: object) -> float | None:
    if value is None or (isinstance(value, str) and value.strip().lower() == "none"):
        return None
    try:
        rate = float(str(value))
    except ValueError:
        raise ValueError(message("job.not_a_rate", value=str(value))) from None
    if isinstance(value, bool) or not 0.001 <= rate <= 100_000:
        raise ValueError(message("job.rate_out_of_range", value=str(value)))
    return rate


def parse_limit(value: object) -> str | None:
    if value is None:
        return None
    text = str(value).strip()
    found = None if isinstance(value, bool) else _LIMIT.match(text)
    if found is None or float(found[2] or 0) > 100:
        raise ValueError(message("job.not_a_limit", value=str(value)))
    return text


def parse_change(value: object) -> str | None:
    if value is None:
        return None
    text = str(value).replace(" ", "")
    if not _CHANGE.match(text) or not float(text[:-1]):
        raise ValueError(message("job.not_a_change", value=str(value)))
    return text


def parse_deadline(value: object) -> str | None:
    if value is None:
        return None
    text = str(value).strip()
    if not TIME_OF_DAY.match(text):
        try:
            parse_duration(text)
        except ValueError:
            raise ValueError(message("job.not_a_deadline", value=str(value))) from None
    return text


def parse_results(value: object) -> object:
    """Read a results file, or a folder in which the file gets its default name."""
    if not isinstance(value, str | Path):
        return value
    if (folder := named_folder(str(value))) is not None:
        return folder / DEFAULT_RESULTS
    if Path(value).suffix.lower() not in RESULTS_SUFFIXES:
        raise ValueError(message("job.not_results", value=str(value), known=RESULTS_SUFFIXES))
    return value


def named_folder(text: str) -> Path | None:
    """Give the folder that a text names, which is there or ends in a slash; None when it names a file."""
    path = Path(text)
    if _ends_in_slash(text):
        return path
    with contextlib.suppress(OSError, ValueError):  # a name that no folder can have
        return path if path.is_dir() else None
    return None


def with_slash_of(text: str, path: Path) -> str:
    """Give a path as text that ends in a slash when the text it was made of does: that says a folder is meant."""
    return f"{path}{os.sep}" if _ends_in_slash(text) and path.name else str(path)


def _ends_in_slash(text: str) -> bool:
    return text.endswith(tuple(filter(None, (os.sep, os.altsep))))


def parse_pairs(value: object) -> object:
    return tuple(value.items()) if isinstance(value, Mapping) else value


def parse_delimiter(value: object) -> object:
    named = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
    text = named.get(str(value).strip().lower(), value) if isinstance(value, str) else value
    if isinstance(text, str) and len(text) != 1:
        raise ValueError(message("job.not_a_delimiter", value=str(value)))
    return text


def parse_url(value: object) -> str:
    text = str(value).strip().rstrip("/")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(message("job.not_a_platform_url", value=str(value)))
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(message("job.url_with_extras"))
    try:
        return canonical_url(text)
    except ValueError:
        raise ValueError(message("job.url_bad_port", value=str(value))) from None


def parse_words(value: object) -> object:
    """Split text at blanks and commas; a list stays as it is."""
    return tuple(word for word in re.split(r"[\s,]+", value) if word) if isinstance(value, str) else value


def parse_web_address(value: object) -> object:
    """Check an address that is a secret; no message repeats it."""
    if isinstance(value, str):
        parts = urlsplit(value.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(message("job.not_a_web_address"))
        return value.strip()
    return value


def is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
