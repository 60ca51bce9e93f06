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
urls = ["json://{address}/received"]
heartbeat = "http://{address}/beat"
"""

PERSONAL = ("@", "zinaida", DEFAULT_TOKEN)
"""Personal data that may only be in the input and the results, in lower case."""

STATES = {0: "finished", 1: "finished", 3: "stopped", 4: "finished"}


@dataclass(frozen=True, slots=True)
class Night:
    """How one night ended, for whoever looks in the collect."""

    ended: Ended
    received: tuple[ReceivedRequest, ...]
    status: dict[str, Any]
    log: str
    metrics: str

    @property
    def message(self) -> dict[str, Any]:
        """The one notification."""
        (message,) = [each.json for each in self.received if each.path == "/received"]
        assert isinstance(message, dict)
        return message

    @property
    def results(self) -> Path:
        """The results file that the JSON object names."""
        return Path(self.ended.json["files"]["results"])

    def check_reports(self, code: int, *words: str, state: str | None = None, left: int = 0) -> None:
        """Check that every output reports the same end.

        Args:
            words: texts in the notification and, unless the exit code is 0, on standard error.
            state: of the status file, if the exit code does not determine it.
            left: rows that are not sent yet.
        """
        stderr = self.ended.err
        assert self.ended.code == code, stderr
        assert self.ended.json["exit_code"] == code
        assert self.ended.json["counts"]["not_sent"] == left
        assert (self.status["exit_code"], self.status["state"]) == (code, state or STATES[code])
        assert [each.path for each in self.received if each.path != "/received"] == [
            "/beat/start",
            "/beat" if code in (0, 1) else "/beat/fail",
        ]
        assert self.received[-1].path == "/received"
        text = self.message["message"]
        assert f"Exit code {code}: " in text
        assert self.received[-2].body == text
        for word in words:
            assert word in text
            assert not code or word in stderr
        assert "Traceback" not in stderr
        assert bool(stderr) == bool(code)
        assert not code or stderr.startswith("batch-enroll: ")
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
        """Write an input with people of its own."""
        rows = [(f"zinaida{number}@{name}.example.com", f"Zinaida {number}") for number in range(1, count + 1)]
        return write_csv(self.cli.folder / f"{name}.csv", *rows)

    def night(self, source: Path, job: Path, *words: str) -> Night:
        """Run the command to its end."""
        heard, logged = len(self.receiver.requests), len(self.log)
        return self.collect(self.cli("run", source, "--job", job, *words), self.receiver.requests[heard:], logged)

    def collect(self, ended: Ended, received: Sequence[ReceivedRequest], logged: int = 0) -> Night:
        """Collect all reports, and check that they hold no personal data.

        Args:
            received: the requests of this command to the receiver.
            logged: the length of the log before the command.
        """
        night = Night(
            ended, tuple(received), json.loads(self.read_file("status.json")), self.log[logged:], self.metrics
        )
        json.loads(ended.out)  # one object and nothing else
        for text in (
            *(each.body for each in received),
            ended.out,
            ended.err,
            self.log,
            self.metrics,
            *self._statuses(),
        ):
            for word in PERSONAL:
                assert word not in text.lower()
        return night

    def read_file(self, name: str) -> str:
        """Read a file of the job; "" when it does not exist."""
        path = self.cli.folder / name
        return path.read_text(encoding="utf-8") if path.exists() else ""

    @property
    def log(self) -> str:
        """The whole log."""
        return self.read_file("night.log")

    @property
    def metrics(self) -> str:
        """The current metrics."""
        return self.read_file("night.prom")

    def _statuses(self) -> Iterator[str]:
        for path in (self.cli.folder / "status.json", *(self.cli.folder / self.ledger).parent.rglob("status.json")):
            yield path.read_text(encoding="utf-8")


@pytest.fixture
def nights(cli, receiver) -> Nights:
    return Nights(cli, receiver)


def people_in(source: Path) -> set[str]:
    """Get the people of an input by their keys in the sandbox."""
    return {f"email:{row['email']}" for row in read_results(source)}


def enrolled_once(server) -> set[str]:
    """Get everybody who was enrolled, and check that each was enrolled once."""
    enrolments = server.enrolments()
    assert set(enrolments.values()) <= {1}
    return set(enrolments)


def check_results(night: Night, source: Path, server) -> set[str]:
    """Compare every row of the results with the enrolments; returns the unknown people.

    The platform may have enrolled people of other inputs as well.
    """
    rows = read_results(night.results)
    assert [row["email"] for row in rows] == [row["email"] for row in read_results(source)]
    enrolled = enrolled_once(server)
    by_status: dict[str, set[str]] = {}
    for row in rows:
        by_status.setdefault(row["enroll_status"], set()).add(f"email:{row['email']}")
    unknown = by_status.pop("unknown", set())
    assert by_status.pop("success", set()) <= enrolled
    assert not by_status.get("not_sent") or night.ended.code == 3
    for status, some in by_status.items():
        assert not some & enrolled, f"{status}, and enrolled"
    return unknown


def check_all_enrolled(night: Night, source: Path, server) -> None:
    """Check that everybody is enrolled exactly once or unknown, and nobody is left or refused."""
    unknown = check_results(night, source, server)
    night.check_reports(4 if unknown else 0)
    counts = night.ended.json["counts"]
    assert (counts["success"], counts["unknown"]) == (len(people_in(source) - unknown), len(unknown))
    assert counts["rows"] == counts["success"] + counts["unknown"]
    if unknown:
        assert f"batch-enroll resolve {night.ended.json['run']}" in night.message["message"]
