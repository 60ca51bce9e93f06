"""Make the client that talks to the platform for one run."""

from __future__ import annotations

from batch_enroll.config.job import Job
from batch_enroll.sending import Client, Transport
from batch_enroll.versions import tool_version


def build_client(job: Job, token: str, transport: Transport | None) -> Client:
    """Make the client of a run; `transport` takes the place of the network."""
    return Client(
        url=job.url,
        token=token,
        timeout_s=job.send.timeout,
        user_agent=f"batch-enroll/{tool_version()}",
        transport=transport,
    )
