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
    """Every slug that the loader, the mapping or the plan gives to a `Problem` or a `Flaw`."""
    for folder in ("loading", "mapping", "."):
        for path in (PACKAGE / folder).glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                name = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
                if isinstance(node, ast.Call) and name in ("Problem", "Flaw", "cls"):
                    named = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
                    if name in ("Flaw", "cls") and len(node.args) == 3:  # (column, code, sentence)
                        named.append(node.args[1])
                    for value in named:
                        if isinstance(value, ast.Constant):
                            yield value.value


def test_every_kind_of_problem_has_title_and_advice():
    found = set(problem_codes())
    assert len(found) > 12
    assert found - set(CODES) == set()


def test_an_unknown_code_has_no_advice():
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
