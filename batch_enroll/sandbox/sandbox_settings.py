"""The settings of the mock server, from flags or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from batch_enroll.errors import JobError
from batch_enroll.messages import message
from batch_enroll.sandbox.faults import FaultRule, parse_faults, read_rules

DEFAULT_TOKEN = "sandbox-token"
DEFAULT_PORT = 8765


class RetryAfter(StrEnum):
    """The form of the header `Retry-After`."""

    SECONDS = "seconds"
    DATE = "date"
    ABSENT = "absent"
    NEGATIVE = "negative"
    HUGE = "huge"  #: ten hours


class ErrorStatus(StrEnum):
    """The HTTP status of an answer whose `error` is not 0; what the platform does is not public."""

    OK = "200"
    CODE = "code"  #: the same number as `error`


class ReEntry(StrEnum):
    """What a repeated start of one profile in one scenario does."""

    COUNT = "count"  #: accepted, and counted as a second enrolment, whatever the scenario's mode says
    REFUSE = "refuse"  #: refused with code 409 where the mode is `skip` or `skip_in_any_case`, else counted


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """All settings of the mock server.

    Raises:
        JobError: a number out of its range.
    """

    port: int = 0  #: 0 = a free one
    token: str = DEFAULT_TOKEN
    world_file: Path | None = None  #: None = the default open dataset
    rate_per_s: float | None = None  #: starts above it are answered with 429; None = no limit
    retry_after: RetryAfter = RetryAfter.SECONDS
    latency_s: tuple[float, float] = (0.0, 0.0)  #: every API answer is delayed by a time between these
    faults: tuple[FaultRule, ...] = ()
    seed: int = 0
    idle_timeout_s: float | None = None  #: idle connections are closed after it; None = never
    error_status: ErrorStatus = ErrorStatus.OK
    reentry: ReEntry = ReEntry.COUNT
    keep_requests: int = 1000  #: how many of the last requests and arrival times are kept

    def __post_init__(self) -> None:
        low, high = self.latency_s
        for is_valid, problem in (
            (0 <= self.port <= 65535, message("sandbox.port_range", port=str(self.port))),
            (self.token != "", message("sandbox.token_empty")),
            (self.rate_per_s is None or self.rate_per_s > 0, message("sandbox.rate_range", rate=self.rate_per_s)),
            (0 <= low <= high, message("sandbox.latency_range", low=low, high=high)),
            (self.idle_timeout_s is None or self.idle_timeout_s > 0, message("sandbox.idle_timeout_range")),
            (self.keep_requests >= 0, message("sandbox.keep_requests_range")),
        ):
            if not is_valid:
                raise JobError(problem)

    def changed(self, changes: Mapping[str, Any]) -> SandboxSettings:
        """Make a changed copy from JSON values.

        Raises:
            JobError: an unknown name or an impossible value.
        """
        names = [field.name for field in fields(self)]
        if unknown := sorted(changes.keys() - set(names)):
            raise JobError(message("sandbox.unknown_setting", names=unknown, known=names))
        try:
            return replace(self, **{name: _read(name, value) for name, value in changes.items()})
        except (TypeError, ValueError) as error:
            raise JobError(message("sandbox.invalid_setting", reason=str(error))) from None

    @classmethod
    def from_json(cls, line: str) -> SandboxSettings:
        """Read the output of `to_json`; missing fields get their defaults.

        Raises:
            JobError: not a JSON object, an unknown name or an impossible value.
        """
        try:
            changes = json.loads(line)
        except ValueError:
            changes = None
        if not isinstance(changes, dict):
            raise JobError(message("sandbox.settings_not_json"))
        return cls().changed(changes)

    def to_json(self) -> str:
        """Encode the settings as one line of JSON."""
        return json.dumps(asdict(self), default=str)


def _read(name: str, value: Any) -> Any:
    return _READERS[name](value) if name in _READERS and value is not None else value


def _latency(value: Any) -> tuple[float, float]:
    low, high = map(float, value if isinstance(value, list | tuple) else [value, value])
    return low, high


_READERS: dict[str, Callable[[Any], Any]] = {
    "world_file": lambda value: Path(value),
    "retry_after": lambda value: RetryAfter(value),
    "latency_s": _latency,
    "faults": lambda value: parse_faults(value) if isinstance(value, str) else read_rules(value),
    "error_status": lambda value: ErrorStatus(value),
    "reentry": lambda value: ReEntry(value),
}
