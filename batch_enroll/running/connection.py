"""The way to the platform for one run: a client, and other processes beside it when the job wants them.

In: a job and the token. Out: a client; the function that carries one start. Never: a request.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

from batch_enroll.installed import tool_version
from batch_enroll.job import Job
from batch_enroll.running.send import Send
from batch_enroll.sending import Client, Transport


def client_of(job: Job, token: str, transport: Transport | None) -> Client:
    """Make the client of a run; `transport` takes the place of the network."""
    return Client(transport=transport, **_settings(job, token))


async def carrier_of(
    job: Job, token: str, client: Client, transport: Transport | None, *, stack: AsyncExitStack
) -> Send:
    """Give what carries the starts: the client itself, or a crew of processes, which ends with the stack."""
    if job.send.processes == 1 or transport is not None:  # no test's transport reaches into another process
        return client.start
    from batch_enroll.sending.crew import Crew  # few runs need more than one process

    crew = Crew(processes=job.send.processes, **_settings(job, token))
    return (await stack.enter_async_context(crew)).start


def _settings(job: Job, token: str) -> dict[str, Any]:
    """What every client of a run is made of, in this process and in others: JSON values."""
    return {
        "url": job.url,
        "token": token,
        "timeout_s": job.send.timeout,
        "user_agent": f"batch-enroll/{tool_version()}",
    }
