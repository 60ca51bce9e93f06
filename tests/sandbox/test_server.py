"""The healthy server through real sockets: HTTP, limits, control, counts."""

from __future__ import annotations

import socket
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import pytest

from batch_enroll.errors import JobError
from batch_enroll.sandbox import SandboxSettings, sandbox_process
from tests.support.sandbox import RawClient, request_bytes

EMAIL = "john@example.com"
KEY = f"email:{EMAIL}"


def test_start_answers_the_envelope_and_counts_one_enrolment(sandbox):
    oracle = sandbox()
    with RawClient(oracle) as client:
        heard = client.start(EMAIL)
    assert heard.status == 200
    assert heard.headers["content-type"] == "application/json"
    assert heard.json == {"error": 0, "error_text": "Successful operation"}
    assert oracle.enrolments() == {KEY: 1}
    assert oracle.totals()["codes"] == {"0": 1}


def test_connection_is_kept_and_counted_once(sandbox):
    oracle = sandbox()
    with RawClient(oracle) as client:
        for number in range(5):
            assert client.start(f"user{number}@example.com").ending == "answered"
    assert oracle.totals()["connections"] == 1


def test_connections_that_are_open_together_are_counted(sandbox):
    oracle = sandbox()
    with RawClient(oracle) as one, RawClient(oracle) as two:
        one.start()
        two.start()
    assert oracle.totals()["connections_peak"] == 2


def test_requests_sent_in_one_go_are_answered_in_order(sandbox):
    oracle = sandbox(latency_s=[0.0, 0.01])
    with RawClient(oracle) as client:
        bodies = [{"id": 3, "email": EMAIL}, {"id": 4, "email": EMAIL}, {"id": 11, "email": EMAIL}]
        client.socket.sendall(b"".join(request_bytes("workflows/start", **body) for body in bodies))
        data = b""
        while data.count(b"error_text") < 3 or not data.endswith(b"}"):
            data += client.socket.recv(65536)
    codes = [int(part.partition(b",")[0]) for part in data.split(b'"error": ')[1:]]
    assert codes == [0, 410, 423]


def test_thousand_requests_in_one_go_do_not_overflow(sandbox):
    oracle = sandbox()
    with RawClient(oracle) as client:
        client.socket.sendall(request_bytes("workflows/start", id=3, email=EMAIL) * 1000)
        data = b""
        while data.count(b"error_text") < 1000:
            data += client.socket.recv(65536)
    assert oracle.enrolments() == {KEY: 1000}


def test_request_in_pieces_is_one_request(sandbox):
    oracle = sandbox()
    request = request_bytes("workflows/start", id=3, email=EMAIL)
    with RawClient(oracle) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in range(0, len(request), 20):
            client.socket.sendall(request[byte : byte + 20])
        assert client.hear().json["error"] == 0


def test_half_a_request_does_nothing(sandbox):
    oracle = sandbox()
    with RawClient(oracle) as client:
        client.socket.sendall(request_bytes("workflows/start", id=3, email=EMAIL)[:-1])
        client.socket.shutdown(socket.SHUT_WR)
        assert client.hear().ending == "closed"
    assert oracle.stats()["received"] == {}


@pytest.mark.parametrize("data", [b"\x16\x03\x01 hello\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"])
def test_what_is_no_http_is_refused_and_closed(sandbox, data):
    oracle = sandbox()
    with RawClient(oracle) as client:
        client.socket.sendall(data)
        assert client.hear().status == 400
        assert client.hear().ending == "closed"


def test_connection_close_is_obeyed(sandbox):
    oracle = sandbox()
    with RawClient(oracle) as client:
        request = request_bytes("workflows/start", id=3, email=EMAIL)
        client.socket.sendall(request.replace(b"Host: sandbox", b"Host: sandbox\r\nConnection: close"))
        assert client.hear().status == 200
        assert client.hear().ending == "closed"


def test_trailing_slash_and_bearer_header_are_accepted(sandbox):
    oracle = sandbox()
    with RawClient(oracle) as client:
        request = request_bytes("workflows/start/", id=3, email=EMAIL, token=None)
        bearer = f"Authorization: Bearer {oracle.token}\r\nContent-Type".encode()
        client.socket.sendall(request.replace(b"Content-Type", bearer))
        assert client.hear().json["error"] == 0
    (request_seen,) = oracle.requests()
    assert oracle.token not in str(request_seen)


@pytest.mark.parametrize(
    ("line", "status"),
    [(b"GET /api/v1.1/workflows/start", 405), (b"POST /api/v1.1/workflows/stop", 404), (b"GET /nowhere", 404)],
)
def test_wrong_method_or_path_has_its_http_status(sandbox, line, status):
    oracle = sandbox()
    with RawClient(oracle) as client:
        client.socket.sendall(line + b" HTTP/1.1\r\nHost: sandbox\r\n\r\n")
        assert client.hear().status == status


