"""The arithmetic of the benchmarks: windows, the table, the arguments of a run. Nothing is timed."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from benchmarks.figures import Figure, NotRun, line, spread
from benchmarks.measures import MEASURES
from benchmarks.processes import run_words
from benchmarks.sizes import QUICK
from benchmarks.timing_server import clock_server, missing
from benchmarks.windows import around_longest_pause, mean_per_s, most_in


@pytest.mark.parametrize(
    ("moments", "span_s", "most"),
    [
        ([], 1.0, 0),
        ([5.0], 1.0, 1),
        ([0.0, 0.5, 1.0], 1.0, 2),
        ([0.0, 0.5, 0.75, 2.0, 2.25, 2.5, 2.75], 1.0, 4),
        ([0.0] * 7 + [0.5], 0.5, 7),
    ],
)
def test_span_includes_its_start_and_excludes_its_end(moments, span_s, most):
    assert most_in(moments, span_s) == most


def test_mean_counts_the_intervals():
    assert mean_per_s([10.0, 10.5, 11.0]) == 2.0


@pytest.mark.parametrize("moments", [[], [1.0], [1.0, 1.0]])
def test_one_time_has_no_mean(moments):
    with pytest.raises(ValueError, match="two different moments"):
        mean_per_s(moments)


def test_longest_pause_splits_the_times():
    before, after = around_longest_pause([0.0, 0.1, 0.2, 1.3, 1.4, 1.6])
    assert (before, after) == ([0.0, 0.1, 0.2], [1.3, 1.4, 1.6])
    assert around_longest_pause([1.0]) == ([1.0], ())


@pytest.mark.parametrize(
    ("sign", "measured", "is_met"),
    [(">=", 45.0, True), (">=", 44.9, False), ("<", 45.0, False), ("<=", 45.0, True), ("<=", 45.1, False)],
)
def test_goal_is_compared_by_its_sign(sign, measured, is_met):
    figure = Figure(what="a run", measured=measured, sign=sign, goal=45.0, form="{:.1f}x", how="3 rounds")
    assert figure.is_met is is_met
    verdict = "met" if is_met else "NOT MET"
    assert line(figure) == f"| a run | {sign} 45.0x | {measured:.1f}x | {verdict} | 3 rounds |\n"


def test_missing_measurement_gives_the_reason():
    assert line(NotRun(what="against newman", why="newman is not installed")) == (
        "| against newman | | | not run: newman is not installed | |\n"
    )


def test_figure_without_a_goal_is_neither_met_nor_missed():
    assert line(Figure(what="CPU per row", measured=12.34)) == "| CPU per row | | 12.3 | |  |\n"


def test_spread_is_the_median_with_minimum_and_maximum():
    assert spread([3.0, 1.0, 2.0]) == "2.0 (1.0-3.0)"


def test_run_has_no_rate_by_default():
    def words(*flags):
        return " ".join(run_words(Path("a.csv"), "http://127.0.0.1:9", *flags, in_flight=64, folder=Path()))

    assert words("--timeout", "2").endswith("--rate none --timeout 2")
    assert words("--rate", "5").count("--rate") == 1


def test_every_measure_has_a_docstring():
    assert all(measure.__doc__ for measure in MEASURES.values())


def test_missing_programs_are_reported(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    lines = [entry for name in ("newman", "wrk", "rate") for entry in MEASURES[name](QUICK)]
    assert {type(entry) for entry in lines} == {NotRun}
    whys = [entry.why for entry in lines if isinstance(entry, NotRun)]
    assert whys == ["newman is not installed", *["there is no C compiler (cc)"] * 3]


@pytest.mark.skipif(missing() != "", reason="the C server cannot run here")
def test_c_server_parses_split_and_pipelined_requests():
    request = b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody"
    with clock_server(set(), delay_ms=5, refuse_at=2, retry_after_s=7) as server:
        address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        with socket.create_connection(address, timeout=30) as connection:
            for part in (request[:20], request[20:-2], request[-2:] + request + request):
                connection.sendall(part)
            answers = b""
            while answers.count(b"HTTP/1.1 ") < 3 or not answers.endswith(b"}"):
                answers += connection.recv(4096)
    statuses = [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"429", b"200"]
    assert answers.count(b"Retry-After: 7\r\n") == 1
    assert len(server.moments) == 3
    assert server.moments == sorted(server.moments)
