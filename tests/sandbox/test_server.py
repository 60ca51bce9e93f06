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


def test_start_is_answered_and_counted(sandbox):
    server = sandbox()
    with RawClient(server) as client:
        response = client.start(EMAIL)
    assert response.status == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json == {"error": 0, "error_text": "Successful operation"}
    assert server.enrolments() == {KEY: 1}
    assert server.totals()["codes"] == {"0": 1}


def test_connection_is_kept_and_counted_once(sandbox):
    server = sandbox()
    with RawClient(server) as client:
        for number in range(5):
            assert client.start(f"user{number}@example.com").ending == "answered"
    assert server.totals()["connections"] == 1


def test_concurrent_connections_are_counted(sandbox):
    server = sandbox()
    with RawClient(server) as one, RawClient(server) as two:
        one.start()
        two.start()
    assert server.totals()["connections_peak"] == 2


def test_pipelined_requests_are_answered_in_order(sandbox):
    server = sandbox(latency_s=[0.0, 0.01])
    with RawClient(server) as client:
        bodies = [{"id": 3, "email": EMAIL}, {"id": 4, "email": EMAIL}, {"id": 11, "email": EMAIL}]
        client.socket.sendall(b"".join(request_bytes("workflows/start", **body) for body in bodies))
        data = b""
        while data.count(b"error_text") < 3 or not data.endswith(b"}"):
            data += client.socket.recv(65536)
    codes = [int(part.partition(b",")[0]) for part in data.split(b'"error": ')[1:]]
    assert codes == [0, 410, 423]


def test_thousand_pipelined_requests_are_answered(sandbox):
    server = sandbox()
    with RawClient(server) as client:
        client.socket.sendall(request_bytes("workflows/start", id=3, email=EMAIL) * 1000)
        data = b""
        while data.count(b"error_text") < 1000:
            data += client.socket.recv(65536)
    assert server.enrolments() == {KEY: 1000}


def test_request_in_pieces_is_one_request(sandbox):
    server = sandbox()
    request = request_bytes("workflows/start", id=3, email=EMAIL)
    with RawClient(server) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in range(0, len(request), 20):
            client.socket.sendall(request[byte : byte + 20])
        assert client.receive().json["error"] == 0


def test_incomplete_request_does_nothing(sandbox):
    server = sandbox()
    with RawClient(server) as client:
        client.socket.sendall(request_bytes("workflows/start", id=3, email=EMAIL)[:-1])
        client.socket.shutdown(socket.SHUT_WR)
        assert client.receive().ending == "closed"
    assert server.stats()["received"] == {}


@pytest.mark.parametrize("data", [b"\x16\x03\x01 hello\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"])
def test_malformed_http_is_refused_and_closed(sandbox, data):
    server = sandbox()
    with RawClient(server) as client:
        client.socket.sendall(data)
        assert client.receive().status == 400
        assert client.receive().ending == "closed"


def test_connection_close_is_obeyed(sandbox):
    server = sandbox()
    with RawClient(server) as client:
        request = request_bytes("workflows/start", id=3, email=EMAIL)
        client.socket.sendall(request.replace(b"Host: sandbox", b"Host: sandbox\r\nConnection: close"))
        assert client.receive().status == 200
        assert client.receive().ending == "closed"


def test_trailing_slash_and_bearer_header_are_accepted(sandbox):
    server = sandbox()
    with RawClient(server) as client:
        request = request_bytes("workflows/start/", id=3, email=EMAIL, token=None)
        bearer = f"Authorization: Bearer {server.token}\r\nContent-Type".encode()
        client.socket.sendall(request.replace(b"Content-Type", bearer))
        assert client.receive().json["error"] == 0
    (request_seen,) = server.requests()
    assert server.token not in str(request_seen)


@pytest.mark.parametrize(
    ("line", "status"),
    [(b"GET /api/v1.1/workflows/start", 405), (b"POST /api/v1.1/workflows/stop", 404), (b"GET /nowhere", 404)],
)
def test_wrong_method_or_path_gets_its_http_status(sandbox, line, status):
    server = sandbox()
    with RawClient(server) as client:
        client.socket.sendall(line + b" HTTP/1.1\r\nHost: sandbox\r\n\r\n")
        assert client.receive().status == status


