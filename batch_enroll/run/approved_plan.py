"""A plan that a person approved, as a file: `check --save` writes it, `run --plan` sends nothing else.

The file holds hashes, settings and counts, never the token or personal data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from batch_enroll.atomic_file import write_atomic
from batch_enroll.clock import local_time
from batch_enroll.config.job import Job
from batch_enroll.errors import JobError
from batch_enroll.loading import sha256_of
from batch_enroll.messages import Message, message
from batch_enroll.models import Notice
from batch_enroll.os_errors import translate_os_errors
from batch_enroll.reporting.formatting import duration_text
from batch_enroll.reporting.plan_table import PlanView
from batch_enroll.run.earlier_runs import mapping_changes

_MARK = "batch_enroll_plan"
PLAN_BEGINS = re.compile(rf'\{{\s*"{_MARK}": '.encode())
_MAX_BYTES = 1_000_000  # a plan has a few thousand; a larger file is none
_READ_SETTINGS = ("sheet", "header_row", "encoding", "delimiter", "start_row", "limit")
_SEND_SETTINGS = ("duplicates", "window", "again", "delivery")  # settings of [send] that decide who gets what how often


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ApprovedInput(_Part):
    """The file's name for people, its content's hash, and how it is read."""

    name: str
    sha256: str
    read: dict[str, Any]


class ApprovedScenario(_Part):
    """The scenario as the platform listed it; all but the number is None when it was not asked."""

    id: int
    name: str | None
    database: int | None
    mode: str | None


class ApprovedMapping(_Part):
    """What profiles are matched by, and which columns are sent along."""

    match: dict[str, Any]
    content: dict[str, str]


class ApprovedCounts(_Part):
    """The numbers that the person saw."""

    rows: int
    to_send: int
    duplicates: int
    already_enrolled: int
    held: int
    invalid: int


class ApprovedPlan(_Part):
    """Everything that must not have changed when the plan is sent."""

    batch_enroll_plan: Literal[1]
    saved_at: str  #: ISO 8601, UTC
    url: str
    scenario: ApprovedScenario
    input: ApprovedInput
    mapping: ApprovedMapping
    settings: dict[str, Any]
    counts: ApprovedCounts


class ApprovedPlanMismatch(JobError):
    """What would be sent is not what was approved; nothing was sent.

    Attributes:
        differences: at least one.
    """

    def __init__(self, differences: Sequence[Message], approved: ApprovedPlan) -> None:
        content = message("run.not_the_approved_plan", when=_approved_at(approved))
        for difference in differences:
            content = message("run.listed", first=content, item=difference)
        super().__init__(content, hint=message("run.approve_again"))
        self.differences = tuple(differences)


def approve(job: Job, plan: PlanView, *, sha256: str, now: datetime) -> ApprovedPlan:
    """Make the file's content from a plan that a person has seen."""
    was_asked = bool(plan.reentry)
    return ApprovedPlan(
        batch_enroll_plan=1,
        saved_at=now.isoformat(timespec="seconds"),
        url=job.url,
        scenario=ApprovedScenario(
            id=job.scenario,
            name=plan.scenario_name if was_asked else None,
            database=plan.database,
            mode=plan.reentry_mode if was_asked else None,
        ),
        input=ApprovedInput(name=plan.input_name, sha256=sha256, read=_read(job)),
        mapping=ApprovedMapping(**_mapping(job)),
        settings=_settings(job),
        counts=ApprovedCounts(
            rows=plan.rows,
            to_send=plan.to_send,
            duplicates=plan.duplicates,
            already_enrolled=plan.already_enrolled,
            held=plan.held,
            invalid=plan.invalid,
        ),
    )


def check_job_matches_approved(approved: ApprovedPlan | None, job: Job, source: Path | BinaryIO) -> None:
    """Compare what can be compared before a large input is read.

    Raises:
        ApprovedPlanMismatch: lists everything that changed.
        InputError: the input cannot be read.
    """
    if approved is None:
        return
    differences = list(_job_differences(approved, job))
    if isinstance(source, Path):
        differences += _file_differences(approved, sha256_of(source))
    if differences:
        raise ApprovedPlanMismatch(differences, approved)


