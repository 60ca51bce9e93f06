"""A large input runs in flat memory: measured on the process, against a small input in the same test."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(resource, "RUSAGE_CHILDREN"), reason="needs the system's own accounting")

SMALL, LARGE = 2_000, 100_000
ALLOWED_GROWTH_KB = 20 * 1024

# The child reports its own peak: the system's figure for all children would be the largest of any test before.
CHILD = """
import resource, sys
from batch_enroll.cli.main import main
code = main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, code, file=sys.stderr)
"""


def write_many(path, rows):
    with path.open("w", encoding="utf-8") as file:
        file.write("client_id,email,first_name,note\n")
        file.writelines(f"{n:08d},user{n}@example.com,Anna,some note of usual length\n" for n in range(rows))
    return path


def run_and_measure(cli, source, server):
    ended = subprocess.run(
        [
            *(sys.executable, "-c", CHILD, "run", str(source), "--url", server.url, "--scenario", "3"),
            *("--match", "email=email", "--rate", "none", "--concurrency", "16", "--json", "--quiet"),
        ],
        capture_output=True,
        text=True,
        env={**cli._environment({})},
        cwd=cli.folder,
        timeout=600,
        check=False,
    )
    peak_kb, code = map(int, ended.stderr.splitlines()[-1].split())
    return peak_kb, code, json.loads(ended.stdout)


def test_memory_does_not_grow_with_the_rows(cli, sandbox):
    server = sandbox()
    small_kb, code, _ = run_and_measure(cli, write_many(cli.folder / "small.csv", SMALL), server)
    assert code == 0
    server.control(reset=True)
    large_kb, code, ended = run_and_measure(cli, write_many(cli.folder / "large.csv", LARGE), server)
    assert (code, ended["counts"]["success"]) == (0, LARGE)
    assert server.totals()["enrolled_total"] == server.totals()["enrolled_profiles"] == LARGE
    assert large_kb - small_kb < ALLOWED_GROWTH_KB, f"{small_kb} KB for {SMALL} rows, {large_kb} KB for {LARGE}"
    with Path(ended["files"]["results"]).open(encoding="utf-8-sig") as file:
        assert sum(1 for _ in file) == LARGE + 1
