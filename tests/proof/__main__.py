"""The long form of the proof: `python -m tests.proof --kills 500 --rows 100000 --seed 1`.

Runs of some thousand rows are killed repeatedly while about 13 % of the requests fail, until both numbers are
reached. Each run is resumed to its end, started once more, and compared with the counts of the sandbox. Then follow
runs in virtual time (`simulation.py`), each with another seed. All servers are on 127.0.0.1.

Standard output gets a table: runs, kills, faults by kind, rows, duplicated, lost, misreported, unknown (and the
number of ambiguous requests), seconds. The exit code is 0 when nobody was enrolled twice, every status is true and
there are no more unknown rows than ambiguous requests; else 1, and the folder with the run's input, results and
ledger is kept.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from batch_enroll.sandbox import SandboxHandle, SandboxSettings, sandbox_process
from tests.proof.harness import Trial
from tests.proof.inputs import leads, mixed_faults
from tests.proof.interruptions import random_strikes
from tests.proof.invariants import ProofResult
from tests.proof.simulation import simulate
from tests.support.ledgers import quick_folder

ROWS_OF_A_RUN = 5_000
CONCURRENCY = 16
TIMEOUT_S = 3
THROTTLED = 0.0004  #: of the requests; each makes the whole run wait a second
KILLS_PER_STRIKE = 0.9  #: the other strikes are signals and freezes, or come too late


@dataclass(slots=True)
class ProofTotals:
    """What all runs of one kind came to."""

    runs: int = 0
    starts: int = 0
    kills: int = 0
    cuts: int = 0
    rows: int = 0
    duplicated: int = 0
    lost: int = 0
    misreported: int = 0
    unknown: int = 0
    unknown_allowed: int = 0
    too_many_unknown: int = 0  #: runs
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)

    def add(self, verdict: ProofResult, *, name: str) -> None:
        self.runs += 1
        self.rows += verdict.rows
        self.duplicated += verdict.duplicated
        self.lost += verdict.lost
        self.misreported += verdict.misreported
        self.unknown += verdict.unknown
        self.unknown_allowed += verdict.unknown_allowed
        self.too_many_unknown += verdict.unknown > verdict.unknown_allowed
        self.statuses.update(verdict.statuses)
        if not verdict.holds:
            self.complaints.append(f"{name}: {verdict}")

    @property
    def holds(self) -> bool:
        return not (self.duplicated or self.lost or self.misreported or self.too_many_unknown)

    def lines(self, title: str) -> Iterator[str]:
        """Show it as a table."""
        yield title
        statuses = ", ".join(f"{count:,} {status}" for status, count in self.statuses.most_common())
        shown = {
            "runs": f"{self.runs:,} in {self.starts:,} processes",
            "kills": f"{self.kills:,}, and {self.cuts - self.kills:,} other cuts",
            "faults": f"{self.faults.total():,}",
            "rows": f"{self.rows:,}: {statuses}",
            "duplicated": f"{self.duplicated:,}",
            "lost": f"{self.lost:,}",
            "misreported": f"{self.misreported:,}",
            "unknown": f"{self.unknown:,} of {self.unknown_allowed:,} allowed",
            "seconds": f"{self.seconds:,.0f}",
        }
        for name, text in shown.items():
            yield f"  {name:<12} {text}"
            if name == "faults":
                yield from (f"    {fault:<32} {times:>7,}" for fault, times in sorted(self.faults.items()))
        yield from self.complaints


def main(argv: Sequence[str] | None = None) -> int:
    """Prove it, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.proof", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=500, help="at least so many kill -9 (default 500)")
    parser.add_argument("--rows", type=int, default=100_000, help="at least so many rows (default 100000)")
    parser.add_argument("--seed", type=int, default=1, help="decides rows, faults, and when what is done (default 1)")
    parser.add_argument("--simulations", type=int, default=3_000, help="runs in virtual time (default 3000)")
    args = parser.parse_args(argv)
    folder = Path(tempfile.mkdtemp(prefix="batch-enroll-proof-"))
    real = killed_runs(folder, kills=args.kills, rows=args.rows, seed=args.seed)
    put(*real.lines("Real processes"))
    virtual = simulated_runs(seeds=range(args.seed, args.seed + args.simulations))
    put("", *virtual.lines("Virtual time"))
    if not (real.holds and virtual.holds):
        put("", f"The promise was broken. Inputs, results and the ledger lie in {folder}.")
        return 1
    shutil.rmtree(folder)
    return 0


def killed_runs(folder: Path, *, kills: int, rows: int, seed: int) -> ProofTotals:
    """Run real processes and kill them until both numbers are reached."""
    tally = ProofTotals()
    began = time.monotonic()
    luck = random.Random(seed)
    rows_of_a_run = min(rows, ROWS_OF_A_RUN)
    runs = -(-rows // rows_of_a_run)
    per_strike = max(1, int(rows_of_a_run / (kills / runs / KILLS_PER_STRIKE))) if kills else rows_of_a_run
    with sandbox_process(SandboxSettings(keep_requests=10)) as sandbox:
        while tally.kills < kills or tally.rows < rows:
            one_run(tally, folder, sandbox, luck, rows=rows_of_a_run, per_strike=per_strike)
            tally.seconds = time.monotonic() - began
            sys.stderr.write(
                f"{tally.seconds:6.0f} s: {tally.runs} runs, {tally.kills} kills, {tally.rows:,} rows, "
                f"{tally.duplicated} duplicated, {tally.lost} lost, {tally.misreported} misreported\n"
            )
    return tally


def one_run(
    tally: ProofTotals, folder: Path, sandbox: SandboxHandle, luck: random.Random, *, rows: int, per_strike: int
) -> None:
    """Take one input through as many processes as it needs; all runs share a ledger."""
    name = f"run{tally.runs + 1}"
    sandbox.control(reset=True, seed=luck.randrange(2**31), faults=mixed_faults(throttled=THROTTLED))
    trial = Trial(
        folder=folder,
        sandbox=sandbox,
        rows=leads(rows, luck, domain=f"{name}.example.com"),
        concurrency=CONCURRENCY,
        flags=("--timeout", TIMEOUT_S),
        name=name,
    )
    trial.until_finished(strikes=random_strikes(luck, per_strike=per_strike))
    tally.add(trial.verdict(), name=name)
    tally.starts += trial.starts
    tally.kills += trial.kills
    tally.cuts += trial.cuts
    tally.faults.update(sandbox.totals()["faults"])


def simulated_runs(*, seeds: Sequence[int]) -> ProofTotals:
    """Run in virtual time, one run for each seed; the seed tells the story again, so its files are not kept."""
    tally = ProofTotals()
    began = time.monotonic()
    for seed in seeds:
        with quick_folder() as folder:
            story = simulate(seed, folder / "simulation")
        tally.add(story.verdict, name=f"seed {seed}")
        tally.starts += story.lives
        tally.kills += story.deaths
        tally.cuts += story.cuts
        tally.faults.update(story.platform.faults)
        tally.seconds = time.monotonic() - began
    return tally


def put(*lines: str) -> None:
    """Print."""
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
