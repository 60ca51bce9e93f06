"""Results files of another ledger as input: who was sent there is not sent here unless somebody says so."""

from __future__ import annotations

import csv

import openpyxl
import pytest

from tests.support.commands import read_results, write_csv
from tests.support.input_files import COMMON, enrolled, flags, group

PEOPLE = group("a", 6)
STATUSES = ("success", "unknown", "error", "invalid", "skipped", "not_sent")
DONE, REFUSED = 0, 2
COLUMNS = ("email", "first_name", "enroll_row", "enroll_status", "enroll_code", "enroll_attempts", "enroll_run")


def results_file(cli, *rows, name="theirs.results.csv", header=COLUMNS):
    """Write a results file of a colleague: (email, status) or (email, status, run) for each row."""
    lines = []
    for number, (email, status, *run) in enumerate(rows, start=2):
        line = dict(zip(COLUMNS, (email, "A", number, status, "", "1", *(run or ["0badc0de"])), strict=True))
        lines.append([line[column] for column in header])
    return write_csv(cli.folder / name, *lines, header=header)


def one_of_each(cli, **how):
    return results_file(cli, *((email, status) for (email, _), status in zip(PEOPLE, STATUSES, strict=True)), **how)


def sent(*numbers):
    return {PEOPLE[number][0] for number in numbers}


@pytest.mark.parametrize(
    ("words", "sent_rows"),
    [
        ((), (2, 3, 4, 5)),
        (("--enrolled-before", "skip"), (2, 3, 4, 5)),
        (("--enrolled-before", "stop"), (2, 3, 4, 5)),
        (("--window", "1s"), (2, 3, 4, 5)),
        (("--enrolled-before", "send"), (0, 2, 3, 4, 5)),
        (("--again",), (0, 1, 2, 3, 4, 5)),
    ],
    ids=lambda value: " ".join(value) if value and isinstance(value[0], str) else "",
)
def test_sent_rows_of_another_ledger_are_skipped(cli, sandbox, words, sent_rows):
    server = sandbox()
    ended = cli("run", one_of_each(cli), *flags(server), *words, "--json")
    assert ended.code == DONE, ended.err
    assert enrolled(server) == sent(*sent_rows)
    counts = ended.json["counts"]
    assert (counts["success"], counts["skipped"], counts["rows"]) == (len(sent_rows), 6 - len(sent_rows), 6)


def test_results_of_a_colleague_in_a_workbook(cli, sandbox):
    server = sandbox()
    book = openpyxl.Workbook()
    sheet = book.create_sheet("Results", 0)
    with one_of_each(cli).open(newline="") as file:
        for line in csv.reader(file):
            sheet.append(line)
    book.remove(book.worksheets[1])
    book.save(cli.folder / "theirs.results.xlsx")
    assert cli("run", "theirs.results.xlsx", *flags(server)).code == DONE
    assert enrolled(server) == sent(2, 3, 4, 5)


def test_real_results_of_another_ledger(cli, sandbox):
    server = sandbox()
    theirs = ("--url", server.url, *COMMON, "--ledger", "theirs/ledger.sqlite")
    assert cli("run", write_csv(cli.folder / "in.csv", *PEOPLE), *theirs).code == DONE
    (results,) = cli.folder.glob("in.*.results.csv")
    write_csv(cli.folder / "new.csv", *PEOPLE[:1])
    ended = cli("run", results, *flags(server), "--json")
    assert (ended.json["counts"]["skipped"], len(enrolled(server))) == (6, 6)
    control = cli("run", "new.csv", *flags(server), "--json")  # the same people without the added columns
    assert control.json["counts"]["success"] == 1
    assert max(server.enrolments().values()) == 2


def test_a_known_run_is_left_to_the_memory_of_people(cli, sandbox):
    server = sandbox()
    assert cli("run", write_csv(cli.folder / "in.csv", *PEOPLE[:2]), *flags(server)).code == DONE
    (results,) = cli.folder.glob("in.*.results.csv")
    checked = cli("check", results, *flags(server), "--json").json
    assert (checked["already_enrolled"], checked["enrolled_elsewhere"], checked["to_send"]) == (2, 0, 0)
    other = ["5" if word == "3" else word for word in flags(server)]
    checked = cli("check", results, *other, "--json").json
    assert (checked["already_enrolled"], checked["enrolled_elsewhere"], checked["to_send"]) == (0, 0, 2)


def test_the_ledger_knows_more_than_the_file(cli, sandbox):
    server = sandbox()
    assert cli("run", write_csv(cli.folder / "in.csv", *PEOPLE[:1]), *flags(server)).code == DONE
    results = results_file(cli, (PEOPLE[0][0], "success"), (PEOPLE[1][0], "success"))
    checked = cli("check", results, *flags(server), "--json").json
    assert (checked["already_enrolled"], checked["enrolled_elsewhere"], checked["to_send"]) == (1, 1, 0)


