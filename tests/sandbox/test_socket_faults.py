"""Every fault through a real socket: what the client sees, and what the mock server counts."""

from __future__ import annotations

import pytest

from batch_enroll.sandbox.faults import (
    AFTER,
    BEFORE,
    FAULT_NAMES,
    FaultKind,
    FaultRule,
)
from batch_enroll.sandbox.scripted_response import GARBAGE
from tests.support.sandbox import RawClient, RawResponse, wait_until

EMAIL = "john@example.com"
KEY = f"email:{EMAIL}"

# shape -> how the raw client's request ends, the HTTP status it can read, a piece of what it hears
HEARD = {
    FaultKind.DROP: ("closed", None, b""),
    FaultKind.RESET: ("reset", None, b""),
    FaultKind.SILENCE: ("silent", None, b""),
    FaultKind.TRICKLE: ("answered", 200, b'"error": 0'),
    FaultKind.TRUNCATED_HEADER: ("closed", 200, b"Content-Le"),
    FaultKind.TRUNCATED_BODY: ("closed", 200, b'{"error": 0'),
    FaultKind.GARBAGE: ("closed", None, GARBAGE),
    FaultKind.HTTP_500: ("answered", 500, b'"error": 500'),
    FaultKind.HTTP_502: ("answered", 502, b"502 Bad Gateway</h1>"),
    FaultKind.HTTP_503: ("answered", 503, b"503 Service Unavailable</h1>"),
    FaultKind.HTTP_504: ("answered", 504, b"504 Gateway Timeout</h1>"),
    FaultKind.REDIRECT_302: ("answered", 302, b"Location: /login"),
    FaultKind.HTML_200: ("answered", 200, b"<!doctype html>"),
    FaultKind.EMPTY_200: ("answered", 200, b"Content-Length: 0"),
    FaultKind.NO_ERROR_200: ("answered", 200, b'{"status": "ok"}'),
    FaultKind.ERROR_BOOL_200: ("answered", 200, b'"error": false'),
    FaultKind.ERROR_STRING_200: ("answered", 200, b'"error": "0"'),
    FaultKind.ERROR_500_200: ("answered", 200, b'"error": 500'),
    FaultKind.LATE_ACT: ("answered", 200, b'"error": 0'),
    FaultKind.CLOSE_AFTER_ANSWER: ("answered", 200, b'"error": 0'),
    FaultKind.HTTP_429: ("answered", 429, b"Retry-After: 1"),
    FaultKind.HTTP_503_RETRY_AFTER: ("answered", 503, b"Retry-After: 1"),
    FaultKind.TOKEN_REVOKED: ("answered", 200, b'"error": 401'),
    FaultKind.SCENARIO_OFF: ("answered", 200, b'"error": 423'),
    FaultKind.TARIFF_LIMIT: ("answered", 200, b'"error": 402'),
}
ENROLS = {name for name in FAULT_NAMES if name.endswith(AFTER)} | {"late_act", "close_after_answer"}
DELAYS = {FaultKind.TRICKLE: 0.001, FaultKind.LATE_ACT: 0.05}


def only(name: str) -> list[FaultRule]:
    """The fault, on the first start only."""
    return [FaultRule(fault=name, nth=(1,), delay_s=DELAYS.get(FaultRule(fault=name).kind))]


@pytest.mark.parametrize("name", FAULT_NAMES)
def test_client_sees_the_fault_and_stats_the_truth(sandbox, name):
    server = sandbox(faults=only(name))
    rule = FaultRule(fault=name)
    ending, status, piece = HEARD[rule.kind]
    with RawClient(server) as client:
        client.send(id=3, matching="email", email=EMAIL)
        response = client.receive(timeout_s=0.05 if ending == "silent" else 10)
    assert (response.ending, response.status) == (ending, status)
    assert piece in response.data
    counted = server.stats()
    assert counted["enrolments"] == ({"3": {KEY: 1}} if name in ENROLS else {})
    assert counted["received"] == {"3": {KEY: 1}}
    assert counted["faults"] == {name: 1}
    assert counted["ambiguous"] == rule.ambiguous
    assert counted["answers"] == {str(status) if status else "none": 1}


@pytest.mark.parametrize("name", [f"drop{BEFORE}", f"drop{AFTER}", f"reset{BEFORE}", f"reset{AFTER}"])
def test_resend_enrols_twice_only_after_acting(sandbox, name):
    server = sandbox(faults=only(name))
    for _ in range(2):
        with RawClient(server) as client:
            client.start(EMAIL)
    assert server.enrolments() == {KEY: 2 if name.endswith(AFTER) else 1}
    assert server.totals()["enrolled_more_than_once"] == (1 if name.endswith(AFTER) else 0)