def check_plan_matches_approved(approved: ApprovedPlan | None, plan: PlanView, *, sha256: str) -> PlanView:
    """Compare a plan with the approved one; fewer rows to send are fine, since people are enrolled meanwhile.

    Args:
        approved: None gives the plan as it is.
        sha256: of the input as it was read.
    Returns:
        The plan, with a notice that says when it was approved.
    Raises:
        ApprovedPlanMismatch: lists everything that changed.
    """
    if approved is None:
        return plan
    differences = [*_file_differences(approved, sha256), *_scenario_differences(approved.scenario, plan)]
    if plan.to_send > approved.counts.to_send:
        differences.append(message("run.differs_profiles", to_send=plan.to_send, approved=approved.counts.to_send))
    if differences:
        raise ApprovedPlanMismatch(differences, approved)
    fewer = approved.counts.to_send - plan.to_send
    notice = message(
        "run.plan_approved_fewer" if fewer else "run.plan_approved",
        when=_approved_at(approved),
        profiles=approved.counts.to_send,
        fewer=fewer,
    )
    return replace(plan, notices=(Notice(code="plan_approved", message=notice), *plan.notices))


def read_approved(path: Path) -> ApprovedPlan:
    """Read a plan file.

    Raises:
        JobError: it is not there, or no plan of this program's.
    """
    with translate_os_errors(message("run.plan_unreadable", path=str(path)), to=JobError), path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    marked = _parse_plan(content)
    if marked is None:
        raise JobError(message("run.no_plan_file", path=str(path)))
    try:
        return ApprovedPlan.model_validate(marked)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise JobError(message("run.plan_file_damaged", path=str(path), place=place)) from None


def save_approved(path: Path, plan: ApprovedPlan) -> None:
    """Write the plan, whole or not at all.

    Raises:
        JobError: it cannot be written.
    """
    with translate_os_errors(path, to=JobError):
        write_atomic(path, json.dumps(plan.model_dump(), ensure_ascii=False, indent=2).encode() + b"\n")


def _job_differences(approved: ApprovedPlan, job: Job) -> Iterator[Message]:
    if approved.url != job.url:
        yield message("run.differs_url", old=approved.url, new=job.url)
    if approved.scenario.id != job.scenario:
        yield message("run.differs_scenario", old=str(approved.scenario.id), new=str(job.scenario))
    mapping, before = _mapping(job), approved.mapping.model_dump()
    if mapping != before:
        changes = "; ".join(map(str, mapping_changes(before, mapping))) or "it has other fields"
        yield message("run.differs_mapping", changes=changes)
    yield from _setting_differences("reading the file", approved.input.read, _read(job))
    yield from _setting_differences("sending", approved.settings, _settings(job))


def _setting_differences(what: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Message]:
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            old, new = _value(before.get(name)), _value(now.get(name))
            yield message("run.differs_setting", what=what, name=name, old=old, new=new)


def _file_differences(approved: ApprovedPlan, sha256: str) -> Iterator[Message]:
    if approved.input.sha256 != sha256:
        yield message("run.differs_file", name=approved.input.name)


def _scenario_differences(approved: ApprovedScenario, plan: PlanView) -> Iterator[Message]:
    """Compare what the platform answered about the scenario, when it was asked both times."""
    if approved.name is None or not plan.reentry:
        return
    now = (plan.scenario_name, plan.database, plan.reentry_mode)
    before = (approved.name, approved.database, approved.mode)
    for what, old, new in zip(("name", "database", "re-entry mode"), before, now, strict=True):
        if old != new:
            yield message("run.differs_of_scenario", what=what, old=_value(old), new=_value(new))


def _parse_plan(content: bytes) -> dict[str, Any] | None:
    """The JSON object of a plan file; None when it is none."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and _MARK in found else None


def _read(job: Job) -> dict[str, Any]:
    return job.input.model_dump(mode="json", include=set(_READ_SETTINGS))


def _mapping(job: Job) -> dict[str, Any]:
    return job.model_dump(mode="json", by_alias=True, include={"match", "content"})


def _settings(job: Job) -> dict[str, Any]:
    return job.send.model_dump(mode="json", include=set(_SEND_SETTINGS))


def _value(value: object) -> str:
    match value:
        case None | "":
            return "none"
        case bool():
            return "yes" if value else "no"
        case float():  # of all these settings only a window
            return duration_text(value)
    return str(value)


def _approved_at(approved: ApprovedPlan) -> str:
    try:
        return local_time(datetime.fromisoformat(approved.saved_at))
    except ValueError:
        return approved.saved_at
