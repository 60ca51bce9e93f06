"""Unattended runs on a machine with a full disk, a crash, or two simultaneous starts."""

from __future__ import annotations

import errno
import json
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from batch_enroll.sandbox import SandboxHandle
from tests.support.commands import Ended
from tests.support.disks import small_disk
from tests.support.receiver import ReceivedRequest
from tests.support.sandbox import wait_until
from tests.unattended.conftest import Nights, check_all_enrolled, check_results, enrolled_once, people_in

MANY = 2000
ROUNDS = 3
LABELS = 'job_name="nightly",scenario="3"'


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path, megabytes=16) as place:
        yield place


def test_disk_is_full_during_sending(nights, sandbox, disk):
    server = sandbox(latency_s=(0.02, 0.02))
    nights.ledger = str(disk / "ledger.sqlite")
    source, job = nights.file("monday", MANY), nights.job(server.url, concurrency=8)
    filler = disk / "filler"
    process = nights.cli.start("run", source, "--job", job)
    wait_until(lambda: len(server.enrolments()) > 20, timeout_s=120)
    fill(filler)
    out, err = process.communicate(timeout=120)
    night = nights.collect(Ended(process.returncode, out, err), nights.receiver.requests)
    counts = night.ended.json["counts"]
    night.check_reports(
        3, f"The disk that holds {disk}", "is full", "give the same command again", left=counts["not_sent"]
    )
    assert 20 < len(enrolled_once(server)) < MANY
    assert counts["not_sent"] > 0
    assert check_results(night, source, server) == set()  # for what was in flight there was room left

    filler.unlink()
    server.control(latency_s=(0, 0))
    check_all_enrolled(nights.night(source, job), source, server)


def test_disk_is_full_while_results_are_written(nights, sandbox, disk):
    """Everybody is enrolled, and nobody could read of whom: that is not the end of the run."""
    server = sandbox(latency_s=(0.2, 0.2), faults="drop_after_acting@3")
    source, job = nights.file("monday", 60), nights.job(server.url, concurrency=2)
    results, filler = disk / "monday.csv", disk / "filler"
    process = nights.cli.start("run", source, "--job", job, "--results", results)
    wait_until(lambda: len(server.enrolments()) > 5, timeout_s=120)
    fill(filler)
    server.control(latency_s=(0, 0))
    out, err = process.communicate(timeout=120)
    night = nights.collect(Ended(process.returncode, out, err), nights.receiver.requests)
    night.check_reports(
        3, f"{results} cannot be written: the disk is full.", "Nothing is lost", "the same command again"
    )
    assert "59 success, 1 unknown; 60 rows" in night.message["message"]
    assert (night.ended.json["status"], night.ended.json["run"]) == ("stopped", night.status["run"])
    assert night.ended.json["counts"] == night.status["counts"]
    assert not results.exists()
    everybody = enrolled_once(server)
    assert everybody == people_in(source)

    filler.unlink()
    rest = nights.night(source, job, "--results", str(results))
    assert rest.results == results
    check_all_enrolled(rest, source, server)
    assert rest.ended.json["requests"] == 0
    assert enrolled_once(server) == everybody


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no kill -9 here")
def test_machine_crashes_during_the_run(nights, sandbox):
    server = sandbox(latency_s=(0.2, 0.2))
    source, job = nights.file("monday", 200), nights.job(server.url, concurrency=4)
    process = nights.cli.start("run", source, "--job", job)
    wait_until(lambda: len(server.enrolments()) > 10 and status_of(nights).get("state") == "sending", timeout_s=120)
    process.kill()
    process.communicate(timeout=60)
    assert status_of(nights)["exit_code"] is None  # its last content

    server.control(latency_s=(0, 0))
    rest = nights.night(source, job)
    check_all_enrolled(rest, source, server)
    assert rest.ended.json["counts"]["unknown"] <= 4  # what was in flight


def test_two_simultaneous_starts(nights, sandbox):
    """Neither start waits for the other; either may be first."""
    server = sandbox()
    job = nights.job(server.url)
    for number in range(1, ROUNDS + 1):
        server.control(latency_s=(0.3, 0.3))  # the one that sends is at it for a minute
        two_at_once(nights, server, nights.file(f"night{number}", 200), job)
        assert f'batch_enroll_runs_total{{exit_code="5",{LABELS}}} {number}.0' in nights.metrics
        assert f'batch_enroll_runs_total{{exit_code="0",{LABELS}}} {number}.0' in nights.metrics


def two_at_once(nights: Nights, server: SandboxHandle, source: Path, job: Path) -> None:
    """Start it twice; one enrolls everybody, the other one nobody."""
    heard = len(nights.receiver.requests)
    both = [nights.cli.start("run", source, "--job", job) for _ in range(2)]
    writers: set[object] = set()  #: of the status file

    def is_one_through() -> bool:
        writers.add(status_of(nights).get("pid"))
        return any(each.poll() is not None for each in both)

    try:
        wait_until(is_one_through, timeout_s=120)
        (first,) = [each for each in both if each.poll() is None]
        (second,) = [each for each in both if each is not first]
        out, err = second.communicate()
        writers.add(status_of(nights).get("pid"))
        wait_until(lambda: bool(people_in(source) & set(server.enrolments())), timeout_s=120)
        wait_until(lambda: status_of(nights).get("pid") == first.pid, timeout_s=120)
        assert second.pid not in writers
        refused(nights, Ended(second.returncode, out, err), nights.receiver.requests[heard:], at_work=first.pid)
        server.control(latency_s=(0, 0))
        out, err = first.communicate(timeout=120)
    finally:
        for each in both:
            each.kill()
            each.wait()
    of_first = [each for each in nights.receiver.requests[heard:] if "Exit code 5" not in each.body]
    of_first.remove(ReceivedRequest("/beat/start", ""))  # the other one's
    night = nights.collect(Ended(first.returncode, out, err), of_first)
    assert night.status["pid"] == first.pid
    night.check_reports(0, "200 success")
    check_all_enrolled(night, source, server)


def refused(nights: Nights, ended: Ended, received: Sequence[ReceivedRequest], *, at_work: int) -> None:
    """The second start reports whom it found, everywhere but in the status file, which is the first one's."""
    expected = f"Job nightly.toml is being worked on by process {at_work}"
    assert ended.code == 5, ended.err
    assert ended.err.startswith(f"batch-enroll: {expected}")
    assert (ended.json["exit_code"], ended.json["status"], ended.json["requests"]) == (5, "refused", 0)
    (message,) = [each.json for each in received if each.path == "/received"]
    assert message["title"] == "batch-enroll nightly: not started, another process is at work"
    assert "Exit code 5: another process is working on this run." in message["message"]
    assert expected in message["message"]
    assert [each.body for each in received if each.path == "/beat/fail"] == [message["message"]]
    status = status_of(nights)
    assert (status["pid"], status["exit_code"]) == (at_work, None)


def status_of(nights: Nights) -> dict[str, object]:
    found = json.loads(nights.read_file("status.json") or "{}")
    assert isinstance(found, dict)
    return found


def fill(path: Path) -> None:
    """Take all the room that a disk has left."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 4096):
                pass
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
