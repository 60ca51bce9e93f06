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

from batch_enroll.sending.circuit_breaker import (
    Breaker,
    BreakerLimits,
    Threshold,
)
from batch_enroll.sending.classify import (
    HttpAnswer,
    Verdict,
    VerdictKind,
    classify,
)
from batch_enroll.sending.client import Client, Transport
from batch_enroll.sending.concurrency import ConcurrencyLimit
from batch_enroll.sending.error_codes import CodeTable, ErrorClass
from batch_enroll.sending.rate_limiter import Limiter, RateSchedule
from batch_enroll.sending.request_body import identity_of, restore
from batch_enroll.sending.retry import RetryPolicy
from batch_enroll.sending.row_sender import RowSender, RowToSend, Wait
from batch_enroll.sending.scenario_check import ScenarioInfo, look_up_scenario
from batch_enroll.sending.stop_signal import StopRequested, StopSignal, TransmissionState
from batch_enroll.sending.worker_pool import run_pool

__all__ = [
    "Breaker",
    "BreakerLimits",
    "Client",
    "CodeTable",
    "ConcurrencyLimit",
    "ErrorClass",
    "HttpAnswer",
    "Limiter",
    "RateSchedule",
    "RetryPolicy",
    "RowSender",
    "RowToSend",
    "ScenarioInfo",
    "StopRequested",
    "StopSignal",
    "Threshold",
    "TransmissionState",
    "Transport",
    "Verdict",
    "VerdictKind",
    "Wait",
    "classify",
    "identity_of",
    "look_up_scenario",
    "restore",
    "run_pool",
]
