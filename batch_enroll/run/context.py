"""What every phase of a run works with, and the locks that keep conflicting runs apart."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from batch_enroll.clock import Clock, SystemClock
from batch_enroll.config.job import Job
from batch_enroll.control.control_server import ControlServer
from batch_enroll.control.run_control import Control
from batch_enroll.daemon_threads import entered, run_with_background
from batch_enroll.errors import RunLocked, RunStopped
from batch_enroll.events import Event, Listener, WaitingForScenario
from batch_enroll.installed_versions import tool_version
from batch_enroll.ledger.interface import Ledger
from batch_enroll.ledger.records import RunRecord
from batch_enroll.messages import message
from batch_enroll.reporting.plan_table import PlanView
from batch_enroll.run.approved_plan import ApprovedPlan
from batch_enroll.run.canary import CanaryReview
from batch_enroll.sending import Client, Transport
from batch_enroll.sending.httpx_transport import Certificates

T = TypeVar("T")

_WAIT_STEP_S = 0.5

Confirm = Callable[[PlanView], Awaitable[bool]]
"""Shown the plan before the first request, says whether to send it."""


def ignore_event(event: Event) -> None:
    """Listen to nothing."""


@dataclass(slots=True, kw_only=True)
class RunContext:
    """The arguments of one run; the fields mean what they mean for `enroll_async`."""

    job: Job
    ledger: Ledger
    token: str = ""
    emit: Listener = ignore_event
    confirm: Confirm | None = None
    look: CanaryReview | None = None
    control: Control = field(default_factory=Control)
    approved: ApprovedPlan | None = None
    transport: Transport | None = None
    clock: Clock = field(default_factory=SystemClock)

    async def supervise(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run all phases, with control requests of other processes answered in the background.

        Raises:
            RuntimeError: the control was used for another run.
        """
        self.control.expect(rate_per_s=self.job.send.rate, concurrency=self.job.send.concurrency)
        server = ControlServer(self.control, clock=self.clock)
        self.emit = server.wrap_listener(self.emit)
        return await run_with_background(work, server.serve)

    async def until_stopped(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run what comes before the first request; `stop` cancels it.

        Raises:
            RunStopped: the run was stopped.
        """
        if not self.control.reason:
            with self.control.stoppable():
                return await work()
        raise RunStopped(message("run.stopped_before_sending", reason=self.control.reason))


def job_lock(name: str, ledger: Ledger) -> AbstractContextManager[None]:
    """Lock a job, whatever its input is; a second start is refused and does not wait.

    Args:
        name: the job file's path and the profile chosen from it; "" for a job without a file: nothing is locked.
    Raises:
        RunLocked: another process runs the job.
        LedgerError: the ledger's file system cannot lock.
    """
    if not name:
        return nullcontext()
    return ledger.lock(f"job {name}", what=message("run.lock_job", job=Path(name).name.rstrip()))


@asynccontextmanager
async def scenario_lock(context: RunContext, run: RunRecord) -> AsyncIterator[None]:
    """Let one run at a time send to a scenario of a platform; the job says how long to wait for another's end.

    Two runs at the same moment would not see each other's people and enroll them twice.

    Raises:
        RunLocked: another run sends to it, also after the wait, the deadline or the allowed hours.
        RunStopped: the run was stopped while it waited.
        LedgerError: the ledger's file system cannot lock.
    """
    job, ledger, clock = context.job, context.ledger, context.clock
    name = f"scenario {job.url} {job.scenario}"
    give_up_at = clock.monotonic() + (job.send.wait or 0)
    deadline = job.deadline(clock)
    is_told = False
    async with AsyncExitStack() as stack:
        while True:
            lock = ledger.lock(
                name,
                what=message("run.lock_scenario", scenario=job.scenario, url=job.url),
                doing=message("run.lock_owner", run_id=run.run_id, input=run.input_name),
            )
            try:
                await stack.enter_async_context(entered(lock))
                break
            except RunLocked as error:
                now = clock.now()
                ends = (deadline is not None and deadline.has_passed(clock)) or (
                    job.hours is not None and not job.hours.is_open(now)
                )
                if ends or clock.monotonic() >= give_up_at:
                    raise RunLocked(error.content, hint=message("run.scenario_busy_hint")) from None
                if not is_told:
                    context.emit(WaitingForScenario(at=now, owner=error.content))
                    is_told = True
            await context.until_stopped(partial(clock.sleep, _WAIT_STEP_S))
        yield


def build_client(job: Job, token: str, transport: Transport | None) -> Client:
    """Make the client of a run; `transport` takes the place of the network."""
    return Client(
        url=job.url,
        token=token,
        timeout_s=job.send.timeout,
        user_agent=f"batch-enroll/{tool_version()}",
        transport=transport,
        certificates=Certificates(job.ca_file, job.client_cert),
    )
