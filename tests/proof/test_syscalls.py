"""Fault 4: the order of the system calls that sync and send, row by row."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.proof.inputs import leads

ROWS = 20
_CALL = re.compile(r"^(\d+) +(?:(\w+)\((.*)|<\.\.\. (\w+) resumed>(.*))$")


def can_trace():
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run(["strace", "-f", "-o", "/dev/null", "true"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "this machine does not let one process trace another (ptrace)"


why_not = can_trace()
pytestmark = [
    pytest.mark.skipif(bool(why_not), reason=why_not or "it can"),
    pytest.mark.shows_token,  # the trace holds what goes over the wire, the preflight's token with it
]


def moments(log):
    """Turn a trace into words: `synced` when a sync of the ledger's log is over, `sent` when a request's first byte is
    handed over, `reported 3` when the log says how row 3 ended."""
    syncing = set()
    for line in log.splitlines():
        found = _CALL.match(line)
        if not found:
            continue
        thread, call, rest, resumed, _ = found.groups()
        if call in ("fdatasync", "fsync") and "run.sqlite-wal>" in rest:
            if rest.endswith("<unfinished ...>"):
                syncing.add(thread)
            elif rest.endswith("= 0"):
                yield "synced"
        elif resumed in ("fdatasync", "fsync") and thread in syncing:
            syncing.discard(thread)
            yield "synced"
        elif call == "sendto" and "POST /api/v1.1/workflows/start" in rest:
            yield "sent"
        elif call == "write" and (row := re.search(r"leads\.log>, .*row finished run=\S+ row=(\d+)", rest)):
            yield f"reported {row[1]}"


def traced(the, *words):
    """Run the command under strace; gives the words of `moments` without the plan's."""
    log = the.folder / "trace"
    strace = ["strace", "-f", "-y", "-s", "160", "-e", "trace=fdatasync,fsync,sendto,write", "-o", str(log)]
    ended = the.once(*words, under=strace)
    return ended, list(moments(log.read_text(encoding="utf-8", errors="replace")))


def complaints(words):
    """Say what is out of order: before each request a sync of its own, and after it one before anything is reported."""
    syncs, last = 0, ""
    for word in words:
        if word == "synced":
            syncs += 1
            continue
        # A success is only on the screen, so two requests may follow each other here: an outcome and an intent.
        if syncs < (2 if word == last == "sent" else 1):
            yield f"{word} comes after {last or 'nothing'} and {syncs} syncs"
        syncs, last = 0, word
    if last == "sent" and not syncs:
        yield "the last outcome is not on disk"


@pytest.fixture
def mostly_nobody():
    """Rows of which most are refused, since the log names only those; a success now and then keeps the run going."""
    rows = leads(ROWS)
    return [row if place % 7 == 6 else (row[0].replace("user", "nobody"), row[1]) for place, row in enumerate(rows)]


def test_rows_are_synced_before_sending_and_reporting(trial, mostly_nobody):
    the = trial(mostly_nobody, concurrency=1, flags=("--log-file", "leads.log"))
    ended, words = traced(the)
    assert ended.code == 1, ended
    assert (words.count("sent"), sum(word.startswith("reported") for word in words)) == (ROWS, ROWS - ROWS // 7)
    assert not list(complaints(words))
    verdict = the.verdict()
    assert verdict.holds, verdict


def test_late_intent_is_seen_in_the_trace(trial, mostly_nobody):
    the = trial(mostly_nobody, concurrency=1, flags=("--log-file", "leads.log"))
    _, words = traced(the, "--sabotage", "intend-afterwards")
    assert words.count("sent") == ROWS
    assert len(list(complaints(words))) >= ROWS // 2
