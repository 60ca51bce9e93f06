"""Messages: an id and values become text where they are shown."""

from __future__ import annotations

import ast
import re
import string
from datetime import UTC, datetime
from pathlib import Path

import pytest

import batch_enroll
from batch_enroll.errors import InputError
from batch_enroll.messages import Message, Wording, hint_of, message, render, use_wording, verbatim
from batch_enroll.messages.catalogue import CATALOGUE, NOUNS
from batch_enroll.messages.message_text import Text

PACKAGE = Path(batch_enroll.__path__[0])


@pytest.fixture
def catalogue(monkeypatch):
    texts = {
        "t.rows": Text("{count:row} of '{name}' at {at}.", "Lower {setting:send.rate}, then {command:resume {run}}."),
        "t.outer": Text("It says: {inner}"),
        "t.clause": Text("Last: {text:clause}; stopped."),
        "t.list": Text("One of {names}; {n} and {n:d}."),
    }
    for key, text in texts.items():
        monkeypatch.setitem(CATALOGUE, key, text)


def test_message_is_rendered_with_its_values(catalogue):
    said = message("t.rows", count=1, name="a{b}.csv", at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC), run="r1")
    assert str(said) == "1 row of 'a{b}.csv' at 2026-01-02 03:04 UTC."
    assert render(message("t.rows", count=2000, name="x", at="noon", run="")) == "2,000 rows of 'x' at noon."
    assert str(message("t.list", names=("a", "b"), n=1000)) == "One of a, b; 1,000 and 1000."
    assert str(message("t.outer", inner=said)).startswith("It says: 1 row")


def test_clause_has_no_full_stop(catalogue):
    assert str(message("t.clause", text=verbatim("It failed."))) == "Last: It failed; stopped."
    assert str(message("t.clause", text="It failed")) == "Last: It failed; stopped."


def test_front_end_names_settings_and_commands(catalogue):
    class Flags(Wording):
        def setting(self, path):
            return "--" + path.rpartition(".")[2]

        def command(self, words):
            return f"`tool {words}`"

    said = message("t.rows", count=1, name="x", at="", run="r1")
    assert hint_of(said) == "Lower `send.rate`, then `batch-enroll resume r1`."
    with use_wording(Flags()):
        assert hint_of(said) == "Lower --rate, then `tool resume r1`."


@pytest.mark.parametrize("said", [message("no.such.id", x=1), message("t.rows", count=1)])
def test_message_that_cannot_be_rendered_shows_its_id(catalogue, said):
    assert str(said).startswith(said.id)


def test_message_survives_json(catalogue):
    said = message("t.outer", inner=message("t.list", names=("a", "b"), n=7))
    assert Message.from_json(said.to_json()) == said
    assert str(verbatim("{as it is}")) == "{as it is}"


def test_error_shows_text_and_hint(catalogue):
    error = InputError(message("t.rows", count=3, name="x", at="t", run="r9"))
    error.add_hint(verbatim("And look again."))
    assert error.message == "3 rows of 'x' at t."
    assert str(error) == "3 rows of 'x' at t. Lower `send.rate`, then `batch-enroll resume r9`. And look again."


def used_ids():
    """Each call `message("id", name=...)` of the package: place, id, names of the values."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="message"), args=[ast.Constant(value=key), *_], keywords=keywords):
                    yield f"{path.name}:{node.lineno}", key, {keyword.arg for keyword in keywords}


def names_in(template):
    """The values that a template uses, those inside format specs too."""
    for _, name, spec, _ in string.Formatter().parse(template):
        if name is not None and name not in ("setting", "command", "install"):
            yield name
        if spec:
            yield from names_in(spec)


def test_every_message_has_a_text_with_the_same_values():
    for place, key, values in used_ids():
        assert key in CATALOGUE, f"{place}: {key} has no text"
        wanted = {*names_in(CATALOGUE[key].text), *names_in(CATALOGUE[key].hint)}
        assert None in values or wanted <= values, f"{place}: {key} needs {wanted - values}"


def test_no_number_stands_before_a_fixed_plural():
    """`{count:row}` gives "1 row"; `{count} rows` would give "1 rows"."""
    plurals = "|".join({many.split()[0] for _, many in NOUNS.values()} - {"are", "more"} | {"people"})
    fixed = re.compile(rf"\{{[a-z_]+(?::[d,]*)?\}} (?:{plurals})\b")
    several = {"control.in_flight", "maintenance.copies", "report.headline_rate"}  # texts for more than one
    texts = {key: f"{text.text} {text.hint}" for key, text in CATALOGUE.items()}
    assert {key for key, text in texts.items() if fixed.search(text)} <= several
    in_code = re.compile(rf"\{{[^{{}}]*\}} (?:{plurals})\b")
    modules = [path for part in ("cli", "reporting", "mapping") for path in (PACKAGE / part).rglob("*.py")]
    found = [
        line.strip()
        for path in modules
        for line in path.read_text(encoding="utf-8").splitlines()
        if in_code.search(line) and "invents" not in line and "bar_format" not in line and "mock server" not in line
    ]
    assert found == []


def test_every_noun_has_two_forms():
    assert all(len(forms) == 2 for forms in NOUNS.values())
