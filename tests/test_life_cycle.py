"""However a run ends, and in whichever phase, it ends soon, lets go of everything, and the next call can begin."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import anyio
import httpx
import pytest

from batch_enroll.clock import SystemClock
from batch_enroll.config.job import Job
from batch_enroll.control.run_control import Control
from batch_enroll.errors import RunStopped
from batch_enroll.events import (
    Event,
    RowFinished,
    RunFinished,
    WritingResults,
)
from batch_enroll.ledger.sqlite import SqliteLedger
from batch_enroll.loading import xls_xlsb_reader
from batch_enroll.models import Counts
from batch_enroll.reporting.results_writer import ResultsWriter
from batch_enroll.run.api import check_async, enroll_async
from tests.support.commands import people, read_results, write_csv
from tests.support.sandbox import wait_until
from tests.support.scripted_platform import OK, SCENARIO
from tests.support.small_platform import small_platform
from tests.support.terminal import Terminal

SOON_S = 20.0  #: a busy machine; the faults took 90 s or for ever
SIGNALS = pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
SENT_FLAGS = ("--scenario", "3", "--match", "email=email")


def flags(url="http://127.0.0.1:1"):
    return ("--url", url, *SENT_FLAGS)


def ends(process, code):
    """Wait for the end of a command, which must come soon; gives what it said."""
    try:
        out, err = process.communicate(timeout=SOON_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert "Fatal Python error" not in err
    return out, err


def spools():
    return list(Path(os.environ["TMPDIR"]).glob("batch-enroll-*"))


def written(pipe):
    """Open a named pipe for writing once somebody reads it."""
    found = []

    def is_read():
        with suppress(OSError):
            found.append(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
        return bool(found)

    wait_until(is_read, timeout_s=SOON_S)
    return os.fdopen(found[0], "w")


# The command line: the preflight


@pytest.fixture
def silent():
    """A platform that takes the question about its scenario and answers when it is told to."""
    listing, answer = threading.Event(), threading.Event()

    def before_listing():
        listing.set()
        answer.wait(120)

    with small_platform(before_listing=before_listing) as url:
        yield SimpleNamespace(url=url, listing=listing, answer=answer)
        answer.set()


@SIGNALS
def test_signal_ends_a_silent_preflight(cli, silent, number, code):
    words = ("run", write_csv(cli.folder / "in.csv", *people(3)), *flags(silent.url), "--yes", "--json")
    process = cli.start(*words)
    assert silent.listing.wait(SOON_S)
    process.send_signal(number)
    out, _ = ends(process, code)
    assert json.loads(out)["counts"] == {**json.loads(out)["counts"], "rows": 3, "not_sent": 3}
    silent.answer.set()
    assert cli(*words).json["counts"]["success"] == 3


def test_stop_ends_a_silent_preflight_with_exit_3(cli, silent):
    process = cli.start("run", write_csv(cli.folder / "in.csv", *people(3)), *flags(silent.url), "--yes", "--json")
    assert silent.listing.wait(SOON_S)
    [run] = [run["run"] for run in cli("runs", "--json").json]
    stop = cli.start("stop", run)
    out, _ = ends(process, 3)
    assert json.loads(out)["stop_reason"] == "Stopped by `stop`."
    ends(stop, 0)


@SIGNALS
def test_signal_ends_a_silent_check(cli, silent, number, code):
    process = cli.start("check", write_csv(cli.folder / "in.csv", *people(3)), *flags(silent.url))
    assert silent.listing.wait(SOON_S)
    process.send_signal(number)
    ends(process, code)
    assert cli("runs", "--json").json == []


# The command line: reading the input


@SIGNALS
@pytest.mark.parametrize("command", ["run", "check", "init"])
def test_signal_ends_the_opening_of_an_unwritten_pipe(cli, command, number, code):
    os.mkfifo(cli.folder / "in.csv")
    process = cli.start(command, "in.csv", *(flags() if command != "init" else ()))
    if command == "init":
        time.sleep(2)  # it makes nothing before it opens its input
    else:
        wait_until(lambda: bool(spools()), timeout_s=SOON_S)
        time.sleep(1)  # the folder is there a moment before its owner can remove it
    process.send_signal(number)
    _, err = ends(process, code)
    assert "othing was sent" in err
    assert spools() == []
    assert cli("runs", "--json").json == []


@SIGNALS
@pytest.mark.parametrize("command", ["run", "check", "init"])
def test_signal_ends_the_reading_of_a_silent_pipe(cli, command, number, code):
    os.mkfifo(cli.folder / "in.csv")
    process = cli.start(command, "in.csv", *(flags() if command != "init" else ()))
    with written(cli.folder / "in.csv") as pipe:
        pipe.write("email\nanna@example.com\n")
        pipe.flush()
        copies = Path(os.environ["TMPDIR"])
        wait_until(lambda: any(copies.glob("batch-enroll-*/files/**/input")), timeout_s=SOON_S)
        process.send_signal(number)
        ends(process, code)
    assert spools() == []


def test_pipe_is_read_to_its_end(cli, sandbox):
    server = sandbox()
    os.mkfifo(cli.folder / "in.csv")
    process = cli.start("run", "in.csv", *flags(server.url), "--yes", "--results", "out.csv", "--json")
    with written(cli.folder / "in.csv") as pipe:
        time.sleep(0.5)  # the time of its last change is another one now; that is no change of a file
        pipe.write("email\nanna@example.com\n")
    out, _ = ends(process, 0)
    assert json.loads(out)["counts"]["success"] == 1


# The command line: the question


@SIGNALS
def test_signal_at_the_question_leaves_no_run(cli, sandbox, number, code):
    words = ("run", write_csv(cli.folder / "in.csv", *people(3)), *flags(sandbox().url))
    with Terminal(*words, folder=cli.folder) as terminal:
        terminal.wait_for("[y/N]")
        terminal.send_signal(number)
        assert terminal.end() == code, terminal.seen
    assert "othing was sent" in terminal.seen
    assert cli("runs", "--json").json == []


def test_stop_works_at_the_question(cli, sandbox):
    words = ("run", write_csv(cli.folder / "in.csv", *people(3)), *flags(sandbox().url))
    with Terminal(*words, folder=cli.folder) as terminal:
        terminal.wait_for("[y/N]")
        [run] = [run["run"] for run in cli("runs", "--json").json]
        ended = cli("stop", run)
        assert ended.code == 0, ended.err
        assert f"Run {run} has ended" in ended.err or f"Run {run} ends before it sends" in ended.err
        assert terminal.end() == 3, terminal.seen
    assert cli("runs", "--json").json == []


# In process: cancellation, exceptions, what is left behind


class World:
    """A SQLite ledger, a platform that may fall silent, and what a run leaves."""

    def __init__(self, folder):
        self.folder = folder
        self.ledger = SqliteLedger(folder / "ledger.sqlite", clock=SystemClock(), state_folder=folder / "state")
        self.asked = anyio.Event()
        self.started = 0
        self.is_listing = self.is_answering = True

    async def answer(self, request):
        if request.url.path.endswith("/workflows/list"):
            self.asked.set()
            if not self.is_listing:
                await anyio.sleep_forever()
            return httpx.Response(200, json={**OK, "data": [SCENARIO], "total": 1})
        self.started += 1
        if not self.is_answering:
            await anyio.sleep_forever()
        return httpx.Response(200, json=OK)

    async def run(self, source, **arguments):
        transport = httpx.MockTransport(self.answer)
        return await enroll_async(make_job(), source, token="t", ledger=self.ledger, transport=transport, **arguments)

    async def check(self, source):
        transport = httpx.MockTransport(self.answer)
        return await check_async(make_job(), source, token="t", ledger=self.ledger, transport=transport)

    async def is_free(self):
        """Whether nobody works on any run."""
        return not any([await self.ledger.lock_owner(record.run_id) for record in await self.ledger.runs()])


def make_job():
    return Job.model_validate(
        {
            "url": "https://platform.example",
            "scenario": 3,
            "match": {"mode": "email", "column": "email"},
            "send": {"rate": "none", "concurrency": 2, "window": "7d"},
        }
    )


EARLIER: set[threading.Thread] = set()  # threads that tests before this one left in the process


@pytest.fixture(autouse=True)
def _earlier_threads():
    EARLIER.clear()
    EARLIER.update(threading.enumerate())


def ledger_threads():
    return [
        thread.name for thread in threading.enumerate() if thread.name.startswith("ledger ") and thread not in EARLIER
    ]


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.fixture
def source(tmp_path):
    return write_csv(tmp_path / "in.csv", *people(5))


async def until(condition):
    """Look at what another thread does, which sets no event of this loop."""
    while not condition():  # noqa: ASYNC110
        await anyio.sleep(0.01)


async def test_cancelled_sending_releases_the_run_and_writes_results(world, source):
    world.is_answering = False
    task = asyncio.ensure_future(world.run(source))
    await until(lambda: world.started == 2)
    task.cancel()
    with anyio.fail_after(SOON_S), pytest.raises(asyncio.CancelledError):
        await task
    assert (await world.is_free(), ledger_threads()) == (True, [])
    [results] = world.folder.glob("*.results.csv")
    statuses = [row["enroll_status"] for row in read_results(results)]
    assert sorted(statuses) == ["not_sent"] * 3 + ["unknown"] * 2
    [summary] = world.folder.glob("*.summary.json")
    assert json.loads(summary.read_text())["stop_reason"] == "The program that started the run cancelled it."
    world.is_answering = True
    again = await world.run(source)
    assert again.counts == Counts(success=3, unknown=2)


async def test_cancelled_preflight_releases_the_run(world, source):
    world.is_listing = False
    task = asyncio.ensure_future(world.run(source))
    await world.asked.wait()
    task.cancel()
    with anyio.fail_after(SOON_S), pytest.raises(asyncio.CancelledError):
        await task
    assert (await world.ledger.runs(), ledger_threads()) == ([], [])
    world.is_listing = True
    assert (await world.run(source)).counts == Counts(success=5)


@pytest.mark.parametrize("call", ["run", "check"])
async def test_cancelled_reading_releases_the_run(world, tmp_path, call, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    os.mkfifo(tmp_path / "pipe.csv")
    task = asyncio.ensure_future(getattr(world, call)(tmp_path / "pipe.csv"))
    with anyio.fail_after(SOON_S):
        await until(lambda: bool(list(tmp_path.glob("batch-enroll-*/files"))))
    task.cancel()
    with anyio.fail_after(SOON_S), pytest.raises(asyncio.CancelledError):
        await task
    assert list(tmp_path.glob("batch-enroll-*")) == []
    assert (await world.ledger.runs(), ledger_threads()) == ([], [])
    assert (await world.run(write_csv(tmp_path / "in.csv", *people(5)))).counts == Counts(success=5)
    with suppress(BrokenPipeError):  # the thread that waits for the pipe ends, perhaps before the text is written
        (tmp_path / "pipe.csv").write_text("email\nlate@example.com\n")


async def test_failing_listener_releases_the_run_and_writes_results(world, source):
    def listen(event):
        if isinstance(event, RowFinished):
            raise ZeroDivisionError("a fault of the listener")

    with pytest.raises(ZeroDivisionError):
        await world.run(source, emit=listen)
    assert (await world.is_free(), ledger_threads()) == (True, [])
    [summary] = world.folder.glob("*.summary.json")
    assert "ZeroDivisionError" in json.loads(summary.read_text())["stop_reason"]
    again = await world.run(source)
    assert again.counts.success + again.counts.unknown == 5


@pytest.mark.parametrize("phase", ["planning", "preflight", "question"])
async def test_stop_ends_each_phase_before_sending(world, source, tmp_path, phase):
    control, here = Control(), anyio.Event()
    world.is_listing = phase != "preflight"

    async def confirm(plan):
        here.set()
        await anyio.sleep_forever()

    async def stop():
        await (here if phase == "question" else world.asked).wait()
        control.stop("Stopped by the test.", exit_code=130)

    if phase == "planning":
        control.stop("Stopped by the test.", exit_code=130)
    with anyio.fail_after(SOON_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop) if phase != "planning" else None
            if phase == "preflight":
                summary = await world.run(source, control=control)
                assert (summary.exit_code, summary.counts.not_sent) == (130, 5)
            else:
                with pytest.raises(RunStopped, match=r"^Stopped by the test\. Nothing was sent\.$"):
                    await world.run(source, control=control, confirm=confirm)
    assert await world.is_free()
    world.is_listing = True
    assert (await world.run(source)).counts == Counts(success=5)


async def test_interrupted_results_are_written_by_the_next_call(world, source, monkeypatch):
    control, writing, go_on = Control(), threading.Event(), threading.Event()

    def hang(self, block):
        writing.set()
        go_on.wait(120)

    async def break_off():
        await until(writing.is_set)
        control.stop("Stopped by the test.", exit_code=130)
        await anyio.sleep(0.1)
        assert control.standing() is not None, "the first wish lets the results be written"
        control.break_off()

    with monkeypatch.context() as patch, anyio.fail_after(SOON_S):
        patch.setattr(ResultsWriter, "write", hang)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(break_off)
            with pytest.raises(RunStopped, match=r"results of run [0-9a-f]+ were not written"):
                await world.run(source, control=control)
    go_on.set()
    assert (await world.is_free(), ledger_threads()) == (True, [])
    assert list(world.folder.glob("*results*")) == []
    again = await world.run(source)
    assert (again.counts, again.requests) == (Counts(success=5), 0)
    assert len(read_results(again.results)) == 5


async def test_event_loop_runs_while_results_are_written(world, source, monkeypatch):
    events: list[Event] = []
    ticks: list[float] = []
    write = ResultsWriter.write

    def slow(self, block):
        began = len(ticks)
        time.sleep(0.3)
        assert len(ticks) > began, "the event loop stood still"
        write(self, block)

    async def tick():
        while True:
            ticks.append(1)
            await anyio.sleep(0.01)

    monkeypatch.setattr(ResultsWriter, "write", slow)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tick)
        await world.run(source, emit=events.append)
        tasks.cancel_scope.cancel()
    told = [(event.rows, event.of) for event in events if isinstance(event, WritingResults)]
    assert (told[0], told[-1]) == ((0, 5), (5, 5))
    assert isinstance(events[-1], RunFinished)


def test_workbook_process_ends_with_the_reading(tmp_path):
    """The native reader of an .xls runs in a process of its own, which nobody else would end."""
    (tmp_path / "reader.py").write_text(
        "import os, pathlib, sys, time\n"
        "pathlib.Path(sys.argv[2] + '.pid').write_text(str(os.getpid()))\n"
        "time.sleep(120)\n"
    )
    code = (
        "import sys; from pathlib import Path\n"
        "from batch_enroll.loading import xls_xlsb_reader; from batch_enroll.daemon_threads import run_abandonable\n"
        "import anyio\n"
        "xls_xlsb_reader._WORKER = Path(sys.argv[1]) / 'reader.py'\n"
        "async def main():\n"
        "    pid = Path(sys.argv[1]) / 'book.xls.pid'\n"
        "    with anyio.move_on_after(60) as scope:\n"
        "        async with anyio.create_task_group() as tasks:\n"
        "            read = xls_xlsb_reader._run_worker\n"
        "            tasks.start_soon(lambda: run_abandonable(lambda: read(Path(sys.argv[1]) / 'book.xls', Path('.'), "
        "engine='xlrd', name='b')))\n"
        "            while not pid.exists() or not pid.read_text(): await anyio.sleep(0.01)\n"
        "            tasks.cancel_scope.cancel()\n"
        "anyio.run(main)\n"
    )
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=SOON_S, cwd=tmp_path)
    assert time.monotonic() - began < SOON_S
    pid = int((tmp_path / "book.xls.pid").read_text())
    wait_until(lambda: not _is_alive(pid), timeout_s=5)
    assert xls_xlsb_reader._WORKER.name == "xls_xlsb_worker.py"


def _is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_control_object_is_for_one_run_only(world, source):
    control = Control()
    await world.run(source, control=control)
    with pytest.raises(RuntimeError, match="one run"):
        await world.run(source, control=control)
    assert await world.is_free()
