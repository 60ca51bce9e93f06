"""Recognise what a spreadsheet or a program made of an id: a date, a number, letters that nobody can see.

Such a value is refused, because the id that it was cannot be known, or only guessed.
"""

from __future__ import annotations

import re
import unicodedata

INVISIBLE = (
    "\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
    "\u2060\u2066\u2067\u2068\u2069\ufeff"
)

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?|jän|märz?|mai|okt|dez|янв(?:ар[ья])?|февр?(?:ал[ья])?|мар(?:та?)?|апр(?:ел[ья])?"
    r"|ма[йя]|июн[ья]?|июл[ья]?|авг(?:уста?)?|сент?(?:ябр[ья])?|окт(?:ябр[ья])?|нояб?(?:р[ья])?|дек(?:абр[ья])?)\.?"
)
_MIDNIGHT = r"[ T]0?0:00(?::00)?(?:\.0+)?"
_DAMAGES = (  # code, what is left of the id
    ("digits_lost", re.compile(r"[+-]?\d+(?:[.,]\d+)?E\+\d{1,3}|[+-]?\d+[.,]\d+E-?\d{1,3}", re.I)),
    ("decimal_added", re.compile(r"[+-]?\d+[.,]0{1,2}")),
    ("thousands_separated", re.compile(r"\d{1,3}(?:[ \u00a0\u202f\u2009,'’]\d{3})+(?:[.,]\d+)?")),
    ("became_date", re.compile(rf"\d{{1,2}}[ ./-]{_MONTH}(?:[ ./-]\d{{2,4}})?", re.I)),
    ("became_date", re.compile(rf"{_MONTH}[ ./-]?(?:\d\d?|(?:19|20)\d\d)(?:, *\d{{4}})?", re.I)),
    ("became_date", re.compile(rf"(?:\d{{4}}-\d\d-\d\d|\d{{1,2}}[./]\d{{1,2}}[./]\d{{4}}){_MIDNIGHT}")),
    ("lost_letters", re.compile(r".*(?:\?\?|\ufffd).*", re.S)),
)  # fmt: skip


def find_damage(value: str) -> str:
    """Return the code of the damage in an id without blanks around it; "" when there is none."""
    for code, pattern in _DAMAGES:
        if pattern.fullmatch(value):
            return code
    if not value.isprintable() and any(c in INVISIBLE or unicodedata.category(c) in ("Cc", "Cf") for c in value):
        return "invisible_characters"
    if not value.isascii() and mixes_alphabets(value):
        return "mixed_alphabets"
    return ""


def mixes_alphabets(text: str) -> bool:
    """Return whether one word of a text holds Latin letters beside Cyrillic, Greek or Armenian ones."""
    for word in re.split(r"[^\w]+", text):
        scripts = {unicodedata.name(letter, "").split(" ", 1)[0] for letter in word if letter.isalpha()}
        if "LATIN" in scripts and scripts & {"CYRILLIC", "GREEK", "ARMENIAN"}:
            return True
    return False
