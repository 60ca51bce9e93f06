"""Answers that are not the platform's, damaged, or sent by something in front of it: no row is booked wrongly."""

from __future__ import annotations

import gzip
import json
import signal
import ssl
import threading
import time
import tracemalloc
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any

import pytest

from batch_enroll.sending import client
from tests.support.certificates import self_signed, server_context
from tests.support.commands import people, read_results, write_csv
from tests.support.small_platform import small_platform

OK = b'{"error":0,"error_text":"Successful operation"}'
HTML = b"<html><title>Gateway</title></html>"


def answer(body: bytes = OK, status: str = "200 OK", headers: bytes = b"") -> bytes:
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status.encode(), headers, len(body), body)


@contextmanager
def refusing_proxy() -> Iterator[str]:
    """A proxy that answers 407 to everything."""

    class Refuses(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_error(407)

        do_CONNECT = do_POST

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Refuses) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class Starts:
    """Answers each start with what `script(number, email)` gives, of a pair the second a moment later."""

    def __init__(self, script: Callable[[int, str], bytes | tuple[bytes, bytes] | None]) -> None:
        self.script = script
        self.emails: list[str] = []
        self.connections: list[BufferedIOBase] = []  #: one for each start

    def __call__(self, asked: dict[str, Any], out: BufferedIOBase) -> None:
        self.emails.append(asked["email"])
        self.connections.append(out)
        said = self.script(len(self.emails), asked["email"]) or answer()
        first, later = said if isinstance(said, tuple) else (said, b"")
        out.write(first)
        if later:
            time.sleep(0.03)
            out.write(later)


@pytest.fixture
def enroll(cli):
    """`enroll(url, rows)` enrolls so many people; gives how it ended and the results."""

    def run(url: str, rows: int = 3, *more: object, **environment: str):
        source = write_csv(cli.folder / "in.csv", *people(rows))
        common = ("--url", url, "--scenario", "3", "--match", "email=email", "--rate", "none", "--concurrency", "1")
        ended = cli("run", source, *common, "--results", "out.csv", "--json", "--yes", *more, **environment)
        assert "Traceback" not in ended.err
        return ended, read_results(cli.folder / "out.csv") if (cli.folder / "out.csv").exists() else []

    return run


@pytest.fixture(params=["own", "stock"])
def either_transport(request, monkeypatch):
    """Starts go through our own transport, then through httpx's, as with a proxy."""
    if request.param == "stock":
        monkeypatch.setattr(client, "_is_asyncio", lambda: False)


def statuses(rows):
    return [row["enroll_status"] for row in rows]


@pytest.mark.parametrize(
    ("status", "expected"), [(499, "unknown"), (409, "unknown"), (410, "unknown"), (405, "error"), (431, "error")]
)
def test_status_without_the_platforms_json(enroll, status, expected):
    starts = Starts(lambda number, email: answer(HTML, f"{status} X") if number == 2 else None)
    with small_platform(write=starts) as url:
        ended, rows = enroll(url)
    assert statuses(rows) == ["success", expected, "success"]
    assert rows[1]["enroll_code"] == f"http_{status}"
    assert ended.code == (4 if expected == "unknown" else 1)


def test_proxy_that_wants_a_password_stops_the_run(enroll):
    """The platform's address is one that only the proxy could know; the proxy refuses the second start."""
    starts = Starts(lambda number, email: answer(b"", "407 X") if number > 1 else None)
    with small_platform(write=starts) as url:
        proxy = url.replace("http://", "http://user:secret@")
        more = ("--insecure-http", "--skip-preflight")
        ended, rows = enroll("http://platform.example", 10, *more, HTTP_PROXY=proxy)
    assert ended.code == 3
    assert statuses(rows) == ["success", *["not_sent"] * 9]
    assert f"The proxy {url} asks for a user name and a password" in ended.json["stop_reason"]
    assert "secret" not in ended.out + ended.err


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_that_wants_a_password_before_the_run(cli, enroll, scheme):
    """With https the refusal comes for the tunnel (CONNECT), and not for a request of ours."""
    with refusing_proxy() as proxy:
        more = ("--insecure-http",) if scheme == "http" else ()
        ended, _ = enroll(f"{scheme}://platform.example", 3, *more, **{f"{scheme.upper()}_PROXY": proxy})
    assert ended.code == 2
    assert f"The proxy {proxy} asks for a user name and a password" in ended.err
    assert "Check the token" not in ended.err


