"""A file of kept rows that is gone, cut or garbled: one sentence, exit 3, and nobody is sent twice."""

from __future__ import annotations

import gzip
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from batch_enroll.control.run_control import Control
from batch_enroll.errors import LedgerError
from batch_enroll.events import RowFinished, Stopping
from batch_enroll.ledger.staged_rows import STAGE_NAME, FileStage
from batch_enroll.models import Counts, RowStatus
from batch_enroll.run.api import enroll_async, retry_async
from batch_enroll.run.result_files import report_again
from tests.support.commands import people, read_results, write_csv
from tests.support.ledgers import sqlite_ledger
from tests.support.scripted_platform import ScriptedPlatform
from tests.test_run import make_job

ROWS = 30
FLAGS = ("--scenario", "3", "--match", "email=email", "--concurrency", "1", "--rate", "none")


def lines(content, count):
    return b"".join(content.splitlines(keepends=True)[:count])


DAMAGES = {
    "empty": lambda content: b"",
    "only the header": lambda content: lines(content, 1),
    "half of the rows": lambda content: lines(content, 1 + ROWS // 2),
    "all but the last row": lambda content: lines(content, ROWS),
    "a row in the middle is missing": lambda content: lines(content, 5) + content[len(lines(content, 6)) :],
    "a row comes twice": lambda content: content + content[len(lines(content, ROWS)) :],
    "cut in the middle of a row": lambda content: content[: len(content) // 2],
    "the last byte is missing": lambda content: content[:-1],
    "cut in the header": lambda content: content[:9],
    "gzip": lambda content: gzip.compress(content),
    "no text": lambda content: content[:200] + b"\xff\xfe\xff" * 9 + content[200:],
    "overwritten with zeros": lambda content: bytes(len(content)),
}


def kept_rows():
    (path,) = Path(os.environ["XDG_DATA_HOME"]).rglob(STAGE_NAME)
    return path


@pytest.fixture
def stopped(cli, sandbox):
    """A run that was stopped after some of its rows: the words that resume it, and its server."""
    server = sandbox(faults="drop_after_acting@3,drop_before_acting@4,drop_before_acting@5")
    source = write_csv(cli.folder / "in.csv", *people(ROWS))
    words = ("run", source, "--url", server.url, *FLAGS)
    ended = cli(*words, "--max-unknown", "2", "--json")
    assert (ended.code, ended.json["counts"]["unknown"]) == (3, 3)
    return words, ended.json["run"], server


def is_refused(ended, run):
    assert (ended.code, "Traceback" in ended.err) == (3, False), ended.err
    told = [line for line in ended.err.splitlines() if run in line and "rows" in line]
    assert len(told) == 1, ended.err
    assert f"batch-enroll show {run}" in ended.err


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
async def test_damaged_rows_are_refused_before_sending(tmp_path, damage):
    ledger, platform, control = sqlite_ledger(tmp_path), ScriptedPlatform(), Control()
    source = write_csv(tmp_path / "in.csv", *people(ROWS))
    job = make_job(send__concurrency=1)

    def stop_early(event):
        if isinstance(event, RowFinished) and event.row_number == 5:
            control.stop("Stopped by the test.")

    arguments: dict[str, Any] = {"token": "t", "ledger": ledger, "transport": platform.transport}
    run_id = (await enroll_async(job, source, emit=stop_early, control=control, **arguments)).run_id
    sent = len(platform.started)
    path = ledger.folder(run_id) / STAGE_NAME
    whole = path.read_bytes()
    path.write_bytes(damage(whole))

    with pytest.raises(LedgerError, match=f"run {run_id} are damaged"):
        await enroll_async(job, source, **arguments)
    with pytest.raises(LedgerError, match=f"run {run_id} are damaged"):
        await retry_async(job, run_id, RowStatus.NOT_SENT, **arguments)
    run = await ledger.open(run_id, read_only=True)
    with pytest.raises(LedgerError, match=f"run {run_id} are damaged"):
        await report_again(run, None)
    await run.close_unchanged()
    assert len(platform.started) == sent < ROWS

    path.write_bytes(whole)
    assert (await enroll_async(job, source, **arguments)).counts == Counts(success=ROWS)
    assert sorted(platform.emails()) == [email for email, _ in people(ROWS)]


@pytest.mark.parametrize("damage", ["half of the rows", "gzip"])
def test_each_command_refuses_damaged_rows_in_one_sentence(cli, stopped, damage):
    words, run, server = stopped
    path, before = kept_rows(), server.totals()["requests"]["workflows/start"]
    whole = path.read_bytes()
    (results,) = cli.folder.glob("*.results.csv")
    written = results.read_bytes()
    path.write_bytes(DAMAGES[damage](whole))

    for command in (
        words,
        ("retry", run, "--not-sent"),
        ("report", run),
        ("resolve", run),
        ("resolve", run, "--rows", "4", "--verdict", "resend"),
    ):
        is_refused(cli(*command), run)
    assert results.read_bytes() == written
    assert server.totals()["requests"]["workflows/start"] == before
    assert cli("show", run, "--json").json["counts"]["unknown"] == 3
    assert cli("runs").code == cli("check", *words[1:]).code == 0  # `check` reads the input

    path.write_bytes(whole)
    assert cli(*words).code == 4
    assert set(server.enrolments().values()) == {1}
    assert len(server.enrolments()) == ROWS - 2


def test_missing_rows_are_refused(cli, stopped):
    words, run, server = stopped
    kept_rows().unlink()
    before = server.totals()["requests"]["workflows/start"]
    for command in (words, ("retry", run, "--not-sent"), ("report", run), ("resolve", run)):
        is_refused(cli(*command), run)
    assert server.totals()["requests"]["workflows/start"] == before


# --- while the run sends ---


def cut_after_row_1500(content):
    return lines(content, 1 + 1500)


def drop_row_1400(content):
    """All rows that follow move up; the number of lines stays."""
    all_lines = content.splitlines(keepends=True)
    return b"".join([*all_lines[:1400], *all_lines[1401:], all_lines[-1]])


@pytest.mark.slow
@pytest.mark.parametrize("damage", [cut_after_row_1500, drop_row_1400])
async def test_rows_damaged_during_sending_stop_the_run(tmp_path, damage):
    """The damage lies beyond what was read ahead when it happens."""
    ledger, platform = sqlite_ledger(tmp_path), ScriptedPlatform()
    source = write_csv(tmp_path / "in.csv", *people(3000))
    whole: dict[Path, bytes] = {}
    reasons: list[str] = []

    def damage_at_the_tenth_row(event):
        if isinstance(event, RowFinished) and not whole and event.row_number >= 10:
            path = next((tmp_path / "data").rglob(STAGE_NAME))
            whole[path] = path.read_bytes()
            path.write_bytes(damage(whole[path]))
        elif isinstance(event, Stopping):
            reasons.append(event.reason)

    job = make_job(send__concurrency=1)
    arguments: dict[str, Any] = {"token": "t", "ledger": ledger, "transport": platform.transport}
    with suppress(LedgerError):  # the results cannot be written either when rows are missing
        assert (await enroll_async(job, source, emit=damage_at_the_tenth_row, **arguments)).counts.not_sent
    (record,) = await ledger.runs()
    (reason,) = reasons
    assert re.search(rf"rows of run {record.run_id} are damaged|of run {record.run_id} is not what was planned", reason)
    assert 10 <= len(platform.started) < 3000
    assert_sent_what_was_planned(platform)

    for path, content in whole.items():
        path.write_bytes(content)
    summary = await enroll_async(job, source, **arguments)
    assert (summary.exit_code, summary.counts) == (0, Counts(success=3000))
    assert sorted(platform.emails()) == [email for email, _ in people(3000)]
    assert summary.results is not None
    assert [row["enroll_status"] for row in read_results(summary.results)] == ["success"] * 3000


async def test_planned_row_without_a_request_is_damage(tmp_path):
    """Only a row that was erased has none, and such a row is not planned any more."""
    ledger, platform, reasons, control = sqlite_ledger(tmp_path), ScriptedPlatform(), [], Control()
    source, job = write_csv(tmp_path / "in.csv", *people(ROWS)), make_job(send__concurrency=1)

    def stop_early(event):
        if isinstance(event, RowFinished):
            control.stop("Stopped by the test.")

    def note(event):
        if isinstance(event, Stopping):
            reasons.append(event.reason)

    arguments: dict[str, Any] = {"token": "t", "ledger": ledger, "transport": platform.transport}
    run_id = (await enroll_async(job, source, emit=stop_early, control=control, **arguments)).run_id
    FileStage(ledger.folder(run_id), lambda: ROWS).forget([20])

    assert (await enroll_async(job, source, emit=note, **arguments)).counts.not_sent
    assert f"Row 21 of run {run_id} is not what was planned" in str(reasons[0])
    assert people(20)[-1][0] not in platform.emails()


def assert_sent_what_was_planned(platform):
    sent = [(body["email"], body["content"]["first_name"]) for body in platform.started]
    assert sent == people(3000)[: len(sent)]


async def test_stored_rows_of_a_retry_batch_are_checked_too(tmp_path):
    ledger = sqlite_ledger(tmp_path)
    platform = ScriptedPlatform(lambda body: httpx.Response(200, json={"error": 404, "error_text": "No profile"}))
    source = write_csv(tmp_path / "in.csv", *people(8))
    summary = await enroll_async(make_job(), source, token="t", ledger=ledger, transport=platform.transport)
    path = next((tmp_path / "data").rglob(STAGE_NAME))
    path.write_bytes(lines(path.read_bytes(), 5))
    with pytest.raises(LedgerError, match=summary.run_id):
        await retry_async(
            make_job(), summary.run_id, RowStatus.ERROR, token="t", ledger=ledger, transport=platform.transport
        )
    run = await ledger.open(summary.run_id, read_only=True)
    assert (await run.counts()).error == 8
    await run.close_unchanged()


def test_changed_request_is_not_sent(cli, stopped):
    words, run, server = stopped
    before, path = sum(server.received().values()), kept_rows()
    content = path.read_bytes()
    person = people(ROWS)[-1][0].encode()
    assert content.count(person) == 2  # the cell and the request
    path.write_bytes(content.replace(person, bytes([person[0] ^ 1]) + person[1:]))

    ended = cli(*words)
    assert ended.code == 3
    assert f"Row {ROWS + 1} of run {run} is not what was planned" in ended.err
    assert sum(server.received().values()) == before
