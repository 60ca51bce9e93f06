"""The plan of a run, as a table and as JSON; a token is always masked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from batch_enroll.errors import LedgerError
from batch_enroll.messages import Message, message
from batch_enroll.models import Delivery, Duplicates, EnrolledBefore, Notice
from batch_enroll.reporting.earlier_runs_report import (
    RunBaseline,
    baseline_sentences,
    baseline_to_json,
    unusual_sentences,
)
from batch_enroll.reporting.formatting import duration_text, rate_text
from batch_enroll.reporting.reason_counts import ReasonLine, notice_to_json, reason_text, reason_to_json

if TYPE_CHECKING:
    from batch_enroll.reporting.rich_console import TextScreen

TOKEN_MASK = "***"
START_PATH = "/api/v1.1/workflows/start"
_SHOWN_REASONS = 10
_ONCE_EVER = "skip_in_any_case"  #: the platform's mode in which nobody enters a second time


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanView:
    """The plan of a run: rows = to_send + duplicates that are skipped + already_enrolled + held + refused_before
    + enrolled_elsewhere + invalid + settled.
    """

    run_id: str
    carries_on: bool = False  #: an unfinished run is resumed
    input_name: str
    input_form: Message | None = None  #: one phrase: the type of the file and how it was read
    notices: tuple[Notice, ...] = ()

    rows: int
    to_send: int
    duplicates: int = 0  #: rows whose identity is in an earlier row of this input
    on_duplicate: Duplicates = Duplicates.SKIP
    already_enrolled: int = 0  #: skipped: accepted in an earlier run
    held: int = 0  #: skipped: unknown since an earlier run, not resolved; in a resumed run its own unknown rows
    refused_before: int = 0  #: skipped: the platform refused the row in an earlier run of the same input
    enrolled_elsewhere: int = 0  #: skipped: a results file as input says that a run of another ledger sent them
    enrolled: int = 0  #: rows whose profile an earlier run enrolled, skipped or sent again
    last_enrolled: Message | None = None  #: when the last of them was enrolled and by which file
    enrolled_before: EnrolledBefore = EnrolledBefore.SKIP  #: what the job does with them
    invalid: int = 0
    settled: int = 0  #: have their outcome already, in a resumed run
    problems: tuple[ReasonLine, ...] = ()  #: why rows are invalid, the most frequent first; a row may have several

    url: str
    scenario: int
    scenario_name: str = ""
    database: int | None = None  #: the one in which the platform looks for the profiles; None when it did not say
    reentry: str = ""  #: one sentence: what the platform does with a profile that was in the scenario before
    reentry_mode: str = ""  #: the platform's name of the mode
    matching: str  #: `email=E-mail`
    content: tuple[tuple[str, str], ...] = ()  #: (name in the template, column) of what is sent along
    delivery: Delivery
    rate_per_s: float | None  #: None = unlimited
    concurrency: int
    canary: int = 0  #: so many rows are sent first and reviewed before the rest; 0 = no such check
    hours: str = ""  #: when requests may leave, and what that means for this plan; "" = at any time
    first_requests: tuple[str, ...] = ()  #: JSON bodies; a token in them is masked here again
    usual: RunBaseline | None = None  #: what the last runs were like; None when nothing is compared

    def __post_init__(self) -> None:
        skipped = self.duplicates if self.on_duplicate is Duplicates.SKIP else 0
        counted = self.to_send + skipped + self.already_enrolled + self.held + self.refused_before
        counted += self.enrolled_elsewhere + self.invalid + self.settled
        if counted != self.rows:
            raise LedgerError(message("report.plan_differs", rows=self.rows, counted=counted))

    @property
    def needed_s(self) -> float | None:
        """How long sending takes at the limit; None when there is none."""
        return self.to_send / self.rate_per_s if self.rate_per_s else None


def plan_to_json(plan: PlanView) -> dict[str, object]:
    """Return the plan as JSON: the fields of `PlanView` without `canary`, and `needed_s`; each token is masked."""
    return {
        "run": plan.run_id,
        "carries_on": plan.carries_on,
        "input": plan.input_name,
        "input_form": str(plan.input_form or ""),
        "notices": [notice_to_json(notice) for notice in plan.notices],
        "rows": plan.rows,
        "to_send": plan.to_send,
        "duplicates": plan.duplicates,
        "on_duplicate": plan.on_duplicate.value,
        "already_enrolled": plan.already_enrolled,
        "held": plan.held,
        "refused_before": plan.refused_before,
        "enrolled_elsewhere": plan.enrolled_elsewhere,
        "enrolled": plan.enrolled,
        "last_enrolled": str(plan.last_enrolled) if plan.last_enrolled else None,
        "enrolled_before": plan.enrolled_before.value,
        "invalid": plan.invalid,
        "settled": plan.settled,
        "problems": [reason_to_json(problem) for problem in plan.problems],
        "url": plan.url,
        "scenario": {
            "id": plan.scenario,
            "name": plan.scenario_name,
            "database": plan.database,
            "mode": plan.reentry_mode or None,
            "reentry": plan.reentry,
        },
        "matching": plan.matching,
        "delivery": plan.delivery.value,
        "rate_per_s": plan.rate_per_s,
        "concurrency": plan.concurrency,
        "needed_s": plan.needed_s,
        "hours": plan.hours or None,
        "first_requests": [_masked(body) for body in plan.first_requests],
        "usual": baseline_to_json(plan.usual) if plan.usual else None,
        "compared": list(_compared(plan)),
    }


def print_plan(plan: PlanView, stream: IO[str], *, samples: bool = False, width: int | None = None) -> None:
    """Print the plan.

    Args:
        samples: print the first requests and the cells of invalid rows, which are personal data, although the stream
            is not a terminal.
        width: wrap at this column although the stream is not a terminal.
    """
    from batch_enroll.reporting.rich_console import TextScreen

    screen = TextScreen(stream, width=width)
    title = message("report.plan_resumed" if plan.carries_on else "report.plan", run_id=plan.run_id)
    screen.line(f"{title}\n", style="bold")
    screen.columns(_settings(plan))
    screen.line()
    screen.columns(_numbers(plan), right={1})
    may_show_people = samples or stream.isatty()
    problems = [(p.count, p.text(screen.arrow, cells=may_show_people)) for p in plan.problems]
    _print_reasons("Invalid rows", problems, screen)
    _print_reasons("Notes", [(notice.count, _notice_text(notice, screen.arrow)) for notice in plan.notices], screen)
    if compared := _compared(plan):
        screen.line("\nCompared with earlier runs", style="bold")
        screen.columns([("-", sentence) for sentence in compared], styles=dict.fromkeys(_unusual(plan), "yellow"))
    if plan.first_requests and may_show_people:
        screen.line("\nFirst requests", style="bold")
        screen.unbroken(f"POST {plan.url.rstrip('/')}{START_PATH}")
        for body in plan.first_requests:
            screen.unbroken(json.dumps(_masked(body), ensure_ascii=False))


def _compared(plan: PlanView) -> tuple[str, ...]:
    if plan.usual is None:
        return ()
    return baseline_sentences(plan.usual, rows=plan.rows, to_send=plan.to_send, scenario=plan.scenario)


def _unusual(plan: PlanView) -> tuple[str, ...]:
    return unusual_sentences(plan.usual, to_send=plan.to_send, scenario=plan.scenario) if plan.usual else ()


def _settings(plan: PlanView) -> list[tuple[str, str]]:
    database = f"(database {plan.database})" if plan.database is not None else ""
    scenario = " ".join(filter(None, [f"#{plan.scenario}", plan.scenario_name, f"at {plan.url}", database]))
    return [
        ("input", f"{plan.input_name} ({plan.input_form})" if plan.input_form else plan.input_name),
        ("scenario", "\n".join(filter(None, [scenario, plan.reentry]))),
        ("matching", plan.matching),
        ("content", ", ".join(f"{name}={column}" for name, column in plan.content) or _note("no_content")),
        ("delivery", str(message(f"report.{plan.delivery.name.lower()}"))),
        ("rate", _rate_text(plan)),
        *([("canary", str(message("report.canary", rows=plan.canary)))] if plan.canary else []),
        *([("hours", plan.hours)] if plan.hours else []),
    ]


def _rate_text(plan: PlanView) -> str:
    if plan.rate_per_s is None or plan.needed_s is None:
        return str(message("report.plan_rate_unlimited", concurrency=plan.concurrency))
    rate, needed = rate_text(plan.rate_per_s), duration_text(plan.needed_s)
    return str(message("report.plan_rate", rate=rate, concurrency=plan.concurrency, needed=needed))


def _numbers(plan: PlanView) -> list[tuple[str, str, str]]:
    lines = [
        ("rows", plan.rows, ""),
        ("will be sent", plan.to_send, ""),
        ("done before", plan.settled, _note("settled")),
        ("duplicates", plan.duplicates, _note(f"duplicates_{plan.on_duplicate}")),
        ("enrolled before", plan.enrolled, _enrolled_text(plan)),
        ("held", plan.held, _note("held_resumed" if plan.carries_on else "held")),
        ("refused before", plan.refused_before, _note("refused_before")),
        ("enrolled elsewhere", plan.enrolled_elsewhere, _note("enrolled_elsewhere")),
        ("invalid", plan.invalid, _note("invalid")),
    ]
    return [(name, f"{count:,}", note) for name, count, note in lines if count or not note]


def _note(about: str) -> str:
    return str(message(f"report.{about}"))


def _enrolled_text(plan: PlanView) -> str:
    """Say what becomes of people whom an earlier run enrolled, and how to change that."""
    if plan.enrolled_before is EnrolledBefore.SEND:
        return str(message("report.enrolled_sent", last=plan.last_enrolled))
    may_enter_again = plan.reentry_mode and plan.reentry_mode != _ONCE_EVER
    return str(message("report.enrolled_may_enter" if may_enter_again else "report.enrolled", last=plan.last_enrolled))


def _notice_text(notice: Notice, arrow: str) -> str:
    return reason_text(
        message=str(notice.message), advice=notice.hint, count=notice.count, first_rows=notice.rows, arrow=arrow
    )


def _print_reasons(title: str, reasons: list[tuple[int, str]], screen: TextScreen) -> None:
    if not reasons:
        return
    screen.line(f"\n{title}", style="bold")
    shown = [(f"{count:,}" if count else "-", text) for count, text in reasons[:_SHOWN_REASONS]]
    screen.columns(shown, right={0})
    if len(reasons) > _SHOWN_REASONS:
        screen.line(f"  and {len(reasons) - _SHOWN_REASONS:,} more")


def _masked(body: str) -> dict[str, object]:
    request: dict[str, object] = json.loads(body)
    return {"token": TOKEN_MASK} | request | {"token": TOKEN_MASK}  # first, and masked whatever the body held
