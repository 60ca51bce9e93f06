"""The table of the platform's error codes and what they mean for row and run; a job file can extend it.

Source: reference of the platform, error codes; only 400 to 403 are documented, 440 was seen by others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class ErrorClass(StrEnum):
    """What happens after an error code, in the words of the job file's `[codes]`."""

    ROW = "row"  #: this row was refused; the run goes on
    FATAL = "fatal"  #: the next row would be refused too; the run stops and the row stays planned
    RETRY = "retry"  #: surely not accepted; sent again after a wait
    UNKNOWN = "unknown"  #: perhaps accepted
    SUSPECT = "suspect"  #: refused; the run stops when it is the first answer or comes twice running


DEFAULT_CODES: Mapping[int, ErrorClass] = MappingProxyType(
    {
        400: ErrorClass.ROW,
        401: ErrorClass.FATAL,  # no token, and probably a wrong one
        402: ErrorClass.FATAL,  # the tariff's limit
        403: ErrorClass.FATAL,  # no right
        404: ErrorClass.ROW,
        429: ErrorClass.RETRY,
        440: ErrorClass.SUSPECT,  # not documented; seen with a token that did not work
    }
)
_FIRST_SERVER_CODE = 500


@dataclass(frozen=True, slots=True)
class CodeTable:
    """The default classes with the job's own over them.

    Raises:
        ValueError: code 0, which is success and cannot be anything else.
    """

    overrides: Mapping[int, ErrorClass] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if 0 in self.overrides:
            raise ValueError("code 0 is success and cannot be given another meaning")
        object.__setattr__(self, "overrides", MappingProxyType(dict(self.overrides)))

    def class_of(self, code: int) -> ErrorClass:
        """Say what a code other than 0 means; one that nobody listed is a row's error, from 500 on unknown."""
        listed = self.overrides.get(code) or DEFAULT_CODES.get(code)
        return listed or (ErrorClass.UNKNOWN if code >= _FIRST_SERVER_CODE else ErrorClass.ROW)

    def suspects(self) -> frozenset[str]:
        """List the suspect codes as outcomes carry them, for the breaker."""
        return self._listed_as(ErrorClass.SUSPECT)

    def rows_own(self) -> frozenset[str]:
        """List the codes that surely are about one row, as outcomes carry them, for the breaker."""
        return self._listed_as(ErrorClass.ROW)

    def _listed_as(self, kind: ErrorClass) -> frozenset[str]:
        merged = {**DEFAULT_CODES, **self.overrides}
        return frozenset(str(code) for code, listed in merged.items() if listed is kind)
