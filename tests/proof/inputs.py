"""Rows and fault rules for a trial."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable
from pathlib import Path

from batch_enroll.sandbox import FaultRule

HEADER = ("email", "first_name")


def leads(count: int, luck: random.Random | None = None, *, domain: str = "example.com") -> list[tuple[str, str]]:
    """Make rows as they come: mostly people, some twice, some that no request can be made of, some nobody knows.

    Without `luck`, people only.
    """
    rows: list[tuple[str, str]] = []
    for number in range(1, count + 1):
        draw = luck.random() if luck else 1.0
        person = f"user{number:06d}@{domain}"
        if draw < 0.03:
            person = f"nobody{number:06d}@{domain}"
        elif draw < 0.06:
            person = f"no address {number}"
        elif luck and draw < 0.10 and rows:
            person = luck.choice(rows)[0]
            person = person.upper() if draw < 0.08 else person
        rows.append((person, f"Name {number}"))
    return rows


def write_leads(path: Path, rows: Iterable[tuple[str, str]], *, encoding: str = "utf-8") -> Path:
    """Write an input."""
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows(rows)
    return path


def mixed_faults(*, throttled: float) -> list[FaultRule]:
    """About 13 % of the requests go wrong, in every way in which an answer can fail to come.

    Args:
        throttled: share of requests that the platform asks to retry later. Each makes the whole run wait a second.
    """
    shares = {
        "drop_after_acting": 0.022,
        "drop_before_acting": 0.020,
        "reset_after_acting": 0.010,
        "reset_before_acting": 0.010,
        "http_500_after_acting": 0.012,
        "http_500_before_acting": 0.010,
        "http_502_after_acting": 0.010,
        "http_502_before_acting": 0.010,
        "truncated_body_after_acting": 0.010,
        "truncated_header_after_acting": 0.005,
        "truncated_header_before_acting": 0.005,
        "garbage_after_acting": 0.008,
        "garbage_before_acting": 0.004,
        "silence_after_acting": 0.002,
        "silence_before_acting": 0.001,
        "http_429": throttled / 2,
        "http_503_retry_after": throttled / 2,
    }
    return [FaultRule(fault=fault, share=share) for fault, share in shares.items()]
