"""Measure and print a table, or draw a profile.

python -m benchmarks [--quick | --full] [NAME ...]
python -m benchmarks profile [--out FILE] [--rows N]

docs/speed.md lists what it needs besides batch_enroll. The exit code is 0 when everything was measured, whatever the
result; the table marks a figure that misses its goal or could not be measured.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import profile
from benchmarks.figures import HEAD, line
from benchmarks.machine import describe
from benchmarks.measures import MEASURES
from benchmarks.sizes import FULL, QUICK, USUAL


def main(words: list[str]) -> int:
    """Print the table, each line as soon as it is known."""
    if words[:1] == ["profile"]:
        return _profile(words[1:])
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure batch_enroll on this machine.",
        epilog="`python -m benchmarks profile --help`: where the time of a run goes, as a flame graph.",
    )
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--quick", action="store_true", help="small sizes, for trying it; not for figures to quote")
    sizes.add_argument(
        "--full", action="store_true", help="5,000,000 rows too: half an hour more, 3 GB in the temp folder"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these: {', '.join(MEASURES)}")
    args = parser.parse_args(words)
    if unknown := set(args.names) - MEASURES.keys():
        parser.error(f"there is no measure {', '.join(sorted(unknown))}")
    chosen = QUICK if args.quick else FULL if args.full else USUAL
    sys.stdout.write(f"{describe()}\n\n{HEAD}")
    for name in args.names or MEASURES:
        for entry in MEASURES[name](chosen):
            sys.stdout.write(line(entry))
            sys.stdout.flush()
    return 0


def _profile(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks profile", description="Draw where the time of a run goes."
    )
    parser.add_argument("--out", type=Path, default=Path("flame.svg"), help="a flame graph, to open in a browser")
    parser.add_argument("--rows", type=int, default=200_000)
    args = parser.parse_args(words)
    profile.record(args.out, rows=args.rows)
    sys.stdout.write(f"{args.out}: a run of {args.rows:,} rows, a hundred samples a second.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
