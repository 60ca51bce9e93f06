"""No output of a command takes the place of a file that it reads, of the ledger, or of another output."""

from __future__ import annotations

import json
import os

import pytest

from tests.support.commands import write_csv
from tests.support.input_files import COMMON, group

OUTPUTS = {
    "results": ("run", "--results"),
    "status": ("run", "--status-file"),
    "metrics": ("run", "--metrics-file"),
    "log": ("run", "--log-file"),
    "archive": ("run", "--archive"),
    "problems": ("check", "--problems"),
    "plan": ("check", "--save"),
}
READ = {
    "input": ("leads.csv", "the input"),
    "job file": ("job.toml", "the job file"),
    "token file": ("token.txt", "the token file"),
    "password file": ("password.txt", "the password file"),
    "addresses": ("addresses.txt", "the file of addresses to notify"),
    "ledger": ("ledger.sqlite", "the ledger"),
    "log of the ledger": ("ledger.sqlite-wal", "the ledger"),
    "run of the ledger": ("ledger.sqlite.runs/new.csv", "the ledger"),
    "hard link": ("hard.csv", "the input"),
    "link": ("link.csv", "the input"),
    "link to a folder": ("here/leads.csv", "the input"),
    "other spelling": ("../{folder}/./leads.csv", "the input"),
}


@pytest.fixture
def job(cli, sandbox):
    """Every file that a run reads; the ledger remembers an earlier run."""
    folder = cli.folder
    server = sandbox()
    write_csv(folder / "leads.csv", *group("a"))
    os.link(folder / "leads.csv", folder / "hard.csv")
    (folder / "link.csv").symlink_to("leads.csv")
    (folder / "here").symlink_to(".")
    for name, content in (("token.txt", "some-token"), ("password.txt", "x"), ("addresses.txt", "json://127.0.0.1:9")):
        (folder / name).write_text(content)
        (folder / name).chmod(0o600)
    (folder / "job.toml").write_text(
        'token_file = "token.txt"\n[input]\npassword_file = "password.txt"\n[notify]\nurls_file = "addresses.txt"\n'
    )
    write_csv(folder / "earlier.csv", *group("earlier"))
    assert cli("run", "earlier.csv", *flags(server)).code == 0
    return server


def flags(server):
    return ("--url", server.url, *COMMON, "--ledger", "ledger.sqlite", "--job", "job.toml")