@pytest.mark.parametrize(
    "body",
    [
        b"<html>" + b"<title" * 50_000,
        b"<html><title " + b"x" * 300_000,
        b"<!doctype html>" + b"<title>" * 50_000 + b"</title>",
        b'{"error":400,"error_text":"' + b"1 " * 150_000 + b'x@"}',
        b'{"error":400,"error_text":"' + b"a" * 300_000 + b'@"}',
        b'{"error":400,"error_text":"' + b"@a" * 150_000 + b'"}',
    ],
    ids=["titles", "one title", "whole titles", "digits", "letters", "ats"],
)
def test_long_answer_does_not_stop_the_program(enroll, body):
    began = time.monotonic()
    with small_platform(write=Starts(lambda number, email: answer(body))) as url:
        _, rows = enroll(url, 3)
    assert {row["enroll_status"] for row in rows} <= {"unknown", "error"}
    assert time.monotonic() - began < 30  # it was minutes for each row


GZIP = gzip.compress(OK)
BOMB = gzip.compress(bytes(200_000_000), compresslevel=1)


@pytest.mark.parametrize(
    ("encoding", "body", "code", "named"),
    [
        ("gzip", GZIP, "0", ""),
        ("identity", OK, "0", ""),
        ("deflate", zlib.compress(OK), "0", ""),
        ("gzip", BOMB, "answer_too_large", "content encoding gzip and becomes larger than 1024 KiB"),
        ("gzip", GZIP[:-6], "answer_unreadable", "content encoding gzip and cannot be decoded"),
        ("gzip", OK, "answer_unreadable", "content encoding gzip and cannot be decoded"),
        ("gzip, gzip", gzip.compress(GZIP), "answer_unreadable", "content encoding gzip, gzip, which"),
        ("gzip\r\nContent-Encoding: gzip", gzip.compress(GZIP), "answer_unreadable", "encoding gzip, gzip, which"),
        ("br", b"x", "answer_unreadable", "content encoding br, which"),
    ],
    ids=["gzip", "identity", "deflate", "bomb", "cut off", "not gzip", "twice", "two lines", "br"],
)
@pytest.mark.usefixtures("either_transport")
def test_encoded_answer(enroll, encoding, body, code, named):
    starts = Starts(lambda number, email: answer(body, headers=f"Content-Encoding: {encoding}\r\n".encode()))
    if body is BOMB:
        tracemalloc.start()
    with small_platform(write=starts) as url:
        _, rows = enroll(url, 1)
    assert rows[0]["enroll_code"] == code
    assert named in rows[0]["enroll_message"]
    if body is BOMB:
        assert tracemalloc.get_traced_memory()[1] < 60_000_000
        tracemalloc.stop()


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="processes cannot be suspended")
@pytest.mark.slow
@pytest.mark.parametrize("is_stock", [False, True], ids=["own", "stock"])
def test_answers_of_a_suspended_program_are_read(cli, is_stock):
    """The answer lies in the socket when the program goes on, long after the time for it has passed."""
    write_csv(cli.folder / "in.csv", *people(4))
    common = ("--scenario", "3", "--match", "email=email", "--rate", "8", "--timeout", "1", "--results", "out.csv")
    for number in range(3):  # the program must be stopped while a request is in flight
        in_flight = threading.Event()

        def slowly(asked: dict[str, Any], out: BufferedIOBase, in_flight: threading.Event = in_flight) -> None:
            in_flight.set()
            time.sleep(0.1)
            out.write(answer())

        with small_platform(write=slowly) as url:
            # A proxy has the requests carried by httpx; this one is the platform itself.
            address, proxy = ("http://platform.example", {"HTTP_PROXY": url}) if is_stock else (url, {})
            more = ("--insecure-http", "--ledger", f"{number}.sqlite", "--overwrite", "--concurrency", "1")
            running = cli.start("run", "in.csv", "--url", address, *common, *more, **proxy)
            in_flight.wait(30)
            time.sleep(0.05)
            running.send_signal(signal.SIGSTOP)
            time.sleep(1.5)
            running.send_signal(signal.SIGCONT)
            assert running.wait(60) == 0, running.communicate()
        assert statuses(read_results(cli.folder / "out.csv")) == ["success"] * 4


# Answers that nobody asked for

REFUSED = b'{"error":400,"error_text":"Incorrect request"}'


