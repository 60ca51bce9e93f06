"""`runs --who` and `prune --forget-who`: what the runs have of one person, and how it is erased."""

from __future__ import annotations

import json
import logging
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from batch_enroll.cli.main import main
from batch_enroll.clock import SystemClock
from batch_enroll.config.job import Job
from batch_enroll.control.run_control import Control
from batch_enroll.errors import BatchEnrollError
from batch_enroll.events import RowFinished
from batch_enroll.ledger.location import open_ledger
from batch_enroll.ledger.sqlite.process_lock import OwnedLock
from batch_enroll.maintenance.person_lookup import PersonLookup
from batch_enroll.messages import verbatim
from batch_enroll.models import RowStatus
from batch_enroll.reporting.plan_table import PlanView
from batch_enroll.run.api import enroll_async, retry_async
from tests.support.commands import Ended, read_results, write_csv
from tests.support.scripted_platform import OK, ScriptedPlatform

LEGACY = Path(__file__).parent / "legacy_ledger" / "files"
ANNA = "anna.k@example.com"
PHONE = "+79001234567"
EMAIL_JOB: dict[str, Any] = {"match": {"mode": "email", "column": "email"}, "content": {"first_name": "first_name"}}


def refused(code: int, text: str = "It was refused.") -> httpx.Response:
    return httpx.Response(200, json={"error": code, "error_text": text})


