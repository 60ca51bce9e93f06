"""Columns that results files add, and the guard against cells that a spreadsheet would run as a formula.

The guard is an apostrophe in front. It is reversible: `unguard(guard(s)) == s` for any text, so that a file of failed
rows loads again exactly. Source: OWASP, "CSV Injection".
"""

from __future__ import annotations

import re
from collections.abc import Iterable

ADDED_COLUMNS = (
    "enroll_row",
    "enroll_status",
    "enroll_code",
    "enroll_message",
    "enroll_advice",
    "enroll_http_status",
    "enroll_attempts",
    "enroll_sent_at",
    "enroll_run",
)
"""The columns that a results file has after the input's own."""

_MARKS = {"enroll_row", "enroll_status"}  # no customer's file has both


def is_results_header(cells: Iterable[str]) -> bool:
    """Recognise the header of a results file or of one of its companions."""
    return _MARKS.issubset(cells)


# A tab or a line break in front starts the cell anew in some programs; blanks and invisible characters in front of the
# sign are ignored by others. Apostrophes in front do not count: so "'=1" is guarded too and comes back as it was.
_RUNS = re.compile(r"'*(?:[\t\r\n]|[\s\0\u200b-\u200f\u2060\ufeff]*[=+\-@＝＋－＠])")
_PLAIN = re.compile(r" *[+-](?:[0-9]+(?:[.,][0-9]+)?)? *\Z")  # a phone, a balance, a dash for "nothing": runs nothing


def guard(text: str) -> str:
    """Put an apostrophe before text that a spreadsheet would run as a formula."""
    if text[:1].isalnum():  # nearly every cell; nothing below begins with a letter or a digit
        return text
    return "'" + text if _would_run(text) else text


def unguard(text: str) -> str:
    """Take off the apostrophe that `guard` put in front, and no other."""
    return text[1:] if text[:1] == "'" and _would_run(text[1:]) else text


def _would_run(text: str) -> bool:
    return _RUNS.match(text) is not None and _PLAIN.match(text) is None
