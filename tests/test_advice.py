"""Whatever refuses a row has words for it: what is wrong, and what to do."""

from __future__ import annotations

import ast
from pathlib import Path

from batch_enroll.advice import (
    ADVICE,
    WHY_INVALID,
    advice_for,
    why_invalid,
)

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


def test_every_kind_of_problem_has_its_words_and_its_advice():
    found = set(problem_codes())
    assert len(found) > 12
    assert found - set(WHY_INVALID) == set()
    assert found - set(ADVICE) == set()


def test_an_unknown_code_has_no_advice_and_speaks_for_itself():
    assert advice_for("no_such_code") == ""
    assert why_invalid("no_such_code") == "no_such_code"
