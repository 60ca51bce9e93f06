"""The value to match of one cell, and which cells are refused."""

from __future__ import annotations

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st

from batch_enroll.mapping import identity_values as identity_module
from batch_enroll.mapping.identity_values import IdentityValue, check_identity
from batch_enroll.models import FieldType, MatchingMode, Problem


def check(text, mode, *, field_type=FieldType.STRING, country=None):
    return check_identity(text, mode, field_type=field_type, country=country)


@pytest.mark.parametrize(
    ("text", "sent", "tidied"),
    [
        ("anna@example.com", "anna@example.com", ()),
        ("Anna.B+x@Sub.Example.COM", "Anna.B+x@Sub.Example.COM", ()),
        ("  anna@example.com\u200b", "anna@example.com", ("trimmed",)),
        ("\u3000FEDOR@Example.org\xa0", "FEDOR@Example.org", ("trimmed",)),
        ("mailto:anna@example.com", "anna@example.com", ("mailto",)),
        ("Anna Ivanova <anna@example.com>", "anna@example.com", ("named_address",)),
        ("анна@пример.рф", "анна@пример.рф", ()),
        ("аnna@example.com", "аnna@example.com", ("lookalike_letters",)),  # the first letter is Cyrillic
    ],
)
def test_email_is_trimmed_and_otherwise_unchanged(text, sent, tidied):
    found = check(text, MatchingMode.EMAIL)
    assert isinstance(found, IdentityValue)
    assert (found.value, found.tidied) == (sent, tidied)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "identity_empty"),
        (" \u200b\xa0", "identity_empty"),
        ("Total: 3", "email_invalid"),
        ("anna", "email_invalid"),
        ("anna@", "email_invalid"),
        ("anna@localhost", "email_invalid"),
        ("anna..b@example.com", "email_invalid"),
        ("anna@exam ple.com", "email_invalid"),
        ("x" * 1_000_000, "email_invalid"),
        ("<" + "a@" * 500_000, "email_invalid"),
        ("anna@example.com" * 100_000, "email_invalid"),
        ("anna@example.com\n" * 100_000 + "boris@example.org", "several_emails"),
        ("boris@example.org; boris.work@example.com", "several_emails"),
        ("clara@example.com, clara2@example.org", "several_emails"),
        ("elena@example.com ::: elena2@example.com", "several_emails"),
        ("a@example.com/b@example.com", "several_emails"),
    ],
)
def test_invalid_email_is_refused(text, code):
    found = check(text, MatchingMode.EMAIL)
    assert isinstance(found, Problem)
    assert found.code == code


_LETTERS = st.text("ab1_+.-@ é", min_size=1, max_size=8)
_WORDS = st.sampled_from(("com", "test", "localhost", "xn--80ak6aa92e", "ab--cd", "a" * 64, "1", "-a", "co"))
_DOMAINS = st.lists(_LETTERS | _WORDS, min_size=1, max_size=4).map(".".join)


@given(_LETTERS, _DOMAINS)
def test_fast_path_accepts_no_invalid_email(local, domain):
    address = f"{local}@{domain}"
    if identity_module._USUAL_EMAIL.match(address):
        try:
            validate_email(address, check_deliverability=False, test_environment=True)
        except EmailNotValidError as error:  # pragma: no cover - only when the rule is broken
            pytest.fail(f"{address!r}: {error}")


