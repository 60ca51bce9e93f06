"""What other terminals ask of a run before it sends: while its plan is made, and while the platform is asked about it.

In: the run's events, which say where it keeps its files. Out: answers; the wishes themselves are remembered by the
`Control`. Never: a row, a decision. (While the run sends, `running.send` listens itself.)
"""

from __future__ import annotations

from typing import Never

from batch_enroll.clock import Clock
from batch_enroll.events import Event, Listener, PlanBegun, RunPlanned
from batch_enroll.steering.control import Control
from batch_enroll.steering.letters import Inbox
from batch_enroll.steering.wishes import carry_out

LOOK_S = 0.4  #: from one look to the next


class Desk:
    """Listens for a run that does not send yet."""

    def __init__(self, control: Control, *, clock: Clock) -> None:
        self._control = control
        self._clock = clock
        self._run_id = ""
        self._inbox: Inbox | None = None  #: None until the run is known by its id: nobody can ask before

    def hearing(self, emit: Listener) -> Listener:
        """Learn from the run's events where it is asked, and pass them on."""

        def hear(event: Event) -> None:
            if isinstance(event, PlanBegun | RunPlanned):
                self._run_id, self._inbox = event.run_id, Inbox(event.folder, clock=self._clock)
            emit(event)

        return hear

    async def keep_watch(self) -> Never:
        """Look for what is asked, do it and answer."""
        while True:
            for request in self._inbox.look() if self._inbox else ():
                answer = carry_out(request, self._control, run_id=self._run_id)
                if self._inbox:
                    self._inbox.answer(request, answer)
            await self._clock.sleep(LOOK_S)
