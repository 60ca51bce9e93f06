"""Every code of a row has a title and advice."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from batch_enroll.messages import advice_for, title_for
from batch_enroll.messages.reason_texts import REASONS
from batch_enroll.sending.error_codes import DEFAULT_CODES

CODES = list(REASONS)
PACKAGE = Path(__file__).parents[1] / "batch_enroll"


def problem_codes():
    """Every slug that the loader or the mapping gives to a problem of a row or a cell."""
    for folder in ("loading", "mapping", "."):
        for path in (PACKAGE / folder).glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(func=ast.Name(id="Problem"), keywords=keywords):
                        for keyword in keywords:
                            if keyword.arg == "code" and isinstance(keyword.value, ast.Constant):
                                yield keyword.value.value
                    case ast.Call(func=ast.Name(id="CellProblem"), args=[_, ast.Constant(value=code), *_]):
                        yield code
                    case ast.Call(func=ast.Name(id="_problem"), args=[ast.Constant(value=code), *_]):
                        yield code


def test_each_problem_code_has_title_and_advice():
    found = set(problem_codes())
    assert len(found) > 15, found
    assert found - set(CODES) == set()


def test_unknown_code_has_no_advice():
    assert advice_for("no_such_code") == ""
    assert advice_for("") == ""
    assert title_for("no_such_code") == "no_such_code"


@pytest.mark.parametrize("code", CODES)
def test_advice_is_whole_sentences(code):
    assert advice_for(code)[0].isupper()
    assert advice_for(code).endswith(".")
    assert "--" not in REASONS[code].hint
    assert "{" not in title_for(code)


@pytest.mark.parametrize("code", DEFAULT_CODES)
def test_each_known_platform_code_has_advice(code):
    assert advice_for(str(code))


def test_each_code_of_the_sending_stage_has_advice():
    failures = (PACKAGE / "sending/transport_errors.py").read_text(encoding="utf-8")
    codes = set(re.findall(r'return "([a-z]+_[a-z_]+)"', failures)) | {"answer_too_large"}
    row_sender = (PACKAGE / "sending/row_sender.py").read_text(encoding="utf-8")
    codes |= set(re.findall(r'"([a-z_]+)", message\(', row_sender))
    assert {"connection_refused", "read_timeout", "interrupted", "internal_error", "stopped"} <= codes
    assert not [code for code in codes if not advice_for(code)]
