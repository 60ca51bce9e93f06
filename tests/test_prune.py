"""`batch-enroll prune`, as a person or a timer gives it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from batch_enroll.run.run_identity import new_run_id
from tests.support.commands import people, write_csv
from tests.support.sandbox import wait_until
from tests.support.terminal import Terminal

JOB = ("--scenario", "3", "--match", "email=email", "--content", "first_name=first_name", "--rate", "none", "--json")


@pytest.fixture
def send(cli, sandbox):
    """Runs a file to its end; gives the server and how the command ended."""
    server = sandbox()

    def run(path, *more):
        return server, cli("run", path, "--url", server.url, *JOB, *more)

    return run


def kept_bytes(folder: Path) -> bytes:
    """Everything that lies in the data and state folders, as one text to search."""
    places = [Path(os.environ[name]) for name in ("XDG_DATA_HOME", "XDG_STATE_HOME")]
    return b"".join(file.read_bytes() for place in places for file in place.rglob("*") if file.is_file())


def test_pruned_file_is_still_refused_as_already_sent(cli, send):
    leads = write_csv(cli.folder / "leads.csv", *people(20), ("nobody@example.com", "Nobody"))
    server, first = send(leads)
    assert b"user00001@example.com" in kept_bytes(cli.folder), "else this test could not fail"
    before = cli("show", first.json["run"], "--json").json

    pruned = cli("prune", "--older-than", "0s", "--yes", "--json")

    assert pruned.code == 0, pruned.err
    assert [one["run"] for one in pruned.json["pruned"]] == [first.json["run"]]
    assert pruned.json["bytes"] > 0
    kept = kept_bytes(cli.folder)
    assert b"user00001" not in kept
    assert b"Name 1" not in kept
    assert cli("show", first.json["run"], "--json").json == before
    assert [run["counts"]["rows"] for run in cli("runs", "--json").json] == [21]
    again = send(leads)[1]
    assert again.code == 2
    assert "21 rows" in again.err
    assert len(server.enrolments()) == 20


def test_pruned_rows_are_still_skipped_in_edited_files_and_windows(cli, send):
    leads = write_csv(cli.folder / "leads.csv", *people(5))
    server, _ = send(leads)
    assert cli("prune", "--older-than", "0s", "--yes").code == 0

    write_csv(leads, *people(6))
    assert send(leads)[1].json["counts"] == {**dict.fromkeys(ALL, 0), "success": 1, "skipped": 5, "rows": 6}
    other = write_csv(cli.folder / "other.csv", *people(7))
    assert send(other, "--window", "7d")[1].json["counts"] == {
        **dict.fromkeys(ALL, 0),
        "success": 1,
        "skipped": 6,
        "rows": 7,
    }
    assert set(server.enrolments().values()) == {1}


ALL = ("success", "error", "unknown", "invalid", "skipped", "not_sent", "rows")


def test_pruned_run_refuses_commands_that_need_its_rows(cli, send):
    _, ended = send(write_csv(cli.folder / "leads.csv", *people(3), ("nobody@example.com", "x")))
    run = ended.json["run"]
    cli("prune", "--older-than", "0s", "--yes")

    for words in (("report", run), ("resolve", run)):
        refused = cli(*words)
        assert refused.code == 3, words
        assert "no longer kept" in refused.err
    retried = cli("retry", run, "--errors", "--yes")
    assert retried.code == 3
    assert f"Run {run} was pruned" in retried.err


def test_unfinished_runs_and_unknown_rows_are_kept_and_listed(cli, sandbox):
    server = sandbox(faults="drop_after_acting@1")
    doubtful = write_csv(cli.folder / "doubtful.csv", *people(3))
    unknown = cli("run", doubtful, "--url", server.url, *JOB)
    assert unknown.code == 4
    stopped = write_csv(cli.folder / "stopped.csv", *people(4, domain="example.org"))
    open_run = cli("run", stopped, "--url", server.url, *JOB, "--deadline", "1s", "--rate", "0.5", "--concurrency", "1")
    assert open_run.code == 3

    for words in ((), ("--forget",)):
        shown = cli("prune", "--older-than", "0s", "--yes", "--json", *words)
        assert shown.code == 0
        assert shown.json["pruned"] == []
        why = {one["run"]: one["why"] for one in shown.json["kept"]}
        assert why[unknown.json["run"]] == "the outcome of 1 of 3 rows is unknown"
        assert "unfinished" in why[open_run.json["run"]]
        assert "batch-enroll resolve" in shown.err
    resolved = cli("resolve", unknown.json["run"], "--rows", "all", "--verdict", "enrolled")
    assert resolved.code == 0, "the rows were kept"
    pruned = cli("prune", "--older-than", "0s", "--yes", "--json")
    assert [one["run"] for one in pruned.json["pruned"]] == [unknown.json["run"]]


def test_recent_runs_stay(cli, send):
    send(write_csv(cli.folder / "leads.csv", *people(2)))

    shown = cli("prune", "--older-than", "90d", "--yes", "--json")

    assert shown.code == 0
    assert (shown.json["pruned"], shown.json["younger"]) == ([], 1)
    assert "nothing to prune" in shown.err
    assert b"user00001" in kept_bytes(cli.folder)


def test_forget_explains_itself_and_allows_sending_again(cli, send):
    leads = write_csv(cli.folder / "leads.csv", *people(3))
    server, _ = send(leads)

    forgotten = cli("prune", "--older-than", "0s", "--forget", "--yes", "--json")

    assert forgotten.code == 0
    assert "will NOT" in forgotten.err
    assert "a second time" in forgotten.err
    assert cli("runs", "--json").json == []
    assert send(leads)[1].json["counts"]["success"] == 3
    assert set(server.enrolments().values()) == {2}, "that is what forgetting means"


@pytest.mark.parametrize("more", [(), ("--forget",)])
def test_off_a_terminal_prune_needs_yes(cli, send, more):
    send(write_csv(cli.folder / "leads.csv", *people(2)))

    refused = cli("prune", "--older-than", "0s", *more)

    assert refused.code == 2
    assert "--yes" in refused.err
    dry = cli("prune", "--older-than", "0s", "--dry-run", "--json", *more)
    assert dry.code == 0
    assert dry.json["done"] is False
    assert len(dry.json["pruned"]) == 1
    assert b"user00001" in kept_bytes(cli.folder)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no pty")
@pytest.mark.parametrize(
    ("more", "answer", "gone"),
    [((), "n", False), ((), "y", True), (("--forget",), "y", False), (("--forget",), "forget", True)],
)
def test_on_a_terminal_prune_asks(cli, send, more, answer, gone):
    send(write_csv(cli.folder / "leads.csv", *people(2)))
    with Terminal("prune", "--older-than", "0s", *more, folder=cli.folder) as terminal:
        terminal.wait_for("type forget:" if more else "[y/N]")
        terminal.type(answer)
        code = terminal.end()

    assert code == (0 if gone else 2)
    assert (b"user00001" not in kept_bytes(cli.folder)) is gone


@pytest.mark.slow
def test_active_run_is_not_pruned(cli, sandbox):
    server = sandbox(latency_s=[0.5, 0.5])
    leads = write_csv(cli.folder / "leads.csv", *people(40))
    working = cli.start("run", leads, "--url", server.url, *JOB, "--concurrency", "1")
    try:
        wait_until(lambda: len(server.enrolments()) > 0)
        shown = cli("prune", "--older-than", "0s", "--yes", "--json")
        assert shown.json["pruned"] == []
    finally:
        working.terminate()
        working.wait(timeout=60)
        working.communicate()
    assert b"user00001" in kept_bytes(cli.folder)


@pytest.mark.slow
def test_killed_check_leaves_nothing_after_prune(cli, sandbox):
    server = sandbox(latency_s=[5, 5])
    leads = write_csv(cli.folder / "leads.csv", *people(5))
    words = ("check", leads, "--url", server.url, *JOB)
    checking = cli.start(*words)
    wait_until(lambda: bool(server.totals()["requests"]), timeout_s=60)  # planned, and the platform is asked
    checking.kill()
    checking.communicate()
    assert b"user00001" in kept_bytes(cli.folder)
    assert cli("runs", "--json").json == [], "a check is no run"

    pruned = cli("prune", "--older-than", "0s", "--yes", "--json")

    assert [one["never_sent"] for one in pruned.json["pruned"]] == [True]
    assert b"user00001" not in kept_bytes(cli.folder)
    assert cli("prune", "--older-than", "0s", "--yes", "--json").json["pruned"] == []


@pytest.mark.parametrize("age", ["soon", "90", "-1d"])
def test_invalid_age_is_one_error(cli, age):
    refused = cli("prune", f"--older-than={age}")

    assert refused.code == 2
    assert f"--older-than: '{age}' is not a duration" in refused.err


def test_repeated_run_number_continues_after_forget():
    identity = "0123456789abcdef"
    assert new_run_id(identity, taken=[], dry_run=False) == "01234567"
    assert new_run_id(identity, taken=["01234567"], dry_run=False) == "01234567-2"
    assert new_run_id(identity, taken=["01234567-2"], dry_run=False) == "01234567-3"
    assert new_run_id(identity, taken=["01234567-10", "01234567-9"], dry_run=False) == "01234567-11"
    assert new_run_id(identity, taken=["01234567"], dry_run=True) == "check-01234567"