def test_emails_compare_without_case_and_keep_it_when_sent():
    one, other = check("Anna@Example.com", MatchingMode.EMAIL), check("anna@example.com", MatchingMode.EMAIL)
    assert isinstance(one, IdentityValue)
    assert isinstance(other, IdentityValue)
    assert one.compare == other.compare
    assert one.value == "Anna@Example.com"


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("+79000000001", "+79000000001"),
        ("+7 (900) 000-00-01", "+7 (900) 000-00-01"),
        ("8 900 000-00-02", "8 900 000-00-02"),
        ("79000000001", "79000000001"),
        ("(900) 000-00-05", "(900) 000-00-05"),
        ("+7\xa0900\xa0000\xa000\xa006", "+7\xa0900\xa0000\xa000\xa006"),
        ("tel:+79000000004", "+79000000004"),
        ("'+79000000007", "+79000000007"),
        (" +79000000001 ", "+79000000001"),
    ],
)
def test_phone_keeps_every_digit_and_plus(text, sent):
    found = check(text, MatchingMode.PHONE)
    assert isinstance(found, IdentityValue)
    assert found.value == sent


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("7.9E+10", "digits_lost"),
        ("4,477E+11", "digits_lost"),
        ("79000000001.0", "phone_decimal"),
        ("12345", "phone_invalid"),
        ("phone", "phone_invalid"),
        ("+000000000000", "phone_invalid"),
        ("+799912345678901234567890", "phone_invalid"),
        ("8 (900) 000-00-08 ext. 12", "phone_invalid"),
        ("+79000000001, +79000000002", "phone_invalid"),
        ("٧٩٠٠٠٠٠٠٠٠١", "phone_invalid"),
        ("  ", "identity_empty"),
    ],
)
def test_invalid_phone_is_refused(text, code):
    found = check(text, MatchingMode.PHONE)
    assert isinstance(found, Problem)
    assert found.code == code


def test_country_is_used_only_when_the_job_sets_it():
    bare = check("8 900 000-00-02", MatchingMode.PHONE)
    with_country = check("8 900 000-00-02", MatchingMode.PHONE, country="RU")
    assert isinstance(bare, IdentityValue)
    assert bare.value == "8 900 000-00-02"
    assert isinstance(with_country, IdentityValue)
    assert with_country.value == "+79000000002"
    assert with_country.tidied == ("country_added",)
    assert isinstance(check("900-000-00", MatchingMode.PHONE, country="RU"), Problem)


def test_two_spellings_of_a_phone_compare_equal():
    found = [check(text, MatchingMode.PHONE) for text in ("+7 (900) 000-00-01", "+79000000001", "79000000001")]
    assert {value.compare for value in found if isinstance(value, IdentityValue)} == {"79000000001"}
    assert len(found) == 3


@pytest.mark.parametrize("text", ["650000000000000000000012", "66e120000000000000000000", "5e1000000000000000000001"])
def test_hex_id_is_never_a_number(text):
    found = check(text, MatchingMode.PROFILE_ID)
    assert isinstance(found, IdentityValue)
    assert found.value == text


def test_rounded_profile_id_is_refused():
    found = check("6.5E+23", MatchingMode.PROFILE_ID)
    assert isinstance(found, Problem)
    assert found.code == "digits_lost"


@pytest.mark.parametrize("text", ["00016", "tag-1, tag-2", "5e10", "NA", "null", " A 1 "])
def test_custom_value_is_sent_unchanged(text):
    found = check(text, MatchingMode.CUSTOM)
    assert isinstance(found, IdentityValue)
    assert found.value == text


def test_blanks_around_a_custom_value_are_kept_and_counted():
    found = check(" A-1", MatchingMode.CUSTOM)
    assert isinstance(found, IdentityValue)
    assert (found.value, found.tidied) == (" A-1", ("blanks_kept",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("123420", 123420),
        ("-5", -5),
        (" 7 ", 7),
        ("0", 0),
        ("0123", "leading_zeros"),
        ("12.0", "not_an_integer"),
        ("A1", "not_an_integer"),
        ("٣", "not_an_integer"),
        ("9223372036854775808", "integer_too_large"),
        ("9" * 5000, "integer_too_large"),
        ("1.2E+10", "digits_lost"),
    ],
)
def test_int_field_accepts_only_exact_whole_numbers(text, expected):
    found = check(text, MatchingMode.CUSTOM, field_type=FieldType.INT)
    assert (found.value if isinstance(found, IdentityValue) else found.code) == expected


@given(st.text(max_size=40), st.sampled_from(MatchingMode), st.sampled_from(FieldType))
def test_any_text_gives_an_identity_or_one_problem(text, mode, field_type):
    found = check(text, mode, field_type=field_type, country=None)
    assert isinstance(found, IdentityValue | Problem)
    if isinstance(found, Problem):
        assert not str(found.message).startswith("row."), "the catalogue has no text for it"
    if isinstance(found, IdentityValue) and isinstance(found.value, str):
        assert found.value in text
