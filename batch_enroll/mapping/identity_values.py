"""Check the cell that the platform finds a profile by, and give the value to send for it.

A value is changed only where no reading is lost (blanks around an address, `mailto:`), and each change is named.

Sources: RFC 5322 and email-validator for addresses, ITU-T E.164 and phonenumbers for phones, the platform's matching
page (API reference, section 7) for what each mode takes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple, assert_never

from batch_enroll.mapping.cell_damage import INVISIBLE, find_damage, mixes_alphabets
from batch_enroll.messages import Message, message
from batch_enroll.models import FieldType, MatchingMode, Problem

_AROUND = (
    INVISIBLE
    + " \t\r\n\x0b\x0c\x1c\x1d\x1e\x1f\x85\u00a0\u1680\u2028\u2029\u202f\u205f\u3000"
    + "".join(chr(code) for code in range(0x2000, 0x200B))
)

# Nearly every address has this form; any other goes to email-validator, which costs far more time.
# It must stay a strict subset of what email-validator accepts: a property test compares the two.
_USUAL_EMAIL = re.compile(
    r"(?=[^@]{1,64}@)[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*"
    r"@(?:(?!..--)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+"
    r"(?!(?:arpa|invalid|local|localhost|onion|test)\Z)[A-Za-z]{2,24}\Z"
)
_NAMED_EMAIL = re.compile(r"[^<>@]*<([^<>\s]+@[^<>\s]+)>\Z")
_SEPARATOR = re.compile(r"[\s,;|/:]")  #: between two addresses
_FORMULA_TEXT = re.compile(r'="((?:[^"]|"")*)"')  #: how programs write a text that a spreadsheet may not change
_DECIMAL = re.compile(r"\+?\d+[.,]0+\Z")
_PHONE = re.compile(
    r"\+?[0-9][0-9 \u00a0\u202f()./\u2010-\u2015-]*\Z|\+?\([0-9][0-9 \u00a0\u202f()./\u2010-\u2015-]*\Z"
)
_LONGEST_EMAIL_PARSED = 1_000  #: characters; no address is longer, not even in decomposed letters
_MAX_EMAIL_LENGTH = 254  # RFC 5321
_INTEGER = re.compile(r"[+-]?\d+\Z", re.ASCII)
_MIN_PHONE_DIGITS = 7
_MAX_PHONE_DIGITS = 15  # E.164
_LOCAL_PHONE_DIGITS = 6  # the shortest numbers of large towns
_WHOLE_PHONE_DIGITS = 10  # with the area's code
_INT64 = 2**63
DEFAULT_COUNTRY = "RU"  #: of phones that name none: 8 in front of the ten digits is dialled there for +7


class IdentityValue(NamedTuple):
    """The value to match of one row. A tuple, as one is made for each row."""

    value: str | int  #: what is sent
    compare: str  #: two rows with the same text here are the same profile
    tidied: tuple[str, ...] = ()  #: codes of what was removed from the cell, or should be checked in it


Check = Callable[[str], "IdentityValue | Problem"]


def identity_check(mode: MatchingMode, *, field_type: FieldType, country: str | None) -> Check:
    """Give the function that checks a cell of one mode; a plan calls it for every row.

    Args:
        mode: how the platform finds the profile.
        field_type: JSON type of a custom field's value.
        country: ISO 3166 code for phones without a plus; None = such phones are sent as they stand.
    """
    match mode:
        case MatchingMode.EMAIL:
            return _email
        case MatchingMode.PHONE:
            return lambda text: _phone(text, country)
        case MatchingMode.PROFILE_ID:
            return _profile_id
        case MatchingMode.CUSTOM:
            return _custom_text if field_type is FieldType.STRING else _custom_int
    assert_never(mode)


def check_identity(
    text: str, mode: MatchingMode, *, field_type: FieldType, country: str | None
) -> IdentityValue | Problem:
    """Check one cell.

    Args:
        text: the cell, exactly as stored.
        mode, field_type, country: as `identity_check` takes them.
    Returns:
        The identity, or the one problem that keeps this cell from being sent. The caller adds column and place.
    """
    return identity_check(mode, field_type=field_type, country=country)(text)


def _email(text: str) -> IdentityValue | Problem:
    if 6 <= len(text) <= 200 and _USUAL_EMAIL.match(text):  # nine in ten cells need nothing else
        return IdentityValue(text, text.lower())
    address, tidied = _trim(text)
    if not address:
        return _empty()
    if "??" in address:
        return _problem("lost_letters", text)
    if address[:7].lower() == "mailto:":
        address, tidied = address[7:], (*tidied, "mailto")
    if len(address) <= _LONGEST_EMAIL_PARSED and (named := _NAMED_EMAIL.match(address)):
        address, tidied = named[1], (*tidied, "named_address")
    if _SEPARATOR.search(address, address.find("@"), address.rfind("@")):
        return _problem("several_emails", text)
    if len(address) > _LONGEST_EMAIL_PARSED:
        said = message("row.email_too_long", value=_quoted(text), count=len(address), most=_MAX_EMAIL_LENGTH)
        return Problem(code="email_invalid", message=said)
    if reason := _why_no_email(address):
        return Problem(code="email_invalid", message=message("row.email_invalid", value=_quoted(text), reason=reason))
    if not address.isascii() and mixes_alphabets(address):
        tidied = (*tidied, "lookalike_letters")
    return IdentityValue(address, unicodedata.normalize("NFC", address).casefold(), tidied)


def _why_no_email(address: str) -> str:
    from email_validator import EmailNotValidError, validate_email

    try:
        validate_email(address, check_deliverability=False, test_environment=True, allow_smtputf8=True)
    except EmailNotValidError as error:
        return str(error).rstrip(".")[:1].lower() + str(error).rstrip(".")[1:]
    return ""


def _phone(text: str, country: str | None) -> IdentityValue | Problem:
    phone, tidied = _trim(text)
    if not phone:
        return _empty()
    if phone[:4].lower() == "tel:":
        phone, tidied = _trim(phone[4:])[0], (*tidied, "tel")
    if find_damage(phone) == "digits_lost":
        return _problem("digits_lost", phone)
    if _DECIMAL.match(phone):
        return _problem("phone_decimal", text)
    digits = "".join(character for character in phone if character.isdigit())
    if not _PHONE.match(phone):
        return _problem("phone_invalid", text, "phone_not_plain")
    if not _MIN_PHONE_DIGITS <= len(digits) <= _MAX_PHONE_DIGITS:
        return _problem(
            "phone_invalid", text, "phone_digits", count=len(digits), least=_MIN_PHONE_DIGITS, most=_MAX_PHONE_DIGITS
        )
    if _has_second_number(phone):
        return _problem("phone_invalid", text, "phone_two_numbers")
    if phone.startswith("+"):
        if not _is_possible(phone, None):
            return _problem("phone_invalid", text, "phone_impossible")
        return IdentityValue(phone, digits, tidied)  # with and without the plus it is one number
    if country is None:
        return IdentityValue(phone, digits, tidied)
    international = _international(phone, country)
    if international is None:
        return _problem("phone_invalid", text, "phone_not_of_country", country=country)
    return IdentityValue(international, international.lstrip("+"), (*tidied, "country_added"))


def _has_second_number(phone: str) -> bool:
    """Tell whether a second phone or an extension follows the number: 123-45-67/765-43-21, 84951234567 (123)."""
    if phone.endswith(")"):
        return True
    begin, _, end = phone.rpartition("/")
    if _count_digits(begin) >= _WHOLE_PHONE_DIGITS and _count_digits(end):
        return True  # 84951234567/68
    parts = [count for part in re.split(r"[\s/]+", phone) if (count := _count_digits(part))]
    return any(first >= _LOCAL_PHONE_DIGITS and second >= _LOCAL_PHONE_DIGITS for first, second in pairwise(parts))


def _count_digits(text: str) -> int:
    return sum(map(str.isdigit, text))


def _is_possible(phone: str, country: str | None) -> bool:
    import phonenumbers

    try:
        return bool(phonenumbers.is_possible_number(phonenumbers.parse(phone, country)))
    except phonenumbers.NumberParseException:
        return False


def country_of_phone(phone: str, written_in: str | None = None) -> str:
    """Return the ISO 3166 code of the country of a phone; "" when it is none of a country.

    Args:
        phone: with a plus, or as it is dialled in the country `written_in`.
    """
    import phonenumbers

    try:
        number = phonenumbers.parse(phone, written_in)
    except phonenumbers.NumberParseException:
        return ""
    country = phonenumbers.region_code_for_number(number)
    return country if country and country.isalpha() else ""  # 001 is no country


def _international(phone: str, country: str) -> str | None:
    import phonenumbers

    try:
        number = phonenumbers.parse(phone, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _profile_id(text: str) -> IdentityValue | Problem:
    if text.isascii() and text.isalnum():
        return IdentityValue(text, text)
    value, tidied = _trim(text)
    if not value:
        return _empty()
    return _problem(code, value) if (code := find_damage(value)) else IdentityValue(value, value, tidied)


def _custom_text(text: str) -> IdentityValue | Problem:
    if text.isascii() and text.isalnum():
        return IdentityValue(text, text)  # most ids
    bare, tidied = _trim(text)
    if not bare:
        return _empty()
    if code := find_damage(bare):
        return _problem(code, bare)
    if tidied == ("trimmed",):  # the blanks may belong to the value: it is sent as it stands, with a notice
        return IdentityValue(text, text, ("blanks_kept",))
    return IdentityValue(bare, bare, tidied)


def _custom_int(text: str) -> IdentityValue | Problem:
    bare, tidied = _trim(text)
    if not bare:
        return _empty()
    if find_damage(bare) == "digits_lost":
        return _problem("digits_lost", bare)
    if not _INTEGER.match(bare):
        return _problem("not_an_integer", text)
    if len(bare.lstrip("+-")) > 1 and bare.lstrip("+-").startswith("0"):
        return _problem("leading_zeros", text)
    number = int(bare) if len(bare) <= 20 else _INT64
    if not -_INT64 <= number < _INT64:
        return _problem("integer_too_large", text)
    return IdentityValue(number, str(number), tidied)


def formula_text(text: str) -> str | None:
    """Return the text inside ="…"; None for any other text."""
    match = _FORMULA_TEXT.fullmatch(text.strip())
    return match and match[1].replace('""', '"')


def _trim(text: str) -> tuple[str, tuple[str, ...]]:
    """Remove the blanks around a value, and what makes a spreadsheet keep it as text; name what was removed."""
    bare = text.strip(_AROUND)
    tidied = () if bare == text else ("trimmed",)
    if bare[:2] == '="' and (inside := formula_text(bare)) is not None:
        bare, tidied = inside.strip(_AROUND), (*tidied, "formula_text")
    if bare[:1] == "'" and bare[1:2] in tuple("+0123456789") and "@" not in bare:
        bare, tidied = bare[1:], (*tidied, "apostrophe")
    return bare, tidied


def _empty() -> Problem:
    return Problem(code="identity_empty", message=message("row.identity_empty"))


def _problem(code: str, text: str, key: str = "", **values: Any) -> Problem:
    """Make the problem of a cell; the message is named after the code unless `key` names it."""
    return Problem(code=code, message=Message(f"row.{key or code}", {"value": _quoted(text), **values}))


def _quoted(text: str) -> str:
    """Quote a cell for people: one line, invisible characters made visible, not longer than 60 characters."""
    begin = text.strip(" \t\r\n")[:61]
    clean = "".join(c if c.isprintable() and c not in INVISIBLE else f"\\u{ord(c):04x}" for c in begin)
    return f"'{clean if len(clean) <= 60 else clean[:57] + '…'}'"
