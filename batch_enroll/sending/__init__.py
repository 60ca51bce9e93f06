"""Stage 4: a start request becomes an outcome: client, classification, retry, pace, breaker and the WORKER POOL.

wire        the JSON of a request, and what of it may be shown
client      a body becomes an answer, "surely not sent" or "perhaps accepted"
direct_transport  our own connections, which carry starts; incoming parses what comes back
transport   httpx transports of one connection each: other calls, proxies, trio
codes       what the platform's error codes mean, as a table
classify    an answer becomes a verdict
limiter     when the next request may leave
retry       tenacity: when a row is tried again
cycle       one row: permit, intent on disk, send, classify, outcome on disk
pool        a number of workers over all rows
team        how many workers there are, changed while they work
breaker     when to stop the run
preflight   what the platform says about the scenario before anything is sent
flight      where a request is on its way, and the signal to stop
"""

from batch_enroll.sending.breaker import (
    Breaker,
    BreakerLimits,
    Cause,
    Limit,
    Trip,
)
from batch_enroll.sending.classify import (
    Answer,
    Verdict,
    VerdictKind,
    classify,
)
from batch_enroll.sending.client import Client, Transport
from batch_enroll.sending.codes import Class, CodeTable
from batch_enroll.sending.cycle import RowCycle, RowToSend, Wait
from batch_enroll.sending.flight import Flight, Stopped, StopSignal
from batch_enroll.sending.limiter import Limiter, Pace
from batch_enroll.sending.pool import run_pool
from batch_enroll.sending.preflight import ScenarioInfo, look_up_scenario
from batch_enroll.sending.retry import RetryPolicy
from batch_enroll.sending.team import Team
from batch_enroll.sending.wire import identity_of, restore

__all__ = [
    "Answer",
    "Breaker",
    "BreakerLimits",
    "Cause",
    "Class",
    "Client",
    "CodeTable",
    "Flight",
    "Limit",
    "Limiter",
    "Pace",
    "RetryPolicy",
    "RowCycle",
    "RowToSend",
    "ScenarioInfo",
    "StopSignal",
    "Stopped",
    "Team",
    "Transport",
    "Trip",
    "Verdict",
    "VerdictKind",
    "Wait",
    "classify",
    "identity_of",
    "look_up_scenario",
    "restore",
    "run_pool",
]
