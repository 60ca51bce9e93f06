"""What pruning would remove and keep, as a table and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import IO

from batch_enroll.clock import iso_utc, local_time
from batch_enroll.messages import message
from batch_enroll.models import Counts
from batch_enroll.reporting.formatting import rows_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Prunable:
    """A run or plan that can be removed."""

    run_id: str
    input_name: str
    ended_at: datetime  #: aware UTC; of a plan: when it was begun
    counts: Counts
    size: int  #: bytes that become free
    plan_only: bool = False  #: a plan or dry run that was killed; all of it is removed


@dataclass(frozen=True, slots=True, kw_only=True)
class RetainedRun:
    """A run that is old enough and is kept all the same."""

    run_id: str
    input_name: str
    why: str
    what_now: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunePlan:
    """What pruning would do."""

    before: datetime  #: aware UTC; runs that ended earlier are considered
    forget: bool  #: whom they enrolled is forgotten too
    prunable: tuple[Prunable, ...]
    kept: tuple[RetainedRun, ...]
    younger: int  #: runs that ended later

    @property
    def size(self) -> int:
        """Bytes that become free."""
        return sum(one.size for one in self.prunable)


_MIB = 1024 * 1024


def print_prune_plan(plan: PrunePlan, stream: IO[str]) -> None:
    """Print what would be removed, what is kept and why."""
    from batch_enroll.reporting.rich_console import TextScreen

    screen = TextScreen(stream)
    day = local_time(plan.before)
    if not plan.prunable:
        screen.line(str(message("report.nothing_to_prune", day=day)))
    else:
        screen.line(f"{message('report.prune', day=day)}\n", style="bold")
        screen.columns(
            [
                (
                    one.run_id,
                    f"{one.ended_at.astimezone():%Y-%m-%d}",
                    "never sent" if one.plan_only else rows_text(one.counts.rows),
                    size_text(one.size),
                    one.input_name,
                )
                for one in plan.prunable
            ],
            right={2, 3},
        )
        screen.line()
        screen.line(str(message("report.prune_forgets" if plan.forget else "report.prune_keeps")))
        screen.line(str(message("report.prune_leaves_results")))
    if plan.kept:
        screen.line("\nKept all the same\n", style="bold")
        screen.columns([(one.run_id, one.why, one.what_now) for one in plan.kept])


def prune_to_json(plan: PrunePlan, *, done: bool, busy: tuple[RetainedRun, ...] = ()) -> dict[str, object]:
    """Return the JSON object: `before`, `forget`, `done`, `bytes`, `pruned`, `kept`, `younger`."""
    left = {one.run_id for one in busy}
    gone = [one for one in plan.prunable if one.run_id not in left]
    return {
        "before": iso_utc(plan.before),
        "forget": plan.forget,
        "done": done,
        "bytes": sum(one.size for one in gone),
        "pruned": [
            {
                "run": one.run_id,
                "input": one.input_name,
                "ended_at": iso_utc(one.ended_at),
                "counts": one.counts.as_dict(),
                "bytes": one.size,
                "never_sent": one.plan_only,
            }
            for one in gone
        ],
        "kept": [
            {"run": one.run_id, "input": one.input_name, "why": one.why, "what_now": one.what_now}
            for one in (*plan.kept, *busy)
        ],
        "younger": plan.younger,
    }


def size_text(size: int) -> str:
    """`1.5 MiB`, `12 KiB`."""
    return f"{size / _MIB:,.1f} MiB" if size >= _MIB / 10 else f"{size / 1024:,.0f} KiB"
