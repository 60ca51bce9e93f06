"""Suggest, from headers and values, which column is the identity and which columns are content."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from batch_enroll.mapping.identity_values import DEFAULT_COUNTRY, IdentityValue, check_identity, country_of_phone
from batch_enroll.models import FieldType, MatchingMode

_PROFILE_ID = re.compile(r"[0-9a-f]{24}\Z", re.IGNORECASE)
_LIKELY_COUNTRIES = 3  #: each costs a look at every phone without a plus
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
class ColumnFit:
    """One column that profiles may be matched by."""

    mode: MatchingMode
    column: str
    fitting: int  #: how many of the `looked_at` values are usable in this mode
    looked_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal(ColumnFit):
    """The matching and content that `init` writes into the job file."""

    field_name: str | None  #: for `custom`: a guess that a person must check
    country: str | None  #: for `phone`: of the phones that stand without a plus; None when they need none
    others: tuple[ColumnFit, ...]  #: other columns, the best first
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
    scored.sort(reverse=True)
    best: dict[int, MatchingMode] = {}
    for _, negative_at, mode in scored:
        best.setdefault(-negative_at, mode)
    fits = [
        ColumnFit(mode=mode, column=columns[at], fitting=sum(_fits(row[at], mode) for row in rows), looked_at=len(rows))
        for at, mode in best.items()
    ]
    chosen, at = fits[0], next(iter(best))
    return Proposal(
        mode=chosen.mode,
        column=chosen.column,
        field_name=_custom_field(chosen.column) if chosen.mode is MatchingMode.CUSTOM else None,
        country=_country([row[at] for row in rows]) if chosen.mode is MatchingMode.PHONE else None,
        fitting=chosen.fitting,
        looked_at=chosen.looked_at,
        others=tuple(fits[1:]),
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


def _country(phones: Sequence[str]) -> str | None:
    """Return the country of phones that stand without a plus and its code; None when there are none, or it is open.

    The phones with a plus decide; without any it is the first country in which most of the others are numbers.
    """
    named: Counter[str] = Counter()
    bare: dict[str, str] = {}  # phone without a plus -> the country that its first digits would name
    for phone in phones:
        found = check_identity(phone, MatchingMode.PHONE, field_type=FieldType.STRING, country=None)
        if isinstance(found, IdentityValue):
            country = country_of_phone(f"+{found.compare}")
            if str(found.value).startswith("+"):
                named[country] += 1
            else:
                bare[phone] = country
    likely = named or Counter(bare.values())
    candidates = [country for country, _ in likely.most_common(_LIKELY_COUNTRIES) if country]
    for country in candidates if named else [DEFAULT_COUNTRY, *candidates]:
        national = [phone for phone, code_of in bare.items() if code_of != country]
        if national and 2 * sum(bool(country_of_phone(phone, country)) for phone in national) > len(national):
            return country
    return None


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
