"""A trial: `batch-enroll run` as a process that is interrupted repeatedly, against a sandbox that outlives it.

The same command is started until the run is finished, then once more, which must be refused and send nothing.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain, repeat
from pathlib import Path

import anyio

import batch_enroll
from batch_enroll.clock import SystemClock
from batch_enroll.ledger.records import RunState
from batch_enroll.ledger.sqlite import SqliteLedger
from batch_enroll.run.result_files import report_again
from batch_enroll.sandbox import SandboxHandle
from tests.proof.inputs import write_leads
from tests.proof.invariants import ProofResult, ReportedRun, check

CHILD = Path(__file__).with_name("traced_command.py")
PACKAGE_ROOT = Path(batch_enroll.__path__[0]).parent
PATIENCE_S = 90.0
FINISHED = {0, 1, 4}
REFUSED, STOPPED, LOCKED = 2, 3, 5
KILLED = -signal.SIGKILL
_LOOK_EVERY_S = 0.01
_MOST_STOPS = 60  #: a run that stops by itself more often than this gets nowhere


@dataclass(frozen=True, slots=True)
class EndedProcess:
    """How a process ended."""

    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"exit {self.code}\n{self.out}\n{self.err}"


def _nothing(trial: Trial, process: subprocess.Popen[str]) -> None:
    """Leave the process alone."""


@dataclass(frozen=True, slots=True)
class Strike:
    """What is done to one process."""

    act: Callable[[Trial, subprocess.Popen[str]], None] = _nothing
    """From outside; returns when it is done, or when the process has ended by itself."""
    words: tuple[str, ...] = ()  #: from inside, as `traced_command.py` takes them


@dataclass(kw_only=True)
class Trial:
    """One input on its way through any number of processes."""

    folder: Path
    sandbox: SandboxHandle
    rows: Sequence[tuple[str, str]]
    concurrency: int = 8
    flags: Sequence[object] = ()
    name: str = "leads"  #: of the input
    results_name: str = ""  #: of the results; "" = the input's
    encoding: str = "utf-8"
    before: Sequence[ReportedRun] = ()  #: what earlier trials reported that sent to the same sandbox
    source: Path = field(init=False)
    results: Path = field(init=False)
    kills: int = 0
    cuts: int = 0  #: kills, and whatever else abandoned requests in flight
    starts: int = 0
    codes: list[int] = field(default_factory=list)  #: of the processes that ended, in order
    broken: list[ProofResult] = field(default_factory=list)  #: what was wrong between two processes

    def __post_init__(self) -> None:
        heed_signals()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.source = write_leads(self.folder / f"{self.name}.csv", self.rows, encoding=self.encoding)
        self.results = self.folder / f"{self.results_name or self.name}.out.csv"

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.sqlite"

    @property
    def summary(self) -> Path:
        return self.results.with_suffix(".summary.json")

    def edited(self, rows: Sequence[tuple[str, str]], *, encoding: str = "utf-8") -> Trial:
        """Put other rows into the same file; they are a trial of their own, that knows what this one has reported."""
        before = anyio.run(self.report)
        return replace(
            self,
            rows=rows,
            results_name="edited",
            encoding=encoding,
            before=[*self.before, before] if before else self.before,
            kills=0,
            starts=0,
            codes=[],
        )

    def start(
        self,
        *words: str,
        under: Sequence[str] = (),
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
    ) -> subprocess.Popen[str]:
        """Start the command.

        Args:
            words: what the process does to itself, as `traced_command.py` takes it.
            under: a command that runs this one.
        """
        self.starts += 1
        settings = {
            "--url": self.sandbox.url,
            "--scenario": 3,
            "--match": "email=email",
            "--content": "first_name=first_name",
            "--rate": "none",
            "--concurrency": self.concurrency,
            "--max-errors": "100%",
            "--max-unknown": "100%",
            "--results": self.results,
        }
        flags = [each for pair in settings.items() for each in pair]
        command = ["run", self.source, *flags, "--quiet", *self.flags]
        return self._open(words, command, under=under, stdout=stdout, stderr=stderr)

    def _open(
        self,
        words: Sequence[str],
        command: Sequence[object],
        *,
        under: Sequence[str] = (),
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
    ) -> subprocess.Popen[str]:
        head = [CHILD, *words, "--"] if words else ["-m", "batch_enroll"]
        line = [*under, sys.executable, *head, *command, "--ledger", self.ledger]
        return subprocess.Popen(
            [*map(str, line)],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=self.folder,
            env=surroundings(self.folder / "home", token=self.sandbox.token),
            text=True,
            encoding="utf-8",
        )

    def end(self, process: subprocess.Popen[str]) -> EndedProcess:
        """Wait for a process and keep account of how it ended."""
        out, err = process.communicate(timeout=PATIENCE_S)
        self.codes.append(process.returncode)
        if process.returncode == KILLED:
            self.kills += 1
            self.cuts += 1
        return EndedProcess(process.returncode, out or "", err or "")

    def once(self, *words: str, strike: Strike = Strike(), under: Sequence[str] = ()) -> EndedProcess:
        """Start the command, perhaps strike it, and wait for its end."""
        with started(self.start(*words, *strike.words, under=under)) as process:
            strike.act(self, process)
            return self.end(process)

    def until_finished(self, *words: str, strikes: Iterable[Strike] = ()) -> EndedProcess:
        """Give the command until the run is finished, each time struck by the next strike while there are any.

        What the ledger says between two processes must be true as well; `broken` gets what is not.
        """
        for strike in chain(strikes, repeat(Strike(), _MOST_STOPS)):
            ended = self.once(*words, strike=strike)
            if not words:
                self.glance()
            if ended.code in FINISHED:
                return ended
            if ended.code == REFUSED and self.starts > 1 and "finished" in ended.err:
                return ended  # the process before this one was cut when all was done
            assert ended.code in (KILLED, STOPPED, 130, 143), f"start {self.starts}: {ended}"
        raise AssertionError(f"not finished after {self.starts} starts: {ended}")

    def verdict(self, *, is_finished: bool = True) -> ProofResult:
        """Give the command once more, which must be refused and send nothing; then check everything.

        Args:
            is_finished: False leaves the refusal out.
        Returns:
            The first verdict that does not hold, when one of those between two processes did not.
        """
        if is_finished:
            sent = self.sandbox.totals()["requests"]
            again = self.once()
            assert again.code == REFUSED, f"a finished run was not refused: {again}"
            assert self.sandbox.totals()["requests"] == sent, "a finished run asked the platform something"
        return next(iter(self.broken), self._check(self.reported()))

    def glance(self) -> None:
        """Check what the ledger says now, whether or not the run is finished."""
        reported = anyio.run(self.report)
        if reported is not None and not (verdict := self._check(reported)).holds:
            self.broken.append(verdict)

    def _check(self, reported: ReportedRun) -> ProofResult:
        return check(self.sandbox.stats(), [*self.before, reported], cuts=self.cuts, in_flight=self.concurrency)

    def other(self, *command: object, strike: Strike = Strike()) -> EndedProcess:
        """Give another command about the same ledger, and wait for its end."""
        with started(self._open(strike.words, command)) as process:
            strike.act(self, process)
            return self.end(process)

    @property
    def run_id(self) -> str:
        """The only run in the ledger."""
        (folder,) = self.ledger.with_name(f"{self.ledger.name}.runs").iterdir()
        return folder.name

    def reported(self) -> ReportedRun:
        """Read the run's files."""
        with self.results.open(encoding="utf-8-sig", newline="") as file:
            results = list(csv.DictReader(file))
        return ReportedRun(
            planned=self.rows, results=results, summary=json.loads(self.summary.read_text(encoding="utf-8"))
        )

    async def report(self) -> ReportedRun | None:
        """Write the files of this input's run as it stands, as `report` does; None while it is being planned."""
        state = self.folder / "home" / "state" / "batch-enroll"
        ledger = SqliteLedger(self.ledger, clock=SystemClock(), state_folder=state)
        sha256 = hashlib.sha256(self.source.read_bytes()).hexdigest()
        mine = [record for record in await ledger.runs() if record.input_sha256 == sha256]
        if not mine or mine[0].state is RunState.PLANNING:
            return None
        run = await ledger.open(mine[0].run_id, read_only=True)
        try:
            written = await report_again(run, self.results, ledger=ledger.place)
        finally:
            await run.close_unchanged()
        assert written.results == self.results, "the results of an own run went beside"
        return self.reported()

    def arrived(self) -> int:
        """How many start requests the sandbox has got, whatever became of them."""
        return int(self.sandbox.totals()["requests"].get("workflows/start", 0))


def watch(process: subprocess.Popen[str], *, until: Callable[[], bool]) -> None:
    """Wait until it is so, or the process has ended."""
    give_up = time.monotonic() + PATIENCE_S
    while process.poll() is None and not until():
        assert time.monotonic() < give_up, "it never came to pass"
        time.sleep(_LOOK_EVERY_S)


def at_moment(seconds: float) -> Callable[[], bool]:
    """Give a condition that comes true so long from now."""
    due = time.monotonic() + seconds
    return lambda: time.monotonic() >= due


@contextmanager
def started(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """Leave no process behind."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def heed_signals() -> None:
    """Let what is started here heed signals, also when a shell made this process ignore them (`&`, nohup).

    A signal that is ignored stays ignored in every child; one that has a handler, if only an idle one, does not.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def surroundings(home: Path, *, token: str) -> dict[str, str]:
    """The environment of a process that knows nothing of the person who runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BATCH_ENROLL_")}
    homes = {f"XDG_{kind}_HOME": str(home / kind.lower()) for kind in ("DATA", "STATE", "CONFIG")}
    return {**kept, **homes, "BATCH_ENROLL_TOKEN": token, "PYTHONPATH": str(PACKAGE_ROOT), "NO_PROXY": "*"}
