"""The limits of a job that a plan must keep, and the time until which requests may be sent."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce

from batch_enroll.clock import Clock, Deadline, local_time_of_day
from batch_enroll.config.job import Job, StopSection
from batch_enroll.errors import JobError
from batch_enroll.messages import Message, hint_of, message
from batch_enroll.models import StopCause, StopReason
from batch_enroll.reporting.earlier_runs_report import RunBaseline
from batch_enroll.reporting.plan_table import PlanView
from batch_enroll.sending import Threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRefusal:
    """One limit that a plan does not keep."""

    limit: str  #: its key in the job file's `[stop]`
    content: Message
    advice: Message | None = None  #: what to do about it, if the catalogue has no hint for `content`

    @property
    def message(self) -> str:
        """One sentence, in the current wording."""
        return str(self.content)

    @property
    def hint(self) -> str:
        """What to do about it, in the current wording."""
        return str(self.advice) if self.advice else hint_of(self.content)

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
        super().__init__(
            reduce(lambda first, rest: message("run.lines", first=first, rest=rest), (one.content for one in refusals)),
            hint=message("run.nothing_sent"),
        )
        self.refusals = tuple(refusals)
        self.plan = plan

    @property
    def hint(self) -> str:
        """That nothing was sent, and what to do about each limit."""
        return " ".join([*map(str, self.advice), *dict.fromkeys(refusal.hint for refusal in self.refusals)])


class SendDeadlines:
    """The job's deadline and the end of its allowed hours: from then on no row is sent any more."""

    def __init__(self, job: Job, clock: Clock) -> None:
        self._clock = clock
        self._ends: list[tuple[Deadline, Message]] = []
        if (deadline := job.deadline(clock)) is not None:
            self._ends.append((deadline, message("run.deadline", time=local_time_of_day(deadline.at))))
        if (hours := job.hours) is not None:
            closes = Deadline(at=hours.closes_at(clock.now()))
            self._ends.append((closes, message("run.hours_over", hours=str(hours))))

    def stop_reason(self) -> StopReason | None:
        """Say which of them has come; None when none has."""
        for end, said in self._ends:  # none, as a rule; asked before each row
            if end.has_passed(self._clock):
                return StopReason(said, StopCause.DEADLINE)
        return None


def broken_limits(stop: StopSection, plan: PlanView) -> tuple[PlanRefusal, ...]:
    """List the limits that a plan does not keep.

    Size and quality of the input are checked once, when it is planned: a resumed run passed them then.
    """
    broken = list(_too_many(stop.max_rows, plan.to_send))
    if not plan.carries_on:
        broken += _too_different(stop.max_change, plan)
        broken += _too_many_invalid(stop.max_invalid, plan)
    return tuple(broken)


def check_allowed_hours(job: Job, now: datetime) -> None:
    """Make sure that requests may leave now.

    Raises:
        JobError: it is outside the allowed hours.
    """
    hours = job.hours
    if hours is not None and not hours.is_open(now):
        raise JobError(message("run.outside_hours", time=hours.time_at(now), hours=str(hours)))


def hours_text(job: Job, now: datetime, *, to_send: int) -> str:
    """Say when requests may be sent and whether all rows fit into that time; "" without allowed hours."""
    hours = job.hours
    if hours is None:
        return ""
    if not hours.is_open(now):
        id = "run.hours_closed_there" if hours.zone else "run.hours_closed"
        return str(message(id, hours=str(hours), time=hours.time_at(now)))
    closes = hours.closes_at(now)
    left = to_send - math.floor((closes - now).total_seconds() * job.send.rate) if job.send.rate else 0
    if left > 0:
        return str(message("run.hours_too_short", hours=str(hours), left=left, closes=hours.time_at(closes)))
    return str(hours)


def _too_many(max_rows: int | None, to_send: int) -> Iterator[PlanRefusal]:
    if max_rows is not None and to_send > max_rows:
        yield PlanRefusal(
            limit="max_rows",
            content=message("run.limit_max_rows", to_send=to_send, max_rows=max_rows),
        )


def _too_different(max_change: str | None, plan: PlanView) -> Iterator[PlanRefusal]:
    usual = plan.usual or RunBaseline()
    median = usual.median_to_send
    if max_change is None or not median or not plan.to_send:  # a plan that sends nothing does no harm
        return
    share = float(max_change.rstrip("%")) / 100
    least, most = max(0, math.ceil(median * (1 - share))), math.floor(median * (1 + share))
    if least <= plan.to_send <= most:
        return
    needed = math.ceil(abs(plan.to_send - median) / median * 100)
    allowed = message("run.allowed_range" if least else "run.allowed_most", least=least, most=most)
    yield PlanRefusal(
        limit="max_change",
        content=message(
            "run.limit_max_change",
            to_send=plan.to_send,
            compared=message(
                "run.usual_number" if usual.is_usual else "run.earlier_number",
                median=f"{median:,.0f}",
                runs=len(usual.to_send),
            ),
            max_change=max_change,
            allowed=allowed,
            needed=needed,
        ),
    )


def _too_many_invalid(max_invalid: str | None, plan: PlanView) -> Iterator[PlanRefusal]:
    if max_invalid is None:
        return
    if Threshold.parse(max_invalid).is_passed(plan.invalid, plan.rows, least_sent=1):
        yield PlanRefusal(
            limit="max_invalid",
            content=message("run.limit_max_invalid", invalid=plan.invalid, rows=plan.rows, max_invalid=max_invalid),
        )
