"""Compare a job with its last runs in the ledger: their sizes and their mapping.

The last runs are those over the same input (its path, or standard input) in the same scenario of the same platform,
else those of the scenario. A run over a part of its input (`limit`, `start_row`), over the failed or unknown rows of
another run, or with nothing to send is not counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from batch_enroll.canonical_address import canonical_path
from batch_enroll.config.job import Job
from batch_enroll.errors import LedgerError
from batch_enroll.ledger.interface import Ledger
from batch_enroll.ledger.records import NO_PATH, RunRecord, RunState
from batch_enroll.messages import Message, message
from batch_enroll.reporting.earlier_runs_report import RunBaseline
from batch_enroll.reporting.result_paths import is_failed_file
from batch_enroll.run.run_identity import is_dry_run

LAST_RUNS = 5
_LOOKED_AT = 50  # else every run of a large ledger would be opened


async def load_baseline(ledger: Ledger, job: Job, *, path: str, run_id: str) -> RunBaseline:
    """Load what the last runs of a job were like.

    Args:
        ledger: where runs are kept.
        job: its url and scenario select the runs; its mapping is compared with the last one's.
        path: the input's, as `path_text` gives it.
        run_id: the run that is planned now, which is left out.
    """
    runs = [run for run in await ledger.runs() if _is_sent(run) and run.run_id != run_id]
    of_scenario = [run for run in runs if (run.url, run.scenario) == (job.url, job.scenario)]
    place = canonical_place(path)
    of_input = [run for run in of_scenario if run.input_path == path or canonical_place(run.input_path) == place]
    alike = of_input or of_scenario
    sizes_of_input = await _sizes(ledger, of_input)
    sizes = sizes_of_input or ([] if is_failed_file(Path(path).name) else await _sizes(ledger, of_scenario))
    return RunBaseline(
        any_run=bool(runs),
        scenario_used=bool(of_scenario),
        of_input=bool(sizes_of_input),
        rows=tuple(rows for rows, _ in sizes),
        to_send=tuple(to_send for _, to_send in sizes),
        changed_mapping=tuple(map(str, mapping_changes(_settings(alike[0]), _job_mapping(job)))) if alike else (),
        mapped_in=f"run {alike[0].run_id} of {alike[0].created_at.astimezone():%Y-%m-%d}" if alike else "",
    )


def mapping_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Message]:
    """List what two jobs match by or send along differently.

    Args:
        before, now: the jobs' settings as the ledger keeps them.
    """
    match_before, match_now = before.get("match", {}), now.get("match", {})
    if _matching(match_before) != _matching(match_now):
        yield message("run.mapping_matching", old=_matching(match_before), new=_matching(match_now))
    for key, name in (("field_type", "field type"), ("resource_id", "resource"), ("country", "country")):
        old, new = match_before.get(key), match_now.get(key)
        if old != new:
            yield message("run.mapping_setting", name=name, old=_or_none(old), new=_or_none(new))
    content_before, content_now = before.get("content", {}), now.get("content", {})
    for name in sorted({*content_before, *content_now}):
        old, new = content_before.get(name), content_now.get(name)
        if old is None:
            yield message("run.mapping_new", name=name, column=new)
        elif new is None:
            yield message("run.mapping_removed", name=name, column=old)
        elif old != new:
            yield message("run.mapping_column", name=name, old=old, new=new)


def _or_none(value: object) -> str:
    return "none" if value is None else str(value)


def canonical_place(path: str) -> str:
    """Give an input's place in canonical form: through a link or a linked folder it is the same file."""
    return path if path == NO_PATH or "://" in path else str(canonical_path(Path(path)))


async def _sizes(ledger: Ledger, runs: Sequence[RunRecord]) -> list[tuple[int, int]]:
    """Give rows and rows to send of the last runs that count."""
    sizes: list[tuple[int, int]] = []
    for run in runs[:_LOOKED_AT]:
        if len(sizes) == LAST_RUNS:
            break
        if _is_part(_settings(run)) or is_failed_file(run.input_name):
            continue
        to_send = await _to_send(ledger, run)
        if to_send:
            sizes.append((run.rows, to_send))
    return sizes


async def _to_send(ledger: Ledger, record: RunRecord) -> int:
    """Give how many rows the run planned to send, whatever their outcome; 0 when it cannot be read any more."""
    try:
        run = await ledger.open(record.run_id, read_only=True)
    except LedgerError:  # an old run that is damaged must not block a new one
        return 0
    try:
        counts = await run.counts()
    finally:
        await run.close_unchanged()
    return counts.rows - counts.invalid - counts.skipped


def _is_sent(run: RunRecord) -> bool:
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


def _job_mapping(job: Job) -> dict[str, Any]:
    return job.model_dump(mode="json", by_alias=True, include={"match", "content"})
