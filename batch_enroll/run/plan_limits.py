"""The standing limits of a job: what must hold before anything leaves, and until when requests may leave.

In: the job's limits, a plan, a moment. Out: the reasons why the plan may not be sent. Never: I/O, a question; a person
who knows better raises the limit for once by its flag.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from batch_enroll.config.job import Job, StopSection
from batch_enroll.errors import JobError
from batch_enroll.reporting.formatting import rows_text
from batch_enroll.reporting.plan_table import PlanView
from batch_enroll.sending import Threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRefusal:
    """One limit that a plan does not keep."""

    limit: str  #: its key in the job file's `[stop]`
    message: str  #: one sentence
    hint: str  #: what to do about it

    def as_dict(self) -> dict[str, str]:
        """The JSON object."""
        return {"limit": self.limit, "message": self.message, "hint": self.hint}


class PlanLimitExceeded(JobError):
    """The plan does not keep the job's limits; nothing was sent.

    Attributes:
        refusals: at least one.
        plan: what would have been sent.
    """

    def __init__(self, refusals: Sequence[PlanRefusal], plan: PlanView) -> None:
        hints = " ".join(dict.fromkeys(refusal.hint for refusal in refusals))
        super().__init__("\n".join(refusal.message for refusal in refusals), hint=f"Nothing was sent. {hints}")
        self.refusals = tuple(refusals)
        self.plan = plan


@dataclass(frozen=True, slots=True)
class SendDeadline:
    """When to take no more rows, and why."""

    at: datetime
    reason: str


def broken_limits(stop: StopSection, plan: PlanView) -> tuple[PlanRefusal, ...]:
    """List the limits that a plan does not keep.

    Size and quality of the input are looked at once, when it is planned: a run that carries on was let through then.
    """
    broken = list(_too_many(stop.max_rows, plan.to_send))
    if not plan.carries_on:
        broken += _too_unusual(stop.max_change, plan)
        broken += _too_many_invalid(stop.max_invalid, plan)
    return tuple(broken)


def check_allowed_hours(job: Job, now: datetime) -> None:
    """Make sure that requests may leave now.

    Raises:
        JobError: it is outside the allowed hours.
    """
    hours = job.hours
    if hours is not None and not hours.is_open(now):
        raise JobError(
            f"It is {hours.time_at(now)} now, outside the allowed hours {hours}.",
            hint="Nothing was sent. Give the same command again within these hours, or change allowed_hours.",
        )


def end_of_sending(job: Job, now: datetime) -> SendDeadline | None:
    """Find what comes first, the job's deadline or the end of its allowed hours; None when it has neither."""
    ends: list[SendDeadline] = []
    if (deadline := job.deadline_at(now)) is not None:
        ends.append(SendDeadline(deadline, f"The deadline {deadline.astimezone():%H:%M} has come."))
    if (hours := job.hours) is not None:
        ends.append(SendDeadline(hours.closes_at(now), f"The allowed hours {hours} are over."))
    return min(ends, key=lambda end: end.at, default=None)


def hours_text(job: Job, now: datetime, *, to_send: int) -> str:
    """Say in the plan when requests may leave and whether the rows get through in that time; "" without such hours."""
    hours = job.hours
    if hours is None:
        return ""
    if not hours.is_open(now):
        there = " there" if hours.zone else ""
        return f"{hours}; it is {hours.time_at(now)}{there} now, so nothing would be sent"
    closes = hours.closes_at(now)
    left = to_send - math.floor((closes - now).total_seconds() * job.send.rate) if job.send.rate else 0
    if left > 0:
        when = hours.time_at(closes)
        return f"{hours}; about {rows_text(left)} will be left at {when}, for the same command to carry on with"
    return str(hours)


def _too_many(max_rows: int | None, to_send: int) -> Iterator[PlanRefusal]:
    if max_rows is not None and to_send > max_rows:
        yield PlanRefusal(
            limit="max_rows",
            message=f"{to_send:,} rows would be sent, but max_rows allows {max_rows:,}.",
            hint="Look whether this is the right file; if it is, raise max_rows.",
        )


def _too_unusual(max_change: str | None, plan: PlanView) -> Iterator[PlanRefusal]:
    median = plan.usual.median_to_send if plan.usual is not None else None
    if max_change is None or not median or not plan.to_send:  # a plan that sends nothing harms nobody
        return
    share = float(max_change.rstrip("%")) / 100
    least, most = max(0, math.ceil(median * (1 - share))), math.floor(median * (1 + share))
    if least <= plan.to_send <= most:
        return
    needed = math.ceil(abs(plan.to_send - median) / median * 100)
    allowed = f"{least:,} to {most:,}" if least else f"at most {most:,}"
    yield PlanRefusal(
        limit="max_change",
        message=f"{plan.to_send:,} rows would be sent; {median:,.0f} are usual (the median of the last runs), "
        f"and max_change {max_change} allows {allowed}.",
        hint=f"Look whether file and scenario are the right ones; if they are, give --max-change {needed}% this once.",
    )


def _too_many_invalid(max_invalid: str | None, plan: PlanView) -> Iterator[PlanRefusal]:
    if max_invalid is None:
        return
    if Threshold.parse(max_invalid).is_passed(plan.invalid, plan.rows, least_sent=1):
        yield PlanRefusal(
            limit="max_invalid",
            message=f"{plan.invalid:,} of {plan.rows:,} rows are invalid, but max_invalid allows {max_invalid}.",
            hint="`check` with --problems FILE lists them: correct them, or raise max_invalid.",
        )
