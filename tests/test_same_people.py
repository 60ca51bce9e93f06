"""The same people given again, in fourteen ways: nobody is enrolled twice unless somebody says so."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import openpyxl
import pytest

from batch_enroll import enroll
from batch_enroll.config.job import Job
from batch_enroll.ledger.location import open_ledger
from tests.support.commands import write_csv
from tests.support.input_files import enrolled, flags, group
from tests.support.sandbox import wait_until

PEOPLE = group("a", 6)
DONE, REFUSED, BUSY = 0, 2, 5


def other_name(cli, server):
    return cli("run", write_csv(cli.folder / "other.csv", *PEOPLE), *flags(server))


def copy(cli, server):
    return cli("run", shutil.copy(cli.folder / "in.csv", cli.folder / "copy of in.csv"), *flags(server))


def link(cli, server):
    (cli.folder / "link.csv").symlink_to(cli.folder / "in.csv")
    return cli("run", "link.csv", *flags(server))


def other_folder(cli, server):
    (cli.folder / "sub").mkdir()
    return cli("run", shutil.copy(cli.folder / "in.csv", cli.folder / "sub"), *flags(server))


def linked_ledger(cli, server):
    (cli.folder / "linked").symlink_to(cli.folder / "ledger")
    (cli.folder / "linked/index").symlink_to(cli.folder / "ledger/ledger.sqlite")
    return cli("run", "in.csv", *flags(server), "--ledger", "linked/../linked/index")


def scheme_in_capitals(cli, server):
    return cli("run", "in.csv", *flags(server), "--url", server.url.replace("http", "HTTP"))


def emails_in_capitals(cli, server):
    rows = [(email.upper(), name) for email, name in PEOPLE]
    return cli("run", write_csv(cli.folder / "in.csv", *rows), *flags(server))


def edited(cli, server):
    return cli("run", write_csv(cli.folder / "in.csv", *PEOPLE, ("new@example.com", "New")), *flags(server))


def sorted_anew(cli, server):
    return cli("run", write_csv(cli.folder / "in.csv", *PEOPLE[::-1]), *flags(server))


def other_content(cli, server):
    return cli("run", "in.csv", *flags(server), "--content", "name=first_name")


def columns_moved(cli, server):
    moved = [(name, email) for email, name in PEOPLE]
    return cli("run", write_csv(cli.folder / "in.csv", *moved, header=("first_name", "email")), *flags(server))


def as_workbook(cli, server):
    book = openpyxl.Workbook()
    sheet = book.create_sheet("People", 0)
    for row in (("email", "first_name"), *PEOPLE):
        sheet.append(row)
    book.remove(book.worksheets[1])
    book.save(cli.folder / "in.xlsx")
    return cli("run", "in.xlsx", *flags(server))


def own_results(cli, server):
    (results,) = cli.folder.glob("in.*.results.csv")
    return cli("run", results, *flags(server))


def standard_input(cli, server):
    return cli("run", "-", *flags(server), stdin=(cli.folder / "in.csv").read_bytes())


WAYS = {
    other_name: REFUSED,  # the same bytes, and nothing is left to send
    copy: REFUSED,
    link: REFUSED,
    other_folder: REFUSED,
    linked_ledger: REFUSED,
    scheme_in_capitals: REFUSED,
    emails_in_capitals: DONE,
    edited: DONE,
    sorted_anew: DONE,
    other_content: REFUSED,
    columns_moved: DONE,
    as_workbook: DONE,
    own_results: DONE,
    standard_input: REFUSED,
}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_the_same_people_given_again(cli, sandbox, way):
    server = sandbox()
    assert cli("run", write_csv(cli.folder / "in.csv", *PEOPLE), *flags(server)).code == DONE
    again = way(cli, server)
    assert again.code == WAYS[way], again.err
    expected = {email for email, _ in PEOPLE} | ({"new@example.com"} if way is edited else set())
    assert {email.lower() for email in enrolled(server)} == expected


def test_the_same_people_from_python(cli, sandbox):
    server = sandbox()
    assert cli("run", write_csv(cli.folder / "in.csv", *PEOPLE), *flags(server)).code == DONE
    job = Job.model_validate(
        {"url": server.url, "scenario": 3, "match": {"mode": "email", "column": "email"}, "send": {"rate": "none"}}
    )
    other = write_csv(cli.folder / "other.csv", *PEOPLE[::-1])
    summary = enroll(
        job, Path(other), token="sandbox-token", ledger=open_ledger(str(cli.folder / "ledger/ledger.sqlite"))
    )
    assert (summary.counts.success, summary.counts.skipped) == (0, 6)
    assert len(enrolled(server)) == 6


def test_another_process_at_the_same_moment(cli, sandbox):
    server = sandbox(latency_s=(0.2, 0.2))
    write_csv(cli.folder / "in.csv", *PEOPLE)
    write_csv(cli.folder / "other.csv", *PEOPLE[::-1])
    first = cli.start("run", "in.csv", *flags(server), "--concurrency", "1")
    wait_until(lambda: bool(server.enrolments()))
    second = cli("run", "other.csv", *flags(server))
    assert second.code == BUSY
    assert "of in.csv" in second.err
    assert f"process {first.pid}" in second.err
    assert "--wait" in second.err
    third = cli("run", "other.csv", *flags(server), "--wait", "2m", "--json")
    assert third.code == DONE, third.err
    assert third.json["counts"]["skipped"] == 6
    assert first.wait(60) == 0
    assert len(enrolled(server)) == 6


def test_send_enrolls_them_again(cli, sandbox):
    server = sandbox()
    assert cli("run", write_csv(cli.folder / "in.csv", *PEOPLE), *flags(server)).code == DONE
    other = write_csv(cli.folder / "other.csv", *PEOPLE[::-1])
    assert cli("run", other, *flags(server), "--enrolled-before", "send").code == DONE
    assert set(server.enrolments().values()) == {2}


def test_stop_refuses_them(cli, sandbox):
    server = sandbox()
    assert cli("run", write_csv(cli.folder / "in.csv", *PEOPLE[:2]), *flags(server)).code == DONE
    other = write_csv(cli.folder / "other.csv", *PEOPLE)
    refused = cli("run", other, *flags(server), "--enrolled-before", "stop")
    assert refused.code == REFUSED
    assert "2 of 6 rows were enrolled in scenario 3 before, last on " in refused.err
    assert "by in.csv" in refused.err
    assert len(enrolled(server)) == 2


def test_a_window_forgets_them(cli, sandbox):
    server = sandbox()
    assert cli("run", write_csv(cli.folder / "in.csv", *PEOPLE), *flags(server)).code == DONE
    other = write_csv(cli.folder / "other.csv", *PEOPLE[::-1])
    assert cli("run", other, *flags(server), "--window", "1d", "--json").json["counts"]["skipped"] == 6
    wait_until(lambda: cli("check", other, *flags(server), "--window", "1s", "--json").json["to_send"] == 6)
    assert len(enrolled(server)) == 6


def test_again_sends_everybody_once_more(cli, sandbox):
    server = sandbox()
    assert cli("run", write_csv(cli.folder / "in.csv", *PEOPLE), *flags(server)).code == DONE
    assert cli("run", "in.csv", *flags(server), "--window", "7d", "--again").code == DONE
    assert set(server.enrolments().values()) == {2}


@pytest.mark.parametrize("place", ["file", "variable"])
def test_again_is_given_by_a_person(cli, sandbox, place):
    server = sandbox()
    write_csv(cli.folder / "in.csv", *PEOPLE)
    (cli.folder / "job.toml").write_text("[send]\nagain = true\n" if place == "file" else "")
    variables = {"BATCH_ENROLL_AGAIN": "yes"} if place == "variable" else {}
    refused = cli("run", "in.csv", "--job", "job.toml", *flags(server), **variables)
    assert refused.code == REFUSED
    assert "--again sends everybody of an input once more" in refused.err
    assert not enrolled(server)


def test_a_window_with_send_is_refused(cli, sandbox):
    server = sandbox()
    write_csv(cli.folder / "in.csv", *PEOPLE)
    refused = cli("run", "in.csv", *flags(server), "--window", "7d", "--enrolled-before", "send")
    assert refused.code == REFUSED
    assert refused.err.endswith("--enrolled-before send does not look at that at all; use one of the two.\n")


def test_a_killed_run_is_remembered(cli, sandbox):
    server = sandbox(latency_s=(0.2, 0.2))
    write_csv(cli.folder / "in.csv", *PEOPLE)
    first = cli.start("run", "in.csv", *flags(server), "--concurrency", "1")
    wait_until(lambda: len(server.enrolments()) >= 2)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    other = write_csv(cli.folder / "other.csv", *PEOPLE[::-1])
    assert cli("run", other, *flags(server)).code == DONE
    rest = cli("run", "in.csv", *flags(server), "--json")
    assert rest.json["counts"]["not_sent"] == 0
    assert set(server.enrolments().values()) == {1}


def test_what_was_invalid_is_planned_again(cli, sandbox):
    server = sandbox()
    rows = [("+79000000001", "A"), ("89000000002", "B"), ("12", "C")]
    write_csv(cli.folder / "in.csv", *rows, header=("phone", "first"))
    phones = ["--match", "phone=phone"]
    common = [*flags(server), *phones]
    first = cli("run", "in.csv", *common, "--json")
    assert first.json["counts"]["invalid"] >= 1
    again = cli("run", "in.csv", *common)
    assert again.code == REFUSED
    assert "--again" not in again.err


def test_a_refused_row_is_not_sent_again_by_the_same_file(cli, sandbox):
    server = sandbox()
    write_csv(cli.folder / "in.csv", ("nobody@example.com", "N"), ("not an address", "X"), *PEOPLE)
    assert cli("run", "in.csv", *flags(server), "--json").json["counts"]["error"] == 1
    requests = server.totals()["requests"]["workflows/start"]
    assert cli("run", "in.csv", *flags(server)).code == REFUSED
    assert server.totals()["requests"]["workflows/start"] == requests


def test_the_plan_says_who_was_enrolled_before(cli, sandbox):
    server = sandbox()
    assert cli("run", write_csv(cli.folder / "leads-1.csv", *PEOPLE), *flags(server)).code == DONE
    other = write_csv(cli.folder / "leads-2.csv", *PEOPLE, ("new@example.com", "New"))
    checked = cli("check", other, *flags(server), "--json").json
    assert (checked["to_send"], checked["enrolled"], checked["already_enrolled"]) == (1, 6, 6)
    assert checked["last_enrolled"].endswith("by leads-1.csv")
    assert [notice["code"] for notice in checked["notices"]] == ["enrolled_before_default"]
    said = cli("check", other, *flags(server), "--enrolled-before", "skip", "--json").json
    assert not said["notices"]


def test_send_alone_still_holds_unknown_rows(cli, sandbox):
    server = sandbox(faults="drop_after_acting@1")
    write_csv(cli.folder / "in.csv", *PEOPLE)
    assert cli("run", "in.csv", *flags(server), "--concurrency", "1", "--json").json["counts"]["unknown"] == 1
    other = write_csv(cli.folder / "other.csv", *PEOPLE[::-1])
    counts = cli("run", other, *flags(server), "--enrolled-before", "send", "--json").json["counts"]
    assert (counts["success"], counts["skipped"]) == (5, 1)
    assert server.enrolments()[f"email:{PEOPLE[0][0]}"] == 1
    assert cli("run", other, *flags(server), "--again", "--json").json["counts"]["success"] == 6


def test_a_window_never_forgets_an_unknown_row(cli, sandbox):
    server = sandbox(faults="drop_after_acting@1")
    write_csv(cli.folder / "in.csv", *PEOPLE)
    assert cli("run", "in.csv", *flags(server), "--concurrency", "1", "--json").json["counts"]["unknown"] == 1
    other = write_csv(cli.folder / "other.csv", *PEOPLE[::-1])
    wait_until(lambda: cli("check", other, *flags(server), "--window", "1s", "--json").json["to_send"] == 5)


def test_rows_that_became_valid_are_planned_again(cli, sandbox):
    """The job's setting was wrong: the same file sends only what was invalid, and no hint offers `--again`."""
    server = sandbox()
    write_csv(cli.folder / "in.csv", ("12", "A"), ("0013", "B"), header=("id", "first_name"))
    common = ("run", "in.csv", *flags(server), "--match", "custom:CRM_ID=id")
    first = cli(*common, "--field-type", "int", "--json")
    assert first.json["counts"]["invalid"] == 1
    refused = cli(*common, "--field-type", "int")
    assert (refused.code, "--again" in refused.err) == (REFUSED, False)
    second = cli(*common, "--field-type", "string", "--json")
    assert (second.json["counts"]["skipped"], second.json["counts"]["not_sent"]) == (1, 0)
    assert second.json["counts"]["success"] + second.json["counts"]["error"] == 1


