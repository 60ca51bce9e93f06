"""All steps of a run on a scripted platform: what goes in, what goes out, what is remembered."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest

from batch_enroll.clock import SystemClock
from batch_enroll.config.job import Job
from batch_enroll.control.run_control import Control
from batch_enroll.errors import (
    AlreadyFinished,
    InputError,
    JobError,
    PreflightError,
    RunDeclined,
)
from batch_enroll.events import (
    Event,
    RowFinished,
    RunFinished,
    RunStarted,
)
from batch_enroll.ledger.sqlite import SqliteLedger
from batch_enroll.models import Counts
from batch_enroll.run.api import check_async, enroll, enroll_async
from batch_enroll.run.canary import build_canary
from tests.support.commands import people, read_results, write_csv
from tests.support.ledgers import sqlite_ledger
from tests.support.scripted_platform import OK, ScriptedPlatform


@dataclass
class World:
    """A folder, a ledger and a platform."""

    folder: object
    ledger: SqliteLedger
    platform: ScriptedPlatform

    async def run(self, source, *, job=None, **arguments):
        arguments = {"ledger": self.ledger, "transport": self.platform.transport, **arguments}
        return await enroll_async(job or make_job(), source, token="secret-token", **arguments)

    async def check(self, source, *, job=None, token="secret-token"):
        return await check_async(
            job or make_job(), source, token=token, ledger=self.ledger, transport=self.platform.transport
        )


class InAMonth(SystemClock):
    def now(self):
        return super().now() + timedelta(days=31)


def make_job(**changes):
    settings: dict[str, Any] = {
        "url": "https://platform.example",
        "scenario": 3,
        "match": {"mode": "email", "column": "email"},
        "content": {"first_name": "first_name"},
        "send": {"rate": "none"},
    }
    for path, value in changes.items():
        *sections, key = path.split("__")
        holder = settings
        for section in sections:
            holder = holder.setdefault(section, {})
        holder[key] = value
    return Job.model_validate(settings)


@pytest.fixture
def world(tmp_path, quick_path):
    return World(tmp_path, sqlite_ledger(quick_path), ScriptedPlatform())


async def test_each_row_is_sent_once_and_reported_in_input_order(world, tmp_path):
    source = write_csv(tmp_path / "leads.csv", *people(50))
    summary = await world.run(source)
    assert sorted(world.platform.emails()) == [email for email, _ in people(50)]
    results = read_results(tmp_path / f"leads.{summary.run_id}.results.csv")
    assert [row["email"] for row in results] == [email for email, _ in people(50)]
    assert {row["enroll_status"] for row in results} == {"success"}
    assert [int(row["enroll_row"]) for row in results] == list(range(2, 52))
    assert (summary.counts, summary.exit_code, summary.requests) == (Counts(success=50), 0, 50)


async def test_request_has_only_the_values_of_the_row(world, tmp_path):
    await world.run(write_csv(tmp_path / "in.csv", ("anna@example.com", "NA"), ("boris@example.com", "")))
    assert world.platform.started[0] == {
        "token": "secret-token",
        "id": 3,
        "matching": "email",
        "email": "anna@example.com",
        "content": {"first_name": "NA"},
    }
    assert "content" not in world.platform.started[1]


async def test_each_row_has_one_status_and_the_totals_add_up(world, tmp_path):
    def reply(body):
        match body["email"].split("@")[0]:
            case "refused":
                return httpx.Response(200, json={"error": 404, "error_text": f"Profile {body['email']} not found"})
            case "lost":
                return httpx.Response(502, text="<html>Bad gateway</html>")
        return httpx.Response(200, json=OK)

    world.platform.reply = reply
    source = write_csv(
        tmp_path / "in.csv",
        ("anna@example.com", ""),
        ("refused@example.com", ""),
        ("lost@example.com", ""),
        ("Total: 3", ""),
        ("Anna@example.com", ""),
    )
    summary = await world.run(source)
    assert summary.counts == Counts(success=1, error=1, unknown=1, invalid=1, skipped=1)
    assert summary.exit_code == 4
    results = read_results(summary.results)
    assert [row["enroll_status"] for row in results] == ["success", "error", "unknown", "invalid", "skipped"]
    assert results[1]["enroll_message"] == "Profile refused@example.com not found"
    assert "row 2" in results[4]["enroll_message"]
    assert all(row["enroll_advice"] for row in results[1:])
    assert [row["email"] for row in read_results(summary.failed)] == ["refused@example.com", "Total: 3"]
    assert [row["email"] for row in read_results(summary.unknown)] == ["lost@example.com"]


async def test_ledger_has_no_personal_data_but_results_have(world, tmp_path):
    world.platform.reply = lambda body: httpx.Response(
        200, json={"error": 404, "error_text": f"No profile {body['email']}"}
    )
    summary = await world.run(write_csv(tmp_path / "in.csv", ("anna@example.com", "")))
    run = await world.ledger.open(summary.run_id, read_only=True)
    (outcome,) = await run.outcomes(after_seq=0, limit=10)
    assert "anna" not in str(outcome.message)
    assert read_results(summary.results)[0]["enroll_message"] == "No profile anna@example.com"


async def test_finished_input_is_refused_with_its_totals(world, tmp_path):
    source = write_csv(tmp_path / "in.csv", *people(3))
    await world.run(source)
    with pytest.raises(AlreadyFinished, match=r"3 rows: 3 success.*send.again"):
        await world.run(source)
    assert len(world.platform.started) == 3


async def test_again_sends_once_more_as_a_new_run(world, tmp_path):
    source = write_csv(tmp_path / "in.csv", *people(3))
    first = await world.run(source)
    second = await world.run(source, job=make_job(send__again=True))
    assert second.run_id == f"{first.run_id}-2"
    assert len(world.platform.started) == 6


async def test_edited_file_sends_only_unenrolled_rows(world, tmp_path):
    source = tmp_path / "in.csv"
    await world.run(write_csv(source, ("anna@example.com", ""), ("Total: 1", "")))
    summary = await world.run(write_csv(source, ("anna@example.com", ""), ("boris@example.com", "")))
    assert world.platform.emails() == ["anna@example.com", "boris@example.com"]
    assert summary.counts == Counts(success=1, skipped=1)


async def test_people_of_another_file_are_skipped_unless_asked_for(world, tmp_path):
    await world.run(write_csv(tmp_path / "may.csv", *people(2)))
    june = await world.run(write_csv(tmp_path / "june.csv", *people(3)))
    assert june.counts == Counts(success=1, skipped=2)
    july = await world.run(write_csv(tmp_path / "july.csv", *people(4)), job=make_job(send__window="7d"))
    assert july.counts == Counts(success=1, skipped=3)
    again = make_job(send__enrolled_before="send")
    assert (await world.run(write_csv(tmp_path / "august.csv", *people(5)), job=again)).counts == Counts(success=5)


async def test_unknown_row_is_held_in_later_files_too(world, tmp_path):
    world.platform.reply = lambda body: httpx.Response(500)
    await world.run(write_csv(tmp_path / "may.csv", *people(1)))
    summary = await world.run(write_csv(tmp_path / "june.csv", *people(1), ("new@example.com", "")))
    assert summary.counts == Counts(unknown=1, skipped=1)
    assert world.platform.emails() == [people(1)[0][0], "new@example.com"]


async def test_stopped_run_resumes_with_the_remaining_rows(world, tmp_path):
    source = write_csv(tmp_path / "in.csv", *people(40))
    control = Control()

    def stop_early(event):
        if isinstance(event, RowFinished) and event.row_number == 10:
            control.stop("Stopped by the test.", exit_code=130)

    first = await world.run(source, job=make_job(send__concurrency=1), emit=stop_early, control=control)
    assert first.exit_code == 130
    assert first.stop_reason == "Stopped by the test."
    assert first.counts.not_sent > 0
    second = await world.run(source)
    assert second.run_id == first.run_id
    assert second.counts == Counts(success=40)
    assert sorted(world.platform.emails()) == [email for email, _ in people(40)]


async def test_refused_token_stops_the_run_and_the_row_stays_planned(world, tmp_path):
    world.platform.reply = lambda body: httpx.Response(200, json={"error": 401, "error_text": "API token required"})
    summary = await world.run(write_csv(tmp_path / "in.csv", *people(30)))
    assert summary.exit_code == 3
    assert summary.counts.not_sent == 30
    assert "refused the token" in summary.stop_reason


async def test_twenty_errors_in_a_row_stop_the_run(world, tmp_path):
    world.platform.reply = lambda body: httpx.Response(200, json={"error": 404, "error_text": "Profile not found"})
    summary = await world.run(write_csv(tmp_path / "in.csv", *people(100)), job=make_job(send__concurrency=1))
    assert (summary.exit_code, summary.counts.error) == (3, 20)
    assert "20 rows" in summary.stop_reason


async def test_throttled_row_is_sent_again_and_counted_once(world, tmp_path):
    answers = iter([httpx.Response(429, headers={"Retry-After": "0"}), httpx.Response(200, json=OK)])
    world.platform.reply = lambda body: next(answers)
    summary = await world.run(write_csv(tmp_path / "in.csv", *people(1)))
    assert (summary.counts, summary.requests) == (Counts(success=1), 2)
    assert read_results(summary.results)[0]["enroll_attempts"] == "2"


async def test_ambiguous_row_is_not_sent_again(world, tmp_path):
    world.platform.reply = lambda body: httpx.ReadError("reset", request=None)
    summary = await world.run(write_csv(tmp_path / "in.csv", *people(3)))
    assert summary.counts == Counts(unknown=3)
    assert len(world.platform.started) == 3


async def test_canary_stops_the_run_when_one_of_its_rows_failed(world, tmp_path):
    world.platform.reply = lambda body: httpx.Response(200, json={"error": 404, "error_text": "Profile not found"})
    summary = await world.run(write_csv(tmp_path / "in.csv", *people(30)), job=make_job(send__canary=2))
    assert (summary.counts.error, summary.counts.not_sent) == (2, 28)
    assert "first 2 rows" in summary.stop_reason


def refuse(*people_refused):
    """Answer 404 for some of the people."""
    refused = {email for email, _ in people_refused}
    body = {"error": 404, "error_text": "Profile not found"}
    return lambda asked: httpx.Response(200, json=body if asked["email"] in refused else OK)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (httpx.Response(200, json={"error": 404, "error_text": "No"}), "1 error"),
        (httpx.ReadError("reset", request=None), "1 unknown"),
    ],
    ids=["error", "unknown"],
)
async def test_each_kind_of_bad_canary_row_stops_the_run(world, tmp_path, bad, said):
    first = people(1)[0][0]
    world.platform.reply = lambda body: bad if body["email"] == first else httpx.Response(200, json=OK)
    summary = await world.run(write_csv(tmp_path / "in.csv", *people(9)), job=make_job(send__canary=3))
    assert (summary.exit_code, summary.counts.success, summary.counts.not_sent) == (3, 2, 6)
    assert summary.stop_reason.startswith(f"Stopped after the first 3 rows, the canary: {said}.")


async def test_canary_row_that_was_not_accepted_is_bad(tmp_path):
    canary = build_canary(3, Counts(not_sent=9), asks=False)
    assert canary
    assert "2 not accepted" in str(await canary.review(Counts(success=1, not_sent=8), None))
    assert await canary.review(Counts(success=3, not_sent=6), None) is None


@pytest.mark.parametrize("counts", [Counts(not_sent=3), Counts(success=2, not_sent=1), Counts(error=9, not_sent=3)])
def test_canary_is_not_reviewed_when_no_row_is_left(tmp_path, counts):
    assert build_canary(3, counts, asks=False) is None


async def test_accepted_canary_continues_the_run(world, tmp_path):
    seen = []

    async def look(counts):
        seen.append(counts)
        return True

    summary = await world.run(write_csv(tmp_path / "in.csv", *people(9)), job=make_job(send__canary=2), look=look)
    assert seen == [Counts(success=2, not_sent=7)]
    assert summary.counts == Counts(success=9)


async def test_declined_canary_asks_again_on_the_next_start(world, tmp_path):
    seen = []

    async def look(counts):
        seen.append((counts.success, counts.error))
        return len(seen) > 1

    world.platform.reply = refuse(people(1)[0])
    source, job = write_csv(tmp_path / "in.csv", *people(9)), make_job(send__canary=2)
    first = await world.run(source, job=job, look=look)
    assert (first.exit_code, first.stop_reason) == (3, "Stopped after the first 2 rows, as you said.")
    second = await world.run(source, job=job, look=look)
    assert seen == [(1, 1), (1, 1)], "nothing was sent before the second question"
    assert second.counts == Counts(success=8, error=1)


async def test_accepted_canary_is_not_reviewed_again(world, tmp_path):
    world.platform.reply = refuse(people(5)[4])
    source, job, control = write_csv(tmp_path / "in.csv", *people(40)), make_job(send__canary=2), Control()

    def stop_later(event):
        if isinstance(event, RowFinished) and event.row_number == 10:
            control.stop("Stopped by the test.")

    one_by_one = make_job(send__canary=2, send__concurrency=1)
    first = await world.run(source, job=one_by_one, emit=stop_later, control=control)
    assert first.counts.error == 1
    assert first.counts.not_sent > 20

    async def look(counts):
        raise AssertionError("asked again")

    second = await world.run(source, job=job, look=look)
    assert second.counts == Counts(success=39, error=1)


async def test_unattended_failed_canary_sends_one_canary_per_start(world, tmp_path):
    world.platform.reply = refuse(*people(5))
    source, job = write_csv(tmp_path / "in.csv", *people(30)), make_job(send__canary=3)
    sent, told = [], []
    for _ in range(3):
        summary = await world.run(source, job=job)
        sent.append(summary.counts.success + summary.counts.error)
        told.append(summary.stop_reason)
    assert sent == [3, 6, 30], "the third round was clean, and the rest followed"
    assert told[0].startswith("Stopped after the first 3 rows, the canary: 3 error.")
    assert told[1].startswith("Stopped after 3 rows more, the canary: 2 error.")
    assert told[2] == ""


async def test_interrupted_canary_is_completed_to_its_size(world, tmp_path):
    source, control = write_csv(tmp_path / "in.csv", *people(20)), Control()
    seen = []

    async def look(counts):
        seen.append(counts.success)
        return True

    def stop_early(event):
        if isinstance(event, RowFinished) and event.row_number == 3:
            control.stop("Stopped by the test.")

    job = make_job(send__canary=5, send__concurrency=1)
    first = await world.run(source, job=job, emit=stop_early, control=control, look=look)
    assert first.counts.success == 2
    await world.run(source, job=job, look=look)
    assert seen == [5]


async def test_canary_0_sends_all_rows(world, tmp_path):
    world.platform.reply = refuse(people(1)[0])
    source = write_csv(tmp_path / "in.csv", *people(9))
    assert (await world.run(source, job=make_job(send__canary=2))).counts.not_sent == 7
    assert (await world.run(source, job=make_job(send__canary=0))).counts == Counts(success=8, error=1)


async def test_declined_plan_leaves_nothing(world, tmp_path):
    async def no(plan):
        assert plan.to_send == 3
        return False

    with pytest.raises(RunDeclined):
        await world.run(write_csv(tmp_path / "in.csv", *people(3)), confirm=no)
    assert not world.platform.started
    assert not await world.ledger.runs()
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["in.csv"]


async def test_passed_deadline_sends_nothing_more(world, tmp_path):
    job = make_job(stop__deadline="1s", send__rate=2, send__concurrency=1)
    summary = await world.run(write_csv(tmp_path / "in.csv", *people(50)), job=job)
    assert summary.exit_code == 3
    assert "deadline" in summary.stop_reason
    assert 0 < summary.counts.success < 5


@pytest.mark.parametrize(
    ("listed", "words"),
    [
        ({"error": 401, "error_text": "API token required"}, "token"),
        ({**OK, "data": [], "total": 0}, "scenario"),
        ({**OK, "data": [{"id": 3, "name": "Off", "is_active": False}], "total": 1}, "active"),
    ],
)
async def test_failed_preflight_sends_nothing_and_leaves_nothing(world, tmp_path, listed, words):
    world.platform.transport = httpx.MockTransport(lambda request: httpx.Response(200, json=listed))
    with pytest.raises(PreflightError, match=words):
        await world.run(write_csv(tmp_path / "in.csv", *people(3)))
    assert not await world.ledger.runs()


async def test_duplicates_can_be_sent_or_stop_the_plan(world, tmp_path):
    source = write_csv(tmp_path / "in.csv", ("a@example.com", ""), ("A@example.com", ""))
    with pytest.raises(InputError, match=r"Row 3 .* row 2"):
        await world.run(source, job=make_job(send__duplicates="stop"))
    summary = await world.run(source, job=make_job(send__duplicates="send"))
    assert summary.counts == Counts(success=2)


async def test_too_many_rows_are_refused_before_sending(world, tmp_path):
    with pytest.raises(JobError, match="max_rows"):
        await world.run(write_csv(tmp_path / "in.csv", *people(3)), job=make_job(stop__max_rows=2))
    assert not world.platform.started


async def test_header_without_rows_is_an_error(world, tmp_path):
    with pytest.raises(InputError, match="no rows"):
        await world.run(write_csv(tmp_path / "in.csv"))


async def test_stream_can_be_the_input(world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    summary = await world.run(io.BytesIO(b"email,first_name\nanna@example.com,Anna\n"))
    assert summary.counts == Counts(success=1)
    assert summary.results.name == f"stdin.{summary.run_id}.results.csv"


async def test_later_file_change_does_not_affect_the_run(world, tmp_path):
    source = write_csv(tmp_path / "in.csv", *people(30))

    def overwrite(event):
        if isinstance(event, RunStarted):
            write_csv(source, *people(30, domain="example.org"))

    summary = await world.run(source, emit=overwrite)
    assert all(email.endswith("example.com") for email in world.platform.emails())
    assert {row["email"].partition("@")[2] for row in read_results(summary.results)} == {"example.com"}


async def test_failed_rows_file_can_be_corrected_and_loaded(world, tmp_path):
    world.platform.reply = lambda body: httpx.Response(
        200, json={"error": 404, "error_text": "?"} if body["email"].startswith("x") else OK
    )
    first = await world.run(write_csv(tmp_path / "in.csv", ("anna@example.com", ""), ("x@example.com", "=1+1")))
    world.platform.reply = lambda body: httpx.Response(200, json=OK)
    again = await world.run(first.failed)
    assert again.counts == Counts(success=1)
    assert world.platform.started[-1]["content"] == {"first_name": "=1+1"}
    header = again.results.read_text(encoding="utf-8-sig").splitlines()[0]
    assert header.count("enroll_status") == 1


async def test_results_can_be_an_xlsx_file(world, tmp_path):
    import openpyxl

    job = make_job(output__results=str(tmp_path / "out.xlsx"))
    await world.run(write_csv(tmp_path / "in.csv", ("anna@example.com", "=1+1")), job=job)
    sheet = openpyxl.load_workbook(tmp_path / "out.xlsx").active
    assert sheet is not None
    cells = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert cells[1][:4] == ["anna@example.com", "'=1+1", "2", "success"]
    assert sheet["B2"].data_type == "s"


async def test_check_sends_nothing_and_leaves_nothing(world, tmp_path):
    checked = await world.check(write_csv(tmp_path / "in.csv", *people(3), ("Total: 3", "")))
    assert (checked.plan.rows, checked.plan.to_send, checked.plan.invalid) == (4, 3, 1)
    assert checked.plan.scenario_name == "Welcome"
    assert [row.number for row in checked.invalid_rows] == [5]
    assert "secret-token" not in repr(checked)
    assert not world.platform.started
    assert not await world.ledger.runs()


async def test_check_without_a_token_skips_the_platform(world, tmp_path):
    world.platform.transport = httpx.MockTransport(lambda request: pytest.fail("the platform was asked"))
    checked = await world.check(write_csv(tmp_path / "in.csv", *people(1)), token=None)
    assert checked.plan.scenario_name == ""


async def test_events_describe_the_run_from_start_to_end(world, tmp_path):
    events: list[Event] = []
    await world.run(write_csv(tmp_path / "in.csv", *people(3)), emit=events.append)
    kinds = [type(event) for event in events]
    assert kinds.index(RunStarted) < kinds.index(RowFinished)
    assert kinds[-1] is RunFinished
    assert all("example.com" not in repr(event) for event in events)


async def test_summary_file_equals_the_summary(world, tmp_path):
    summary = await world.run(write_csv(tmp_path / "in.csv", *people(2)))
    read = json.loads(summary.summary.read_text(encoding="utf-8"))
    assert read["counts"] == {**summary.counts.as_dict()}
    assert (read["run"], read["exit_code"]) == (summary.run_id, 0)


def test_synchronous_api_enrolls_without_an_event_loop(tmp_path, sandbox):
    server = sandbox()
    summary = enroll(
        make_job(url=server.url),
        write_csv(tmp_path / "in.csv", *people(5)),
        token=server.token,
        ledger=sqlite_ledger(tmp_path),
    )
    assert summary.counts == Counts(success=5)
    assert set(server.enrolments().values()) == {1}


async def test_rows_of_finished_runs_are_kept_for_a_limited_time(world, tmp_path):
    first = await world.run(write_csv(tmp_path / "may.csv", *people(2)))
    kept = world.ledger.folder(first.run_id) / "rows.staged"
    await world.run(write_csv(tmp_path / "june.csv", *people(3)))
    assert kept.exists()
    await world.run(write_csv(tmp_path / "july.csv", *people(4)), clock=InAMonth())
    assert not kept.exists()


async def test_keep_0_removes_the_rows_when_the_run_ends(world, tmp_path):
    summary = await world.run(write_csv(tmp_path / "in.csv", *people(2)), job=make_job(output__keep=0))
    assert not (tmp_path / "runs" / summary.run_id / "rows.staged").exists()
    assert len(read_results(summary.results)) == 2


async def test_resumed_run_skips_rows_sent_by_a_run_of_the_edited_file(world, tmp_path):
    source = tmp_path / "in.csv"
    control = Control()

    def stop_early(event):
        if isinstance(event, RowFinished) and event.row_number == 5:
            control.stop("Stopped by the test.")

    one_by_one = make_job(send__concurrency=1)
    first = await world.run(write_csv(source, *people(20)), job=one_by_one, emit=stop_early, control=control)
    assert first.counts.not_sent
    await world.run(write_csv(source, *people(20), ("late@example.com", "")))
    again = await world.run(write_csv(source, *people(20)))
    assert again.run_id == first.run_id
    assert again.counts == Counts(success=first.counts.success, skipped=first.counts.not_sent)
    assert len(world.platform.emails()) == len(set(world.platform.emails())) == 21
