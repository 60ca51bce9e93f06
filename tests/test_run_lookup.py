"""RUN of a command: a whole id, a beginning of it, `last`, or nothing while only one run goes."""

from __future__ import annotations

import zipfile
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from batch_enroll.clock import SystemClock
from batch_enroll.ledger.location import open_ledger
from batch_enroll.ledger.records import PlanRules, RunRecord, RunState
from batch_enroll.models import Duplicates
from tests.support.commands import people, write_csv
from tests.support.sandbox import wait_until
from tests.support.terminal import Terminal

BEGUN = datetime(2026, 11, 25, 7, 3, tzinfo=UTC)
LEDGER = ("--ledger", "ledger.sqlite")


def record(run_id, *, hours=0, identity=""):
    return RunRecord(
        run_id=run_id,
        identity=identity or f"identity of {run_id}",
        input_name=f"{run_id[-3:]}.csv",
        input_path=f"/in/{run_id}.csv",
        input_sha256="",
        url="https://p.example",
        scenario=3,
        matching="email=email",
        settings_json="{}",
        tool_version="1",
        created_at=BEGUN + timedelta(hours=hours),
    )


@pytest.fixture
def kept(cli):
    """`async with kept(left=[...], going=[...])`: runs of these names in the ledger; those that go are held here."""

    @asynccontextmanager
    async def keep(*, left=(), going=(), finished=(), checks=()):
        ledger = open_ledger(str(cli.folder / "ledger.sqlite"))
        held = []
        for hour, run_id in enumerate([*checks, *left, *finished, *going]):
            identity = "dry run of x" if run_id in checks else ""
            run = await ledger.create(record(run_id, hours=hour, identity=identity))
            await run.mark_duplicates(PlanRules(duplicates=Duplicates.SKIP))
            await run.finish_planning(rows=0)
            if run_id in going:
                held.append(run)
            else:
                state = RunState.FINISHED if run_id in finished else RunState.OPEN
                await run.close(state=state, stop_reason="", at=SystemClock().now())
        try:
            yield
        finally:
            for run in held:
                await run.close_unchanged()

    return keep


async def asked(cli, *words):
    return await anyio.to_thread.run_sync(lambda: cli(*words, *LEDGER))


async def typed(cli, *words):
    """The same on a terminal; gives the exit code and what was on the screen."""

    def sit():
        with Terminal(*words, *LEDGER, folder=cli.folder) as terminal:
            return terminal.end(), terminal.seen

    return await anyio.to_thread.run_sync(sit)


# Every command that takes RUN


@pytest.mark.parametrize("form", ["beginning", "capitals"])
def test_each_command_takes_an_id_prefix_in_any_case(cli, sandbox, form):
    server = sandbox(faults="drop_after_acting@2,token_revoked@5+")
    source = write_csv(cli.folder / "in.csv", *people(6))
    flags = ("--url", server.url, "--scenario", "3", "--match", "email=email", "--rate", "none", "--concurrency", "1")
    run = cli("run", source, *flags, "--json").json["run"]
    server.control(faults="", token_revoked=False)
    word = run[:5].upper() if form == "capitals" else run[:5]

    assert cli("show", word, "--json").json["run"] == run
    assert f"Run {run} (unfinished)" in cli("show", word).out
    reported = cli("report", word)
    assert (reported.code, f"in.{run}.results.csv" in reported.out, f"Run {run}: " in reported.err) == (0, True, True)
    unknown = cli("resolve", word)
    assert (unknown.code, f"1 row is unknown in run {run}." in unknown.err) == (0, True)
    resolved = cli("resolve", word, "--rows", "all", "--verdict", "enrolled")
    assert (resolved.code, f"Run {run} now: 4 success" in resolved.err) == (0, True)
    bundle = cli("support", word)
    assert bundle.out.strip() == f"batch-enroll-support-{run}.zip"
    assert zipfile.ZipFile(cli.folder / bundle.out.strip()).namelist()[0].startswith(f"batch-enroll-support-{run}/")
    for command in ("pause", "stop"):
        assert f"No process works on run {run}." in cli(command, word).err
    assert f"No process works on run {run}." in cli("set", word, "--rate", "5").err
    sent = cli("retry", word, "--not-sent", "--json", "--yes")
    assert (sent.code, sent.json["run"], sent.json["counts"]["not_sent"]) == (0, run, 0), sent.err
    assert set(server.enrolments().values()) == {1}


