"""Control requests of other processes: polled for as long as a run lasts, answered, passed to its `Control`."""

from __future__ import annotations

from typing import Never

from batch_enroll.clock import Clock
from batch_enroll.control.control_commands import handle_command
from batch_enroll.control.mailbox import ControlInbox
from batch_enroll.control.run_control import Control
from batch_enroll.events import (
    Event,
    Listener,
    PlanningStarted,
    RunPlanned,
)

LOOK_S = 0.4  #: from one look for wishes of other terminals to the next


class ControlServer:
    """Listens for one run."""

    def __init__(self, control: Control, *, clock: Clock) -> None:
        self._control = control
        self._clock = clock
        self._run_id = ""
        self._inbox: ControlInbox | None = None  #: None until the run is known by its id: nobody can ask before

    def hearing(self, emit: Listener) -> Listener:
        """Learn from the run's events where it is asked, and pass them on."""

        def hear(event: Event) -> None:
            if isinstance(event, PlanningStarted | RunPlanned):
                self._run_id, self._inbox = event.run_id, ControlInbox(event.folder, clock=self._clock)
            emit(event)

        return hear

    def look(self) -> None:
        """See what is asked, do it and answer."""
        if self._inbox is not None:
            for request in self._inbox.look():
                self._inbox.answer(request, handle_command(request, self._control, run_id=self._run_id))

    async def keep_watch(self) -> Never:
        """Look again and again."""
        while True:
            self.look()
            await self._clock.sleep(LOOK_S)
