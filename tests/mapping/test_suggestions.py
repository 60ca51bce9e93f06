"""The suggested matching, and the proposed job file."""

from __future__ import annotations

import tomllib

import pytest

from batch_enroll.mapping.column_suggestions import suggest
from batch_enroll.mapping.job_template import job_file_text
from batch_enroll.models import MatchingMode


@pytest.mark.parametrize(
    ("columns", "rows", "mode", "column"),
    [
        (("Name", "E-mail"), [("Anna", "anna@example.com")], MatchingMode.EMAIL, "E-mail"),
        (("Имя", "Почта"), [("Анна", "anna@example.com")], MatchingMode.EMAIL, "Почта"),
        (("a", "b"), [("x", "anna@example.com"), ("y", "boris@example.org")], MatchingMode.EMAIL, "b"),
        (("Телефон", "Город"), [("+79000000001", "Тверь")], MatchingMode.PHONE, "Телефон"),
        (("id", "email"), [("66acb337240d5213037986d8", "a@example.com")], MatchingMode.PROFILE_ID, "id"),
        (("Client no", "Name"), [("00016", "Anna"), ("00017", "Boris")], MatchingMode.CUSTOM, "Client no"),
    ],
)
def test_headers_and_values_lead_to_the_matching(columns, rows, mode, column):
    proposal = suggest(columns, rows)
    assert proposal is not None
    assert (proposal.mode, proposal.column) == (mode, column)


def test_table_without_identities_gives_no_proposal():
    assert suggest(("Name", "City"), [("Anna", "Tver"), ("Boris", "Tula")]) is None


def test_names_for_the_template_are_plain():
    proposal = suggest(("email", "Имя", "Größe (cm)", "Фрукт"), [("a@example.com", "Анна", "180", "яблоко")])
    assert proposal is not None
    assert [item.name for item in proposal.content] == ["first_name", "grosse_cm", "column_4"]


def test_proposed_text_is_toml_whatever_the_headers_hold():
    columns = ("email", 'a "quoted" \\ name', "tab\there", "new\nline", "\x7f")
    proposal = suggest(columns, [("a@example.com", "x\ny", "#", "'", '"')])
    assert proposal is not None
    text = job_file_text(
        proposal,
        input_name="in\nput.csv",
        command="batch-enroll check leads.csv --job job.toml",
        numbers="batch-enroll scenarios",
        url="https://x.example",
        scenario=3,
        sheet='S "1"',
        meaning=lambda key: f"about {key}",
    )
    read = tomllib.loads(text)
    assert "rate = 10                # about send.rate\n" in text
    assert read["send"]["enrolled_before"] == "skip"
    assert '# window = "7d"          # about send.window\n' in text
    assert read["match"] == {"mode": "email", "column": "email"}
    lines = [line.removeprefix("# ") if " = " in line else line for line in text.splitlines()]
    uncommented = tomllib.loads("\n".join(lines))
    assert uncommented["content"]["tab_here"] == "tab\there"
    assert set(uncommented["content"].values()) == set(columns[1:])
