"""Suggest, from headers and values, which column is the identity and which columns are content."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from batch_enroll.mapping.identity_values import IdentityValue, check_identity
from batch_enroll.models import FieldType, MatchingMode

_PROFILE_ID = re.compile(r"[0-9a-f]{24}\Z", re.IGNORECASE)
_LETTERS = re.compile(r"[^\W\d_]")

# Words of a header, lower case, that suggest a mode. Values count more: see _score.
_HEADER_WORDS: dict[MatchingMode, tuple[str, ...]] = {
    MatchingMode.PROFILE_ID: ("profile_id", "profile id", "profileid", "id профиля"),
    MatchingMode.EMAIL: ("mail", "почта", "имейл", "емейл", "correo", "courriel"),
    MatchingMode.PHONE: ("phone", "mobile", "cell", "тел", "моб", "handy", "telefon", "tel", "msisdn"),
    MatchingMode.CUSTOM: ("crm", "client", "customer", "клиент", "код", "номер", "id", "uid", "user", "card", "карта"),
}

_CONTENT_NAMES = {
    "имя": "first_name",
    "фамилия": "last_name",
    "отчество": "middle_name",
    "фио": "full_name",
    "город": "city",
    "адрес": "address",
    "дата рождения": "birthday",
    "пол": "gender",
    "страна": "country",
    "сумма": "amount",
    "баланс": "balance",
    "компания": "company",
    "vorname": "first_name",
    "nachname": "last_name",
    "stadt": "city",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedContent:
    """One column that may be sent as content."""

    name: str  #: for the template: lower-case ASCII, digits and underscores
    column: str
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The matching and content that `init` writes into the job file."""

    mode: MatchingMode
    column: str
    field_name: str | None  #: for `custom`: a guess that a person must check
    fitting: int  #: how many of the `looked_at` values are usable in this mode
    looked_at: int
    content: tuple[ProposedContent, ...]


def suggest(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Proposal | None:
    """Propose the matching and the content of a table.

    Args:
        columns: the header.
        rows: some data rows x columns, text.
    Returns:
        None when no column holds usable identities.
    """
    scored = [
        (score, -at, mode)
        for at, name in enumerate(columns)
        if name.strip() and list(columns).count(name) == 1
        for mode in _HEADER_WORDS
        if (score := _score(name, mode, [row[at] for row in rows])) > 0
    ]
    if not scored:
        return None
    _, negative_at, mode = max(scored)
    at = -negative_at
    values = [row[at] for row in rows]
    return Proposal(
        mode=mode,
        column=columns[at],
        field_name=_custom_field(columns[at]) if mode is MatchingMode.CUSTOM else None,
        fitting=sum(_fits(value, mode) for value in values),
        looked_at=len(values),
        content=_content(columns, rows, skip=at),
    )


def _score(name: str, mode: MatchingMode, values: Sequence[str]) -> float:
    filled = [value for value in values if value.strip()]
    if not filled:
        return 0
    share = sum(_fits(value, mode) for value in filled) / len(filled)
    words = any(word in name.casefold() for word in _HEADER_WORDS[mode])
    if mode is MatchingMode.CUSTOM:
        distinct = len(set(filled)) / len(filled)
        return 1 + distinct if words and distinct > 0.9 and not _mostly_prose(filled) else 0
    # The value alone shows an email or a profile id; eleven digits are a phone only below such a header.
    if mode is MatchingMode.PHONE and not words:
        return 0
    weight = {MatchingMode.PROFILE_ID: 6, MatchingMode.EMAIL: 5, MatchingMode.PHONE: 3}[mode]
    return weight + share + (0.5 if words else 0) if share >= 0.5 else 0


def _fits(value: str, mode: MatchingMode) -> bool:
    if mode is MatchingMode.PROFILE_ID:
        return bool(_PROFILE_ID.match(value.strip()))
    return isinstance(check_identity(value, mode, field_type=FieldType.STRING, country=None), IdentityValue)


def _mostly_prose(values: Sequence[str]) -> bool:
    return sum(" " in value.strip() or not re.search(r"\d", value) for value in values) > len(values) / 2


def _custom_field(column: str) -> str:
    return column.strip() if column.isascii() and re.fullmatch(r"\w+", column.strip()) else "CRM_ID"


def _content(columns: Sequence[str], rows: Sequence[Sequence[str]], *, skip: int) -> tuple[ProposedContent, ...]:
    proposed: dict[str, ProposedContent] = {}
    for at, column in enumerate(columns):
        if at == skip or not column.strip() or list(columns).count(column) > 1:
            continue
        name = _template_name(column) or f"column_{at + 1}"
        while name in proposed:
            name += "_2"
        example = next((row[at] for row in rows if row[at].strip()), "")
        proposed[name] = ProposedContent(name=name, column=column, example=example)
    return tuple(proposed.values())


def _template_name(column: str) -> str:
    """Make a name for the template: known words translated, accents dropped, all else underscores."""
    plain = " ".join(column.casefold().split())
    if plain in _CONTENT_NAMES:
        return _CONTENT_NAMES[plain]
    latin = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
    if len(_LETTERS.findall(latin)) < len(_LETTERS.findall(plain)) / 2:
        return ""  # mostly another alphabet; a part of a word would mislead
    return re.sub(r"[^a-z0-9]+", "_", latin).strip("_")