def test_a_job_that_does_not_say_what_it_wants_is_told(cli, sandbox):
    server = sandbox()
    assert cli("run", write_csv(cli.folder / "in.csv", *PEOPLE), *flags(server)).code == DONE
    other = write_csv(cli.folder / "other.csv", *PEOPLE, ("new@example.com", "New"))
    ended = cli("run", other, *flags(server), "--json", "--status-file", "status.json")
    (notice,) = ended.json["notices"]
    assert notice["code"] == "enrolled_before_default"
    assert 'enrolled_before = "skip"' in notice["advice"]
    assert json.loads((cli.folder / "status.json").read_text())["notices"] == ended.json["notices"]


def test_a_paused_run_keeps_the_scenario(cli, sandbox):
    server = sandbox(latency_s=(0.2, 0.2))
    write_csv(cli.folder / "in.csv", *PEOPLE)
    write_csv(cli.folder / "other.csv", *group("b", 2))
    ledger = ("--ledger", "ledger/ledger.sqlite")
    first = cli.start("run", "in.csv", *flags(server), "--concurrency", "1")
    wait_until(lambda: bool(server.enrolments()))
    (run_id,) = (run["run"] for run in cli("runs", *ledger, "--json").json)
    assert cli("pause", run_id, *ledger).code == DONE
    assert cli("run", "other.csv", *flags(server)).code == BUSY
    assert cli("check", "other.csv", *flags(server)).code == DONE
    assert cli("resume", run_id, *ledger).code == DONE
    assert first.wait(60) == 0
    assert cli("run", "other.csv", *flags(server)).code == DONE
