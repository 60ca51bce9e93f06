"""What really happened: the oracle's counts.

In: arrivals, answers, faults, enrolments, each told once. Out: one JSON-ready dictionary. Never: a clock, a decision.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from typing import Any

from batch_enroll.sandbox.api_methods import Enrolment
from batch_enroll.sandbox.faults import FaultRule
from batch_enroll.sandbox.sliding_window import Window


class Stats:
    """Counts since the start or the last reset. Two dictionaries of small numbers grow with the profiles."""

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
        self._second = Window(1.0)
        self._tenth = Window(0.1)
        self._arrivals: deque[float] = deque(maxlen=keep)

    def start_arrived(self, now: float, scenario: int | None, identity: str | None) -> int:
        """A request for `workflows/start` is here, whatever becomes of it.

        Args:
            now: seconds since the counts began.
            scenario, identity: whom it asks for; None when it does not say so in a form that can be read.
        Returns:
            How often this identity has come for this scenario, this time included; 1 when there is none.
        """
        self._second.add(now)
        self._tenth.add(now)
        self._arrivals.append(now)
        if scenario is None or identity is None:
            return 1
        return _count(self._received[scenario], identity)

    def enrolled(self, enrolment: Enrolment, *, client_left: bool) -> None:
        """A profile really was enrolled."""
        times = _count(self._enrolled[enrolment.scenario], enrolment.profile)
        self.enrolled_total += 1
        self.enrolled_profiles += times == 1
        self.enrolled_more_than_once += times == 2
        self.late_acts += client_left

    def answered(self, status: int | None, code: int | None) -> None:
        """An answer is being sent; None where it shows no HTTP status or no `error` of the platform."""
        self.answers["none" if status is None else str(status)] += 1
        if code is not None:
            self.codes[code] += 1

    def times_enrolled(self, enrolment: Enrolment) -> int:
        """How often the profile was enrolled in the scenario."""
        return self._enrolled[enrolment.scenario].get(enrolment.profile, 0)

    def fired(self, rule: FaultRule) -> None:
        """A fault was played."""
        self.faults[rule.fault] += 1
        self.ambiguous += rule.ambiguous

    def connected(self, open_now: int) -> None:
        """A connection carries its first API request; so many such are open, this one included."""
        self.connections += 1
        self.connections_peak = max(self.connections_peak, open_now)

    def totals(self) -> dict[str, Any]:
        """Everything that does not grow with the number of profiles."""
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
        """The totals; `received` and `enrolments` by scenario and profile key; `arrivals` of the last starts."""
        return {
            **self.totals(),
            "received": {str(scenario): by_profile for scenario, by_profile in self._received.items()},
            "enrolments": {str(scenario): by_profile for scenario, by_profile in self._enrolled.items() if by_profile},
            "arrivals": list(self._arrivals),
        }


def _count(counts: dict[str, int], key: str) -> int:
    counts[key] = times = counts.get(key, 0) + 1
    return times
