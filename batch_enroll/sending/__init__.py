"""Stage 4: a start request becomes an outcome."""

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
from batch_enroll.sending.row_sender import RowObserver, RowSender, RowToSend, SendingRules, StartClient
from batch_enroll.sending.scenario_check import MethodCaller, ScenarioInfo, check_scenario, list_scenarios
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
    "MethodCaller",
    "RateSchedule",
    "RetryPolicy",
    "RowObserver",
    "RowSender",
    "RowToSend",
    "ScenarioInfo",
    "SendingRules",
    "StartClient",
    "StopRequested",
    "StopSignal",
    "Threshold",
    "TransmissionState",
    "Transport",
    "Verdict",
    "VerdictKind",
    "check_scenario",
    "classify",
    "identity_of",
    "list_scenarios",
    "restore",
    "run_pool",
]
