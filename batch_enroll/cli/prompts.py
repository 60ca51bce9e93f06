"""Ask the user to confirm the plan, and to continue after the canary rows."""

from __future__ import annotations

import sys
from collections.abc import Callable

import anyio

from batch_enroll.cli import console
from batch_enroll.daemon_threads import run_abandonable
from batch_enroll.messages import counted
from batch_enroll.models import Counts
from batch_enroll.reporting.plan_table import PlanView, print_plan

TRIES = 3
_SEPARATORS = dict.fromkeys(map(ord, " ,.'_’\u00a0\u202f"))


class Questions:
    """Shows the plan and asks for confirmation.

    Args:
        asks: ask on the terminal.
        approved: the plan was approved before: it is shown and not asked about.
        quiet: do not even show the plan, unless something is asked.
        before: called before anything is printed, so that a progress bar makes room.
        samples: show the first requests also off a terminal.
        confirm_above: above so many profiles their number must be typed, "yes" is not enough.
    """

    def __init__(
        self,
        *,
        asks: bool,
        approved: bool = False,
        quiet: bool,
        before: Callable[[], None],
        samples: bool = False,
        confirm_above: int,
    ) -> None:
        self._asks = asks
        self._approved = approved
        self._quiet = quiet
        self._before = before
        self._samples = samples
        self._confirm_above = confirm_above

    def show(self, plan: PlanView) -> None:
        """Show the plan, unless `quiet`."""
        self._before()
        if self._asks or not self._quiet:
            print_plan(plan, sys.stderr, samples=self._samples)
            console.print_message("")

    async def confirm(self, plan: PlanView) -> bool:
        """Show the plan and, on a terminal, ask."""
        self.show(plan)
        if not self._asks or self._approved or not plan.to_send:
            return True
        name = f" {plan.scenario_name}" if plan.scenario_name else ""
        where = f"in #{plan.scenario}{name}"
        if plan.to_send > self._confirm_above:
            question = f"To start {counted(plan.to_send, 'profile')} {where}, type their number:"
            return await _answered(_typed, plan.to_send, question)
        return await _answered(_yes, f"Start {counted(plan.to_send, 'profile')} {where}? [y/N]")

    async def look(self, counts: Counts) -> bool:
        """Ask whether to send the rest after the canary rows."""
        self._before()
        counted = ", ".join(f"{count:,} {name}" for name, count in counts.as_dict().items() if count and name != "rows")
        question = (
            f"The canary rows are finished: {counted}. Check them on the platform. Send the remaining rows? [y/N]"
        )
        return await _answered(_yes, question)


def is_number(answer: str, number: int) -> bool:
    """Tell whether a person typed a number, with or without thousands separators."""
    return answer.translate(_SEPARATORS) == str(number)


def _typed(number: int, question: str) -> bool:
    """Wait for the number; a mistyped number may be corrected, an empty line or "no" declines."""
    for tried in range(TRIES):
        answer = console.prompt(question, again=tried > 0)
        if is_number(answer, number):
            return True
        if answer.lower() in ("", "n", "no", "нет", "nein"):
            return False
        console.print_message(f"'{answer}' is not {number:,}.")
    return False


def _yes(question: str) -> bool:
    return console.prompt(question).lower() in ("y", "yes", "д", "да", "j", "ja")


async def _answered(ask: Callable[..., bool], *about: object) -> bool:
    """Wait for the answer in a thread, so that a signal or `stop` ends the waiting."""
    try:
        return await run_abandonable(ask, *about)
    except anyio.get_cancelled_exc_class():
        console.print_message("")  # the cursor stands behind the question
        raise
