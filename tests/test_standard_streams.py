"""Closed, full and narrow standard streams: the exit code stays one of the table and says what became of the rows."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
import time

import pytest

from batch_enroll.cli import console
from batch_enroll.cli.exit_codes import EXIT_CODES
from batch_enroll.cli.main import COMMANDS
from tests.support.commands import DEFAULT_PROGRAM, Ended, people, write_csv

NOBODY_READS = "| true; exit ${PIPESTATUS[0]}"
REDIRECTS = ("2>&-", "2>/dev/full", "2> >(exec true)", "<&-", "<&- >&- 2>&-", ">&-", ">/dev/full", NOBODY_READS)
STATES = ("closed closed closed", "-- full full", "-- gone gone", "-- -- closed")  # of input, output, error
LOST = "Standard output did not take everything: "
SERVES = "sandbox"  # until a signal comes

# A fork for each command: an interpreter for each would take minutes. The streams are made as at its start.
_FORKS = """
import io, json, os, sys
from batch_enroll.cli import entry_point
from batch_enroll.cli.main import build_parser
import batch_enroll.run.api, batch_enroll.reporting.plan_table

build_parser()
calls = json.load(sys.stdin)
for words, state, encoding in calls:
    for name in ("out", "err"):
        open(name, "w").close()
    if not (child := os.fork()):
        places = [os.devnull, "out", "err"]
        for number, what in enumerate(state.split()):
            if what == "gone":
                read_end, write_end = os.pipe()
                os.close(read_end)
            else:
                place = "/dev/full" if what == "full" else places[number]
                write_end = os.open(place, os.O_RDWR | os.O_APPEND)
            os.dup2(write_end, number)
            os.close(write_end)
        for number, what in enumerate(state.split()):
            if what == "closed":
                os.close(number)
        usable = [what != "closed" for what in state.split()]
        sys.stdin = open(0, closefd=False) if usable[0] else None
        sys.stdout = open(1, "w", encoding=encoding, closefd=False) if usable[1] else None
        how = {"encoding": encoding, "errors": "backslashreplace", "buffering": 1, "closefd": False}
        sys.stderr = open(2, "w", **how) if usable[2] else None
        sys.__stdin__ = sys.__stdout__ = sys.__stderr__ = None
        sys.argv[1:] = words
        entry_point()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps([code, *(open(name, errors="replace").read() for name in ("out", "err"))]), flush=True)
