"""`resume RUN`: a paused run goes on, a stopped or crashed one is continued from its kept rows and settings."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import anyio
import pytest

from batch_enroll.ledger.location import open_ledger
from tests.support.commands import people, write_csv
from tests.support.input_files import enrolled, group
from tests.support.input_files import flags as common
from tests.support.sandbox import wait_until
from tests.test_run_lookup import record

ROWS = 9
LAST_RESORT_S = 60.0


def job_file(folder, server, *, name="job.toml", scenario=3, more=""):
    path = folder / name
    path.write_text(
        f'url = "{server.url}"\nscenario = {scenario}\n[match]\nmode = "email"\ncolumn = "email"\n'
        f'[content]\nfirst_name = "first_name"\n{more}'
    )
    return path


class Stopped:
    """A run that the platform stopped after three rows, and whose input is gone."""

    def __init__(self, cli, server, *flags):
        self.cli, self.server = cli, server
        self.job = job_file(cli.folder, server)
        source = write_csv(cli.folder / "in.csv", *people(ROWS))
        first = cli("run", source, "--job", self.job, "--rate", "none", "--concurrency", "1", *flags, "--json", "--yes")
        assert (first.code, first.json["counts"]["success"]) == (3, 3), first.err
        self.run, self.results = first.json["run"], first.json["files"]["results"]
        source.unlink()
        server.control(faults="", token_revoked=False)

    def started(self):
        return len(self.server.enrolments())


@pytest.fixture
def stopped(cli, sandbox):
    return Stopped(cli, sandbox(faults="token_revoked@4+"))


@pytest.mark.parametrize("command", [("resume",), ("retry", "--not-sent")], ids=lambda command: command[0])
def test_stopped_run_is_resumed_without_its_input(stopped, command):
    ended = stopped.cli(command[0], stopped.run[:5], *command[1:], "--json")
    assert ended.code == 0, ended.err
    assert (ended.json["run"], ended.json["counts"]["success"]) == (stopped.run, ROWS)
    assert ended.json["files"]["results"] == stopped.results
    assert stopped.server.enrolments() == {f"email:{email}": 1 for email, _ in people(ROWS)}
    again = stopped.cli(command[0], stopped.run, *command[1:], "--json")
    assert (again.code, again.json["status"]) == (2, "refused")
    assert f"Run {stopped.run} was finished on " in again.err
    assert "No row is left to send." in again.err
    assert set(stopped.server.enrolments().values()) == {1}


@pytest.mark.slow
@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGINT], ids=["killed", "Ctrl-C"])
def test_killed_or_interrupted_run_is_resumed(cli, sandbox, way):
    server = sandbox(latency_s=(0.05, 0.05))
    source = write_csv(cli.folder / "in.csv", *people(60))
    words = ("run", source, "--job", job_file(cli.folder, server), "--rate", "20", "--concurrency", "2", "--yes")
    process = cli.start(*words)
    wait_until(lambda: len(server.enrolments()) > 2, timeout_s=LAST_RESORT_S)
    process.send_signal(way)
    process.communicate(timeout=LAST_RESORT_S)
    assert process.returncode == (-9 if way is signal.SIGKILL else 130)
    [run] = cli("runs", "--json").json
    source.unlink()
    ended = cli("resume", run["run"], "--rate", "none", "--json")
    counts = ended.json["counts"]
    assert (ended.code, counts["not_sent"]) == (4 if counts["unknown"] else 0, 0), ended.err
    assert counts["success"] + counts["unknown"] == 60
    assert counts["success"] <= len(server.enrolments()) <= 60
    assert set(server.enrolments().values()) == {1}


@pytest.mark.slow
@pytest.mark.parametrize("command", [("resume",), ("retry", "--not-sent")], ids=lambda command: command[0])
def test_paused_run_goes_on_and_active_run_is_left_alone(cli, sandbox, command):
    server = sandbox()
    source = write_csv(cli.folder / "in.csv", *people(600))
    process = cli.start("run", source, "--job", job_file(cli.folder, server), "--rate", "5", "--yes")
    wait_until(lambda: len(server.enrolments()) > 2, timeout_s=LAST_RESORT_S)
    [run] = [one["run"] for one in cli("runs", "--json").json]
    assert cli("pause", run).code == 0
    resumed = cli(command[0], run, *command[1:], "--rate", "9")
    assert (resumed.code, resumed.err) == (0, f"Run {run} resumes: 9 a second, 8 at once.\n")
    active = cli(command[0], run, *command[1:], "--json")
    assert (active.code, active.json["said"]) == (0, f"Run {run} was not paused; it sends 9 a second, 8 at once.")
    assert process.poll() is None
    assert cli("stop", run).code == 0
    process.communicate(timeout=LAST_RESORT_S)
    assert process.returncode == 3


def test_what_was_planned_cannot_be_changed(stopped, sandbox):
    before = stopped.started()
    for flags, names in (
        (("--scenario", "5"), "--scenario"),
        (("--match", "phone=email"), "--match"),
        (("--content", "first_name=email"), "--content"),
        (("--url", "https://other.example", "--enrolled-before", "send"), "--url, --enrolled-before"),
    ):
        ended = stopped.cli("resume", stopped.run, *flags)
        assert ended.code == 2
        assert f"Run {stopped.run} is resumed as it was planned: {names} cannot be changed." in ended.err
    assert stopped.started() == before
    same = ("--scenario", "3", "--match", "email=email", "--content", "first_name=first_name")
    assert stopped.cli("resume", stopped.run, *same).code == 0


def test_job_file_of_another_scenario_changes_only_rate_and_outputs(stopped):
    more = '[send]\nrate = 77\n[output]\nresults = "elsewhere.csv"\n'
    other = job_file(stopped.cli.folder, stopped.server, name="other.toml", scenario=5, more=more)
    ended = stopped.cli("resume", stopped.run, "--job", other, "--json")
    assert ended.code == 0, ended.err
    assert f"Run {stopped.run} keeps what it was planned with; not used of what is set now: scenario." in ended.err
    assert ended.json["scenario"]["id"] == 3
    assert "77 a second" in ended.err
    assert ended.json["files"]["results"] == str(stopped.cli.folder / "elsewhere.csv")


def test_flags_about_the_screen_are_not_kept(stopped):
    """The first start had --json and --yes; a person who resumes it by hand did not say so."""
    ended = stopped.cli("resume", stopped.run)
    assert (ended.code, ended.out) == (0, "")
    assert f"Run {stopped.run}" in ended.err


def test_resume_keeps_the_allowed_hours_and_the_limits_of_the_job(stopped):
    from datetime import UTC, datetime

    hour = datetime.now(UTC).hour
    closed = f'[stop]\nallowed_hours = "{(hour + 6) % 24:02}:00-{(hour + 12) % 24:02}:00 UTC"\n'
    before = stopped.started()
    job = job_file(stopped.cli.folder, stopped.server, name="hours.toml", more=closed)
    ended = stopped.cli("resume", stopped.run, "--job", job)
    assert (ended.code, "outside the allowed hours" in ended.err) == (2, True)
    few = job_file(stopped.cli.folder, stopped.server, name="few.toml", more="[stop]\nmax_rows = 2\n")
    assert stopped.cli("resume", stopped.run, "--job", few).code == 2
    assert stopped.started() == before


def test_ledger_of_the_job_file_is_used(cli, sandbox):
    server = sandbox(faults="token_revoked@4+")
    ledger = cli.folder / "own.sqlite"
    job = job_file(cli.folder, server, more='[output]\nledger = "own.sqlite"\n[send]\nconcurrency = 1\n')
    run = cli("run", write_csv(cli.folder / "in.csv", *people(ROWS)), "--job", job, "--json").json["run"]
    assert ledger.exists()
    assert cli("resume", run).code == 2  # not in the default one
    for words in (("show", run), ("report", run), ("resolve", run), ("support", run)):
        assert cli(*words).code == 2
        assert cli(*words, "--job", job).code == 0
    assert [one["run"] for one in cli("runs", "--json", "--job", job).json] == [run]
    assert cli("runs", "--json", "--job", job, "--ledger", "other.sqlite").json == []
    assert "No process works on" in cli("stop", run, "--job", job).err
    server.control(faults="", token_revoked=False)
    assert cli("resume", run, "--job", job).code == 0
    assert set(server.enrolments().values()) == {1}


def test_run_whose_plan_was_not_completed_is_told(cli):
    async def plan():
        run = await open_ledger(str(cli.folder / "ledger.sqlite")).create(record("a906cc51"))
        await run.close_unchanged()

    anyio.run(plan)
    ended = cli("resume", "a906cc51", "--ledger", "ledger.sqlite")
    assert ended.code == 2
    assert "The plan of run a906cc51 (c51.csv) was not completed, so there is nothing to resume." in ended.err


def test_run_must_be_named_off_a_terminal(stopped):
    for words in (("resume",), ("resume", "last")):
        ended = stopped.cli(*words)
        assert (ended.code, "Off a terminal the run must be named" in ended.err) == (2, True)
    assert stopped.started() == 3


@pytest.mark.parametrize("way", ["replaced input", "job"])
def test_a_plan_names_the_unfinished_runs_of_its_job_and_input(cli, sandbox, way):
    """The file was replaced after an outage: its run is named, so that nobody of it is forgotten."""
    server = sandbox(faults="token_revoked@3+")
    (cli.folder / "nightly.toml").write_text("")
    command = (*common(server), "--job", "nightly.toml", "--concurrency", "1", "--json")
    stopped = cli("run", write_csv(cli.folder / "q.csv", *group("a", 9)), *command).json
    server.control(faults="", token_revoked=False)
    name = "q.csv" if way == "replaced input" else "other.csv"
    ended = cli("run", write_csv(cli.folder / name, *group("b", 2)), *command, "--status-file", "status.json")
    (notice,) = [one for one in ended.json["notices"] if one["code"] == "unfinished_run"]
    left = stopped["counts"]["not_sent"]
    assert notice["message"] == f"Run {stopped['run']} of q.csv left {left} rows unsent."
    assert f"batch-enroll resume {stopped['run']}" in notice["advice"]
    assert json.loads((cli.folder / "status.json").read_text())["notices"] == ended.json["notices"]
    assert cli("resume", stopped["run"], "--ledger", "ledger/ledger.sqlite", "--yes").code == 0
    codes = [notice["code"] for notice in cli("check", name, *command).json["notices"]]
    assert "unfinished_run" not in codes
    assert len(enrolled(server)) == 11


@pytest.fixture
def elsewhere(cli, sandbox):
    """A run by a job whose paths are all relative, stopped after three rows; the command line is elsewhere now."""
    server, began_in = sandbox(faults="token_revoked@4+"), cli.folder
    more = '[output]\nresults = "out/all.csv"\nstatus_file = "status.json"\nledger = "own.sqlite"\n'
    job_file(began_in, server, more=more + '[input]\narchive = "done"\n[send]\nconcurrency = 1\n')
    (began_in / "out").mkdir()
    write_csv(began_in / "in.csv", *people(ROWS))
    ended = cli("run", "in.csv", "--job", "job.toml", "--log-file", "a.log", "--yes", "--json")
    assert ended.code == 3, ended.err
    server.control(faults="", token_revoked=False)
    cli.folder = began_in / "far" / "away"
    cli.folder.mkdir(parents=True)
    return began_in, server, ended.json["run"]


@pytest.mark.parametrize("with_job", [False, True])
def test_relative_paths_mean_the_same_from_another_folder(cli, elsewhere, with_job):
    began_in, server, run = elsewhere
    place = ("--job", "../../job.toml") if with_job else ("--ledger", "../../own.sqlite")
    ended = cli("resume", run, *place, "--yes", "--json")
    assert ended.code == 0, ended.err
    files = {"results": "out/all.csv", "summary": "out/all.summary.json", "input": "done/in.csv"}
    told = {kind: Path(path).resolve() for kind, path in ended.json["files"].items()}
    assert told == {kind: began_in.resolve() / name for kind, name in files.items()}
    assert all((began_in / name).is_file() for name in files.values())
    assert json.loads((began_in / "status.json").read_text())["exit_code"] == 0
    assert (began_in / "a.log").read_text().count("run finished") == 2
    assert [*cli.folder.iterdir()] == []
    assert not (began_in / "in.csv").exists()
    assert len(enrolled(server)) == ROWS


def test_resumed_run_archives_only_an_input_that_is_still_its_own(cli, elsewhere):
    began_in, server, run = elsewhere
    write_csv(began_in / "in.csv", *people(2))
    ended = cli("resume", run, "--job", "../../job.toml", "--yes")
    assert (ended.code, "no longer the file that was enrolled" in ended.err) == (0, True), ended.err
    assert (began_in / "in.csv").exists()
    assert len(enrolled(server)) == ROWS


def test_resume_takes_another_archive_and_refuses_an_unusable_one(cli, elsewhere):
    _, server, run = elsewhere
    refused = cli("resume", run, "--job", "../../job.toml", "--archive", "no/such", "--yes")
    assert (refused.code, "no" in refused.err) == (2, True)
    assert len(enrolled(server)) == 3
    assert cli("resume", run, "--job", "../../job.toml", "--archive", "kept", "--yes").code == 0
    assert (cli.folder / "kept" / "in.csv").exists()


def test_ledger_that_an_earlier_release_kept_in_the_working_directory(cli, elsewhere):
    """A new one beside the job file would not know who was enrolled."""
    began_in, server, _ = elsewhere
    (began_in / "own.sqlite").rename(cli.folder / "own.sqlite")
    ended = cli("run", write_csv(cli.folder / "b.csv", *people(2)), "--job", "../../job.toml", "--yes")
    assert (ended.code, "Write the whole path of the ledger into the job file." in ended.err) == (2, True)
    assert len(enrolled(server)) == 3
