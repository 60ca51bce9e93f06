"""The counts of the mock server: requests, answers, faults, and the enrolments that really happened."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from typing import Any

from batch_enroll.sandbox.api_methods import Enrolment
from batch_enroll.sandbox.faults import FaultRule
from batch_enroll.sandbox.sliding_window import SlidingWindow


class Stats:
    """Counts since the start or the last reset; only two dictionaries grow with the number of profiles."""

    def __init__(self, *, keep: int) -> None:
        self.requests: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.codes: Counter[int] = Counter()
        self.faults: Counter[str] = Counter()
        self.ambiguous = 0
        self.late_acts = 0
        self.throttled = 0
        self.enrolled_total = 0
        self.enrolled_profiles = 0
        self.enrolled_more_than_once = 0
        self.connections = 0
        self.connections_peak = 0
        self.idle_closes = 0
        self._received: defaultdict[int, dict[str, int]] = defaultdict(dict)
        self._enrolled: defaultdict[int, dict[str, int]] = defaultdict(dict)
        self._second = SlidingWindow(1.0)
        self._tenth = SlidingWindow(0.1)
        self._arrivals: deque[float] = deque(maxlen=keep)

    def record_start(self, now: float, scenario: int | None, identity: str | None) -> int:
        """Count a request for `workflows/start`, whatever its outcome.

        Args:
            now: seconds since the counts began.
            scenario, identity: the requested enrolment; None when it is missing or malformed.
        Returns:
            Requests of this identity for this scenario, this one included; 1 without an identity.
        """
        self._second.add(now)
        self._tenth.add(now)
        self._arrivals.append(now)
        if scenario is None or identity is None:
            return 1
        return _count(self._received[scenario], identity)

    def record_enrolment(self, enrolment: Enrolment, *, client_left: bool) -> None:
        """Count an enrolment that happened."""
        times = _count(self._enrolled[enrolment.scenario], enrolment.profile)
        self.enrolled_total += 1
        self.enrolled_profiles += times == 1
        self.enrolled_more_than_once += times == 2
        self.late_acts += client_left

    def record_answer(self, status: int | None, code: int | None) -> None:
        """Count an answer; None where it has no HTTP status or no `error` of the platform."""
        self.answers["none" if status is None else str(status)] += 1
        if code is not None:
            self.codes[code] += 1

    def times_enrolled(self, enrolment: Enrolment) -> int:
        """Get how often the profile was enrolled in the scenario."""
        return self._enrolled[enrolment.scenario].get(enrolment.profile, 0)

    def record_fault(self, rule: FaultRule) -> None:
        """Count a fault."""
        self.faults[rule.fault] += 1
        self.ambiguous += rule.ambiguous

    def record_connection(self, open_now: int) -> None:
        """Count a connection with its first API request.

        Args:
            open_now: open connections that had an API request, this one included.
        """
        self.connections += 1
        self.connections_peak = max(self.connections_peak, open_now)

    def totals(self) -> dict[str, Any]:
        """Get the counts that do not grow with the number of profiles."""
        return {
            "requests": dict(self.requests),
            "answers": dict(self.answers),
            "codes": {str(code): times for code, times in self.codes.items()},
            "faults": dict(self.faults),
            "ambiguous": self.ambiguous,
            "throttled": self.throttled,
            "enrolled_total": self.enrolled_total,
            "enrolled_profiles": self.enrolled_profiles,
            "enrolled_more_than_once": self.enrolled_more_than_once,
            "late_acts": self.late_acts,
            "peak_per_s": self._second.peak,
            "peak_per_100ms": self._tenth.peak,
            "connections": self.connections,
            "connections_peak": self.connections_peak,
            "idle_closes": self.idle_closes,
        }

    def as_dict(self) -> dict[str, Any]:
        """Get the totals, `received` and `enrolments` by scenario and profile, and `arrivals` of the last starts."""
        return {
            **self.totals(),
            "received": {str(scenario): by_profile for scenario, by_profile in self._received.items()},
            "enrolments": {str(scenario): by_profile for scenario, by_profile in self._enrolled.items() if by_profile},
            "arrivals": list(self._arrivals),
        }


def _count(counts: dict[str, int], key: str) -> int:
    counts[key] = times = counts.get(key, 0) + 1
    return times