"""


@pytest.fixture
def forks(cli):
    """Run each command with its streams in a state, as a process."""

    def run(calls, state="-- -- --", encoding="utf-8"):
        asked = json.dumps([([*map(str, words)], state, encoding) for words in calls])
        cli.program = ("-c", _FORKS)
        driver = cli(stdin=asked.encode())
        cli.program = DEFAULT_PROGRAM
        assert driver.code == 0, driver
        ended = [Ended(*json.loads(line)) for line in driver.out.splitlines()]
        assert len(ended) == len(calls)
        for words, one in zip(calls, ended, strict=True):
            assert one.code in EXIT_CODES, (words, one)
            assert "Traceback" not in one.out + one.err
            assert "Exception ignored" not in one.err
        return ended

    return run


@pytest.fixture
def shell(cli):
    """Give a command to bash, with what is to become of its streams."""

    def run(words, redirect=""):
        line = f"batch-enroll {shlex.join(map(str, words))} {redirect}"
        return cli.paste(f"/bin/bash -c {shlex.quote(line)}")

    return run


def commands_of(cli, server):
    """Give a call of each command that has something to print; a run is there to be looked at."""
    source = write_csv(cli.folder / "лиды.csv", *people(3), header=("Почта", "имя"))
    platform = ("--url", server.url)
    ledger = ("--ledger", "ledger.sqlite")
    run = (
        "run",
        source.name,
        *platform,
        *ledger,
        "--scenario",
        "3",
        "--match",
        "email=Почта",
        "--rate",
        "none",
        "--yes",
    )
    assert cli(*run).code == 0
    calls = [
        (*run, "--again"),
        (*run, "--again", "--json"),
        ("check", *run[1:-3], "--json"),
        *((name, *words, *ledger) for name in ("runs", "doctor") for words in ((), ("--json",))),
        *((name, "last", *ledger) for name in ("show", "report", "resolve", "support", "resume", "stop", "pause")),
        ("set", "last", "--rate", "5", *ledger),
        ("retry", "last", "--errors", *ledger),
        ("prune", "--older-than", "1d", "--json", *ledger),
        ("init", source.name, *platform, "--schema"),
        ("scenarios", *platform, "--json"),
        ("demo", "--rows", "10", "--rate", "none"),
        ("completion", "bash"),
    ]
    assert {call[0] for call in calls} == set(COMMANDS) - {SERVES}
    return [*calls, ("--help",), ("nonsense",), ()]


@pytest.mark.parametrize("state", STATES)
def test_no_stream_changes_the_table_of_exit_codes(cli, forks, sandbox, state):
    calls = commands_of(cli, sandbox())
    for words, ended in zip(calls, forks(calls, state), strict=True):
        if words[:1] in (("run",), ("demo",)):
            assert ended.code == 0, (words, ended)


def test_no_encoding_changes_the_exit_code(cli, forks, sandbox):
    calls = commands_of(cli, sandbox())
    for words, plain, narrow in zip(calls, forks(calls), forks(calls, encoding="ascii"), strict=True):
        assert narrow.code == plain.code, (words, narrow)
        if "--json" in words:
            json.loads(narrow.out)


@pytest.mark.parametrize("redirect", REDIRECTS)
def test_interpreter_itself_exits_with_the_code(shell, redirect):
    ended = shell(("runs", "--ledger", "new.sqlite", "--json"), redirect)
    assert ended.code == (2 if ">&-" in redirect.split() or redirect == ">/dev/full" else 0)


def test_rows_are_sent_without_standard_error(cli, shell, sandbox):
    server = sandbox()
    write_csv(cli.folder / "in.csv", *people(3))
    words = ("run", "in.csv", "--url", server.url, "--scenario", "3", "--match", "email=email", "--yes", "--json")
    ended = shell(words, "2>&-")
    assert (ended.code, ended.json["counts"]["success"], len(server.enrolments(scenario=3))) == (0, 3, 3)


@pytest.mark.parametrize(
    ("redirect", "code", "reason"),
    [(">&-", 2, "it was closed"), (">/dev/full", 2, "the disk is full"), (NOBODY_READS, 0, "it was closed")],
)
def test_lost_output_is_told(shell, redirect, code, reason):
    ended = shell(("init", "--schema", "in.csv"), redirect)
    assert (ended.code, ended.err) == (
        code,
        f"batch-enroll: {LOST}{reason}.\n              Let it go to another place.\n",
    )


def test_lost_json_of_a_run_is_told_and_its_rows_count(cli, shell, sandbox):
    server = sandbox()
    write_csv(cli.folder / "in.csv", *people(3), ("?", ""))
    words = ("run", "in.csv", "--url", server.url, "--scenario", "3", "--match", "email=email", "--yes", "--json")
    ended = shell(words, ">/dev/full")
    assert (ended.code, LOST in ended.err, len(server.enrolments(scenario=3))) == (1, True, 3)


@pytest.mark.parametrize("redirect", [">/dev/full", ">&- 2>&-"])
def test_sandbox_serves_without_output_until_it_is_ended(cli, redirect):
    line = f"exec {sys.executable} -m batch_enroll sandbox --port 0 {redirect}"
    process = subprocess.Popen(
        ["/bin/sh", "-c", line],
        cwd=cli.folder,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    time.sleep(2)
    assert process.poll() is None
    process.terminate()
    process.communicate()
    assert process.returncode == 2


def test_closed_stream_gives_its_number_to_no_file(cli, shell):
    words = [sys.executable, "-c", "import os; from batch_enroll.cli import console; console.open_standard_streams()"]
    words[-1] += "; os._exit(os.open('file', os.O_CREAT | os.O_WRONLY))"
    assert cli.paste(f"{shlex.join(words)} <&- >&- 2>&-").code > 2


def test_escaped_json_masks_secrets(capsys, monkeypatch):
    monkeypatch.setattr(console, "_secrets", {"пароль"})
    sys.stdout.reconfigure(encoding="ascii")  # type: ignore[union-attr]
    console.print_json({"token": "пароль", "name": "Иван 😀 \udcea"})
    assert json.loads(capsys.readouterr().out) == {"token": "***", "name": "Иван 😀 \udcea"}


def test_full_pipe_that_does_not_block_is_waited_for():
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    parts: list[bytes] = []

    def read_slowly():
        with os.fdopen(read_end, "rb", buffering=0) as pipe:
            while part := pipe.read(50_000):
                parts.append(part)
                time.sleep(0.01)

    reader = threading.Thread(target=read_slowly)
    with os.fdopen(write_end, "w", encoding="utf-8") as pipe:
        stream = console.unfailing(pipe)
        reader.start()
        stream.write("x" * 300_000)
        stream.flush()
    reader.join()
    assert sum(map(len, parts)) == 300_000
