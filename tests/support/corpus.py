"""Run the cases of `tests/spreadsheets` and `tests/spreadsheets_2` through the command line, and check their outcomes.

A case names a file, the options of a person and the right outcome (its README describes the format). The requests are
read from the sandbox, messages from standard error, row numbers from the results file.
"""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest

FOLDER = Path(__file__).parents[1] / "spreadsheets"
FOLDER_2 = FOLDER.with_name("spreadsheets_2")


def load_cases(folder: Path) -> dict[str, dict[str, Any]]:
    """The cases of a manifest, by their names."""
    return {case["id"]: case for case in json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["cases"]}


CASES = load_cases(FOLDER)
CASES_2 = load_cases(FOLDER_2)
FIELD = "CRM_ID"


@dataclass(frozen=True)
class Played:
    """What came of one case."""

    code: int
    said: str
    sent: tuple[str | None, ...] = ()  #: for each data row in file order the value that went out, None when none did
    row_numbers: tuple[int, ...] = ()
    columns: dict[str, tuple[str | None, ...]] = field(default_factory=dict)  #: content that went out, by column
    results: tuple[tuple[str, ...], ...] = ()  #: the lines of the results file, the header too


def column_names(case: dict[str, Any]) -> list[str]:
    """Every column of a case whose content is judged, in a fixed order."""
    names: list[str] = []
    for outcome in (case["expected"], *case.get("also_acceptable", ())):
        names += [*outcome.get("columns", {}), *outcome.get("column_lengths", {})]
        names += [name for row in outcome.get("sample_columns", {}).values() for name in row]
    return list(dict.fromkeys(names))


def flags(case: dict[str, Any]) -> list[str]:
    """The words of a person who gives this file."""
    options = case["options"]
    matching = options["matching"]
    (column,) = options["columns"].values()
    mode = f"custom:{FIELD}" if matching == "custom" else matching
    words = ["--match", f"{mode}={column}"]
    for position, name in enumerate(column_names(case)):
        words += ["--content", f"c{position}={name}"]
    for option, flag in (
        ("sheet", "--sheet"),
        ("header_row", "--header-row"),
        ("encoding", "--encoding"),
        ("delimiter", "--delimiter"),
    ):
        if option in options:
            words += [flag, str(options[option])]
    return words


def play(cli: Any, server: Any, case: dict[str, Any], source: Path) -> Played:
    """Run a case to its end, one request at a time, duplicates included."""
    from_stdin = case["options"].get("stdin", False)
    ended = cli(
        "run",
        "-" if from_stdin else source,
        *flags(case),
        *("--url", server.url, "--scenario", "3", "--rate", "none", "--concurrency", "1", "--duplicates", "send"),
        *("--max-errors", "100000", "--results", "out.csv", "--json"),
        stdin=source.read_bytes() if from_stdin else b"",
    )
    return read_back(cli, server, case, ended)


def read_back(cli: Any, server: Any, case: dict[str, Any], ended: Any) -> Played:
    """Put together what the sandbox received and what the results file says."""
    assert "Traceback" not in ended.err, ended.err
    out = cli.folder / "out.csv"
    if not out.exists():
        assert not server.totals()["requests"].get("workflows/start"), "something was sent, and no results tell of it"
        return Played(code=ended.code, said=ended.err)
    usual_limit = csv.field_size_limit(2**31 - 1)
    with out.open(encoding="utf-8-sig", newline="") as file:
        lines = [tuple(line) for line in csv.reader(file)]
    csv.field_size_limit(usual_limit)
    header, rows = lines[0], lines[1:]
    at = {name: header.index(name) for name in ("enroll_row", "enroll_attempts", "enroll_message", "enroll_status")}
    bodies = iter([entry["body"] for entry in server.requests() if entry["path"].endswith("/workflows/start")])
    names = column_names(case)
    sent: list[str | None] = []
    columns: dict[str, list[str | None]] = {name: [] for name in names}
    for row in rows:
        body = next(bodies) if row[at["enroll_attempts"]] != "0" else None
        sent.append(None if body is None else _identity(body))
        for position, name in enumerate(names):
            columns[name].append(None if body is None else body.get("content", {}).get(f"c{position}", ""))
    assert next(bodies, None) is None, "more was sent than the results tell"
    said = "\n".join([ended.err, *(row[at["enroll_message"]] for row in rows if row[at["enroll_status"]] == "invalid")])
    return Played(
        code=ended.code,
        said=said,
        sent=tuple(sent),
        row_numbers=tuple(int(row[at["enroll_row"]]) for row in rows),
        columns={name: tuple(values) for name, values in columns.items()},
        results=tuple(lines),
    )


