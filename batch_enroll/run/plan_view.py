"""The plan as people see it: a plan, the job, what the platform says of the scenario and what is usual, in one view.

In: these four, and the time. Out: a `PlanView`. Never: I/O.
"""

from __future__ import annotations

from datetime import datetime

from batch_enroll.advice import advice_for
from batch_enroll.config.job import Job
from batch_enroll.models import Notice, RowStatus
from batch_enroll.reporting.baseline_report import RunBaseline
from batch_enroll.reporting.plan_table import PlanView
from batch_enroll.reporting.reasons import ReasonLine
from batch_enroll.run.plan import Plan
from batch_enroll.run.plan_limits import hours_text
from batch_enroll.sending import ScenarioInfo


def build_plan_view(
    plan: Plan, job: Job, scenario: ScenarioInfo | None, *, input_name: str, usual: RunBaseline | None, now: datetime
) -> PlanView:
    """Put everything that is known before the first request into the form in which people see it."""
    counts = plan.counts
    settled = counts.success + counts.error + counts.unknown + (counts.skipped if plan.resumed else 0)
    return PlanView(
        run_id=plan.run_id,
        carries_on=plan.resumed,
        input_name=input_name,
        input_form=plan.form,
        notices=(*plan.notices, *_of_scenario(scenario)),
        rows=counts.rows,
        to_send=counts.not_sent,
        duplicates=plan.duplicates,
        on_duplicate=job.send.duplicates,
        already_enrolled=plan.enrolled_before,
        held=plan.held,
        invalid=counts.invalid,
        settled=settled,
        problems=tuple(
            ReasonLine(
                status=RowStatus.INVALID,
                code=kind.code,
                message=kind.example,
                count=kind.count,
                first_rows=kind.first_rows,
                advice=advice_for(kind.code),
            )
            for kind in plan.invalid
        ),
        url=job.url,
        scenario=job.scenario,
        scenario_name=scenario.name if scenario else "",
        database=scenario.database if scenario else None,
        reentry=scenario.repeated_start if scenario else "",
        reentry_mode=scenario.mode if scenario else "",
        matching=str(job.matching),
        delivery=job.send.delivery,
        rate_per_s=job.send.rate,
        concurrency=job.send.concurrency,
        hours=hours_text(job, now, to_send=counts.not_sent),
        first_requests=plan.samples,
        usual=usual,
    )


def _of_scenario(scenario: ScenarioInfo | None) -> tuple[Notice, ...]:
    """What people should hear of a scenario that the platform lists as active.

    A missing start node is no refusal: the list's own form differs between the platform's versions, and a person who
    sees the scenario knows better.
    """
    if scenario is None or scenario.has_default_start is not False:
        return ()
    return (
        Notice(
            code="no_default_start",
            message=f"Scenario {scenario.scenario} lists no start node named Default, and profiles started through the "
            "API enter by that one: the platform may refuse every row, or accept it and send nothing.",
            advice="Look at the scenario's start nodes in the platform, or try --canary 1 first.",
        ),
    )