def test_late_act_happens_after_a_disconnect(sandbox):
    server = sandbox(faults=only("late_act"))
    with RawClient(server) as client:
        client.send(id=3, matching="email", email=EMAIL)
        wait_until(lambda: server.received() == {KEY: 1})
    wait_until(lambda: server.enrolments() == {KEY: 1})
    assert server.totals()["late_acts"] == 1


def test_late_act_from_before_a_reset_is_not_counted(sandbox):
    server = sandbox(faults=only("late_act"))
    with RawClient(server) as client:
        client.send(id=3, matching="email", email=EMAIL)
        wait_until(lambda: server.received() == {KEY: 1})
        server.control(reset=True)
        assert client.receive().status == 200
    assert server.enrolments() == {}


def test_trickle_sends_one_byte_at_a_time(sandbox):
    server = sandbox(faults=[FaultRule(fault="trickle_after_acting", delay_s=0.05)])
    with RawClient(server) as client:
        client.send(id=3, matching="email", email=EMAIL)
        assert [client.socket.recv(100) for _ in range(3)] == [b"H", b"T", b"T"]
    assert server.enrolments() == {KEY: 1}


def test_silent_connection_stays_open(sandbox):
    server = sandbox(faults="silence_after_acting@1")
    with RawClient(server) as client:
        client.send(id=3, matching="email", email=EMAIL)
        assert client.receive(timeout_s=0.05).ending == "silent"
        client.send(id=3, matching="email", email="jane@example.com")
        assert client.receive(timeout_s=0.05).ending == "silent"
    assert server.received() == {KEY: 1}


def test_close_after_answer_has_no_connection_header(sandbox):
    server = sandbox(faults="close_after_answer@1")
    with RawClient(server) as client:
        response = client.start(EMAIL)
        assert (response.json["error"], "connection" in response.headers) == (0, False)
        assert client.receive().ending == "closed"


def test_idle_connection_is_closed(sandbox):
    server = sandbox(idle_timeout_s=0.05)
    with RawClient(server) as client:
        assert client.start(EMAIL).status == 200
        assert client.receive() == RawResponse(b"", "closed")
    assert server.totals()["idle_closes"] == 1


def test_slow_answer_does_not_count_as_idle(sandbox):
    server = sandbox(idle_timeout_s=0.05, latency_s=[0.15, 0.15])
    with RawClient(server) as client:
        assert client.start(EMAIL).status == 200
    assert server.totals()["idle_closes"] == 0


@pytest.mark.parametrize(("name", "code"), [("token_revoked", 401), ("scenario_off", 423), ("tariff_limit", 402)])
def test_switch_stays_on_until_reset(sandbox, name, code):
    server = sandbox(faults=f"{name}@2")
    with RawClient(server) as client:
        assert [client.start(f"user{n}@example.com").json["error"] for n in range(4)] == [0, code, code, code]
        server.control(token_revoked=False, tariff_used_up=False, scenarios={"3": True})
        assert client.start("user4@example.com").json["error"] == 0
    assert set(server.enrolments()) == {"email:user0@example.com", "email:user4@example.com"}


def test_scenario_list_shows_a_switched_off_scenario(sandbox):
    server = sandbox(faults="scenario_off")
    with RawClient(server) as client:
        client.start(EMAIL)
        (scenario,) = client.call("workflows/list", from_id=3, limit=1).json["data"]
    assert scenario["is_active"] is False


def test_rate_change_does_not_restart_the_faults(sandbox):
    server = sandbox(faults="http_429@1")
    with RawClient(server) as client:
        assert client.start(EMAIL).status == 429
        server.control(rate_per_s=100, retry_after="date")
        assert client.start(EMAIL).status == 200


def test_fault_can_apply_to_another_method(sandbox):
    server = sandbox(faults=[FaultRule(fault="http_500_before_acting", method="workflows/list")])
    with RawClient(server) as client:
        assert client.call("workflows/list").status == 500
        assert client.start(EMAIL).status == 200


def test_fault_after_acting_ignores_unknown_profiles(sandbox):
    server = sandbox(faults="drop_after_acting")
    with RawClient(server) as client:
        assert client.start("nobody@example.com").ending == "closed"
    assert server.enrolments() == {}