def test_content_type_must_be_json(sandbox):
    server = sandbox()
    with RawClient(server) as client:
        client.socket.sendall(
            request_bytes("workflows/start", id=3, email=EMAIL).replace(b"application/json", b"text/plain")
        )
        assert client.receive().json["error"] == 400


@pytest.mark.parametrize(("error_status", "status"), [("200", 200), ("code", 404)])
def test_error_status_setting_sets_the_http_status(sandbox, error_status, status):
    server = sandbox(error_status=error_status)
    with RawClient(server) as client:
        response = client.start("nobody@example.com")
    assert (response.status, response.json["error"]) == (status, 404)


def test_rate_limit_answers_429_with_retry_after(sandbox):
    server = sandbox(rate_per_s=3)
    with RawClient(server) as client:
        response = [client.start(f"user{number}@example.com") for number in range(5)]
        assert [each.status for each in response] == [200, 200, 200, 429, 429]
        assert response[-1].headers["retry-after"] == "1"
        assert response[-1].json["error"] == 429
        server.control(rate_per_s=None)
        assert client.start("user5@example.com").status == 200
    counted = server.stats()
    assert (counted["throttled"], counted["enrolled_total"]) == (2, 4)
    assert counted["peak_per_s"] == 6


def test_rate_limit_applies_to_starts_only(sandbox):
    server = sandbox(rate_per_s=0.1)
    with RawClient(server) as client:
        assert [client.start().status for _ in range(2)] == [200, 429]
        assert client.call("workflows/list").status == 200


def test_requests_are_listed_with_the_token_masked(sandbox):
    server = sandbox()
    with RawClient(server) as client:
        client.call(id=3, matching="custom", field_name="CRM_ID", field_value="00016", content={"name": "Жанна"})
    (request,) = server.requests()
    assert request["method"] == "workflows/start"
    assert request["body"] == {
        "token": "***",
        "id": 3,
        "matching": "custom",
        "field_name": "CRM_ID",
        "field_value": "00016",
        "content": {"name": "Жанна"},
    }


def test_reset_restores_settings_and_counts(sandbox):
    server = sandbox(rate_per_s=1, faults="http_429", token_revoked=True)
    state = server.control(reset=True)
    assert (state["rate_per_s"], state["faults"], state["token_revoked"]) == (None, [], False)
    assert server.stats()["enrolments"] == {}


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
def test_invalid_change_is_refused_completely(sandbox, changes):
    server = sandbox(rate_per_s=7)
    with pytest.raises(JobError):
        server.control(**changes)
    assert server.control()["rate_per_s"] == 7


def test_totals_count_repeats_without_profiles(sandbox):
    server = sandbox(faults="drop_after_acting@1")
    for _ in range(2):
        with RawClient(server) as client:
            client.start(EMAIL)
    totals = server.totals()
    assert totals["faults"] == {"drop_after_acting": 1}
    assert totals["enrolled_more_than_once"] == 1
    assert EMAIL not in str(totals)


@pytest.mark.parametrize("path", ["/", "/stats.html"])
def test_html_page_is_not_found(sandbox, path):
    with pytest.raises(HTTPError) as refused:
        build_opener(ProxyHandler({})).open(sandbox().url + path)
    with refused.value as answer:
        assert answer.code == 404


def test_closed_dataset_and_custom_token(tmp_path):
    world = tmp_path / "world.toml"
    world.write_text('[[profiles]]\nid = "p1"\nemail = "john@example.com"\nphones = ["+79000000000"]\n')
    with sandbox_process(SandboxSettings(world_file=world, token="t")) as server, RawClient(server) as client:
        assert server.token == "t"
        assert client.start().json["error"] == 401
        assert client.call(token="t", id=3, email=EMAIL).json["error"] == 0
        assert client.call(token="t", id=3, matching="phone", phone="+79000000000").json["error"] == 0
        assert client.call(token="t", id=3, email="jane@example.com").json["error"] == 404
        assert server.enrolments() == {"profile_id:p1": 2}
