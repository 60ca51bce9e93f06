"""How the values of a job are written: rates, shares, durations, addresses.

In: what a person wrote, text or a TOML value. Out: the value, or a `ValueError` that shows how to write it. Never: a
guess.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)\Z")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
TIME_OF_DAY = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\Z")
_LIMIT = re.compile(r"(\d+|(\d+(?:\.\d+)?)\s*%)\Z")
_CHANGE = re.compile(r"\d+(?:\.\d+)?%\Z")


def parse_duration(text: object) -> float:
    """Read `90s`, `30m`, `12h`, `7d` or `2w` as seconds.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        return float(text)
    match = _DURATION.match(str(text).strip().lower())
    if match is None:
        raise ValueError(f"'{text}' is no duration; write for example 90s, 30m, 12h or 7d")
    return float(match[1]) * _UNIT_S[match[2]]


def read_rate(value: object) -> float | None:
    if value is None or (isinstance(value, str) and value.strip().lower() == "none"):
        return None
    try:
        rate = float(str(value))
    except ValueError:
        raise ValueError(f"'{value}' is no rate; write requests per second, for example 10 or 0.5, or none") from None
    if isinstance(value, bool) or not 0.001 <= rate <= 100_000:
        raise ValueError(f"a rate of {value} cannot be kept; write 0.001 to 100000 requests per second, or none")
    return rate


def read_limit(value: object) -> str | None:
    if value is None:
        return None
    text = str(value).strip()
    found = None if isinstance(value, bool) else _LIMIT.match(text)
    if found is None or float(found[2] or 0) > 100:
        raise ValueError(f"'{value}' is neither a number of rows nor a share; write for example 50 or 20%")
    return text


def read_change(value: object) -> str | None:
    if value is None:
        return None
    text = str(value).replace(" ", "")
    if not _CHANGE.match(text) or not float(text[:-1]):
        raise ValueError(
            f"'{value}' is no change; write a share such as 50% (half to one and a half times as many) "
            "or 200% (up to three times as many)"
        )
    return text


def read_deadline(value: object) -> str | None:
    if value is None:
        return None
    text = str(value).strip()
    if not TIME_OF_DAY.match(text):
        try:
            parse_duration(text)
        except ValueError:
            raise ValueError(
                f"'{value}' is no deadline; write a time such as 05:30, or a duration such as 2h"
            ) from None
    return text


def read_pairs(value: object) -> object:
    return tuple(value.items()) if isinstance(value, Mapping) else value


def read_delimiter(value: object) -> object:
    named = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
    text = named.get(str(value).strip().lower(), value) if isinstance(value, str) else value
    if isinstance(text, str) and len(text) != 1:
        raise ValueError(f"a delimiter is one character (or tab, comma, semicolon, pipe), not '{value}'")
    return text


def read_url(value: object) -> str:
    text = str(value).strip().rstrip("/")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"'{value}' is no address of a platform; write for example https://ru.altkraft.com")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("the address must hold no user, password, ? or #; the token has its own place")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError(f"'{value}' has no usable port number") from None
    return text


def read_words(value: object) -> object:
    """Read words between blanks or commas; a list stays one."""
    return tuple(word for word in re.split(r"[\s,]+", value) if word) if isinstance(value, str) else value


def read_web_address(value: object) -> object:
    """Look at an address that is a secret; no message repeats it."""
    if isinstance(value, str):
        parts = urlsplit(value.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("this is no http:// or https:// address")
        return value.strip()
    return value


def is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
