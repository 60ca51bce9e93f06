"""Compare a plan with the last runs of the same job, as sentences and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from batch_enroll.messages import Message, message

UNUSUAL_FACTOR = 2.0
"""A number of rows to send is unusual when it is this many times the median, or the median this many times it."""


_USUAL_RUNS = 3  # with fewer runs nothing can be called usual


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBaseline:
    """Earlier runs of the same input or scenario, as the ledger remembers them."""

    any_run: bool = False  #: the ledger remembers a run at all
    scenario_used: bool = False  #: one of them used this scenario of this platform
    of_input: bool = False  #: the numbers are of runs over this very input; otherwise of any run of the scenario
    rows: tuple[int, ...] = ()  #: of the last runs, the newest first
    to_send: tuple[int, ...] = ()  #: how many rows each of them had to send, in the same order
    changed_mapping: tuple[str, ...] = ()  #: differences from the mapping of the last run
    mapped_in: str = ""  #: the run that it is compared with, and its day

    @property
    def median_to_send(self) -> float | None:
        """Rows to send of the last runs; None when there is no such run."""
        return statistics.median(self.to_send) if self.to_send else None

    @property
    def is_usual(self) -> bool:
        """There are enough runs to say what is usual."""
        return len(self.to_send) >= _USUAL_RUNS


def baseline_sentences(usual: RunBaseline, *, rows: int, to_send: int, scenario: int) -> tuple[str, ...]:
    """Compare a plan with earlier runs; never empty."""
    if not usual.any_run:
        return (str(message("report.no_earlier_run")),)
    sentences: list[str] = []
    if usual.rows:
        whose = message("report.this_input") if usual.of_input else message("report.this_scenario")
        id = "report.usual_rows" if len(usual.rows) > 1 else "report.usual_rows_once"
        sentences.append(str(message(id, rows=rows, runs=len(usual.rows), whose=whose, usual=_range(usual.rows))))
    sentences += unusual_sentences(usual, to_send=to_send, scenario=scenario)
    return tuple(sentences) or (str(message("report.no_usual_rows")),)


def unusual_sentences(usual: RunBaseline, *, to_send: int, scenario: int) -> tuple[str, ...]:
    """Return those of `baseline_sentences` that are warnings; empty when nothing is unusual."""
    if not usual.any_run:
        return ()
    sentences: list[str] = []
    if not usual.scenario_used:
        sentences.append(str(message("report.new_scenario", scenario=scenario)))
    if (factor := _factor(usual, to_send)) is not None:
        sentences.append(factor)
    if usual.changed_mapping:
        changes = "; ".join(usual.changed_mapping)
        sentences.append(str(message("report.other_mapping", run=usual.mapped_in, changes=changes)))
    return tuple(sentences)


def baseline_to_json(usual: RunBaseline) -> dict[str, object]:
    """Return the fields of `RunBaseline` and the median as a JSON object."""
    return {
        "any_run": usual.any_run,
        "scenario_used": usual.scenario_used,
        "of_input": usual.of_input,
        "rows": list(usual.rows),
        "to_send": list(usual.to_send),
        "median_to_send": usual.median_to_send,
        "changed_mapping": list(usual.changed_mapping),
    }


def _range(counts: Sequence[int]) -> Message | int:
    least, most = min(counts), max(counts)
    return least if least == most else message("report.range", least=least, most=most)


def _factor(usual: RunBaseline, to_send: int) -> str | None:
    median = usual.median_to_send if usual.is_usual else None
    if not median or not to_send:
        return None
    if to_send >= UNUSUAL_FACTOR * median:
        return str(message("report.many_rows", to_send=to_send, factor=to_send / median, median=float(median)))
    if median >= UNUSUAL_FACTOR * to_send:
        return str(message("report.few_rows", to_send=to_send, median=float(median)))
    return None
