"""Run a measured program as a process; wall time, CPU time and peak memory are the system's figures."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import CLIENT_CORES, on_cores

TOKEN = "a-token-for-benchmarks"
_MOST_S = 900.0  #: no single process may take longer, but for runs of more than 900,000 rows
ENVIRONMENT = {**os.environ, "BATCH_ENROLL_TOKEN": TOKEN}  #: of every process that is measured
_GEN_LARGE = Path(__file__).resolve().parent.parent / "tests" / "gen_large.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessResult:
    """A process that ended well."""

    began_at: float  #: seconds since 1970
    wall_s: float
    cpu_s: float  #: with that of the processes it started
    peak_mb: float  #: of its largest process
    out: str


def measure(*command: str, most_s: float = _MOST_S) -> ProcessResult:
    """Run a Python module or script to its end on the client's cores.

    Raises:
        SystemExit: it did not end well, or took longer than `most_s`.
    """
    return measure_program(sys.executable, *command, most_s=most_s)


def measure_program(*command: str, most_s: float = _MOST_S) -> ProcessResult:
    """Run any program to its end on the client's cores.

    Raises:
        SystemExit: it did not end well, or took longer than `most_s`.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as talk:
        began_at, began = time.time(), time.monotonic()
        with on_cores(CLIENT_CORES):
            process = subprocess.Popen(command, stdout=out, stderr=talk, env=ENVIRONMENT)
        usage = _wait(process, deadline=began + most_s)
        wall_s = time.monotonic() - began
        out.seek(0)
        if process.returncode != 0:
            talk.seek(0)
            output = (out.read() + talk.read()).decode()[-2000:]
            raise SystemExit(f"{' '.join(command)}: exit {process.returncode}\n{output}")
        return ProcessResult(
            began_at=began_at,
            wall_s=wall_s,
            cpu_s=usage.ru_utime + usage.ru_stime,
            peak_mb=usage.ru_maxrss / 1024,
            out=out.read().decode(),
        )


def _wait(process: subprocess.Popen[bytes], *, deadline: float) -> Any:
    """Wait for a process and give the system's account of it."""
    try:
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                process.returncode = os.waitstatus_to_exitcode(status)
                return usage
            if time.monotonic() > deadline:
                raise SystemExit(f"Process {process.pid} took too long and was ended.")
            time.sleep(0.001)
    finally:
        if process.returncode is None:
            process.kill()
            process.wait()


@contextmanager
def people(rows: int) -> Iterator[Path]:
    """Write a CSV of invented people for the time of the block, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="batch-enroll-people-") as name:
        path = Path(name) / "people.csv"
        subprocess.run(
            [sys.executable, str(_GEN_LARGE), "--rows", str(rows), "--out", str(path)], check=True, capture_output=True
        )
        yield path


def enroll(source: Path, url: str, *flags: str, in_flight: int = 64, most_s: float = _MOST_S) -> ProcessResult:
    """Run `batch-enroll run` over a whole file with everything on and a ledger of its own, without a rate by default.

    Raises:
        SystemExit: not every row was enrolled.
    """
    with tempfile.TemporaryDirectory(prefix="batch-enroll-run-") as name:
        words = run_words(source, url, *flags, in_flight=in_flight, folder=Path(name))
        ended = measure(*words, most_s=most_s)
        counts = json.loads(ended.out)["counts"]
        with results_in(Path(name)).open(encoding="utf-8-sig", newline="") as file:
            written = sum(1 for _ in csv.reader(file)) - 1
        if not counts["success"] == counts["rows"] == written:
            raise SystemExit(f"Of {counts['rows']} rows {counts['success']} were enrolled and {written} written.")
        return ended


def run_words(source: Path, url: str, *flags: str, in_flight: int, folder: Path) -> list[str]:
    """Write the command, to be given to Python, that enrolls a whole file; ledger and results go to the folder."""
    return [
        *("-m", "batch_enroll", "run", str(source), "--url", url, "--scenario", "3", "--match", "email=email"),
        *("--content", "first_name=first_name", "--ledger", str(folder / "ledger.sqlite")),
        *("--results", str(results_in(folder)), "--concurrency", str(in_flight), "--skip-preflight", "--yes"),
        *("--json", "--quiet", *(() if "--rate" in flags else ("--rate", "none")), *flags),
    ]


def results_in(folder: Path) -> Path:
    """Where such a run writes its results."""
    return folder / "results.csv"


def check(source: Path, *, most_s: float = _MOST_S) -> ProcessResult:
    """Run `batch-enroll check` over a whole file, without the platform."""
    with tempfile.TemporaryDirectory(prefix="batch-enroll-check-") as name:
        return measure(
            *("-m", "batch_enroll", "check", str(source), "--url", "http://127.0.0.1:9", "--scenario", "3"),
            *("--match", "email=email", "--content", "first_name=first_name", "--skip-preflight", "--quiet"),
            *("--ledger", str(Path(name) / "ledger.sqlite")),
            most_s=most_s,
        )
