"""Decide whether a refusal concerns one row or the whole scenario, by asking the platform about the scenario.

It is not known which code the platform gives for a scenario that was switched off during a run: it may be new to
the run, or the same as "no such profile". So the platform is asked at the first refusal with a code that is not listed,
and when refusals follow one another without a success between, but not for each refused row. A row whose refusal
turns out to be the scenario's stays planned.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Set
from typing import Final

import anyio

from batch_enroll.errors import PreflightError
from batch_enroll.messages import Message, message
from batch_enroll.sending import Verdict

ASK_AFTER_RUNNING: Final = 3
"""Refusals running, with whatever codes, before the platform is asked; then at twice as many, and so on."""


class ScenarioRecheck:
    """Counts the refusals of one run, and asks the platform when they may concern more than their rows."""

    def __init__(
        self,
        ask: Callable[[], Awaitable[PreflightError | None]],
        *,
        accepted: Callable[[], int],
        rows_own: Set[str] = frozenset(),
    ) -> None:
        """Create a recheck that has seen no refusals.

        Args:
            ask: asks the platform, in bounded time; returns what is wrong with the job, None when nothing is or when no
                answer came.
            accepted: how many rows were accepted so far.
            rows_own: codes that are known to be about one row.
        """
        self.found: PreflightError | None = None  #: what is wrong, once it is known
        self._ask = ask
        self._accepted = accepted
        self._seen = set(rows_own)
        self._asking: anyio.Event | None = None
        self._accepted_before = 0
        self._running = 0
        self._ask_at = ASK_AFTER_RUNNING

    async def reason_to_stop(self, refusal: Verdict) -> Message | None:
        """Count a refusal; return why the next row would be refused too, None when the refusal is the row's own.

        Refusals that come while the platform is being asked wait for the same answer.
        """
        is_due = self._is_due(refusal.code)
        if self.found is None and self._asking is not None:
            await self._asking.wait()
        elif self.found is None and is_due:
            self._asking = anyio.Event()
            try:
                self.found = await self._ask()
            finally:
                self._asking.set()
                self._asking = None
        if self.found is None:
            return None
        return message("sending.no_more_rows", code=refusal.code, text=refusal.message)

    def _is_due(self, code: str) -> bool:
        accepted = self._accepted()
        if accepted != self._accepted_before:
            self._accepted_before, self._running, self._ask_at = accepted, 0, ASK_AFTER_RUNNING
        self._running += 1
        is_new = code not in self._seen
        self._seen.add(code)
        if self._running >= self._ask_at:
            self._ask_at *= 2
            return True
        return is_new