@pytest.mark.slow
@pytest.mark.anyio
async def test_ambiguous_prefix_lists_both_runs(cli, kept):
    async with kept(left=["a906cc51", "a90fee12", "b7000000"]):
        for command in (("show",), ("retry", "--errors"), ("stop",)):
            ended = await asked(cli, command[0], "a90", *command[1:])
            assert ended.code == 2
            assert "'a90' could be 2 runs:" in ended.err
            lines = [line.split() for line in ended.err.splitlines() if "begun" in line]
            day = BEGUN.astimezone().strftime("%Y-%m-%d")
            assert [(line[0], line[1:3], line[5]) for line in lines] == [
                ("a90fee12", ["begun", day], "e12.csv"),
                ("a906cc51", ["begun", day], "c51.csv"),
            ]
        assert (await asked(cli, "show", "a906")).out.startswith("Run a906cc51 ")


@pytest.mark.slow
@pytest.mark.anyio
async def test_full_id_wins_over_a_longer_id(cli, kept):
    async with kept(left=["a906cc51", "a906cc51-2"]):
        assert (await asked(cli, "show", "a906cc51")).out.startswith("Run a906cc51 (")
        assert (await asked(cli, "show", "A906CC51")).out.startswith("Run a906cc51 (")
        assert (await asked(cli, "show", "a906cc51-")).out.startswith("Run a906cc51-2 (")
        assert "could be 2 runs" in (await asked(cli, "show", "a906cc5")).err


@pytest.mark.slow
@pytest.mark.anyio
async def test_missing_run_suggests_the_nearest(cli, kept):
    async with kept(left=["a906cc51", "b7000000"]):
        for word, near in (("a906cc15", "a906cc51"), ("a960", "a906cc51"), ("b7000001", "b7000000")):
            ended = await asked(cli, "show", word)
            assert ended.code == 2
            assert f"There is no run {word}." in ended.err
            assert f"Did you mean {near} ({near[-3:]}.csv, begun 2026-11-25 " in ended.err
        far = await asked(cli, "show", "zzzzzzzz")
        assert (far.code, "Did you mean" in far.err, "`batch-enroll runs" in far.err) == (2, False, True)
        for short in ("a9", "", " "):
            ended = await asked(cli, "show", short)
            assert ended.code == 2
            assert "is too short to name a run" in ended.err


@pytest.mark.slow
@pytest.mark.anyio
async def test_active_check_is_not_a_candidate(cli, kept):
    async with kept(left=["c0ffee00"], checks=["check-a906cc51"], going=[]):
        assert "There is no run check-a9" in (await asked(cli, "show", "check-a9")).err
        assert (await asked(cli, "show", "last")).out.startswith("Run c0ffee00 ")
        assert [run["run"] for run in (await asked(cli, "runs", "--json")).json] == ["c0ffee00"]


# `last`


@pytest.mark.anyio
async def test_last_is_the_newest_run_for_reading_commands(cli, kept):
    async with kept(left=["a906cc51"], finished=["b7000000"]):
        assert (await asked(cli, "show", "last", "--json")).json["run"] == "b7000000"
        assert (await asked(cli, "show", "LAST", "--json")).json["run"] == "b7000000"
        assert "batch-enroll-support-b7000000.zip" in (await asked(cli, "support", "last")).out


@pytest.mark.anyio
async def test_last_of_an_empty_ledger_is_an_error(cli, kept):
    async with kept():
        ended = await asked(cli, "show", "last")
        assert (ended.code, "There is no run yet." in ended.err) == (2, True)


