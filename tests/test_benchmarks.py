"""The parts of the benchmarks that are arithmetic: windows, the table, the words of a run. Nothing is timed."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from benchmarks.clock import clock_server, missing
from benchmarks.figures import Figure, NotRun, line, spread
from benchmarks.measures import MEASURES
from benchmarks.processes import run_words
from benchmarks.sizes import QUICK
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
def test_a_span_holds_its_first_moment_and_not_its_end(moments, span_s, most):
    assert most_in(moments, span_s) == most


def test_the_mean_counts_the_gaps_and_not_the_moments():
    assert mean_per_s([10.0, 10.5, 11.0]) == 2.0


@pytest.mark.parametrize("moments", [[], [1.0], [1.0, 1.0]])
def test_one_moment_has_no_mean(moments):
    with pytest.raises(ValueError, match="two different moments"):
        mean_per_s(moments)


def test_a_pause_parts_what_came_before_from_what_came_after():
    before, after = around_longest_pause([0.0, 0.1, 0.2, 1.3, 1.4, 1.6])
    assert (before, after) == ([0.0, 0.1, 0.2], [1.3, 1.4, 1.6])
    assert around_longest_pause([1.0]) == ([1.0], ())


@pytest.mark.parametrize(
    ("sign", "measured", "is_met"),
    [(">=", 45.0, True), (">=", 44.9, False), ("<", 45.0, False), ("<=", 45.0, True), ("<=", 45.1, False)],
)
def test_a_goal_is_met_by_its_sign(sign, measured, is_met):
    figure = Figure(what="a run", measured=measured, sign=sign, goal=45.0, form="{:.1f}x", how="3 rounds")
    assert figure.is_met is is_met
    verdict = "met" if is_met else "NOT MET"
    assert line(figure) == f"| a run | {sign} 45.0x | {measured:.1f}x | {verdict} | 3 rounds |\n"


def test_what_could_not_be_measured_says_why_and_shows_no_figure():
    assert line(NotRun(what="against newman", why="newman is not installed")) == (
        "| against newman | | | not run: newman is not installed | |\n"
    )


def test_a_figure_without_a_goal_has_no_verdict():
    assert line(Figure(what="CPU per row", measured=12.34)) == "| CPU per row | | 12.3 | |  |\n"


def test_the_spread_is_the_median_with_both_ends():
    assert spread([3.0, 1.0, 2.0]) == "2.0 (1.0-3.0)"


def test_a_run_has_no_rate_unless_one_is_given():
    def words(*flags):
        return " ".join(run_words(Path("a.csv"), "http://127.0.0.1:9", *flags, in_flight=64, folder=Path()))

    assert words("--timeout", "2").endswith("--rate none --timeout 2")
    assert words("--rate", "5").count("--rate") == 1


def test_every_measure_says_what_it_is():
    assert all(measure.__doc__ for measure in MEASURES.values())


def test_a_rival_that_is_not_here_is_named_and_has_no_figure(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    lines = [entry for name in ("newman", "wrk", "pace") for entry in MEASURES[name](QUICK)]
    assert {type(entry) for entry in lines} == {NotRun}
    whys = [entry.why for entry in lines if isinstance(entry, NotRun)]
    assert whys == ["newman is not installed", *["there is no C compiler (cc)"] * 3]


@pytest.mark.skipif(missing() != "", reason="the C server cannot run here")
def test_the_c_server_answers_split_and_joined_requests_and_refuses_the_one_it_was_told_to():
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
