"""What is usual for a job: its last runs, looked up in the ledger.

The last runs are those over the same input (its path, or standard input) in the same scenario of the same platform;
when there is none, those of the scenario. A run that took a part of its input (`--limit`, `--start-row`) or had nothing
to send says nothing about what is usual and is left out of the numbers.

In: a ledger and a job. Out: a `RunBaseline`. Never: a change of the ledger, a row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from batch_enroll.config.job import Job
from batch_enroll.errors import LedgerError
from batch_enroll.ledger.interface import Ledger, RunRecord, RunState
from batch_enroll.reporting.baseline_report import RunBaseline
from batch_enroll.run.run_identity import is_dry_run

LAST_RUNS = 5
_LOOKED_AT = 50  # a ledger of a thousand nights is not opened run by run


async def load_baseline(ledger: Ledger, job: Job, *, path: str, run_id: str) -> RunBaseline:
    """Find out what is usual for a job.

    Args:
        ledger: where runs are kept.
        job: its url and scenario say which runs are alike; its mapping is held against the last one's.
        path: the input's, as `path_text` gives it.
        run_id: the run that is planned now, which is no earlier one.
    """
    runs = [run for run in await ledger.runs() if _counts(run) and run.run_id != run_id]
    of_scenario = [run for run in runs if (run.url, run.scenario) == (job.url, job.scenario)]
    of_input = [run for run in of_scenario if run.input_path == path]
    alike = of_input or of_scenario
    sizes_of_input = await _sizes(ledger, of_input)
    sizes = sizes_of_input or await _sizes(ledger, of_scenario)
    return RunBaseline(
        any_run=bool(runs),
        scenario_used=bool(of_scenario),
        of_input=bool(sizes_of_input),
        rows=tuple(rows for rows, _ in sizes),
        to_send=tuple(to_send for _, to_send in sizes),
        changed_mapping=tuple(changes_of_mapping(_settings(alike[0]), _settings_of(job))) if alike else (),
        mapped_in=f"run {alike[0].run_id} of {alike[0].created_at.astimezone():%Y-%m-%d}" if alike else "",
    )


def changes_of_mapping(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Say in a few words each what is matched by or sent along otherwise.

    Args:
        before, now: two jobs' settings as the ledger keeps them.
    """
    match_before, match_now = before.get("match", {}), now.get("match", {})
    if _matching(match_before) != _matching(match_now):
        yield f"profiles were matched by {_matching(match_before)}, now by {_matching(match_now)}"
    for key, name in (("field_type", "field type"), ("resource_id", "resource"), ("country", "country")):
        old, new = match_before.get(key), match_now.get(key)
        if old != new:
            yield f"the {name} was {'none' if old is None else old}, now {'none' if new is None else new}"
    content_before, content_now = before.get("content", {}), now.get("content", {})
    for name in sorted({*content_before, *content_now}):
        old, new = content_before.get(name), content_now.get(name)
        if old is None:
            yield f"content {name} is new, from column '{new}'"
        elif new is None:
            yield f"content {name} (column '{old}') is no longer sent"
        elif old != new:
            yield f"content {name} came from column '{old}', now from '{new}'"


async def _sizes(ledger: Ledger, runs: Sequence[RunRecord]) -> list[tuple[int, int]]:
    """Rows and rows to send of the last runs that say what is usual."""
    sizes: list[tuple[int, int]] = []
    for run in runs[:_LOOKED_AT]:
        if len(sizes) == LAST_RUNS:
            break
        if _is_part(_settings(run)):
            continue
        to_send = await _to_send(ledger, run)
        if to_send:
            sizes.append((run.rows, to_send))
    return sizes


async def _to_send(ledger: Ledger, record: RunRecord) -> int:
    """How many rows the run's plan was to send, whatever became of them; 0 when the run cannot be read any more."""
    try:
        run = await ledger.open(record.run_id, read_only=True)
    except LedgerError:  # an old run that is damaged must not keep a new one from going
        return 0
    try:
        counts = await run.counts()
    finally:
        await run.close_unchanged()
    return counts.rows - counts.invalid - counts.skipped


def _counts(run: RunRecord) -> bool:
    return run.state is not RunState.PLANNING and not is_dry_run(run)


def _is_part(settings: Mapping[str, Any]) -> bool:
    taken = settings.get("input", {})
    return bool(taken.get("limit") or taken.get("start_row"))


def _matching(match: Mapping[str, Any]) -> str:
    field = f":{match['field_name']}" if match.get("field_name") else ""
    return f"{match.get('mode')}{field}={match.get('column')}"


def _settings(run: RunRecord) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads(run.settings_json)
    return settings


def _settings_of(job: Job) -> dict[str, Any]:
    return job.model_dump(mode="json", by_alias=True, include={"match", "content"})