@pytest.mark.slow
@pytest.mark.anyio
async def test_changing_commands_need_an_id_off_a_terminal(cli, kept):
    async with kept(left=["a906cc51"], going=["b7000000"]):
        for command in (("set", "--rate", "5"), ("pause",), ("resume",), ("stop",), ("retry", "--errors")):
            ended = await asked(cli, command[0], "last", *command[1:])
            assert ended.code == 2
            assert "Off a terminal the run must be named" in ended.err
            assert "The newest is b7000000 (000.csv, begun " in ended.err
        left_out = await asked(cli, "stop")
        assert (left_out.code, "Off a terminal the run must be named" in left_out.err) == (2, True)
    for verdict in (("--rows", "all", "--verdict", "enrolled"), ("--verdicts", "x.csv")):
        ended = await asked(cli, "resolve", "last", *verdict)
        assert ended.code == 2
        assert "A decision is final" in ended.err


@pytest.mark.anyio
async def test_decision_needs_the_run_id_on_a_terminal_too(cli, kept):
    async with kept(left=["a906cc51"]):
        code, seen = await typed(cli, "resolve", "last", "--rows", "all", "--verdict", "resend")
        assert (code, "A decision is final" in seen) == (2, True)


# A run that goes


@pytest.mark.slow
@pytest.mark.anyio
async def test_several_active_runs_need_an_id(cli, kept):
    async with kept(left=["c0ffee00"], going=["a906cc51", "b7000000"]):
        for words in (("stop",), ("stop", "last"), ("pause",), ("set", "--rate", "5"), ("set", "last", "--rate", "5")):
            code, seen = await typed(cli, *words)
            assert code == 2
            assert "2 runs are active now:" in seen
            assert "a906cc51" in seen
            assert "b7000000" in seen
            assert "c0ffee00" not in seen


@pytest.mark.anyio
async def test_no_active_run_on_a_terminal_is_an_error(cli, kept):
    async with kept(left=["a906cc51"]):
        code, seen = await typed(cli, "stop")
        assert (code, "No run is active now." in seen) == (2, True)
        code, seen = await typed(cli, "stop", "last")
        assert (code, "No process works on run a906cc51." in seen) == (2, True)


@pytest.mark.anyio
@pytest.mark.parametrize("on_terminal", [True, False])
async def test_resume_without_a_run_names_the_one_that_is_unfinished(cli, kept, on_terminal):
    async def refused():
        if on_terminal:
            code, seen = await typed(cli, "resume")
        else:
            ended = await asked(cli, "resume")
            code, seen = ended.code, ended.err
        assert code == 2
        return " ".join(seen.split())

    async with kept(left=["a906cc51"]):
        seen = await refused()
        assert "One is unfinished, a906cc51 (c51.csv, begun " in seen
        assert "resume it with `batch-enroll resume a906cc51" in seen
    async with kept(left=["b7000000"]):
        assert "One is unfinished" not in await refused()


@pytest.mark.slow
def test_single_active_run_is_the_default_on_a_terminal(cli, sandbox):
    server = sandbox(latency_s=(0.1, 0.1))
    source = write_csv(cli.folder / "in.csv", *people(4_000))
    flags = ("--url", server.url, "--scenario", "3", "--match", "email=email", "--rate", "10", "--yes", *LEDGER)
    done = write_csv(cli.folder / "done.csv", *people(2, domain="done.example.com"))
    assert cli("run", done, *flags).code == 0
    going = cli.start("run", source, *flags, "--json")
    try:
        wait_until(lambda: len(server.enrolments()) > 2, timeout_s=60)
        [run] = [run["run"] for run in cli("runs", "--json", *LEDGER).json if run["worker"]]
        for words, said in (
            (("set", "--rate", "20"), f"Run {run} now sends 20 a second"),
            (("pause", "last"), f"Run {run} is paused"),
            (("resume", run[:4].upper()), f"Run {run} resumes"),
            (("stop",), f"Run {run} takes no more rows"),
        ):
            with Terminal(*words, *LEDGER, folder=cli.folder) as terminal:
                assert terminal.end() == 0, terminal.seen
                assert said in terminal.seen
        out, _ = going.communicate(timeout=60)
        assert run in out
        assert going.returncode == 3
    finally:
        going.kill()
        going.communicate()
