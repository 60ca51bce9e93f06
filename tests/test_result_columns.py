"""The formula guard is complete and reversible."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batch_enroll.result_columns import guard, unguard

SIGNS = "=+-@＝＋－＠"
RISKY = st.text(alphabet=st.sampled_from([*"'=+-@\t\r\n \0\ufeff\u200b\xa0", *"＝＋－＠a1.,"]), max_size=8)


@given(st.text() | RISKY)
@example("'=1")
@example("''")
@example("'+79000000001")
@example("' =1")
def test_text_survives_guard_and_unguard(text):
    assert unguard(guard(text)) == text


@given(st.sampled_from([*SIGNS, "\t", "\r", "\n"]), st.text(alphabet=st.characters(exclude_characters="0123456789 ")))
def test_text_that_begins_like_a_formula_is_guarded(sign, rest):
    text = sign + rest
    assert guard(text) == "'" + text or text in {"+", "-"}


@given(st.text(alphabet=" \xa0\u3000\ufeff\u200b\0\x1f", min_size=1), st.sampled_from(SIGNS))
def test_leading_invisible_characters_do_not_hide_a_formula(blanks, sign):
    assert guard(f"{blanks}{sign}cmd|' /C calc'!A0").startswith("'")


@pytest.mark.parametrize("text", ["+79000000001", "-12", "-12.50", "-12,5", "+1", "-", " - ", "+", " +79000000001"])
def test_phones_negative_numbers_and_dashes_are_unchanged(text):
    assert guard(text) == text


@pytest.mark.parametrize(
    "text", ["-1+1", "+7(900)123", "-1e5", "--1", "+7 900 000-00-00", "-12.5.1", "+79000000001\n=1"]
)
def test_text_that_resembles_a_number_is_guarded(text):
    assert guard(text) == "'" + text


@given(st.text())
def test_text_without_an_apostrophe_is_unchanged_by_loading(text):
    if not text.startswith("'"):
        assert unguard(text) == text


@pytest.mark.parametrize("text", ["'90s", "'tHooft", "'+79000000001", "'"])
def test_original_apostrophe_stays(text):
    assert unguard(text) == text
