"""What a run asks the person: is this plan right, and shall it go on after the canary?

In: a plan, counts. Out: yes or no. Off a terminal nothing is asked and the plan is only shown.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from batch_enroll.cli import screen
from batch_enroll.cli.signals import interruptible
from batch_enroll.model import Counts
from batch_enroll.reporting.plan_table import PlanView, print_plan


class Questions:
    """Shows plans and takes answers.

    Args:
        asks: a person sits there and wants to be asked.
        quiet: do not even show the plan, unless there is something to ask.
        before: called before anything is printed, so that a progress bar makes room.
    """

    def __init__(self, *, asks: bool, quiet: bool, before: Callable[[], None]) -> None:
        self._asks = asks
        self._quiet = quiet
        self._before = before

    async def confirm(self, plan: PlanView) -> bool:
        """Show the plan and, on a terminal, ask."""
        self._before()
        if self._asks or not self._quiet:
            print_plan(plan, sys.stderr)
            screen.say("")
        if not self._asks or not plan.to_send:
            return True
        name = f" {plan.scenario_name}" if plan.scenario_name else ""
        return _yes(f"Start {plan.to_send:,} profiles in #{plan.scenario}{name}? [y/N]")

    async def look(self, counts: Counts) -> bool:
        """Ask whether to go on after the canary rows; Ctrl-C means no."""
        self._before()
        told = ", ".join(f"{count:,} {name}" for name, count in counts.as_dict().items() if count and name != "rows")
        try:
            return _yes(f"The canary rows are through: {told}. Look at the platform. Go on with the rest? [y/N]")
        except KeyboardInterrupt:
            screen.say("")
            return False


def _yes(question: str) -> bool:
    """Wait for the answer in the event loop's own thread: nothing else is going on, and Ctrl-C ends the waiting."""
    with interruptible():
        answer = screen.ask(question)
    return answer.lower() in ("y", "yes", "д", "да", "j", "ja")