def case(column: str = "client_id", *, matching: str = "custom", content: tuple[str, ...] = (), **options: Any) -> Any:
    """What `play` needs to know of a file that has no case in the corpus."""
    return {
        "options": {"matching": matching, "columns": {matching: column}, **options},
        "expected": {"columns": dict.fromkeys(content, ())},
    }


class Send(Protocol):
    """Write a file and run it; gives what was sent and said."""

    def __call__(self, data: str | bytes, name: str = ..., column: str = ..., **options: Any) -> Played: ...


@pytest.fixture
def send(cli: Any, sandbox: Any) -> Send:

    def send(data: str | bytes, name: str = "table.csv", column: str = "client_id", **options: Any) -> Played:
        path = cli.folder / name
        (cli.folder / "out.csv").unlink(missing_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return play(cli, sandbox(), case(column, **options), path)

    return send


def judge(case: dict[str, Any], played: Played) -> list[str]:
    """Say what is wrong with an outcome: nothing when it is the right one, or one that is acceptable too."""
    faults = _forbidden(case, played)
    outcomes = (case["expected"], *case.get("also_acceptable", ()))
    tried = [_compare(outcome, played) for outcome in outcomes]
    return faults + (min(tried, key=len) if all(tried) else [])


def _compare(outcome: dict[str, Any], played: Played) -> list[str]:
    wrong: list[str] = []
    if outcome["outcome"] == "error":
        if any(value is not None for value in played.sent) or played.code == 0:
            wrong.append(f"an error was due, but exit {played.code} and {len(played.sent)} rows")
    else:
        if played.code == 2 and outcome.get("rows"):
            wrong.append(f"rows were due: {played.said}")
        wrong += _rows(outcome, played)
    for group in outcome.get("say", {}).get("mentions", ()):
        if not any(hint.casefold() in played.said.casefold() for hint in group):
            wrong.append(f"none of {group} was said in: {played.said}")
    return wrong


def _rows(outcome: dict[str, Any], played: Played) -> list[str]:
    wrong: list[str] = []
    if "rows" in outcome:
        due = outcome["rows"]
        if len(due) != len(played.sent):
            return [f"{len(due)} rows were due, {len(played.sent)} came: {played.sent} {played.said}"]
        for number, (value, sent) in enumerate(zip(due, played.sent, strict=True), start=1):
            fits = sent == value if isinstance(value, str) else sent in (None, value.get("or_with_notice"))
            if not fits:
                wrong.append(f"data row {number}: {value!r} was due, {sent!r} was sent")
    if "row_numbers" in outcome and tuple(outcome["row_numbers"]) != played.row_numbers:
        wrong.append(f"row numbers {outcome['row_numbers']} were due, {played.row_numbers} came")
    for name, due in outcome.get("columns", {}).items():
        for number, (value, sent) in enumerate(zip(due, played.columns[name], strict=True), start=1):
            allowed = value if isinstance(value, list) else [value]
            if value is not None and sent is not None and sent not in allowed:
                wrong.append(f"data row {number}, {name}: {value!r} was due, {sent!r} was sent")
    for name, due in outcome.get("column_lengths", {}).items():
        lengths = [len(value or "") for value in played.columns[name]]
        if lengths != due:
            wrong.append(f"{name}: lengths {due} were due, {lengths} were sent")
    if "row_count" in outcome and outcome["row_count"] != len(played.sent):
        wrong.append(f"{outcome['row_count']} rows were due, {len(played.sent)} came")
    for number, value in outcome.get("sample", {}).items():
        if int(number) <= len(played.sent) and played.sent[int(number) - 1] != value:
            wrong.append(f"data row {number}: {value!r} was due, {played.sent[int(number) - 1]!r} was sent")
    return wrong


def _forbidden(case: dict[str, Any], played: Played) -> list[str]:
    never = set(case.get("must_never_send", ()))
    pattern = case.get("must_never_send_pattern")
    out = [value for value in played.sent if value is not None]
    for name, due in case["expected"].get("columns", {}).items():
        expected = {text for value in due for text in (value if isinstance(value, list) else [value])}
        out += [value for value in played.columns.get(name, ()) if value and value not in expected]
    return [
        f"{value!r} must never be sent" for value in out if value in never or (pattern and re.search(pattern, value))
    ]


def _identity(body: dict[str, Any]) -> str:
    return str(body["field_value"] if body["matching"] == "custom" else body[body["matching"]])