@pytest.mark.parametrize("first", [answer(), answer(REFUSED)], ids=["success", "error"])
@pytest.mark.usefixtures("either_transport")
def test_answer_too_many_makes_the_row_unknown(cli, enroll, first):
    """The second row gets an answer that is not its own, and then its own."""
    starts = Starts(lambda number, email: (first, answer()) if number == 2 else None)
    with small_platform(write=starts) as url:
        status = ("--status-file", "status.json", "--log-file", "run.log")
        ended, rows = enroll(url, 6, "--rate", "8", *status)
        again = enroll_others(cli, url)
    assert statuses(rows) == ["success", "unknown", *["success"] * 4]
    assert (rows[1]["enroll_code"], rows[1]["enroll_http_status"]) == ("stray_answer", "")
    assert "Look the profile up" in rows[1]["enroll_advice"]
    assert (ended.code, ended.json["counts"]["unknown"], ended.json["counts"]["success"]) == (4, 1, 5)
    assert "an answer that nobody asked for: row 3 is unknown now" in ended.err
    assert json.loads((cli.folder / "status.json").read_text())["counts"]["unknown"] == 1
    assert "stray answer" in (cli.folder / "run.log").read_text()
    assert len({id(out) for out in starts.connections[:2]}) == 1
    assert len({id(out) for out in starts.connections[2:6]}) == 4, "no connection is used twice any more"
    assert again == ["already_enrolled", "held_unknown", *["already_enrolled"] * 4], "the memory of people follows"


def enroll_others(cli, url):
    """Give the same people in another file; returns the codes with which they are skipped."""
    write_csv(cli.folder / "other.csv", *people(6), ("new@example.com", "New"))
    common = ("--url", url, "--scenario", "3", "--match", "email=email", "--rate", "none")
    assert cli("run", "other.csv", *common, "--results", "other-out.csv", "--yes").code == 0
    return [row["enroll_code"] for row in read_results(cli.folder / "other-out.csv")[:6]]


@pytest.mark.usefixtures("either_transport")
def test_answer_too_many_in_the_same_packet(enroll):
    starts = Starts(lambda number, email: answer() + answer(REFUSED) if number == 2 else None)
    with small_platform(write=starts) as url:
        ended, rows = enroll(url, 4)
    assert statuses(rows) == ["success", "unknown", "success", "success"]
    assert ended.code == 4


@pytest.mark.usefixtures("either_transport")
def test_answer_too_many_behind_the_last_row(enroll):
    starts = Starts(lambda number, email: answer(REFUSED) + answer() if number == 3 else None)
    with small_platform(write=starts) as url:
        ended, rows = enroll(url, 3)
    assert (statuses(rows), ended.code) == (["success", "success", "unknown"], 4)


def test_row_that_waits_for_its_retry_is_not_sent_again(enroll):
    """A 429 that was not meant for the row, and then its own answer: it was accepted."""
    busy = answer(b"", "429 X", b"Retry-After: 1\r\n")
    starts = Starts(lambda number, email: (busy, answer()) if number == 2 else None)
    with small_platform(write=starts) as url:
        ended, rows = enroll(url, 3)
    assert (statuses(rows), ended.code) == (["success", "unknown", "success"], 4)
    assert len(starts.emails) == len(set(starts.emails)) == 3


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.usefixtures("either_transport")
def test_line_end_behind_an_answer_is_no_answer(enroll, later):
    starts = Starts(lambda number, email: (answer(), b"\r\n") if later else answer() + b"\r\n")
    with small_platform(write=starts) as url:
        ended, rows = enroll(url, 3, "--rate", "8")
    assert (statuses(rows), ended.code) == (["success"] * 3, 0)
    assert "nobody asked for" not in ended.err


# Proxies and certificates that cannot be used


@pytest.mark.slow
@pytest.mark.parametrize(
    ("is_trusted", "made", "said", "way_out"),
    [
        (False, {}, "is not from an authority that this computer trusts (certificate_untrusted)", "SSL_CERT_FILE"),
        (True, {"days": -0.5}, "has expired (certificate_expired)", "this computer's clock"),
        (True, {"days": 2, "since_days": 1}, "is not valid yet (certificate_not_yet_valid)", "this computer's clock"),
        (True, {"address": "127.0.0.2"}, "is for another host name (certificate_wrong_host)", "Check --url"),
    ],
    ids=["untrusted", "expired", "not yet valid", "another host"],
)
def test_certificate_that_cannot_be_trusted(cli, enroll, made, is_trusted, said, way_out):
    certificate = self_signed(cli.folder / "certificate.pem", **made)
    tls = server_context(certificate)
    with small_platform(tls=tls) as url:
        ended, _ = enroll(url, 1, **({"SSL_CERT_FILE": str(certificate)} if is_trusted else {}))
    assert ended.code == 2
    assert f"The platform's certificate {said}" in ended.err
    assert way_out in ended.err


