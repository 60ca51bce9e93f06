"""Spreadsheets as people really send them: every case of the corpus through the real command line."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.commands import Ended, peak_kb
from tests.support.corpus import CASES, CASES_2, FOLDER, FOLDER_2, Played, flags, judge, play, read_back

PLAYED_APART = {"changing-file", "large-file"}


@pytest.mark.parametrize("name", sorted(set(CASES) - PLAYED_APART))
def test_case_sends_and_reports_the_expected_rows(cli, sandbox, name):
    case = CASES[name]
    source = Path(shutil.copy(FOLDER / case["file"], cli.folder / case["file"]))
    began = time.monotonic()
    played = play(cli, sandbox(), case, source)
    assert judge(case, played) == []
    limits = case["expected"].get("limits", {})
    assert time.monotonic() - began < limits.get("seconds", 60)
    for rule in case["expected"].get("results_file", {}).get("no_cell_may_begin_with", ()):
        assert not [cell for line in played.results for cell in line if cell.startswith(rule)]


@pytest.mark.parametrize("name", sorted(CASES_2))
def test_case_of_the_second_part_sends_and_reports_the_expected_rows(cli, sandbox, name):
    case = CASES_2[name]
    source = Path(shutil.copy(FOLDER_2 / case["file"], cli.folder / case["file"]))
    assert judge(case, play(cli, sandbox(), case, source)) == []


@pytest.mark.slow
def test_file_overwritten_during_the_run_gives_the_old_rows(cli, sandbox):
    case = CASES["changing-file"]
    server = sandbox(latency_s=(0.001, 0.001))
    source = Path(shutil.copy(FOLDER / "changing-before.csv", cli.folder / "work.csv"))
    words = ("run", source, *flags(case), "--url", server.url, "--scenario", "3", "--rate", "none", "--json")
    going = cli.start(*words, "--concurrency", "1", "--results", "out.csv")
    try:
        while server.totals()["requests"].get("workflows/start", 0) < 20:
            assert going.poll() is None, going.communicate()[1]
            time.sleep(0.01)
        source.write_bytes((FOLDER / "changing-after.csv").read_bytes())
        out, err = going.communicate(timeout=120)
    finally:
        if going.poll() is None:
            going.send_signal(signal.SIGKILL)
            going.communicate()
    played = read_back(cli, server, case, Ended(going.returncode, out, err))
    assert judge(case, played) == []


@pytest.fixture(scope="module")
def large_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("large") / "large.csv"
    script = Path(__file__).parent / "gen_large.py"
    subprocess.run([sys.executable, script, "--rows", "1000000", "--out", path], check=True, capture_output=True)
    return path


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs the system's own accounting")
def test_million_rows_are_checked_in_little_memory(cli, large_file):
    flags = ("--match", "custom:CRM_ID=client_id", "--url", "https://x.example", "--scenario", "3", "--skip-preflight")
    ended = cli("check", large_file, *flags, "--json", "--quiet", measured=True)
    assert ended.code == 0, ended.err
    assert (ended.json["rows"], ended.json["to_send"]) == (1_000_000, 1_000_000)
    assert peak_kb(ended) < 150 * 1024


AWKWARD = {2: (1, 2), 500_001: (500_000, 500_001), 777_779: (777_777,), 1_000_001: (999_999, 1_000_000)}


@pytest.mark.slow
@pytest.mark.parametrize(("start_row", "data_rows"), AWKWARD.items())
def test_difficult_rows_of_a_large_file_are_sent_correctly(cli, sandbox, large_file, start_row, data_rows):
    case = CASES["large-file"]
    server = sandbox()
    ended = cli(
        "run",
        large_file,
        *flags(case),
        *("--url", server.url, "--scenario", "3", "--rate", "none", "--concurrency", "1", "--results", "out.csv"),
        *("--start-row", start_row, "--limit", len(data_rows), "--json"),
    )
    played: Played = read_back(cli, server, case, ended)
    assert played.sent == tuple(f"{number:010d}" for number in data_rows)
    for position, number in enumerate(data_rows):
        for name, value in case["expected"]["sample_columns"].get(str(number), {}).items():
            assert played.columns[name][position] == value


def test_wrong_outcome_is_detected():
    """The negative control: a judge that finds nothing in a bad outcome would prove nothing."""
    case = CASES["csv-leading-zeros"]
    right = Played(0, "", ("000123", "0045", "7", "00000000000000000001"), (2, 3, 4, 5))
    assert judge(case, right) == []
    assert judge(case, Played(0, "", ("123", "0045", "7", "00000000000000000001"), (2, 3, 4, 5)))
    assert judge(case, Played(0, "", right.sent, (1, 2, 3, 4)))
    assert judge(case, Played(0, "", right.sent[:3], (2, 3, 4)))
    assert judge(CASES["csv-duplicate-header"], Played(0, "two columns are called email", ("a@example.com",), (2,)))
    assert judge(CASES["csv-duplicate-header"], Played(2, "something is wrong"))