def contents(folder):
    return {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("read", READ)
@pytest.mark.parametrize("output", OUTPUTS)
def test_output_that_is_read_is_refused(cli, job, output, read):
    command, flag = OUTPUTS[output]
    name, what = READ[read]
    before = contents(cli.folder)
    ended = cli(command, "leads.csv", *flags(job), flag, name.format(folder=cli.folder.name))
    assert ended.code == 2, ended.err
    assert f"would overwrite {what}: " in ended.err
    assert f"Choose another place with {flag}." in ended.err
    assert contents(cli.folder) == before
    assert len(job.enrolments()) == 3


@pytest.mark.parametrize("name", ["x.failed.csv", "x.unknown.csv", "x.summary.json"])
def test_companion_of_the_results_is_no_input(cli, job, name):
    write_csv(cli.folder / name, *group("b"))
    before = contents(cli.folder)
    ended = cli("run", name, *flags(job), "--results", "x.csv")
    assert (ended.code, "would overwrite the input" in ended.err) == (2, True)
    assert contents(cli.folder) == before


@pytest.mark.parametrize("place", ["leads.csv", "ledger.sqlite", "hard.csv"])
def test_report_does_not_overwrite_what_its_run_read(cli, job, place):
    assert cli("run", "leads.csv", *flags(job)).code == 0
    before = contents(cli.folder)
    ended = cli("report", "last", "--ledger", "ledger.sqlite", "--results", place)
    assert (ended.code, "would overwrite" in ended.err) == (2, True)
    assert contents(cli.folder) == before


@pytest.mark.parametrize("place", ["ledger.sqlite", "run.log"])
def test_support_bundle_does_not_overwrite_what_it_reads(cli, job, place):
    (cli.folder / "run.log").write_text("kept\n")
    before = contents(cli.folder)
    ended = cli("support", "last", "--ledger", "ledger.sqlite", "--log-file", "run.log", "--out", place)
    assert (ended.code, "would overwrite" in ended.err) == (2, True)
    assert contents(cli.folder) == before


def test_status_of_an_invalid_job_is_not_written_over_its_input(cli, job):
    before = contents(cli.folder)
    ended = cli("run", "leads.csv", *flags(job), "--rate", "fast", "--status-file", "leads.csv")
    assert ended.code == 2
    assert contents(cli.folder) == before


def test_input_of_a_folder_is_not_overwritten(cli, job):
    (cli.folder / "in").mkdir()
    source = write_csv(cli.folder / "in" / "a.csv", *group("b"))
    before = source.read_bytes()
    ended = cli("run", "in/*.csv", *flags(job), "--log-file", "in/a.csv", "--settle", "0")
    assert ended.code == 2
    assert source.read_bytes() == before


def test_two_outputs_are_two_files(cli, job):
    ended = cli("run", "leads.csv", *flags(job), "--results", "x.csv", "--log-file", "here/x.csv")
    assert (ended.code, "another output of the same command" in ended.err) == (2, True)
    assert len(job.enrolments()) == 3


@pytest.mark.parametrize("output", OUTPUTS)
def test_other_place_is_accepted(cli, job, output):
    command, flag = OUTPUTS[output]
    assert cli(command, "leads.csv", *flags(job), flag, "other.csv").code == 0


KINDS = ("x.csv", "x.failed.csv", "x.unknown.csv", "x.summary.json")


@pytest.fixture
def ran(cli, sandbox):
    """A run that wrote every kind of file under `x.csv`."""
    server = sandbox(faults="drop_after_acting@2")
    write_csv(cli.folder / "leads.csv", *group("a"), ("nobody@example.com", ""))
    command = ("--url", server.url, *COMMON, "--ledger", "ledger.sqlite", "--results", "x.csv", "--concurrency", "1")
    ended = cli("run", "leads.csv", *command, "--json")
    assert ended.code == 4
    assert all((cli.folder / name).exists() for name in KINDS)
    return server, command, ended.json["run"]


def report(cli, *more):
    return cli("report", "last", "--ledger", "ledger.sqlite", *more)


def test_unchanged_results_are_replaced(cli, ran):
    names = {path.name for path in cli.folder.iterdir()}
    for _ in range(2):
        ended = report(cli)
        assert (ended.code, "kept" in ended.err) == (0, False)
    assert {path.name for path in cli.folder.iterdir()} == names


def test_results_without_a_summary_after_a_crash_are_replaced(cli, ran):
    """The program was killed after it had named the results and before it wrote the summary."""
    (cli.folder / "x.summary.json").unlink()
    names = {path.name for path in cli.folder.iterdir()}
    assert report(cli).code == 0
    assert {path.name for path in cli.folder.iterdir()} == names | {"x.summary.json"}


@pytest.mark.parametrize("name", KINDS)
def test_corrected_file_is_kept_and_the_new_one_lies_beside(cli, ran, name):
    _, _, run = ran
    changed = cli.folder / name
    changed.write_bytes(changed.read_bytes().replace(b"example.com", b"x.org").replace(b"leads.csv", b"other.csv"))
    before = {path: path.read_bytes() for path in map(cli.folder.joinpath, KINDS)}
    ended = report(cli)
    assert ended.code == 0
    assert f"the results are in leads.{run}.results.csv" in ended.err.replace(str(cli.folder) + "/", "")
    assert {path: path.read_bytes() for path in before} == before
    assert report(cli).code == 0
    assert not (cli.folder / f"leads.{run}.3.results.csv").exists()


def test_results_of_an_older_release_stop_no_run(cli, ran):
    server, command, _ = ran
    summary = cli.folder / "x.summary.json"
    content = json.loads(summary.read_text(encoding="utf-8"))
    del content["sha256"]
    summary.write_text(json.dumps(content), encoding="utf-8")
    before = (cli.folder / "x.csv").read_bytes()
    server.control(faults="")
    write_csv(cli.folder / "more.csv", *group("b"))
    ended = cli("run", "more.csv", *command, "--json")
    assert ended.code == 0
    assert "results_beside" in [notice["code"] for notice in ended.json["notices"]]
    assert ended.json["files"]["results"].endswith(f"more.{ended.json['run']}.results.csv")
    assert (cli.folder / "x.csv").read_bytes() == before


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("command", ["run", "report"])
def test_file_of_somebody_else_is_refused(cli, ran, command, name):
    server, flags, _ = ran
    write_csv(cli.folder / "more.csv", *group("b"))
    target = cli.folder / name.replace("x.", "y.")
    target.write_text("E-mail;Budget\n")
    sent = len(server.enrolments())
    if command == "run":
        ended = cli("run", "more.csv", *flags, "--results", "y.csv")
    else:
        ended = report(cli, "--results", "y.csv")
    assert (ended.code, "is no results file of this program" in ended.err) == (2, True)
    assert target.read_text() == "E-mail;Budget\n"
    assert len(server.enrolments()) == sent


def test_empty_file_is_replaced(cli, ran):
    (cli.folder / "y.csv").touch()
    assert report(cli, "--results", "y.csv").code == 0
    assert (cli.folder / "y.csv").stat().st_size
