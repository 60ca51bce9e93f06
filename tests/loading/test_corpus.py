"""Every case of the corpus, as far as the loader alone can judge it.

What a value is worth (an address, a phone, a duplicate) is the mapping's to say: such a row is only checked for its
number.
"""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from batch_enroll.errors import InputError
from batch_enroll.loading import find_column, open_table
from batch_enroll.models import InputOptions, Row

CORPUS = Path(__file__).parents[1] / "spreadsheets"
CASES = [
    case
    for case in json.loads((CORPUS / "manifest.json").read_text(encoding="utf-8"))["cases"]
    if (CORPUS / case["file"]).exists()
]
JUDGED_BY_MAPPING = {
    "csv-phone-scientific",
    "csv-int-id-with-blank",
    "csv-total-row",
    "csv-duplicates-case",
    "csv-email-decorated",
    "xlsx-numeric-ids",
    "xls-legacy",
}
"""Cases in which what has to be said is about values."""


def _read(case: dict[str, Any], spool: Path) -> tuple[list[Row], tuple[str, ...], str, str]:
    options = case["options"]
    path = CORPUS / case["file"]
    given = {name: options[name] for name in ("delimiter", "encoding", "sheet", "header_row") if name in options}
    with open_table(
        io.BytesIO(path.read_bytes()) if options.get("stdin") else path,
        InputOptions(**given),
        wanted=list(options["columns"].values()),
        spool=spool,
    ) as table:
        rows = [row for block in table.blocks() for row in block]
        said = [f"{notice.message} {notice.hint} {notice.rows}" for notice in table.notices]
        said += [str(problem.message) for row in rows for problem in row.problems]
        return rows, table.columns, table.sheet or "", " ".join(said)


def _value(row: Row, column: int) -> str | None:
    """The text of a cell, blanks around it aside; None when it cannot be used."""
    if any(problem.column in (None, column) for problem in row.problems):
        return None
    return re.sub(r"^[\s\u200b]+|[\s\u200b]+$", "", row.cells[column]) or None


def _wanted_texts(wanted: Any) -> list[str]:
    return wanted if isinstance(wanted, list) else [wanted]


def _difference(case: dict[str, Any], outcome: dict[str, Any], spool: Path) -> str:
    """Say in what the loader differs from an outcome; "" when it does not."""
    try:
        rows, columns, sheet, said = _read(case, spool)
    except InputError as error:
        if outcome["outcome"] != "error":
            return f"an error: {error}"
        return _silence(outcome, str(error))
    if outcome["outcome"] == "error":
        return "no error"
    column = find_column(columns, next(iter(case["options"]["columns"].values())))
    if "row_count" in outcome and len(rows) != outcome["row_count"]:
        return f"{len(rows)} rows"
    for count, value in outcome.get("sample", {}).items():
        if rows[int(count) - 1].cells[column] != value:
            return f"row {count} is {rows[int(count) - 1]}"
    if [row.number for row in rows] != outcome.get("row_numbers", [row.number for row in rows]):
        return f"row numbers {[row.number for row in rows]}"
    for row, wanted in zip(rows, outcome.get("rows", []), strict="rows" in outcome):
        value = _value(row, column)
        if isinstance(wanted, str) and value != wanted and row.cells[column] != wanted:
            return f"row {row.number} is {value!r}, not {wanted!r}"
        if isinstance(wanted, dict) and value is not None and case["id"] not in JUDGED_BY_MAPPING:
            return f"row {row.number} is {value!r} and should be refused"
    for name, values in outcome.get("columns", {}).items():
        for row, wanted in zip(rows, values, strict=True):
            text = row.cells[find_column(columns, name)]
            if wanted is not None and text not in _wanted_texts(wanted):
                return f"{name} in row {row.number} is {text!r}, not {wanted!r}"
    for name, lengths in outcome.get("column_lengths", {}).items():
        if [len(row.cells[find_column(columns, name)]) for row in rows] != lengths:
            return f"lengths of {name}"
    if sheet != outcome.get("sheet", sheet):
        return f"sheet {sheet}"
    return "" if case["id"] in JUDGED_BY_MAPPING else _silence(outcome, said)


def _silence(outcome: dict[str, Any], said: str) -> str:
    for hints in outcome.get("say", {}).get("mentions", []):
        if not any(hint.lower() in said.lower() for hint in hints):
            return f"says nothing of {hints} in: {said}"
    return ""


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_case_gives_its_expected_rows_or_error(case, tmp_path):
    outcomes = [case["expected"], *case.get("also_acceptable", [])]
    differences = [_difference(case, outcome, tmp_path) for outcome in outcomes]
    assert "" in differences, "\n".join(differences)
