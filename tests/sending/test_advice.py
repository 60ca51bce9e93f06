"""Whoever reads a code is told what to do about it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import batch_enroll.sending
from batch_enroll.advice import ADVICE, advice_for
from batch_enroll.sending.error_codes import DEFAULT_CODES


@pytest.mark.parametrize("code", ADVICE)
def test_each_advice_is_whole_sentences(code):
    assert advice_for(code)[0].isupper()
    assert advice_for(code).endswith(".")


def test_what_is_not_listed_has_no_advice():
    assert advice_for("nonsense") == ""
    assert advice_for("") == ""


@pytest.mark.parametrize("code", DEFAULT_CODES)
def test_each_known_platform_code_has_advice(code):
    assert advice_for(str(code))


def test_each_slug_of_the_sending_stage_has_advice():
    folder = Path(batch_enroll.sending.__file__).parent
    failures = (folder / "failures.py").read_text(encoding="utf-8")
    slugs = set(re.findall(r'return "([a-z]+_[a-z_]+)"', failures)) | {"answer_too_large"}
    cycle = (folder / "cycle.py").read_text(encoding="utf-8")
    slugs |= set(re.findall(r'(?:code, message = |give_up\(standing, |_INTERRUPTED = \()"([a-z_]+)"', cycle))
    assert {"connection_refused", "read_timeout", "interrupted", "internal_error", "stopped"} <= slugs
    assert not [slug for slug in slugs if not advice_for(slug)]
