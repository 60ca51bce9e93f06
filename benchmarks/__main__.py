"""The one command: measure and print a table.

python -m benchmarks [--quick] [NAME ...]

Needs nginx and aiohttp, besides what batch_enroll itself needs. Exit code 0: measured, whatever came out; a figure that
misses its goal says so in the table.
"""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec

from benchmarks.figures import HEAD, line
from benchmarks.machine import describe
from benchmarks.measures import MEASURES, QUICK, Sizes


def main() -> int:
    """Print the table, each line as soon as it is known."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure batch_enroll on this machine.")
    parser.add_argument("--quick", action="store_true", help="small sizes, for trying it; not for figures to quote")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these: {', '.join(MEASURES)}")
    args = parser.parse_args()
    if unknown := set(args.names) - MEASURES.keys():
        parser.error(f"there is no measure {', '.join(sorted(unknown))}")
    if find_spec("aiohttp") is None:
        raise SystemExit("The benchmarks compare with aiohttp: pip install aiohttp, then again.")
    sys.stdout.write(f"{describe()}\n\n{HEAD}")
    for name in args.names or MEASURES:
        for figure in MEASURES[name](QUICK if args.quick else Sizes()):
            sys.stdout.write(line(figure))
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
