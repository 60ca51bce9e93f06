"""Runs and an approved plan of the last release that had `--processes`; README.md tells how they were made."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.support.commands import read_results
from tests.support.scripted_platform import OK
from tests.support.small_platform import small_platform

FILES = Path(__file__).with_name("files")
LEDGER = ("--ledger", "ledger/ledger.sqlite")
RUN_IDS = {"stopped": "03b0a681", "killed": "293ec0c5", "finished": "2d2146f6"}
STATUSES = {
    "stopped": Counter(success=12, not_sent=12),
    "killed": Counter(success=12, unknown=4, not_sent=8),
    "finished": Counter(success=12, error=2, unknown=2, invalid=2, skipped=1),
}


class Installation:
    """A copy of what the earlier release left, and a platform that accepts everybody."""

    def __init__(self, cli, address):
        self.folder = cli.folder
        self.started: list[str] = []  #: the addresses that the platform was asked to start since
        self._cli = cli
        self._environment = {
            "http_proxy": address,  # the recorded address is http://platform.example
            "no_proxy": "",
            "XDG_STATE_HOME": str(cli.folder / "state"),
        }

    def __call__(self, *words, code=0):
        ended = self._cli(*words, **self._environment)
        assert ended.code == code, ended.err
        return ended

    def delete_processes(self):
        """Delete the line from the job file."""
        job = self.folder / "job.toml"
        text = job.read_text(encoding="utf-8")
        assert "processes = 2\n" in text
        job.write_text(text.replace("processes = 2\n", ""), encoding="utf-8")

    def statuses(self, results="new.results.csv"):
        """Count the rows of a results file by status."""
        return Counter(row["enroll_status"] for row in read_results(self.folder / results))


@pytest.fixture
def old(cli):
    shutil.copytree(FILES, cli.folder, dirs_exist_ok=True)

    def reply(body):
        installation.started.append(body["email"])
        return OK

    with small_platform(reply=reply) as address:
        installation = Installation(cli, address)
        yield installation


def rows_never_asked_for(name):
    """The addresses of an input that the platform was not asked to start when the files were made."""
    with (FILES / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        emails = [row["E-mail"] for row in csv.DictReader(file)]
    asked = json.loads((FILES / "asked.json").read_text(encoding="utf-8"))
    return sorted(set(emails) - set(asked.get(name, ())))


def test_stored_settings_contain_processes():
    """Without this the tests below would prove nothing."""
    assert (FILES / "ledger" / "ledger.sqlite").read_bytes().count(b'"processes":2') == len(RUN_IDS)


@pytest.mark.parametrize(
    ("name", "code", "statuses"),
    [("stopped", 0, {"success": 24}), ("killed", 4, {"success": 20, "unknown": 4})],
)
def test_resume_sends_the_remaining_rows(old, name, code, statuses):
    old.delete_processes()
    old("run", f"{name}.csv", "--job", "job.toml", "--results", "new.results.csv", code=code)
    assert sorted(old.started) == rows_never_asked_for(name)
    assert old.statuses() == statuses


def test_job_file_with_processes_is_refused(old):
    words = ("run", "stopped.csv", "--job", "job.toml", "--results", "new.results.csv")
    refused = old(*words, code=2)
    assert refused.err == (
        "batch-enroll: job.toml: [send] processes was removed, because one process is faster; delete it.\n"
    )
    assert old.started == []
    old.delete_processes()
    old(*words)
    assert sorted(old.started) == rows_never_asked_for("stopped")


def test_finished_run_is_not_sent_again(old):
    old.delete_processes()
    old("run", "finished.csv", "--job", "job.toml", "--results", "new.results.csv", code=2)
    assert old.started == []


def test_retry_not_sent_sends_the_remaining_rows(old):
    old("retry", RUN_IDS["stopped"], "--not-sent", *LEDGER, "--results", "new.results.csv")
    assert sorted(old.started) == rows_never_asked_for("stopped")
    assert old.statuses() == {"success": 24}


def test_retry_errors_sends_the_refused_rows(old):
    old("retry", RUN_IDS["finished"], "--errors", *LEDGER, "--results", "new.results.csv", code=4)
    assert sorted(old.started) == ["refused01@leads.example", "refused02@leads.example"]
    assert old.statuses() == STATUSES["finished"] - Counter(error=2) | Counter(success=14)


def test_resolve_lists_unknown_rows_and_applies_decisions(old):
    run = RUN_IDS["finished"]
    listed = list(csv.DictReader(io.StringIO(old("resolve", run, *LEDGER).out)))
    assert [(row["row"], row["identity"], row["code"]) for row in listed] == [
        ("10", "unclear01@leads.example", "500"),
        ("12", "worker01@leads.example", "worker_died"),
    ]
    old("resolve", run, *LEDGER, "--rows", "12", "--verdict", "enrolled")
    old("resolve", run, *LEDGER, "--rows", "10", "--verdict", "resend")
    old("retry", run, "--not-sent", *LEDGER, "--results", "new.results.csv", code=1)
    assert old.started == ["unclear01@leads.example"]
    assert old.statuses() == STATUSES["finished"] - Counter(unknown=2) | Counter(success=14)


@pytest.mark.parametrize("name", RUN_IDS)
def test_report_writes_the_files_again(old, name):
    old("report", RUN_IDS[name], *LEDGER, "--results", "new.results.csv")
    assert old.statuses() == STATUSES[name]
    assert old.started == []


def test_report_gives_advice_for_a_row_of_a_dead_worker(old):
    old("report", RUN_IDS["finished"], *LEDGER, "--results", "new.results.csv")
    (row,) = [row for row in read_results(old.folder / "new.unknown.csv") if row["enroll_code"] == "worker_died"]
    assert row["enroll_advice"].startswith("Look the profile up in the platform")
    assert "processes" not in row["enroll_advice"]


def test_runs_and_show_list_each_run(old):
    runs = json.loads(old("runs", *LEDGER, "--json").out)
    assert {run["run"]: run["state"] for run in runs} == {
        RUN_IDS["stopped"]: "open",
        RUN_IDS["killed"]: "open",
        RUN_IDS["finished"]: "finished",
    }
    for name, run in RUN_IDS.items():
        counts = json.loads(old("show", run, *LEDGER, "--json").out)["counts"]
        assert {status: count for status, count in counts.items() if count and status != "rows"} == STATUSES[name]


def test_approved_plan_is_sent(old):
    old.delete_processes()
    old("run", "approved.csv", "--job", "job.toml", "--plan", "approved.plan.json", "--results", "new.results.csv")
    assert sorted(old.started) == rows_never_asked_for("approved")
    assert old.statuses() == {"success": 5}
