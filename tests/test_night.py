"""A job that nobody watches, and nights in which something goes wrong.

Each trouble ends with the right exit code, sentence, notification, heartbeat and status, and with nobody enrolled
twice; when it is over, the very same command carries on to the end.
"""

from __future__ import annotations

import errno
import json
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import trio.testing

from batch_enroll.job import Job
from batch_enroll.ledger.memory import MemoryLedger
from batch_enroll.model import Counts
from batch_enroll.reporting.summary import RunSummary
from batch_enroll.run import enroll_async
from batch_enroll.sandbox import SandboxSettings, sandbox_process
from tests.sending.conftest import VirtualClock
from tests.support.commands import Cli, Ended, people, write_csv
from tests.support.disks import small_disk
from tests.support.platform import ScriptedPlatform
from tests.support.receiver import Receiver
from tests.support.sandbox import wait_until

JOB = """
url = "{url}"
scenario = 3
name = "nightly"
[match]
mode = "email"
column = "email"
[content]
first_name = "first_name"
[send]
rate = "none"
concurrency = {concurrency}
timeout = 5
[stop]
max_rows = 5000
max_change = "100%"
max_invalid = "10%"
{stop}
[input]
if_changed = true
[output]
yes = true
quiet = true
json = true
ledger = "{ledger}"
log_file = "night.log"
log_format = "json"
status_file = "status.json"
metrics_file = "night.prom"
[notify]
urls = ["json://{address}/told"]
heartbeat = "http://{address}/beat"
"""


@dataclass(frozen=True, slots=True)
class Night:
    """How one night ended, for whoever looks in the morning."""

    ended: Ended
    message: dict[str, Any]  #: the one notification; empty when there was none
    beats: list[str]
    status: dict[str, Any]

    def is_told(self, code: int, *words: str) -> None:
        """The exit code is the same wherever it is told, and the words stand in the notification."""
        assert self.ended.code == code, self.ended.err
        assert self.status["exit_code"] == code
        assert f"Exit code {code}" in self.message["message"]
        for word in words:
            assert word in self.message["message"]
        assert self.beats == ["/beat/start", "/beat" if code in (0, 1) else "/beat/fail"]


class Nights:
    """One job on one machine, night after night."""

    def __init__(self, cli: Cli, receiver: Receiver, *, ledger: str = "ledger/ledger.sqlite") -> None:
        self.cli = cli
        self.receiver = receiver
        self.ledger = ledger
        self.expected: set[str] = set()  #: everybody who stood in a file that was to be sent

    def job(self, url: str, *, stop: str = "", concurrency: int = 1) -> Path:
        path = self.cli.folder / "nightly.toml"
        text = JOB.format(
            url=url, stop=stop, concurrency=concurrency, ledger=self.ledger, address=self.receiver.address
        )
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return path

    def file(self, name: str, count: int = 30) -> Path:
        rows = people(count, domain=f"{name}.example.com")
        self.expected |= {f"email:{email}" for email, _ in rows}
        return write_csv(self.cli.folder / f"{name}.csv", *rows)

    def night(self, source: Path, job: Path, *words: str) -> Night:
        heard = len(self.receiver.told)
        ended = self.cli("run", source, "--job", job, *words)
        return self.seen(ended, heard)

    def seen(self, ended: Ended, heard: int) -> Night:
        told = self.receiver.told[heard:]
        messages = [each.json for each in told if each.path == "/told"]
        assert len(messages) <= 1
        for each in told:
            assert "@" not in each.body, "personal data in what is told"
        status = json.loads((self.cli.folder / "status.json").read_text(encoding="utf-8"))
        beats = [each.path for each in told if each.path.startswith("/beat")]
        return Night(ended, messages[0] if messages else {}, beats, status)


@pytest.fixture
def nights(cli, receiver) -> Nights:
    return Nights(cli, receiver)


def nobody_twice(server) -> set[str]:
    """Everybody who was really enrolled."""
    enrolments = server.enrolments()
    assert set(enrolments.values()) <= {1}
    return set(enrolments)


def test_a_good_night_is_told_once_and_the_next_with_nothing_new_is_silent(nights, sandbox):
    server = sandbox()
    source, job = nights.file("monday"), nights.job(server.url)
    night = nights.night(source, job)
    night.is_told(0, "30 success")
    assert night.status["state"] == "finished"
    assert nobody_twice(server) == nights.expected

    again = nights.night(source, job)
    assert (again.ended.code, again.ended.json["status"]) == (0, "unchanged")
    assert again.beats[-1] == "/beat"
    assert nobody_twice(server) == nights.expected