def test_people_sent_again_stay_held_when_elsewhere_unknown(cli, sandbox):
    server = sandbox()
    assert cli("run", write_csv(cli.folder / "in.csv", *PEOPLE[:2]), *flags(server)).code == DONE
    results = results_file(cli, (PEOPLE[0][0], "unknown"), (PEOPLE[1][0], "success"))
    checked = cli("check", results, *flags(server), "--enrolled-before", "send", "--json").json
    assert (checked["enrolled"], checked["enrolled_elsewhere"], checked["to_send"]) == (1, 1, 1)


@pytest.mark.parametrize("duplicates", ["skip", "send"])
@pytest.mark.parametrize("order", [1, -1])
def test_every_row_of_a_person_sent_elsewhere_is_skipped(cli, sandbox, duplicates, order):
    rows = [(PEOPLE[0][0].upper(), "not_sent"), (PEOPLE[0][0], "success"), (PEOPLE[1][0], "error")]
    results = results_file(cli, *rows[::order])
    checked = cli("check", results, *flags(sandbox()), "--duplicates", duplicates, "--json").json
    assert (checked["enrolled_elsewhere"], checked["to_send"], checked["duplicates"]) == (2, 1, 0)


def test_people_sent_elsewhere_are_no_duplicates(cli, sandbox):
    server = sandbox()
    words = (*flags(server), "--duplicates", "stop")
    checked = cli("check", results_file(cli, (PEOPLE[0][0], "success"), (PEOPLE[1][0], "error")), *words, "--json")
    assert (checked.json["enrolled_elsewhere"], checked.json["to_send"]) == (1, 1)
    repeated = results_file(cli, (PEOPLE[0][0], "success"), (PEOPLE[0][0], "success"))
    assert cli("check", repeated, *words).code == REFUSED


@pytest.mark.parametrize("missing", ["run", "column"])
def test_results_that_do_not_name_their_run_are_skipped(cli, sandbox, missing):
    header = COLUMNS if missing == "run" else COLUMNS[:-1]
    results = results_file(cli, (PEOPLE[0][0], "success", ""), (PEOPLE[1][0], "error", ""), header=header)
    checked = cli("check", results, *flags(sandbox()), "--json").json
    assert (checked["enrolled_elsewhere"], checked["to_send"]) == (1, 1)


def test_a_status_column_of_the_input_itself_is_not_ours(cli, sandbox):
    server = sandbox()
    rows = [(PEOPLE[0][0], "success", "0badc0de"), (PEOPLE[1][0], "unknown", "0badc0de")]
    own = write_csv(cli.folder / "own.csv", *rows, header=("email", "enroll_status", "enroll_run"))
    assert cli("check", own, *flags(server), "--json").json["to_send"] == 2
    twice = write_csv(
        cli.folder / "twice.csv",
        (PEOPLE[0][0], "success", "2", "error", "0badc0de"),
        (PEOPLE[1][0], "error", "3", "success", "0badc0de"),
        header=("email", "enroll_status", "enroll_row", "enroll_status", "enroll_run"),
    )
    assert cli("run", twice, *flags(server)).code == DONE
    assert enrolled(server) == sent(0)


def test_plan_and_results_say_why(cli, sandbox):
    server = sandbox()
    results = one_of_each(cli)
    plan = cli("check", results, *flags(server))
    words = " ".join(plan.out.split())
    assert "enrolled elsewhere 2 skipped: sent by a run that this ledger does not know" in words
    assert "The file does not name its scenario" in words
    assert "use --enrolled-before send to enroll them in this one" in words
    (notice,) = cli("check", results, *flags(server), "--json").json["notices"]
    assert (notice["code"], notice["count"], notice["first_rows"]) == ("enrolled_elsewhere", 2, [2, 3])
    (notice,) = cli("check", results, *flags(server), "--enrolled-before", "send", "--json").json["notices"]
    assert (notice["count"], notice["first_rows"]) == (1, [3])
    assert "--again" in notice["advice"]
    ended = cli("run", results, *flags(server), "--json")
    assert [notice["code"] for notice in ended.json["notices"]] == ["enrolled_elsewhere"]
    (written,) = cli.folder.glob("theirs.results.*.results.csv")
    rows = read_results(written)
    assert [row["enroll_code"] for row in rows if row["enroll_status"] == "skipped"] == ["enrolled_elsewhere"] * 2
    assert "0badc0de" in rows[0]["enroll_message"]
    assert "--enrolled-before send" in rows[0]["enroll_advice"]
    assert cli("show", "last", "--ledger", "ledger/ledger.sqlite").code == DONE


def test_corrected_failed_rows_of_a_colleague_are_sent(cli, sandbox):
    server = sandbox()
    failed = results_file(cli, (PEOPLE[0][0], "invalid"), (PEOPLE[1][0], "error"), name="theirs.failed.csv")
    ended = cli("run", failed, *flags(server), "--json")
    assert (ended.json["counts"]["success"], ended.json["counts"]["skipped"]) == (2, 0)
    assert ended.json["notices"] == []