@pytest.mark.slow
def test_certificates_of_the_job_are_trusted_and_shown(cli, enroll):
    certificate = self_signed(cli.folder / "certificate.pem")
    tls = server_context(certificate)
    tls.load_verify_locations(certificate)
    tls.verify_mode = ssl.CERT_REQUIRED
    with small_platform(tls=tls) as url:
        unshown, _ = enroll(url, 1, "--ca-file", certificate)
        shown, rows = enroll(url, 1, "--ca-file", certificate, "--client-cert", certificate)
    assert unshown.code == 2
    assert (statuses(rows), shown.code) == (["success"], 0), shown.err


@pytest.mark.parametrize("flag", ["--ca-file", "--client-cert"])
@pytest.mark.parametrize(("content", "said"), [(None, "No such file"), (b"nothing", "PEM form")], ids=["gone", "other"])
def test_certificates_that_cannot_be_used(cli, enroll, flag, content, said):
    file = cli.folder / "certificates.pem"
    if content is not None:
        file.write_bytes(content)
    ended, _ = enroll("https://127.0.0.1:9", 1, flag, file)
    assert ended.code == 2
    assert f"The file of {flag}, {file}, cannot be used: " in ended.err
    assert said in ended.err


@pytest.mark.slow
def test_old_tls(cli, enroll):
    certificate = self_signed(cli.folder / "certificate.pem")
    tls = server_context(certificate)
    tls.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tls.minimum_version = tls.maximum_version = ssl.TLSVersion.TLSv1_1
    with small_platform(tls=tls) as url:
        ended, _ = enroll(url, 1, SSL_CERT_FILE=str(certificate))
    assert ended.code == 2
    assert "The platform offers only versions of TLS that are no longer safe (tls_too_old)" in ended.err


@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        ("http://user:secret@127.0.0.1:9", "The proxy http://127.0.0.1:9 refused the connection"),
        ("http://no-such-proxy.invalid:3128", "The address of the proxy http://no-such-proxy.invalid:3128 could not"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_that_cannot_be_reached(enroll, proxy, said, scheme):
    more = ("--insecure-http",) if scheme == "http" else ()
    ended, _ = enroll(f"{scheme}://platform.example", 1, *more, **{f"{scheme.upper()}_PROXY": proxy})
    assert ended.code == 2
    assert said in ended.err
    assert "Check HTTPS_PROXY" in ended.err
    assert "secret" not in ended.err


def test_proxy_with_a_certificate_that_is_not_trusted(cli, enroll):
    tls = server_context(self_signed(cli.folder / "certificate.pem"))
    with small_platform(tls=tls) as proxy:
        ended, _ = enroll("https://platform.example", 1, HTTPS_PROXY=proxy)
    assert ended.code == 2
    assert f"No trusted connection (TLS) to the proxy {proxy} could be made" in ended.err


@pytest.mark.slow
@pytest.mark.parametrize("content", [None, "no certificate", "a folder"])
def test_ssl_cert_file_that_cannot_be_read_is_named(cli, enroll, content):
    path = cli.folder / "ca.pem"
    if content == "a folder":
        path.mkdir()
    elif content:
        path.write_text(content)
    ended, _ = enroll("https://127.0.0.1:9", 1, SSL_CERT_FILE=str(path))
    assert ended.code == 2
    assert "SSL_CERT_FILE" in ended.err
    assert str(path) in ended.err


@pytest.mark.parametrize(
    "proxy", ["socks5://127.0.0.1:9", "socks4://127.0.0.1:9", ' "http://127.0.0.1:9" ', "http://a b"]
)
def test_proxy_variable_that_cannot_be_used_is_named(enroll, proxy):
    ended, _ = enroll("https://platform.example", 1, HTTPS_PROXY=proxy)
    assert ended.code == 2
    assert "HTTPS_PROXY" in ended.err
    assert "--url" not in ended.err
