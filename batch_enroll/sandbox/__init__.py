"""A local mock server of the platform with faults on request, which counts the enrolments that really happened."""

from __future__ import annotations

from collections.abc import Callable

from batch_enroll.sandbox.child_process import SandboxHandle, sandbox_process
from batch_enroll.sandbox.faults import FAULT_NAMES, FaultRule
from batch_enroll.sandbox.sandbox_settings import (
    DEFAULT_TOKEN,
    ErrorStatus,
    ReEntry,
    RetryAfter,
    SandboxSettings,
)

__all__ = [
    "DEFAULT_TOKEN",
    "FAULT_NAMES",
    "ErrorStatus",
    "FaultRule",
    "ReEntry",
    "RetryAfter",
    "SandboxHandle",
    "SandboxSettings",
    "sandbox_process",
    "serve",
]


async def serve(settings: SandboxSettings, *, started: Callable[[str], None] = lambda url: None) -> None:
    """Serve in this process until cancelled; see `batch_enroll.sandbox.server.serve`."""
    from batch_enroll.sandbox.server import serve  # loads its libraries only when needed

    await serve(settings, started=started)
