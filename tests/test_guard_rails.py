"""What stands between a mistake and a hundred thousand people: decided before anything leaves."""

from __future__ import annotations

from typing import Any

import pytest

from batch_enroll.clock import SystemClock
from batch_enroll.job import Job
from batch_enroll.ledger.memory import MemoryLedger
from batch_enroll.run_plan import make_plan
from batch_enroll.run_usual import usual_of
from tests.support.commands import people, write_csv

COMMON = ("--scenario", "3", "--match", "email=email", "--rate", "none")


def flags(server, *more):
    return ("--url", server.url, *COMMON, *more)


def start_requests(server):
    return server.totals()["requests"].get("workflows/start", 0)


# --- the plan that people see ---


def test_the_plan_names_database_and_re_entry_and_says_that_nothing_is_known_yet(cli, sandbox):
    source = write_csv(cli.folder / "in.csv", *people(3))
    ended = cli("check", source, *flags(sandbox(), "--json"))
    assert ended.code == 0, ended.err
    assert "#3 Welcome" in ended.err
    assert "(database 1)" in ended.err
    assert "can enter once ever" in ended.err
    assert ended.json["scenario"] | {"reentry": ""} == {
        "id": 3,
        "name": "Welcome",
        "database": 1,
        "mode": "skip_in_any_case",
        "reentry": "",
    }
    assert ended.json["usual"]["any_run"] is False
    assert ended.json["compared"] == ["This ledger remembers no earlier run, so there is nothing to compare with."]
    assert ended.json["compared"][0] in ended.err
    assert "sandbox-token" not in ended.out + ended.err


def test_the_plan_compares_a_file_with_the_last_runs_of_the_same_input(cli, sandbox):
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


def test_the_plan_compares_a_new_file_with_the_runs_of_its_scenario(cli, sandbox):
    server = sandbox()
    assert cli("run", write_csv(cli.folder / "monday.csv", *people(4)), *flags(server)).code == 0
    ended = cli("check", write_csv(cli.folder / "tuesday.csv", *people(5)), *flags(server, "--json"))
    assert ended.json["compared"] == ["This input has 5 rows; the last run of this scenario had 4."]


def test_the_plan_says_when_a_scenario_was_never_used_before(cli, sandbox):
    server = sandbox()
    source = write_csv(cli.folder / "in.csv", *people(2))
    assert cli("run", source, *flags(server)).code == 0
    ended = cli("check", source, "--url", server.url, "--match", "email=email", "--scenario", "5", "--json")
    assert ended.json["compared"] == ["No run that this ledger remembers has used scenario #5 of this platform before."]


def test_the_plan_says_what_is_mapped_otherwise_than_in_the_last_run(cli, sandbox):
    server = sandbox()
    source = write_csv(cli.folder / "in.csv", ("a@example.com", "b@example.com", "A"), header=("email", "mail", "name"))
    assert cli("run", source, *flags(server, "--content", "first=name")).code == 0
    ended = cli(
        *("check", source, "--url", server.url, "--scenario", "3", "--match", "email=mail"),
        *("--content", "first=email", "--content", "second=name", "--json"),
    )
    assert ended.json["usual"]["changed_mapping"] == [
        "profiles were matched by email=email, now by email=mail",
        "content first came from column 'name', now from 'email'",
        "content second is new, from column 'name'",
    ]
    assert "The mapping is not that of run" in ended.err


async def test_a_check_that_was_killed_is_no_earlier_run(tmp_path):
    job = Job.model_validate(
        {"url": "https://platform.example", "scenario": 3, "match": {"mode": "email", "column": "email"}}
    )
    source, ledger = write_csv(tmp_path / "in.csv", *people(3)), MemoryLedger(tmp_path / "runs")
    common: dict[str, Any] = {"ledger": ledger, "clock": SystemClock(), "emit": lambda event: None, "tool_version": "1"}
    await make_plan(job, source, dry_run=True, **common)
    assert not (await usual_of(ledger, job, path=str(source), run_id="new")).any_run
    await make_plan(job, source, **common)
    assert (await usual_of(ledger, job, path=str(source), run_id="new")).rows == (3,)


# --- preflight ---


def test_a_scenario_without_a_start_node_is_warned_of(cli, sandbox):
    source = write_csv(cli.folder / "in.csv", *people(1))
    words = ("--url", sandbox().url, "--match", "email=email", "--json")
    missing = cli("check", source, *words, "--scenario", "12")
    assert missing.code == 0
    assert [notice["code"] for notice in missing.json["notices"]] == ["no_default_start"]
    assert "no start node named Default" in missing.err
    assert cli("check", source, *words, "--scenario", "3").json["notices"] == []


@pytest.mark.parametrize(
    ("scenario", "mode", "explained"),
    [
        ("3", "skip_in_any_case", "can enter once ever"),
        ("5", "skip", "one that has left is"),
        ("7", "restart", "may send the messages again"),
    ],
)
def test_the_plan_explains_what_a_repeated_start_does(cli, sandbox, scenario, mode, explained):
    source = write_csv(cli.folder / "in.csv", *people(1))
    ended = cli("check", source, "--url", sandbox().url, "--match", "email=email", "--scenario", scenario, "--json")
    assert ended.json["scenario"]["mode"] == mode
    assert explained in ended.json["scenario"]["reentry"]