def test_the_token_is_revoked_in_the_middle(nights, sandbox):
    server = sandbox(faults="token_revoked@11")
    source, job = nights.file("monday"), nights.job(server.url)
    night = nights.night(source, job)
    night.is_told(3, "The platform refused the token", "10 success", "same command")
    assert night.status["state"] == "stopped"
    assert len(nobody_twice(server)) == 10

    still = nights.night(source, job)
    assert still.ended.code in (2, 3)  # the preflight says so before anything leaves
    assert "token" in still.message["message"]
    assert len(nobody_twice(server)) == 10

    server.control(faults="", token_revoked=False)
    nights.night(source, job).is_told(0, "30 success")
    assert nobody_twice(server) == nights.expected


def test_the_token_is_dead_before_the_night(nights, sandbox):
    server = sandbox(token_revoked=True)
    source, job = nights.file("monday"), nights.job(server.url)
    night = nights.night(source, job)
    night.is_told(2, "token")
    assert night.status["state"] == "failed"
    assert server.received() == {}
    server.control(token_revoked=False)
    nights.night(source, job).is_told(0, "30 success")


def test_the_scenario_is_switched_off_in_the_middle(nights, sandbox):
    server = sandbox(faults="scenario_off@11")
    source, job = nights.file("monday"), nights.job(server.url, concurrency=4)
    night = nights.night(source, job)
    assert night.ended.code == 3, night.ended.err
    assert "not active" in night.message["message"]
    assert night.beats[-1] == "/beat/fail"
    early = nobody_twice(server)
    assert 0 < len(early) < 30

    server.control(faults="", scenarios={"3": True})
    rest = nights.night(source, job)
    assert rest.ended.code in (0, 1), rest.ended.err
    counts = rest.ended.json["counts"]
    assert counts["success"] + counts["error"] == 30
    assert len(nobody_twice(server)) == counts["success"]


def test_the_platform_is_down_until_the_deadline(nights):
    with sandbox_process(SandboxSettings()) as first:
        port = int(first.url.rpartition(":")[2])
        url = first.url
    source = nights.file("monday")
    job = nights.job(url, stop='deadline = "3s"')
    down = nights.night(source, job, "--skip-preflight")
    down.is_told(3, "deadline", "30 not_sent")
    with_preflight = nights.night(source, job)
    with_preflight.is_told(2, "could not be asked")
    with sandbox_process(SandboxSettings(port=port)) as server:
        nights.job(url)
        nights.night(source, job).is_told(0, "30 success")
        assert nobody_twice(server) == nights.expected


