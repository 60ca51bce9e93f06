"""The memory of people: whom the ledger knows as enrolled in the scenario, and what that means for a run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from batch_enroll.clock import local_time
from batch_enroll.config.job import Job
from batch_enroll.daemon_threads import run_in_thread
from batch_enroll.errors import InputError, InvalidRow
from batch_enroll.ledger.interface import Ledger, RunLedger
from batch_enroll.ledger.records import NO_PATH, PlanRules, RunRecord, RunState
from batch_enroll.mapping.row_mapper import Mapper
from batch_enroll.messages import Message, message
from batch_enroll.models import Counts, Duplicates, EnrolledBefore, Notice
from batch_enroll.run.identity_keys import identity_keys
from batch_enroll.run.row_planner import PlanCounters


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What the ledger remembers of the profiles of one plan."""

    enrolled: int = 0  #: rows whose profile was enrolled before, skipped or not
    held: int = 0  #: rows whose profile another run left unknown, skipped or not
    last_at: datetime | None = None  #: when the last of them was enrolled
    last_input: str = ""  #: by which file


def rules_for_plan(job: Job, now: datetime, *, identities: tuple[str, ...]) -> PlanRules:
    """Give what a new plan skips.

    Args:
        identities: of the same input in this and earlier releases: what the platform refused there stays refused.
    """
    send = job.send
    if send.again:
        return PlanRules(duplicates=send.duplicates, skip_enrolled=False, hold_unknown=False)
    return PlanRules(
        duplicates=send.duplicates,
        skip_enrolled=send.enrolled_before is not EnrolledBefore.SEND,
        enrolled_since=now - timedelta(seconds=send.window) if send.window else None,
        refused_by=identities,
    )


def rules_since_planned(record: RunRecord, now: datetime) -> PlanRules:
    """Give what a planned run skips of its own rows: whom other runs enrolled, or may have enrolled, since its plan.

    A run that was to send people although they were enrolled before is told only of what came after its plan: the runs
    begun later, whatever the clock said, and what earlier ones sent later.
    """
    send: dict[str, Any] = json.loads(record.settings_json)["send"]
    sends_enrolled = send["again"] or send.get("enrolled_before") == EnrolledBefore.SEND
    window = None if send["again"] else send["window"]
    return PlanRules(
        duplicates=Duplicates.SKIP,
        enrolled_since=now - timedelta(seconds=window) if window else None,
        since_planned=record.created_at if sends_enrolled else None,
    )


async def add_aliases(run: RunLedger, ledger: Ledger, job: Job) -> None:
    """Let a run that an earlier release planned be compared with what this one sends: add the present keys of its rows.

    Raises:
        LedgerError: the staged rows are gone or damaged.
    """
    if not is_of_earlier_release(run.record):
        return
    keys = await identity_keys(job, ledger)
    mapper = build_mapper(job, await run_in_thread(run.stage.columns))
    blocks = run.stage.blocks()

    def next_aliases() -> list[tuple[int, bytes]] | None:
        for block in blocks:
            found = []
            for staged in block:
                if not staged.body:
                    continue
                try:
                    _, compare = mapper.build(staged.row)
                except InvalidRow:  # by rules that are stricter now; it is sent as it was planned
                    continue
                found += [(staged.seq, key) for key in (keys.key(compare), *keys.aliases(compare))]
            return found
        return None

    while (aliases := await run_in_thread(next_aliases)) is not None:
        await run.add_aliases(aliases)


def build_mapper(job: Job, columns: tuple[str, ...]) -> Mapper:
    """Make the mapper of a job for an input with these columns.

    Raises:
        InputError, JobError: a column that the job names is not there.
    """
    return Mapper(
        columns=columns,
        scenario=job.scenario,
        matching=job.matching,
        content=job.content,
        resource_id=job.match.resource_id,
        country=job.match.country,
    )


async def recall(ledger: Ledger, counters: PlanCounters) -> Memory:
    """Say how many profiles of a plan were enrolled before, when last and by which file."""
    by_file = ""
    if counters.last_run:
        by_file = next((run.input_name for run in await ledger.runs() if run.run_id == counters.last_run), "")
    return Memory(enrolled=counters.enrolled, held=counters.held, last_at=counters.last_at, last_input=by_file)


def check_nobody_enrolled(job: Job, memory: Memory, rows: int) -> None:
    """Refuse an input with people who were, or may have been, enrolled before, when the job says `stop`.

    Raises:
        InputError: with how many, and by which file last.
    """
    if job.send.again or job.send.enrolled_before is not EnrolledBefore.STOP or not memory.enrolled + memory.held:
        return
    if not memory.enrolled:
        raise InputError(message("run.held_before_stop", held=memory.held, scenario=job.scenario))
    raise InputError(
        message(
            "run.enrolled_before_stop",
            rows=rows,
            enrolled=memory.enrolled,
            held=memory.held,
            last=last_enrolled(memory),
            scenario=job.scenario,
        )
    )


def is_nothing_left(counts: Counts, job: Job) -> bool:
    """Say whether a finished run over the same input leaves nothing that a new plan could send."""
    sends_enrolled = job.send.enrolled_before is EnrolledBefore.SEND or job.send.window
    return not sends_enrolled and not counts.invalid and not counts.not_sent and not counts.skipped


async def is_last_run_of_earlier_release(ledger: Ledger, job: Job, *, except_run: str) -> bool:
    """Say whether the scenario's last run was made by a release without `enrolled_before`."""
    for run in await ledger.runs():
        sent = run.run_id != except_run and run.state is not RunState.PLANNING
        if sent and (run.url, run.scenario) == (job.url, job.scenario):
            return is_of_earlier_release(run)
    return False


def is_of_earlier_release(run: RunRecord) -> bool:
    """Say whether a run was planned by a release without `enrolled_before`, whose keys took addresses as written."""
    return "enrolled_before" not in json.loads(run.settings_json)["send"]


def memory_notices(job: Job, memory: Memory, *, skipped: int, by_earlier_release: bool) -> list[Notice]:
    """Tell a job that does not say what it wants of people who were enrolled before, and what changed for a window.

    Args:
        skipped: rows that are not sent because another file enrolled the profile.
        by_earlier_release: the scenario's last run was made by a release in which a window meant something else.
    """
    send = job.send
    says_so = send.model_fields_set & {"enrolled_before", "window"}
    if skipped and not says_so and not send.again:
        return [
            Notice(
                code="enrolled_before_default",
                message=message("run.enrolled_before_default", count=skipped, last=last_enrolled(memory)),
                count=skipped,
            )
        ]
    if by_earlier_release and send.window and "enrolled_before" not in send.model_fields_set:
        return [Notice(code="window_changed", message=message("run.window_changed"))]
    return []


def last_enrolled(memory: Memory) -> Message | None:
    """Say when the last of the profiles was enrolled and by which file; None when none was."""
    if memory.last_at is None:
        return None
    name = memory.last_input if memory.last_input != NO_PATH else "standard input"
    return message("run.last_enrolled", when=local_time(memory.last_at), input=name)
