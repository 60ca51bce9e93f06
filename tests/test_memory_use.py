"""A large input runs in flat memory: measured on the process, against a small input in the same test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import peak_kb

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs the system's own accounting")

SMALL, LARGE = 10_000, 100_000
ALLOWED_GROWTH_KB = 20 * 1024


def write_many(path, rows):
    with path.open("w", encoding="utf-8") as file:
        file.write("client_id,email,first_name,note\n")
        file.writelines(f"{n:08d},user{n}@example.com,Anna,some note of usual length\n" for n in range(rows))
    return path


def run(cli, source, server):
    flags = ("--url", server.url, "--scenario", "3", "--match", "email=email", "--rate", "none", "--concurrency", "16")
    ledger = ("--ledger", source.with_suffix(".sqlite"))  # each its own: the first rows are the same people
    ended = cli("run", source, *flags, *ledger, "--json", "--quiet", measured=True)
    assert ended.code == 0, ended.err
    return ended


def test_memory_use_does_not_grow_with_the_rows(cli, sandbox):
    server = sandbox()
    small = run(cli, write_many(cli.folder / "small.csv", SMALL), server)
    server.control(reset=True)
    large = run(cli, write_many(cli.folder / "large.csv", LARGE), server)
    assert large.json["counts"]["success"] == LARGE
    assert server.totals()["enrolled_total"] == server.totals()["enrolled_profiles"] == LARGE
    assert peak_kb(large) - peak_kb(small) < ALLOWED_GROWTH_KB, f"{peak_kb(small)} KB, then {peak_kb(large)} KB"
    with Path(large.json["files"]["results"]).open(encoding="utf-8-sig") as file:
        assert sum(1 for _ in file) == LARGE + 1