def test_content_type_must_be_json(sandbox):
    oracle = sandbox()
    with RawClient(oracle) as client:
        client.socket.sendall(
            request_bytes("workflows/start", id=3, email=EMAIL).replace(b"application/json", b"text/plain")
        )
        assert client.hear().json["error"] == 400


@pytest.mark.parametrize(("error_status", "status"), [("200", 200), ("code", 404)])
def test_error_carries_its_code_as_http_status_when_asked(sandbox, error_status, status):
    oracle = sandbox(error_status=error_status)
    with RawClient(oracle) as client:
        heard = client.start("nobody@example.com")
    assert (heard.status, heard.json["error"]) == (status, 404)


def test_rate_limit_refuses_above_it_and_says_when_to_come_back(sandbox):
    oracle = sandbox(rate_per_s=3)
    with RawClient(oracle) as client:
        heard = [client.start(f"user{number}@example.com") for number in range(5)]
        assert [each.status for each in heard] == [200, 200, 200, 429, 429]
        assert heard[-1].headers["retry-after"] == "1"
        assert heard[-1].json["error"] == 429
        oracle.control(rate_per_s=None)
        assert client.start("user5@example.com").status == 200
    counted = oracle.stats()
    assert (counted["throttled"], counted["enrolled_total"]) == (2, 4)
    assert counted["peak_per_s"] == 6


def test_rate_limit_leaves_other_methods_alone(sandbox):
    oracle = sandbox(rate_per_s=0.1)
    with RawClient(oracle) as client:
        assert [client.start().status for _ in range(2)] == [200, 429]
        assert client.ask("workflows/list").status == 200


def test_sent_bodies_can_be_read_back_with_the_token_masked(sandbox):
    oracle = sandbox()
    with RawClient(oracle) as client:
        client.ask(id=3, matching="custom", field_name="CRM_ID", field_value="00016", content={"name": "Жанна"})
    (request,) = oracle.requests()
    assert request["method"] == "workflows/start"
    assert request["body"] == {
        "token": "***",
        "id": 3,
        "matching": "custom",
        "field_name": "CRM_ID",
        "field_value": "00016",
        "content": {"name": "Жанна"},
    }


def test_reset_goes_back_to_the_start(sandbox):
    oracle = sandbox(rate_per_s=1, faults="http_429", token_revoked=True)
    state = oracle.control(reset=True)
    assert (state["rate_per_s"], state["faults"], state["token_revoked"]) == (None, [], False)
    assert oracle.stats()["enrolments"] == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"speed": 1},
        {"port": 1},
        {"rate_per_s": -1},
        {"scenarios": {"99": True}},
        {"scenarios": 3},
        {"scenarios": {"x": True}},
    ],
)
def test_impossible_change_is_refused_and_changes_nothing(sandbox, changes):
    oracle = sandbox(rate_per_s=7)
    with pytest.raises(JobError):
        oracle.control(**changes)
    assert oracle.control()["rate_per_s"] == 7


def test_totals_count_a_repeated_enrolment_without_naming_it(sandbox):
    oracle = sandbox(faults="drop_after_acting@1")
    for _ in range(2):
        with RawClient(oracle) as client:
            client.start(EMAIL)
    totals = oracle.totals()
    assert totals["faults"] == {"drop_after_acting": 1}
    assert totals["enrolled_more_than_once"] == 1
    assert EMAIL not in str(totals)


@pytest.mark.parametrize("path", ["/", "/stats.html"])
def test_there_is_no_page(sandbox, path):
    with pytest.raises(HTTPError) as refused:
        build_opener(ProxyHandler({})).open(sandbox().url + path)
    with refused.value as answer:
        assert answer.code == 404


def test_closed_world_and_a_token_of_its_own(tmp_path):
    world = tmp_path / "world.toml"
    world.write_text('[[profiles]]\nid = "p1"\nemail = "john@example.com"\nphones = ["+79000000000"]\n')
    with sandbox_process(SandboxSettings(world_file=world, token="t")) as oracle, RawClient(oracle) as client:
        assert oracle.token == "t"
        assert client.start().json["error"] == 401
        assert client.ask(token="t", id=3, email=EMAIL).json["error"] == 0
        assert client.ask(token="t", id=3, matching="phone", phone="+79000000000").json["error"] == 0
        assert client.ask(token="t", id=3, email="jane@example.com").json["error"] == 404
        assert oracle.enrolments() == {"profile_id:p1": 2}
