"""What stands between a mistake and a hundred thousand people: decided before anything leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from batch_enroll.cli import console
from batch_enroll.cli.prompts import Questions
from batch_enroll.clock import SystemClock
from batch_enroll.config.job import Job
from batch_enroll.errors import JobError
from batch_enroll.models import Delivery
from batch_enroll.reporting.plan_table import PlanView
from batch_enroll.run.api import enroll_async
from batch_enroll.run.context import RunContext
from batch_enroll.run.earlier_runs import load_baseline
from batch_enroll.run.plan import prepare_run
from tests.support.commands import people, write_csv
from tests.support.ledgers import sqlite_ledger
from tests.support.sandbox import wait_until
from tests.support.scripted_platform import ScriptedPlatform
from tests.support.terminal import Terminal

COMMON = ("--scenario", "3", "--match", "email=email", "--rate", "none")


def flags(server, *more):
    return ("--url", server.url, *COMMON, *more)


def start_requests(server):
    return server.totals()["requests"].get("workflows/start", 0)


# --- the plan that people see ---


def test_plan_shows_database_and_reentry_before_a_first_run(cli, sandbox):
    source = write_csv(cli.folder / "in.csv", *people(3))
    words = ("check", source, *flags(sandbox()))
    shown, ended = cli(*words), cli(*words, "--json")
    assert ended.code == 0, ended.err
    assert "#3 Welcome" in shown.out
    assert "(database 1)" in shown.out
    assert "can enter once ever" in shown.out
    assert ended.json["scenario"] | {"reentry": ""} == {
        "id": 3,
        "name": "Welcome",
        "database": 1,
        "mode": "skip_in_any_case",
        "reentry": "",
    }
    assert ended.json["usual"]["any_run"] is False
    assert ended.json["compared"] == ["This ledger remembers no earlier run, so there is nothing to compare with."]
    assert ended.json["compared"][0] in shown.out
    assert "sandbox-token" not in ended.out + ended.err


def test_plan_compares_a_file_with_earlier_runs_of_its_input(cli, sandbox):
    server = sandbox()
    source = cli.folder / "nightly.csv"
    for night, size in enumerate((18, 17, 19)):
        write_csv(source, *people(size, domain=f"night{night}.example.com"))
        assert cli("run", source, *flags(server)).code == 0
    other = write_csv(cli.folder / "other.csv", *people(2, domain="other.example.com"))
    assert cli("run", other, *flags(server)).code == 0  # another input of the same scenario says nothing of this one
    trial = write_csv(source, *people(200, domain="night4.example.com"))
    assert cli("run", trial, *flags(server, "--limit", "1")).code == 0  # nor does a part of it
    ended = cli("check", trial, *flags(server, "--json"))
    assert ended.json["usual"]["rows"] == [19, 17, 18]
    assert ended.json["compared"] == [
        "This input has 200 rows; the last 3 runs of this input had 17 to 19.",
        "199 rows will be sent, 11 times the usual 18.",
    ]
    assert ended.json["compared"][0] in cli("run", trial, *flags(server)).err


def test_nothing_is_usual_before_three_runs_and_failed_files_do_not_count(cli, sandbox):
    server = sandbox()
    source = cli.folder / "nightly.csv"
    large = people(60, domain="large.example.com")
    for night in range(3):
        write_csv(source, *large)
        early = cli("check", source, *flags(server, "--json")).json["compared"]
        assert not any("usual" in sentence for sentence in early)
        write_csv(source, *people(6, domain=f"night{night}.example.com"), ("nobody", ""))
        ended = cli("run", source, *flags(server, "--json"))
        assert ended.code == 1, ended.err
        failed = cli.folder / f"nightly.{night}.failed.csv"
        Path(ended.json["files"]["failed"]).rename(failed)
        failed.write_text(failed.read_text("utf-8").replace("nobody", f"corrected{night}@example.com"), "utf-8")
        corrected = cli("run", failed, *flags(server, "--max-change", "10%", "--json"))
        assert corrected.code == 0, corrected.err  # one row, where six or seven are usual
    write_csv(source, *large)
    plan = cli("check", source, *flags(server, "--json")).json
    assert plan["usual"]["to_send"] == [6, 6, 6]
    assert plan["compared"][1] == "60 rows will be sent, 10 times the usual 6."
    other = write_csv(cli.folder / "other.csv", *large)
    assert cli("check", other, *flags(server, "--json")).json["usual"]["to_send"] == [6, 6, 6]


def test_baseline_ignores_nights_without_new_rows(cli, sandbox):
    server = sandbox()
    source = write_csv(cli.folder / "in.csv", *people(7), people(1)[0], ("?", ""), ("", "x"))
    assert cli("run", source, *flags(server)).code == 1
    write_csv(source, *people(6))  # all of them enrolled
    assert cli("run", source, *flags(server)).code == 0
    write_csv(source, *people(9, domain="new.example.com"))
    usual = cli("check", source, *flags(server, "--json")).json["usual"]
    assert (usual["rows"], usual["to_send"], usual["median_to_send"]) == ([10], [7], 7)


def test_plan_compares_a_new_file_with_runs_of_its_scenario(cli, sandbox):
    server = sandbox()
    assert cli("run", write_csv(cli.folder / "monday.csv", *people(4)), *flags(server)).code == 0
    ended = cli(
        "check", write_csv(cli.folder / "tuesday.csv", *people(5, domain="b.example")), *flags(server, "--json")
    )
    assert ended.json["compared"] == ["This input has 5 rows; the last run of this scenario had 4."]


def test_plan_marks_a_scenario_never_used_before(cli, sandbox):
    server = sandbox()
    source = write_csv(cli.folder / "in.csv", *people(2))
    assert cli("run", source, *flags(server)).code == 0
    ended = cli("check", source, "--url", server.url, "--match", "email=email", "--scenario", "5", "--json")
    assert ended.json["compared"] == ["No run that this ledger remembers has used scenario #5 of this platform before."]


def test_plan_shows_mappings_changed_since_the_last_run(cli, sandbox):
    server = sandbox()
    source = write_csv(cli.folder / "in.csv", ("a@example.com", "b@example.com", "A"), header=("email", "mail", "name"))
    assert cli("run", source, *flags(server, "--content", "first=name")).code == 0
    now = ("--match", "email=mail", "--content", "first=email", "--content", "second=name")
    words = ("check", source, "--url", server.url, "--scenario", "3", *now)
    assert cli(*words, "--json").json["usual"]["changed_mapping"] == [
        "profiles were matched by email=email, now by email=mail",
        "content first came from column 'name', now from 'email'",
        "content second is new, from column 'name'",
    ]
    assert "The mapping is not that of run" in cli(*words).out


async def test_killed_check_is_not_an_earlier_run(tmp_path):
    job = Job.model_validate(
        {"url": "https://platform.example", "scenario": 3, "match": {"mode": "email", "column": "email"}}
    )
    source, ledger = write_csv(tmp_path / "in.csv", *people(3)), sqlite_ledger(tmp_path)
    context = RunContext(job=job, ledger=ledger)
    await prepare_run(context, source, dry_run=True)
    assert not (await load_baseline(ledger, job, path=str(source), run_id="new")).any_run
    await prepare_run(context, source)
    assert (await load_baseline(ledger, job, path=str(source), run_id="new")).rows == (3,)


# --- preflight ---


def test_scenario_without_a_start_node_gives_a_warning(cli, sandbox):
    source = write_csv(cli.folder / "in.csv", *people(1))
    words = ("--url", sandbox().url, "--match", "email=email")
    missing = cli("check", source, *words, "--scenario", "12", "--json")
    assert missing.code == 0
    assert [notice["code"] for notice in missing.json["notices"]] == ["no_default_start"]
    assert "no start node named Default" in cli("check", source, *words, "--scenario", "12").out
    assert cli("check", source, *words, "--scenario", "3", "--json").json["notices"] == []


@pytest.mark.parametrize(
    ("scenario", "mode", "explained"),
    [
        ("3", "skip_in_any_case", "can enter once ever"),
        ("5", "skip", "one that has left is"),
        ("7", "restart", "mode restart keeps nobody out who was in it before"),
        ("9", "process_each", "mode process_each keeps nobody out who was in it before"),
    ],
)
def test_plan_explains_the_effect_of_a_repeated_start(cli, sandbox, scenario, mode, explained):
    source = write_csv(cli.folder / "in.csv", *people(1))
    ended = cli("check", source, "--url", sandbox().url, "--match", "email=email", "--scenario", scenario, "--json")
    assert ended.json["scenario"]["mode"] == mode
    assert explained in ended.json["scenario"]["reentry"]


def test_plan_shows_the_canary(cli, sandbox):
    words = ("in.csv", "--url", sandbox().url, "--match", "email=email", "--scenario", "3", "--rate", "none", "--yes")
    write_csv(cli.folder / "in.csv", *people(9))
    told = "5 rows first; the rest only after their review"
    assert "canary" not in cli("check", *words).out
    assert "canary" not in cli("check", *words, "--canary", "9").out  # no row is left after it
    assert told in cli("check", *words, "--canary", "5").out
    assert told in cli("run", *words, "--canary", "5").err


# --- the standing limits: exit 2 with the reason, nothing sent ---


def nightly(cli, server, *sizes, more=()):
    """Run the same input night after night; gives its path."""
    source = cli.folder / "nightly.csv"
    for night, size in enumerate(sizes):
        write_csv(source, *people(size, domain=f"night{night}.example.com"))
        assert cli("run", source, *flags(server, *more)).code == 0
    return source


def test_file_ten_times_the_usual_size_is_refused(cli, sandbox):
    server = sandbox()
    source = nightly(cli, server, 10, 9, 11, more=("--max-change", "100%"))
    write_csv(source, *people(100, domain="mistake.example.com"))
    before = start_requests(server)
    refused = cli("run", source, *flags(server, "--max-change", "100%", "--yes"))
    assert refused.code == 2
    assert "100 rows would be sent; 10 are usual" in refused.err
    assert "100% allows at most 20" in refused.err
    assert "Plan of run" in refused.err  # whoever reads the log sees what it was about
    assert start_requests(server) == before
    again = cli("run", source, *flags(server, "--max-change", "100%"))
    assert again.code == 2  # what was refused does not count as usual
    assert "to 900%" in again.err
    assert cli("run", source, *flags(server, "--max-change", "900%")).code == 0
    assert start_requests(server) == before + 100


def test_too_many_rows_are_refused_with_the_number(cli, sandbox):
    server = sandbox()
    source = write_csv(cli.folder / "in.csv", *people(3), people(1)[0])
    ended = cli("run", source, *flags(server, "--max-rows", "2", "--quiet"))
    assert ended.code == 2
    assert "3 rows would be sent, but" in ended.err
    assert "Plan of run" not in ended.err
    assert not start_requests(server)
    assert cli("run", source, *flags(server, "--max-rows", "3")).code == 0


def test_too_many_invalid_rows_are_refused(cli, sandbox):
    server = sandbox()
    source = write_csv(cli.folder / "in.csv", *people(8), ("Total: 8", ""), ("", "x"))
    ended = cli("run", source, *flags(server, "--max-invalid", "10%"))
    assert ended.code == 2
    assert "2 of 10 rows are invalid, but" in ended.err
    assert "allows 10%" in ended.err
    assert not start_requests(server)
    assert cli("run", source, *flags(server, "--max-invalid", "2")).code == 1


def test_job_file_limits_are_listed_and_validated(cli, sandbox):
    server = sandbox()
    source = write_csv(cli.folder / "in.csv", *people(3), ("?", ""))
    job = cli.folder / "job.toml"
    text = f'url = "{server.url}"\nscenario = 3\nmatch = {{mode = "email", column = "email"}}\n[stop]\n'
    job.write_text(text + 'max_rows = 2\nmax_invalid = 0\nmax_change = "50%"\nconfirm_above = 1\n')
    ended = cli("run", source, "--job", job)
    assert ended.code == 2
    assert "allows 2" in ended.err
    assert "allows 0" in ended.err
    job.write_text(text + 'max_change = "3x"\nmax_invalid = "120%"\nallowed_hours = "9 to 5"\nconfirm_above = -1\n')
    ended = cli("run", source, "--job", job)
    assert ended.code == 2
    for key in ("max_change: '3x'", "max_invalid: '120%'", "allowed_hours: '9 to 5'", "confirm_above: "):
        assert f"[stop] {key}" in ended.err
    assert not start_requests(server)


def test_check_reports_each_limit_that_run_would_refuse(cli, sandbox):
    server = sandbox()
    source = write_csv(cli.folder / "in.csv", *people(3), ("?", ""))
    ended = cli("check", source, *flags(server, "--max-rows", "2", "--max-invalid", "0", "--json"))
    assert ended.code == ended.json["exit_code"] == 2
    assert [refusal["limit"] for refusal in ended.json["refused"]] == ["max_rows", "max_invalid"]
    assert "`run` would refuse this: 3 rows would be sent, but" in ended.err
    assert cli("check", source, *flags(server, "--json")).json["refused"] == []


@pytest.mark.slow
def test_limits_apply_to_a_retry_batch_and_refusal_changes_nothing(cli, sandbox):
    server = sandbox()
    nobodies = [(f"nobody{number}@example.com", "") for number in range(3)]
    source = write_csv(cli.folder / "in.csv", *people(2), *nobodies)
    run = cli("run", source, *flags(server, "--json")).json["run"]
    for limit in (("--max-rows", "2"), ("--allowed-hours", closed_now())):
        refused = cli("retry", run, "--errors", *limit)
        assert refused.code == 2, refused.err
        assert "Nothing was sent" in refused.err
    assert start_requests(server) == 5
    assert '"error": 3' in cli("show", run, "--json").out
    with Terminal("retry", run, "--errors", folder=cli.folder) as terminal:
        terminal.wait_for('"nobody0@example.com"')  # the first requests of the wave are shown
        terminal.wait_for("Start 3 profiles in #3 Welcome? [y/N]")
        terminal.type("n")
        assert terminal.end() == 2
    server.control(token_revoked=True)
    assert cli("retry", run, "--errors").code == 2  # the preflight fails
    server.control(token_revoked=False)
    assert '"error": 3' in cli("show", run, "--json").out
    assert start_requests(server) == 5
    assert cli("retry", run, "--errors", "--max-rows", "3").code == 1
    assert start_requests(server) == 8


# --- the hours in which requests may leave ---


def closed_now():
    """Allowed hours, in UTC, that neither hold now nor within the hours that a slow test may take."""
    hour = datetime.now(UTC).hour
    return f"{(hour + 10) % 24:02}:00-{(hour + 12) % 24:02}:00 UTC"


def test_outside_allowed_hours_nothing_is_sent_even_with_yes(cli, sandbox):
    server = sandbox()
    source = write_csv(cli.folder / "in.csv", *people(3))
    closed = closed_now()
    ended = cli("run", source, *flags(server, "--allowed-hours", closed, "--yes"))
    assert ended.code == 2
    assert f"outside the allowed hours {closed}" in ended.err
    assert not server.totals()["requests"]  # not even the platform was asked
    looked = cli("check", source, *flags(server, "--allowed-hours", closed, "--json"))
    assert looked.code == 0  # a plan may be made at night
    assert "nothing would be sent" in looked.json["hours"]
    assert looked.json["hours"] in cli("check", source, *flags(server, "--allowed-hours", closed)).out
    hour = datetime.now(UTC).hour
    opened = f"{hour:02}:00-{(hour + 12) % 24:02}:00 UTC"
    assert cli("run", source, *flags(server, "--allowed-hours", opened)).code == 0


# A command whose wall clock stands still at one moment, and at another as soon as a file is there.
_CLOCK_AT = """
import sys
from datetime import datetime
from pathlib import Path
from batch_enroll.clock import SystemClock
early, late, switch, *words = sys.argv[1:]
SystemClock.now = lambda self: datetime.fromisoformat(late if Path(switch).exists() else early)
from batch_enroll.cli.main import main
sys.exit(main(words))
"""


@pytest.mark.slow
def test_run_stops_when_the_hours_end_and_resumes(cli, sandbox):
    server = sandbox()
    source, late = write_csv(cli.folder / "in.csv", *people(40)), cli.folder / "late"
    words = ("run", source, *flags(server, "--rate", "20", "--allowed-hours", "09:00-20:00 Europe/Moscow", "--json"))
    times = ("2026-11-25T16:59:30+00:00", "2026-11-25T17:00:00+00:00", late)
    command = [sys.executable, "-c", _CLOCK_AT, *map(str, (*times, *words))]
    environment = {**os.environ, "BATCH_ENROLL_TOKEN": "sandbox-token", "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True) as night:
        wait_until(lambda: start_requests(server) > 2 or night.poll() is not None, timeout_s=120)
        late.touch()
        out, err = night.communicate(timeout=120)
    assert night.returncode == 3, err
    stopped = json.loads(out)
    assert stopped["stop_reason"] == "The allowed hours 09:00-20:00 Europe/Moscow are over."
    assert 2 < stopped["counts"]["success"] < 40
    done = subprocess.run(command, capture_output=True, env=environment, text=True, check=False)
    assert done.returncode == 2, done.stderr  # the same command, still too late
    assert "It is 20:00 now, outside the allowed hours" in done.stderr
    late.unlink()
    done = subprocess.run(command, capture_output=True, env=environment, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["run"] == stopped["run"]
    assert set(server.enrolments().values()) == {1}
    assert len(server.enrolments()) == 40


# --- the person at the terminal types how many ---


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        (["1,234"], 0),
        (["1234"], 0),
        (["1 234"], 0),
        (["12,34"], 0),  # the same digits
        (["y", "123", "1234"], 0),  # a slip can be corrected
        (["y", "yes", "1235"], 2),
        (["n"], 2),
        ([""], 2),
    ],
)
def test_above_confirm_above_the_number_must_be_typed(typed, code):
    answers = iter(typed)
    said: list[str] = []
    plan = PlanView(
        run_id="1",
        input_name="in.csv",
        rows=1_234,
        to_send=1_234,
        url="https://platform.example",
        scenario=3,
        scenario_name="Welcome",
        matching="email=email",
        delivery=Delivery.AT_MOST_ONCE,
        rate_per_s=10,
        concurrency=8,
    )

    def ask(question, **_):
        said.append(question)
        return next(answers)

    questions = Questions(asks=True, quiet=False, before=lambda: None, confirm_above=1_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(console, "prompt", ask)
        assert anyio.run(questions.confirm, plan) is (code == 0)
    assert said[0] == "To start 1,234 profiles in #3 Welcome, type their number:"
    assert next(answers, None) is None


@pytest.mark.slow
def test_on_a_terminal_yes_is_not_accepted_for_the_number(cli, sandbox):
    server = sandbox()
    source = write_csv(cli.folder / "in.csv", *people(12))
    words = ("run", source, *flags(server, "--confirm-above", "11"))
    with Terminal(*words, folder=cli.folder) as terminal:
        terminal.wait_for("To start 12 profiles in #3 Welcome, type their number:")
        terminal.type("y")
        terminal.wait_for("'y' is not 12.")
        terminal.type("")
        assert terminal.end() == 2
        assert "Nothing was sent" in terminal.seen
    assert not start_requests(server)
    with Terminal(*words, folder=cli.folder) as terminal:
        terminal.wait_for("type their number:")
        terminal.type("12")
        assert terminal.end() == 0, terminal.seen
    assert start_requests(server) == 12


@pytest.mark.slow
def test_up_to_confirm_above_yes_is_enough(cli, sandbox):
    server = sandbox()
    source = write_csv(cli.folder / "in.csv", *people(12))
    with Terminal("run", source, *flags(server, "--confirm-above", "12"), folder=cli.folder) as terminal:
        terminal.wait_for("Start 12 profiles in #3 Welcome? [y/N]")
        terminal.type("y")
        assert terminal.end() == 0, terminal.seen
    other = write_csv(cli.folder / "other.csv", *people(5, domain="other.example.com"))
    with Terminal("run", other, *flags(server, "--confirm-above", "0", "--yes"), folder=cli.folder) as terminal:
        assert terminal.end() == 0, terminal.seen
        assert "type their number" not in terminal.seen
    assert start_requests(server) == 17


def test_off_a_terminal_no_question_is_asked(cli, sandbox):
    source = write_csv(cli.folder / "in.csv", *people(3))
    assert cli("run", source, *flags(sandbox(), "--confirm-above", "0")).code == 0


async def test_late_answer_after_the_hours_sends_nothing(tmp_path):
    class Evening(SystemClock):
        moment = datetime(2026, 11, 25, 19, 59, tzinfo=UTC)

        def now(self):
            return self.moment

    clock, platform = Evening(), ScriptedPlatform()

    async def answer_late(plan):
        clock.moment = datetime(2026, 11, 25, 20, 1, tzinfo=UTC)
        return True

    job = Job.model_validate(
        {
            **{"url": "https://platform.example", "scenario": 3, "match": {"mode": "email", "column": "email"}},
            "stop": {"allowed_hours": "09:00-20:00 UTC"},
        }
    )
    ledger = sqlite_ledger(tmp_path)
    with pytest.raises(JobError, match="It is 20:01 now, outside the allowed hours"):
        await enroll_async(
            job,
            write_csv(tmp_path / "in.csv", *people(3)),
            token="secret-token",
            ledger=ledger,
            confirm=answer_late,
            transport=platform.transport,
            clock=clock,
        )
    assert not platform.started
    assert not await ledger.runs()
