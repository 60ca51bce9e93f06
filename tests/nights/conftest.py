"""An unattended job over several nights, and the check of everything that it reports."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from batch_enroll.sandbox import DEFAULT_TOKEN
from tests.support.commands import Cli, Ended, read_results, write_csv
from tests.support.receiver import ReceivedRequest, Receiver

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
timeout = {timeout}
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

PERSONAL = ("@", "zinaida", DEFAULT_TOKEN)
"""What stands nowhere but in the file, the ledger and the results, in lower case."""

STATES = {0: "finished", 1: "finished", 3: "stopped", 4: "finished"}


@dataclass(frozen=True, slots=True)
class Night:
    """How one night ended, for whoever looks in the morning."""

    ended: Ended
    told: tuple[ReceivedRequest, ...]
    status: dict[str, Any]
    log: str
    metrics: str

    @property
    def message(self) -> dict[str, Any]:
        """The one notification."""
        (message,) = [each.json for each in self.told if each.path == "/told"]
        assert isinstance(message, dict)
        return message

    @property
    def results(self) -> Path:
        """The results file that the JSON object names."""
        return Path(self.ended.json["files"]["results"])

    def is_told(self, code: int, *words: str, state: str | None = None, left: int = 0) -> None:
        """The end is told the same way everywhere.

        Args:
            words: stand in the notification and, unless all is well, on standard error.
            state: of the status file, where the exit code does not decide it.
            left: rows that the same command carries on with.
        """
        said = self.ended.err
        assert self.ended.code == code, said
        assert self.ended.json["exit_code"] == code
        assert self.ended.json["counts"]["not_sent"] == left
        assert (self.status["exit_code"], self.status["state"]) == (code, state or STATES[code])
        assert [each.path for each in self.told if each.path != "/told"] == [
            "/beat/start",
            "/beat" if code in (0, 1) else "/beat/fail",
        ]
        assert self.told[-1].path == "/told"
        text = self.message["message"]
        assert f"Exit code {code}: " in text
        assert self.told[-2].body == text
        for word in words:
            assert word in text
            assert not code or word in said
        assert "Traceback" not in said
        assert bool(said) == bool(code)
        assert not code or said.startswith("batch-enroll: ")
        last = json.loads(self.log.splitlines()[-1])
        assert (last["event"], last["exit_code"]) == ("run ended", code)
        assert f'batch_enroll_exit_code{{job_name="nightly",scenario="3"}} {code}.0' in self.metrics


class Nights:
    """One job on one machine."""

    def __init__(self, cli: Cli, receiver: Receiver) -> None:
        self.cli = cli
        self.receiver = receiver
        self.ledger = "ledger/ledger.sqlite"

    def job(self, url: str, *, stop: str = "", concurrency: int = 1, timeout_s: int = 30) -> Path:
        """Write the job file."""
        path = self.cli.folder / "nightly.toml"
        text = JOB.format(
            url=url,
            stop=stop,
            concurrency=concurrency,
            timeout=timeout_s,
            ledger=self.ledger,
            address=self.receiver.address,
        )
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return path

    def file(self, name: str, count: int = 30) -> Path:
        """Write an input whose people stand in no other."""
        rows = [(f"zinaida{number}@{name}.example.com", f"Zinaida {number}") for number in range(1, count + 1)]
        return write_csv(self.cli.folder / f"{name}.csv", *rows)

    def night(self, source: Path, job: Path, *words: str) -> Night:
        """Give the command and wait for its end."""
        heard, logged = len(self.receiver.requests), len(self.log)
        return self.morning(self.cli("run", source, "--job", job, *words), self.receiver.requests[heard:], logged)

    def morning(self, ended: Ended, told: Sequence[ReceivedRequest], logged: int = 0) -> Night:
        """Look at all that was told, and that nobody in it can be recognised.

        Args:
            told: what the receiver heard of this command.
            logged: how long the log was before.
        """
        night = Night(ended, tuple(told), json.loads(self.text_of("status.json")), self.log[logged:], self.metrics)
        json.loads(ended.out)  # one object and nothing else
        for text in (*(each.body for each in told), ended.out, ended.err, self.log, self.metrics, *self._statuses()):
            for word in PERSONAL:
                assert word not in text.lower()
        return night

    def text_of(self, name: str) -> str:
        """What stands in a file of the job; "" when it is not there."""
        path = self.cli.folder / name
        return path.read_text(encoding="utf-8") if path.exists() else ""

    @property
    def log(self) -> str:
        """All that was logged so far."""
        return self.text_of("night.log")

    @property
    def metrics(self) -> str:
        """The metrics as they stand."""
        return self.text_of("night.prom")

    def _statuses(self) -> Iterator[str]:
        for path in (self.cli.folder / "status.json", *(self.cli.folder / self.ledger).parent.rglob("status.json")):
            yield path.read_text(encoding="utf-8")


@pytest.fixture
def nights(cli, receiver) -> Nights:
    return Nights(cli, receiver)


def everybody_in(source: Path) -> set[str]:
    """The people of an input, as the sandbox names them."""
    return {f"email:{row['email']}" for row in read_results(source)}


def nobody_twice(server) -> set[str]:
    """Everybody who was really enrolled."""
    enrolments = server.enrolments()
    assert set(enrolments.values()) <= {1}
    return set(enrolments)


def all_accounted_for(night: Night, source: Path, server) -> set[str]:
    """Hold every row of the results against whom the platform has really enrolled; gives who is unknown.

    The platform may know people of other inputs as well.
    """
    rows = read_results(night.results)
    assert [row["email"] for row in rows] == [row["email"] for row in read_results(source)]
    enrolled = nobody_twice(server)
    by_status: dict[str, set[str]] = {}
    for row in rows:
        by_status.setdefault(row["enroll_status"], set()).add(f"email:{row['email']}")
    unknown = by_status.pop("unknown", set())
    assert by_status.pop("success", set()) <= enrolled
    assert not by_status.get("not_sent") or night.ended.code == 3
    for status, some in by_status.items():
        assert not some & enrolled, f"{status}, and enrolled"
    return unknown


def carried_to_the_end(night: Night, source: Path, server) -> None:
    """Everybody is enrolled exactly once, or named as unknown; nobody is left and nobody refused."""
    unknown = all_accounted_for(night, source, server)
    night.is_told(4 if unknown else 0)
    counts = night.ended.json["counts"]
    assert (counts["success"], counts["unknown"]) == (len(everybody_in(source) - unknown), len(unknown))
    assert counts["rows"] == counts["success"] + counts["unknown"]
    if unknown:
        assert f"batch-enroll resolve {night.ended.json['run']}" in night.message["message"]
