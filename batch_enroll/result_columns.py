"""The form of our own result files, shared by who writes them and who reads them back.

In: text of one cell. Out: the text as a spreadsheet may safely show it, and back again. Never: I/O.

A cell that a spreadsheet program would run as a formula gets an apostrophe in front. The rule is reversible: for any
text `s`, `unguard(guard(s)) == s`, so that a file of failed rows can be loaded again exactly.
Source: OWASP, "CSV Injection"; design, section 7.
"""

from __future__ import annotations

import re

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

# A tab or a line break in front starts the cell anew in some programs; blanks and invisible characters in front of the
# sign are passed over by others. Apostrophes in front do not count: so "'=1" is guarded too and comes back as it was.
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