class Installation:
    """A ledger, a platform that a test scripts, and the commands, all in this process."""

    def __init__(self, folder: Path, ledger_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.ledger_path = ledger_folder / "data" / "ledger.sqlite"
        self.ledger = open_ledger(str(self.ledger_path))
        self.platform = ScriptedPlatform(self.reply)
        self.refuse: dict[str, httpx.Response | Exception] = {}
        self._ledger_folder = ledger_folder
        self._capsys = capsys

    def reply(self, body: dict[str, Any]) -> httpx.Response | Exception:
        value = str(body.get("field_value") or body[body["matching"]])
        return self.refuse.get(value, httpx.Response(200, json=OK))

    def job(self, **settings: Any) -> Job:
        send = {"rate": "none", "concurrency": 1, "canary": 0}
        return Job.model_validate(
            {"url": "https://platform.example", "scenario": 3, "send": send, **(settings or EMAIL_JOB)}
        )

    def run(self, name: str, *rows: tuple[str, ...], stop_after: int | None = None, **settings: Any) -> str:
        """Enroll a file and return the run's id."""
        header = ("email", "first_name") if not settings else (settings["match"]["column"], "first_name")
        source = write_csv(self.folder / name, *rows, header=header)
        control, ended = Control(), []

        def emit(event: object) -> None:
            if isinstance(event, RowFinished):
                ended.append(event)
                if len(ended) == stop_after:
                    control.stop("Stopped by the test.")

        send = partial(enroll_async, transport=self.platform.transport, emit=emit, control=control)
        return anyio.run(partial(send, self.job(**settings), source, token="t" * 32, ledger=self.ledger)).run_id

    def retry(self, run_id: str) -> PlanView:
        """Send the refused rows again and return the plan that was shown."""
        plans: list[PlanView] = []

        async def confirm(plan: PlanView) -> bool:
            plans.append(plan)
            return True

        send = partial(retry_async, transport=self.platform.transport, token="t" * 32, ledger=self.ledger)
        anyio.run(partial(send, self.job(), run_id, RowStatus.ERROR, confirm=confirm))
        return plans[0]

    def __call__(self, *words: str) -> Ended:
        self._capsys.readouterr()
        code = main([*words, "--ledger", str(self.ledger_path)])
        told = self._capsys.readouterr()
        return Ended(code, told.out, told.err)

    def who(self, text: str) -> Any:
        ended = self("runs", "--who", text, "--json")
        assert ended.code == 0, ended.err
        return ended.json

    def states(self, text: str) -> list[tuple[int | None, str, str]]:
        return [(row["row"], row["status"], row["code"]) for row in self.who(text)]

    def forget(self, text: str, code: int = 0) -> Ended:
        ended = self("prune", "--forget-who", text, "--yes", "--json")
        assert ended.code == code, ended.err
        return ended

    def kept_bytes(self) -> bytes:
        """Everything in the ledger's folder."""
        return b"".join(path.read_bytes() for path in self._ledger_folder.rglob("*") if path.is_file())

    def keys(self, text: str) -> set[bytes]:
        """The keys by which the runs know somebody."""

        async def make() -> set[bytes]:
            lookup = PersonLookup(self.ledger, text)
            return {key for run in await self.ledger.runs() for key in (await lookup.keys(run)).keys}

        return anyio.run(make)

    def counts(self, run_id: str) -> dict[str, int]:
        counts: dict[str, int] = self("show", run_id, "--json").json["counts"]
        return {name: count for name, count in counts.items() if count}


@pytest.fixture
def installed(
    tmp_path: Path, quick_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Installation:
    monkeypatch.setenv("XDG_STATE_HOME", str(quick_path / "state"))
    return Installation(tmp_path, quick_path, capsys)


def in_files(kept: bytes, *texts: str) -> list[str]:
    return [text for text in texts if text.encode().lower() in kept.lower()]


def test_who_lists_each_run_with_the_reason(installed):
    installed.refuse[ANNA] = refused(404, f"Profile {ANNA} not found")
    first = installed.run("first.csv", ("bob@example.com", "Bob"), (ANNA, "Anna"))
    installed.refuse.clear()
    second = installed.run("second.csv", (ANNA.upper(), "Anna"), (ANNA, "Anna"))
    third = installed.run("third.csv", ("dan@example.com", "Dan"), (ANNA, "Anna"))

    found = installed.who(f" {ANNA.title()}")

    assert [(row["run"], row["row"], row["status"], row["code"]) for row in found] == [
        (third, 3, "skipped", "already_enrolled"),
        (second, 2, "success", "0"),
        (second, 3, "skipped", "duplicate"),
        (first, 3, "error", "404"),
    ]
    assert list(found[0]) == ["run", "input", "created_at", "scenario", "row", "status", "code", "message", "sent_at"]
    assert (found[0]["input"], found[0]["scenario"], found[0]["sent_at"]) == ("third.csv", 3, None)
    assert second in found[0]["message"]
    assert found[3]["message"] == "Profile … not found"
    assert found[3]["sent_at"].startswith("20")
    table = installed("runs", "--who", ANNA)
    assert [line.split()[0] for line in table.out.splitlines()] == ["run", third, second, second, first]
    assert "Profile … not found (404)" in table.out


def test_who_says_when_nobody_is_found(installed):
    assert installed("runs", "--who", ANNA).code == 0
    installed.run("in.csv", ("bob@example.com", "Bob"))

    ended = installed("runs", "--who", ANNA)

    assert (ended.code, ended.out) == (0, "")
    assert "No run of this ledger knows this person." in ended.err
    assert installed.who(ANNA) == []
    assert installed.forget(ANNA).json["rows"] == []


@pytest.mark.parametrize("cell", [PHONE, PHONE[1:], "+7 (900) 123-45-67"])
@pytest.mark.parametrize("asked", [PHONE, PHONE[1:]])
@pytest.mark.parametrize("country", [None, "RU"])
def test_phone_is_found_in_both_spellings(installed, cell, asked, country):
    installed.run("in.csv", (cell, "Anna"), match={"mode": "phone", "column": "phone", "country": country})

    assert installed.states(asked) == [(2, "success", "0")]
    installed.forget(asked)
    assert installed.states(PHONE) == []
    assert in_files(installed.kept_bytes(), cell, PHONE[1:]) == []


@pytest.mark.parametrize("field_type", ["string", "int"])
def test_custom_value_is_found_and_forgotten(installed, field_type):
    match = {"mode": "custom", "column": "card", "field_name": "card", "field_type": field_type}
    installed.run("in.csv", ("77001122", "Anna Karenina"), ("77001133", "Bob"), match=match)

    assert installed.states("77001122") == [(2, "success", "0")]
    installed.forget("77001122")
    assert installed.states("77001122") == []
    assert in_files(installed.kept_bytes(), "77001122", "77001133") == ["77001133"]


def test_only_the_matching_of_a_run_counts(installed):
    installed.run("ids.csv", ("77001122", "Anna"), match={"mode": "profile_id", "column": "id"})
    installed.run("phones.csv", ("77001122", "Bob"), match={"mode": "phone", "column": "phone"})

    assert [row["input"] for row in installed.who("+77001122")] == ["phones.csv"]
    assert [row["input"] for row in installed.who("77001122")] == ["phones.csv", "ids.csv"]


def test_pruned_run_still_knows_whom_it_sent(installed):
    run_id = installed.run("in.csv", (ANNA, "Anna"), ("bob@example.com", "Bob"))
    assert installed("prune", "--older-than", "0s", "--yes").code == 0

    (found,) = installed.who(ANNA)
    assert (found["run"], found["row"], found["status"]) == (run_id, None, "success")
    assert found["sent_at"]

    installed.forget(ANNA)
    assert installed.who(ANNA) == []
    assert len(installed.who("bob@example.com")) == 1
    installed.run("again.csv", ("bob@example.com", "Bob"), (ANNA, "Anna"))
    assert installed.platform.emails().count(ANNA) == 2
    assert installed.platform.emails().count("bob@example.com") == 1


def test_forget_leaves_no_byte_of_the_person(installed, caplog):
    caplog.set_level(logging.DEBUG)
    installed.refuse[ANNA] = refused(404)
    run_id = installed.run("in.csv", *((f"p{n}@example.com", "x") for n in range(300)), (ANNA, "Anna Karenina"))
    installed.retry(run_id)
    installed.refuse.clear()
    installed.retry(run_id)
    installed.run("skipped.csv", (ANNA, "Anna Karenina"), ("new@example.com", "New"))
    (key,) = installed.keys(ANNA)
    before = installed.kept_bytes()
    assert key in before, "else this test could not fail"
    assert in_files(before, ANNA, "Karenina") == [ANNA, "Karenina"]
    counts = installed.counts(run_id)

    ended = installed.forget(ANNA)

    kept = installed.kept_bytes()
    assert in_files(kept, ANNA, "Karenina") == []
    assert key not in kept
    assert installed.keys("p1@example.com").pop() in kept
    assert not list(installed.ledger_path.parent.rglob("*.part"))
    staged = next(installed.ledger_path.parent.rglob(f"{run_id}/rows.staged"))
    assert staged.stat().st_mode & 0o777 == 0o600
    assert installed.counts(run_id) == counts
    assert ANNA not in ended.out + ended.err + caplog.text
    assert [row["row"] for row in ended.json["rows"]] == [2, 302]
    assert ended.json["done"] is True


def test_report_keeps_number_and_status_of_a_forgotten_row(installed):
    installed.refuse[ANNA] = refused(404, f"Profile {ANNA} not found")
    run_id = installed.run("in.csv", ("bob@example.com", "Bob"), (ANNA, "Anna"), (ANNA, "Anna"))
    (results,) = installed.folder.glob("in.*.results.csv")
    before = results.read_bytes()

    ended = installed.forget(ANNA)

    assert ended.json["results"] == [str(results), str(results).replace("results", "failed")]
    assert str(results) in ended.err
    assert results.read_bytes() == before
    assert installed("report", run_id, "--results", str(installed.folder / "new.csv")).code == 0
    rows = read_results(installed.folder / "new.csv")
    assert [(row["email"], row["first_name"], row["enroll_row"], row["enroll_status"]) for row in rows] == [
        ("bob@example.com", "Bob", "2", "success"),
        ("", "", "3", "error"),
        ("", "", "4", "skipped"),
    ]
    assert [row["enroll_code"] for row in rows] == ["0", "404", "duplicate"]
    assert "support" in installed("support", run_id, "--out", str(installed.folder / "support.zip")).out


def test_forgotten_planned_row_is_skipped_by_the_resumed_run(installed):
    rows = [("bob@example.com", "Bob"), ("carl@example.com", "Carl"), (ANNA, "Anna"), ("dan@example.com", "Dan")]
    run_id = installed.run("in.csv", *rows, stop_after=1)
    assert installed.states(ANNA) == [(4, "not_sent", "stopped")]
    sent = len(installed.platform.started)

    installed.forget(ANNA)

    assert installed.counts(run_id)["skipped"] == 1
    assert installed.run("in.csv", *rows) == run_id
    assert ANNA not in installed.platform.emails()
    assert len(installed.platform.started) > sent
    assert installed.counts(run_id) == {"success": 3, "skipped": 1, "rows": 4}
    (results,) = installed.folder.glob("in.*.results.csv")
    assert [(row["email"], row["enroll_status"], row["enroll_code"]) for row in read_results(results)][2] == (
        "",
        "skipped",
        "forgotten",
    )


def test_retry_passes_over_a_forgotten_refused_row(installed):
    installed.refuse = {ANNA: refused(404), "bob@example.com": refused(404)}
    run_id = installed.run("in.csv", (ANNA, "Anna"), ("bob@example.com", "Bob"), ("dan@example.com", "Dan"))
    installed.forget(ANNA)
    installed.refuse.clear()

    plan = installed.retry(run_id)

    assert (plan.to_send, len(plan.first_requests)) == (1, 1)
    assert installed.platform.emails().count(ANNA) == 1
    assert installed.platform.emails().count("bob@example.com") == 2
    assert installed.counts(run_id) == {"success": 2, "error": 1, "rows": 3}


def test_person_is_forgotten_after_the_run_was_interrupted(installed):
    """What an unfinished run sent is taken into the memory when the next run begins: not the forgotten."""
    rows = [(ANNA, "Anna"), ("bob@example.com", "Bob"), ("carl@example.com", "Carl"), ("dan@example.com", "Dan")]
    run_id = installed.run("in.csv", *rows, stop_after=1)
    installed.forget(ANNA)

    installed.run("in.csv", *rows)
    assert installed.counts(run_id) == {"success": 4, "rows": 4}
    assert installed.who(ANNA) == []
    installed.run("next.csv", *rows[::-1])
    assert installed.platform.emails().count(ANNA) == 2
    assert installed.platform.emails().count("bob@example.com") == 1


def test_invalid_row_of_the_person_is_forgotten_too(installed):
    run_id = installed.run("in.csv", ("bob@example.com", "Bob"), (ANNA, "\x00Karenina" * 9000), (f"{ANNA} ", "K"))
    assert installed.counts(run_id)["invalid"] == 1, "else this test checks nothing"

    ended = installed.forget(ANNA)

    assert [(row["row"], row["status"]) for row in ended.json["rows"]] == [(4, "success"), (3, "invalid")]
    assert in_files(installed.kept_bytes(), ANNA, "Karenina") == []


def test_value_in_another_persons_row_is_told_and_stays(installed):
    run_id = installed.run("in.csv", (ANNA, "Anna"), ("bob@example.com", ANNA))

    ended = installed.forget(ANNA)

    assert ended.json["elsewhere"] == [run_id]
    assert f"were not changed: {run_id}" in ended.err
    assert installed.who("bob@example.com")


def test_forget_is_refused_while_the_run_is_active(installed):
    run_id = installed.run("in.csv", (ANNA, "Anna"), ("bob@example.com", "Bob"), ("c@example.com", "C"), stop_after=1)
    lock = OwnedLock(installed.ledger.folder(run_id), "run", what=verbatim("Run"))
    lock.acquire(now=SystemClock().now())
    try:
        refused = installed.forget(ANNA, code=2)
        assert installed("prune", "--forget-who", "nobody@example.com", "--yes").code == 0
    finally:
        lock.release()

    assert f"run {run_id} has this person and is being worked on by" in refused.err
    assert f"batch-enroll stop {run_id}" in refused.err
    assert in_files(installed.kept_bytes(), ANNA)
    assert installed.states(ANNA) == [(2, "success", "0")]


def test_forget_is_refused_while_a_row_is_unknown(installed):
    installed.refuse[ANNA] = httpx.ReadTimeout("no answer")
    run_id = installed.run("in.csv", (ANNA, "Anna"), ("bob@example.com", "Bob"))
    before = installed.kept_bytes()

    refused = installed.forget(ANNA, code=2)

    assert "the outcome of 1 row of this person" in refused.err
    assert f"batch-enroll resolve {run_id}" in refused.err
    assert installed.kept_bytes() == before
    assert installed("resolve", run_id, "--rows", "all", "--verdict", "enrolled", "--why", f"{ANNA} told me").code == 0
    installed.forget(ANNA)
    assert installed.counts(run_id) == {"success": 2, "rows": 2}
    assert in_files(installed.kept_bytes(), ANNA) == []


def test_forget_asks_first(installed):
    installed.run("in.csv", (ANNA, "Anna"))

    unasked = installed("prune", "--forget-who", ANNA)
    dry = installed("prune", "--forget-who", ANNA, "--dry-run", "--json")

    assert unasked.code == 2
    assert "The next file with this person starts the person again" in unasked.err
    assert "--yes" in unasked.err
    assert (dry.code, dry.json["done"], len(dry.json["rows"])) == (0, False, 1)
    assert len(installed.who(ANNA)) == 1
    assert installed("prune", "--forget-who", ANNA, "--forget", "--yes").code == 2
    assert installed("prune", "--yes").code == 2


@pytest.mark.parametrize(("answer", "code"), [("forget", 0), ("y", 2)])
def test_forget_takes_a_word_on_a_terminal(installed, monkeypatch, answer, code):
    installed.run("in.csv", (ANNA, "Anna"))
    monkeypatch.setattr("batch_enroll.cli.console.is_terminal", lambda: True)
    monkeypatch.setattr("batch_enroll.cli.console.prompt", lambda question, **_: answer)

    assert installed("prune", "--forget-who", ANNA).code == code
    assert bool(installed.who(ANNA)) is (code == 2)


def test_plan_of_a_dead_process_is_removed(installed):
    installed.run("in.csv", (ANNA, "Anna"))
    dead = installed.ledger_path.with_name("ledger.sqlite.runs") / "dead"

    async def die_while_planning() -> None:
        record = (await installed.ledger.runs())[0]
        run = await installed.ledger.create(
            type(record)(**{**{name: getattr(record, name) for name in record.__slots__}, "run_id": "dead"})
        )
        run._files.release()

    anyio.run(die_while_planning)
    (dead / "rows.staged.1234.part").write_text(f"2\x1f\x1f{{}}\x1f{ANNA}")

    ended = installed.forget(ANNA)

    assert ended.json["unused_plans"] == ["dead"]
    assert not dead.exists()
    assert in_files(installed.kept_bytes(), ANNA) == []


def test_interrupted_erasure_is_completed(installed, monkeypatch):
    run_id = installed.run("in.csv", (ANNA, "Anna"), ("bob@example.com", "Bob"))
    (key,) = installed.keys(ANNA)
    with monkeypatch.context() as broken:

        def fail(*_: object) -> None:
            raise BatchEnrollError("It broke.")

        broken.setattr("batch_enroll.ledger.sqlite.run_index.RunIndex.forget", fail)
        assert installed("prune", "--forget-who", ANNA, "--yes").code == 3
    assert key in installed.kept_bytes()
    assert installed.states(ANNA) == [(None, "success", "")]

    installed.forget(ANNA)

    assert key not in installed.kept_bytes()
    assert installed.counts(run_id) == {"success": 2, "rows": 2}


def test_notice_with_the_value_is_removed(installed):
    run_id = installed.run("in.csv", (ANNA, "Anna"))
    status = installed.ledger.folder(run_id) / "status.json"
    status.write_text(json.dumps({"notices": [f"Column A looks like data ('{ANNA}')"]}))

    installed.forget(ANNA)

    assert not status.exists()


@pytest.mark.parametrize(
    ("email", "found"),
    [
        ("fine01@leads.example", [(2, "success", "0"), (11, "skipped", "duplicate")]),
        ("stopped24@leads.example", [(25, "not_sent", "stopped")]),
    ],
)
def test_person_in_a_run_of_an_earlier_release(installed, email, found):
    shutil.copytree(LEGACY / "ledger", installed.ledger_path.parent)
    shutil.copytree(LEGACY / "state" / "batch-enroll", installed.ledger_path.parents[1] / "state" / "batch-enroll")

    assert installed.states(email) == found
    installed.forget(email)
    assert installed.states(email) == []
    assert in_files(installed.kept_bytes(), email) == []
