"""Control requests of other processes: polled for as long as a run lasts, answered, passed to its `Control`."""

from __future__ import annotations

from typing import Never

from batch_enroll.clock import Clock
from batch_enroll.control.control_commands import handle_command
from batch_enroll.control.control_files import ControlInbox
from batch_enroll.control.run_control import Control
from batch_enroll.events import (
    Event,
    Listener,
    PlanningStarted,
    RunPlanned,
)

POLL_S = 0.4


class ControlServer:
    """Receives the control requests of one run."""

    def __init__(self, control: Control, *, clock: Clock) -> None:
        self._control = control
        self._clock = clock
        self._run_id = ""
        self._inbox: ControlInbox | None = None  #: None until the run has an id: it cannot be asked before

    def wrap_listener(self, emit: Listener) -> Listener:
        """Take the run's id and folder from its events, and pass the events on."""

        def listen(event: Event) -> None:
            if isinstance(event, PlanningStarted | RunPlanned):
                self._run_id, self._inbox = event.run_id, ControlInbox(event.folder, clock=self._clock)
            emit(event)

        return listen

    def poll(self) -> None:
        """Handle the waiting requests and reply to them."""
        if self._inbox is not None:
            for request in self._inbox.poll():
                self._inbox.send_reply(request, handle_command(request, self._control, run_id=self._run_id))

    async def serve(self) -> Never:
        """Poll until cancelled."""
        while True:
            self.poll()
            await self._clock.sleep(POLL_S)