@pytest.mark.parametrize("anyio_backend", [("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})])
async def test_an_hour_without_the_platform_in_virtual_time(tmp_path, anyio_backend):
    """Each start gives up in the end, and says so; the first one after that hour carries on to the end."""
    clock, platform = VirtualClock(), ScriptedPlatform()
    began = clock.monotonic()

    async def answer(request):
        if clock.monotonic() - began < 3600:
            raise httpx.ConnectError("down")
        return await platform.transport.handle_async_request(request)

    job = Job.model_validate(
        {
            "url": "http://127.0.0.1:1",
            "scenario": 3,
            "match": {"mode": "email", "column": "email"},
            "send": {"rate": 10, "concurrency": 4, "skip_preflight": True},
        }
    )
    source = write_csv(tmp_path / "monday.csv", *people(100))
    ledger = MemoryLedger(tmp_path / "ledger")
    ends: list[RunSummary] = []
    while not ends or ends[-1].exit_code == 3:
        ends.append(
            await enroll_async(
                job, source, token="t" * 32, ledger=ledger, transport=httpx.MockTransport(answer), clock=clock
            )
        )
        await anyio.sleep(900)
    assert [end.exit_code for end in ends[:-1]] == [3] * (len(ends) - 1)
    assert len(ends) > 2
    assert all("out of reach" in end.stop_reason for end in ends[:-1])
    assert ends[-1].counts == Counts(success=100)
    assert sorted(platform.emails()) == sorted({email for email, _ in people(100)})


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path, megabytes=16) as place:
        yield place


def test_the_disk_is_full_in_the_middle(cli, receiver, sandbox, disk):
    server = sandbox()
    nights = Nights(cli, receiver, ledger=str(disk / "ledger.sqlite"))
    source, job = nights.file("monday", 2000), nights.job(server.url, concurrency=8)
    server.control(latency_s=(0.002, 0.002))
    filler = disk / "filler"
    heard = len(receiver.told)
    process = cli.start("run", source, "--job", job)
    wait_until(lambda: bool(server.totals()["requests"]), patience_s=60)
    fill(filler)
    out, err = process.communicate(timeout=120)
    night = nights.seen(Ended(process.returncode, out, err), heard)
    assert night.ended.code == 3, err
    assert "full" in night.message["message"]
    assert night.beats[-1] == "/beat/fail"
    assert len(nobody_twice(server)) < 2000

    filler.unlink()
    rest = nights.night(source, job)
    assert rest.ended.code in (0, 4), rest.ended.err
    assert_all_accounted_for(rest.ended, server, 2000)


def test_two_starts_at_once(nights, sandbox):
    server = sandbox(latency_s=(0.2, 0.2))
    source, job = nights.file("monday"), nights.job(server.url)
    first = nights.cli.start("run", source, "--job", job)
    try:
        wait_until(lambda: bool(server.enrolments()), patience_s=60)
        heard = len(nights.receiver.told)
        second = nights.cli("run", source, "--job", job)
        assert second.code == 5
        assert str(first.pid) in second.err
        (message,) = [each.json for each in nights.receiver.told[heard:] if each.path == "/told"]
        assert "Exit code 5" in message["message"]
    finally:
        server.control(latency_s=(0.0, 0.0))
        first.communicate(timeout=120)
    assert first.returncode == 0
    assert nobody_twice(server) == nights.expected


def test_a_file_ten_times_too_big_is_not_sent(nights, sandbox):
    server = sandbox()
    job = nights.job(server.url)
    nights.night(nights.file("monday"), job).is_told(0)
    before = set(nights.expected)
    night = nights.night(nights.file("tuesday", 300), job)
    night.is_told(2, "300", "max_change")
    assert night.status["state"] == "failed"
    assert nobody_twice(server) == before


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no kill -9 here")
def test_the_machine_goes_down_in_the_middle(nights, sandbox):
    server = sandbox(latency_s=(0.02, 0.02))
    source, job = nights.file("monday", 100), nights.job(server.url, concurrency=4)
    process = nights.cli.start("run", source, "--job", job)
    wait_until(lambda: len(server.enrolments()) > 10, patience_s=60)
    process.kill()
    process.communicate(timeout=60)
    rest = nights.night(source, job)
    assert rest.ended.code in (0, 4), rest.ended.err
    assert_all_accounted_for(rest.ended, server, 100)
    if rest.ended.code == 4:
        rest.is_told(4, "unknown", "batch-enroll resolve")


def test_a_week_of_nights_with_one_ledger(nights, sandbox):
    """Every night another trouble; on Sunday everybody is enrolled once, or named as unknown."""
    server = sandbox()
    unknown = 0

    def play(name: str, trouble: str, *codes: int, count: int = 40) -> None:
        nonlocal unknown
        source, job = nights.file(name, count), nights.job(server.url, concurrency=4)
        server.control(faults=trouble)
        night = nights.night(source, job)
        assert night.ended.code in codes, (name, night.ended.err)
        assert night.beats[-1] == ("/beat" if night.ended.code in (0, 1) else "/beat/fail")
        server.control(faults="", token_revoked=False, tariff_used_up=False, scenarios={"3": True})
        if night.ended.code == 3:
            night = nights.night(source, job)
            assert night.ended.code in (0, 4), (name, night.ended.err)
        counts = night.ended.json["counts"]
        assert counts["rows"] == counts["success"] + counts["unknown"] + counts["error"] == count
        unknown += counts["unknown"]

    play("monday", "", 0)
    play("tuesday", "token_revoked@15", 3)
    play("wednesday", "drop_after_acting@7, drop_before_acting@9", 4)
    play("thursday", "http_503_retry_after@3, http_429@8", 0)
    play("friday", "tariff_limit@20", 3)
    play("saturday", ", ".join(f"http_502_after_acting@{n}" for n in range(10, 16)), 3)

    enrolled = nobody_twice(server)
    assert enrolled <= nights.expected
    assert unknown >= 1
    assert len(nights.expected - enrolled) <= unknown
    log = (nights.cli.folder / "night.log").read_text(encoding="utf-8")
    assert "@" not in log
    assert all(json.loads(line)["time"] for line in log.splitlines())
    metrics = (nights.cli.folder / "night.prom").read_text(encoding="utf-8")
    assert 'batch_enroll_runs_total{exit_code="3"' in metrics


def assert_all_accounted_for(ended: Ended, server, rows: int) -> None:
    counts = ended.json["counts"]
    assert counts["rows"] == rows
    assert counts["success"] + counts["unknown"] == rows
    enrolled = nobody_twice(server)
    assert counts["success"] <= len(enrolled) <= rows


def fill(path: Path) -> None:
    """Take all the room that a disk has left."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 4096):
                pass
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
