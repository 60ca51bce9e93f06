"""`check --save` and `run --plan`: what a person approved is sent, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from batch_enroll.config.job import Job
from batch_enroll.models import Delivery
from batch_enroll.reporting.plan_table import PlanView
from batch_enroll.run.approved_plan import ApprovedPlanMismatch, approve, check_plan_matches_approved
from tests.support.commands import people, write_csv
from tests.support.terminal import Terminal

HEADER = ("email", "mail", "name")


def flags(server, **changes):
    """The words of a job; `url=…` and so on take the place of one."""
    words = {"url": server.url, "scenario": "3", "match": "email=email", "content": "first=name", "rate": "none"}
    return [word for name, value in {**words, **changes}.items() for word in (f"--{name}", value)]


def start_requests(server):
    return server.totals()["requests"].get("workflows/start", 0)


def three(cli, name="in.csv"):
    rows = [(f"{name}{n}@example.com", f"{name}{n}@mail.example", f"Anna {n}") for n in range(3)]
    return write_csv(cli.folder / name, *rows, header=HEADER)


@pytest.fixture
def saved(cli, sandbox):
    """A sandbox, an input, and the plan of it that was approved."""
    server, source, plan = sandbox(), three(cli), cli.folder / "plan.json"
    ended = cli("check", source, *flags(server), "--save", plan)
    assert ended.code == 0, ended.err
    assert f"Plan: {plan}" in ended.err
    return server, source, plan


def test_approved_plan_is_sent_without_a_question(cli, saved):
    server, source, plan = saved
    words = ("run", source, *flags(server), "--confirm-above", "0", "--plan", plan)
    with Terminal(*words, folder=cli.folder) as terminal:
        assert terminal.end() == 0, terminal.seen
        assert "This plan was approved on" in terminal.seen
        assert "type their number" not in terminal.seen
    assert start_requests(server) == 3


def test_plan_file_has_no_personal_data_and_no_token(saved):
    _, _, plan = saved
    text = plan.read_text(encoding="utf-8")
    for personal in ("example", "Anna", "sandbox-token"):
        assert personal not in text
    told = json.loads(text)
    assert told["counts"] == {
        **{"rows": 3, "to_send": 3, "duplicates": 0},
        **{"already_enrolled": 0, "held": 0, "invalid": 0},
    }
    assert told["scenario"] == {"id": 3, "name": "Welcome", "database": 1, "mode": "skip_in_any_case"}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"url": "http://localhost:{port}"}, "the url was http://127.0.0.1:"),
        ({"scenario": "5"}, "the scenario was #3, now it is #5"),
        ({"match": "email=mail"}, "the mapping: profiles were matched by email=email, now by email=mail"),
        ({"content": "first=email"}, "the mapping: content first came from column 'name', now from 'email'"),
        ({"resource-id": "4"}, "the mapping: the resource was none, now 4"),
        ({"limit": "2"}, "reading the file: limit was none, now it is 2"),
        ({"delimiter": ";"}, "reading the file: delimiter was none, now it is ;"),
        ({"duplicates": "send"}, "sending: duplicates was skip, now it is send"),
        ({"delivery": "at-least-once"}, "sending: delivery was at-most-once, now it is at-least-once"),
        ({"window": "7d"}, "sending: window was none, now it is 7 d"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_changes_are_listed_and_nothing_is_sent(cli, saved, changes, named):
    server, source, plan = saved
    port = server.url.rpartition(":")[2]
    changes = {name: value.replace("{port}", port) for name, value in changes.items()}
    before = server.totals()["requests"]
    ended = cli("run", source, *flags(server, **changes), "--yes", "--plan", plan)
    assert ended.code == 2
    assert "This is not the plan that was approved on" in ended.err
    assert named in ended.err
    assert "Nothing was sent" in ended.err
    assert server.totals()["requests"] == before


def test_edited_unreadable_file_is_refused(cli, saved):
    server, source, plan = saved
    for content in (source.read_text(encoding="utf-8") + "d@example.com,,\n", "nothing\nof the kind\n"):
        source.write_text(content, encoding="utf-8")
        ended = cli("run", source, *flags(server), "--plan", plan)
        assert ended.code == 2
        assert "the file: its content is not that of in.csv as it was approved" in ended.err
    assert not start_requests(server)


def test_standard_input_with_other_content_is_refused(cli, sandbox):
    server, plan = sandbox(), cli.folder / "plan.json"
    content = three(cli).read_bytes()
    assert cli("check", "-", *flags(server), "--save", plan, stdin=content).code == 0
    refused = cli("run", "-", *flags(server), "--plan", plan, stdin=content + b"d@example.com,,\n")
    assert refused.code == 2
    assert "the file: its content" in refused.err
    assert "Traceback" not in refused.err
    assert not start_requests(server)
    assert cli("run", "-", *flags(server), "--plan", plan, stdin=content).code == 0


def test_changed_scenario_is_refused(cli, saved):
    server, source, plan = saved
    told = json.loads(plan.read_text(encoding="utf-8"))
    told["scenario"] |= {"name": "Spring sale", "mode": "skip", "database": 7}
    plan.write_text(json.dumps(told), encoding="utf-8")
    ended = cli("run", source, *flags(server), "--plan", plan)
    assert ended.code == 2
    assert "the scenario: its name was Spring sale, now it is Welcome" in ended.err
    assert "the scenario: its database was 7, now it is 1" in ended.err
    assert "the scenario: its re-entry mode was skip, now it is skip_in_any_case" in ended.err
    assert not start_requests(server)


def test_rows_enrolled_meanwhile_are_skipped_and_reported(cli, sandbox):
    server, plan = sandbox(), cli.folder / "plan.json"
    source = write_csv(cli.folder / "all.csv", *people(5))
    words = flags(server, content="first=first_name", window="7d")
    assert cli("check", source, *words, "--save", plan).code == 0
    part = write_csv(cli.folder / "part.csv", *people(2))
    assert cli("run", part, *words).code == 0
    ended = cli("run", source, *words, "--plan", plan, "--json")
    assert ended.code == 0, ended.err
    assert "for 5 profiles; 2 rows of it need no sending any more" in ended.err
    assert ended.json["counts"]["success"] == 3
    assert set(server.enrolments().values()) == {1}


def test_more_profiles_than_approved_are_refused(cli, sandbox):
    server, plan = sandbox(), cli.folder / "plan.json"
    words = flags(server, content="first=first_name", window="7d")
    assert cli("run", write_csv(cli.folder / "part.csv", *people(2)), *words).code == 0
    source = write_csv(cli.folder / "all.csv", *people(5))
    assert cli("check", source, *words, "--save", plan).code == 0
    other = cli("run", source, *words, "--plan", plan, "--ledger", cli.folder / "other.sqlite")
    assert other.code == 2  # a ledger that does not know the two
    assert "5 profiles would be sent, 3 were approved" in other.err
    assert start_requests(server) == 2


def test_stopped_run_resumes_with_its_plan(cli, sandbox):
    server, source, plan = sandbox(faults="token_revoked@2+"), three(cli), cli.folder / "plan.json"
    words = [*flags(server), "--concurrency", "1"]
    assert cli("check", source, *words, "--save", plan).code == 0
    assert cli("run", source, *words, "--plan", plan).code == 3
    server.control(faults="", token_revoked=False)
    ended = cli("run", source, *words, "--plan", plan)
    assert ended.code == 0, ended.err
    assert set(server.enrolments().values()) == {1}
    assert len(server.enrolments()) == 3


def test_job_limits_apply_to_an_approved_plan(cli, saved):
    server, source, plan = saved
    ended = cli("run", source, *flags(server), "--plan", plan, "--max-rows", "2")
    assert ended.code == 2
    assert "allows 2" in ended.err
    assert not start_requests(server)


def test_plan_beyond_a_limit_is_not_saved(cli, sandbox):
    plan = cli.folder / "plan.json"
    ended = cli("check", three(cli), *flags(sandbox()), "--save", plan, "--max-rows", "2")
    assert ended.code == 2
    assert "The plan was not saved" in ended.err
    assert not plan.exists()


def test_plan_replaces_only_an_older_plan_file(cli, saved):
    server, source, plan = saved
    assert cli("check", source, *flags(server, scenario="5"), "--save", plan).code == 0
    assert json.loads(plan.read_text(encoding="utf-8"))["scenario"]["id"] == 5
    other = write_csv(cli.folder / "other.csv", *people(2))
    content = source.read_bytes()
    for path, said in (
        (other, "which this program did not write"),
        (cli.folder, "is a folder"),
        (cli.folder / "nowhere" / "plan.json", "nowhere is not there"),
    ):
        ended = cli("check", source, *flags(server), "--save", path)
        assert ended.code == 2
        assert said in ended.err
        assert "Plan of run" not in ended.err  # said at once, not after a million rows
    assert source.read_bytes() == content
    assert sorted(path.name for path in cli.folder.glob("*.part")) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        ("", "is not a plan"),
        ("email\n", "is not a plan"),
        ('{"run": "1"}', "is not a plan"),
        ("[" * 100_000, "is not a plan"),
        ('{"batch_enroll_plan": 2}', "is damaged or of another version"),
        ('{"batch_enroll_plan": 1, "url": 5}', "is damaged or of another version"),
    ],
    ids=["missing", "empty", "csv", "json", "deep", "newer", "damaged"],
)
def test_invalid_plan_file_is_one_error(cli, sandbox, content, said):
    plan = cli.folder / "plan.json"
    if content is not None:
        plan.write_text(content, encoding="utf-8")
    ended = cli("run", three(cli), *flags(sandbox()), "--plan", plan)
    assert ended.code == 2
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_skipped_preflight_checks_are_not_compared():
    job = Job.model_validate(
        {"url": "https://platform.example", "scenario": 3, "match": {"mode": "email", "column": "email"}}
    )
    asked = PlanView(
        run_id="1",
        input_name="in.csv",
        rows=2,
        to_send=2,
        url=job.url,
        scenario=3,
        scenario_name="Welcome",
        database=1,
        reentry="Once.",
        reentry_mode="skip",
        matching="email=email",
        delivery=Delivery.AT_MOST_ONCE,
        rate_per_s=10,
        concurrency=8,
    )
    unasked = replace(asked, scenario_name="", database=None, reentry="", reentry_mode="")
    now = datetime(2026, 11, 25, tzinfo=UTC)
    for before, after in ((asked, unasked), (unasked, asked), (asked, asked)):
        approved = approve(job, before, sha256="1", now=now)
        assert check_plan_matches_approved(approved, after, sha256="1").notices[0].code == "plan_approved"
    with pytest.raises(ApprovedPlanMismatch, match="its name was Welcome, now it is none"):
        check_plan_matches_approved(
            approve(job, asked, sha256="1", now=now), replace(asked, scenario_name=""), sha256="1"
        )
