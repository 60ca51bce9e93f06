"""Inputs from elsewhere through the command line: brought here whole or not at all, and no password is ever said."""

from __future__ import annotations

import http.server
import shlex
import signal
import socket
import ssl
import sys
import tempfile
import threading
import time
from base64 import b64encode
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from batch_enroll.config.job import Job
from batch_enroll.errors import InputError, JobError, NoSuchInput
from batch_enroll.loading.download import download
from batch_enroll.loading.remote_address import Remote, remote_input
from batch_enroll.models import DownloadedInput
from batch_enroll.run.input_source import local_copy
from tests.support.certificates import self_signed
from tests.support.commands import people, read_results
from tests.support.input_files import flags
from tests.support.ledgers import sqlite_ledger
from tests.support.sandbox import wait_until

SECRET = "pass-w0rd"
SIGNATURE = "sig-0123456789"
TABLE = "email,first_name\n" + "".join(f"{email},{name}\n" for email, name in people(5))


class Web(http.server.ThreadingHTTPServer):
    """A web server whose pages are in memory, and which can misbehave."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Page)
        self.pages: dict[str, bytes] = {}
        self.cut = False  #: announce the whole and send half
        self.changes = False  #: another ETag at each look
        self.trickle = False  #: a byte now and then
        self.status = 200
        self.password = ""
        self.looks = 0
        self.redirects: dict[str, str] = {}  #: path -> Location
        self.silent_s = 0.0  #: waits so long before each response

    def encrypt(self, certificate: Path) -> None:
        """Serve https:// with a certificate and its key."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.socket = context.wrap_socket(self.socket, server_side=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class _Page(http.server.BaseHTTPRequestHandler):
    server: Web

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        web = self.server
        web.looks += 1
        time.sleep(web.silent_s)
        if target := web.redirects.get(self.path):
            self.send_response(302)
            self.send_header("Location", target)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        page = web.pages.get(urlsplit(self.path).path)
        wanted = f"Basic {b64encode(f'anna:{web.password}'.encode()).decode()}"
        status = web.status
        if web.password and self.headers.get("Authorization") != wanted:
            status = 401
        elif page is None:
            status = 404
        self.send_response(status)
        page = page if status == 200 and page is not None else b""
        self.send_header("Content-Length", str(len(page)))
        self.send_header("ETag", f'"{web.looks if web.changes else 1}"')
        self.end_headers()
        with suppress(OSError):  # the client went away
            for part in [page[at : at + 1] for at in range(len(page))] if web.trickle else [page]:
                if body:
                    self.wfile.write(part[: len(part) // 2] if web.cut else part)
                    time.sleep(0.1 if web.trickle else 0)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serve(certificate=None):
    with Web() as server:
        if certificate:
            server.encrypt(certificate)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        server.pages["/lists/leads.csv"] = TABLE.encode()
        yield server
        server.shutdown()


@pytest.fixture
def web():
    with serve() as server:
        yield server


@pytest.fixture
def certificate(tmp_path):
    return self_signed(tmp_path / "server.pem")


@pytest.fixture
def https(certificate):
    with serve(certificate) as server:
        yield server


@pytest.fixture
def tidy(monkeypatch, tmp_path):
    """A temporary folder of the test's own, which must be empty in the end."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    assert not list(folder.iterdir())


def test_remote_input_is_enrolled_and_recognised_again(cli, sandbox, web, tidy):
    server = sandbox()
    url = f"http://{web.address}/lists/leads.csv"
    first = cli("run", url, *flags(server), "--json")
    assert first.code == 0, first.err
    assert first.json["input"] == url
    results = cli.folder / f"leads.{first.json['run']}.results.csv"
    assert len(read_results(results)) == 5
    again = cli("run", url, *flags(server), "--if-changed")
    assert (again.code, again.err.startswith(f"Nothing new: {url} was enrolled by run")) == (0, True)
    web.pages["/lists/leads.csv"] += b"new@example.com,New\n"
    changed = cli("run", url, *flags(server), "--json")
    assert (changed.json["counts"]["success"], changed.json["counts"]["skipped"]) == (1, 5)
    where = ("--ledger", "ledger/ledger.sqlite")
    assert cli("report", first.json["run"], *where).code == 0
    assert url in cli("runs", *where, "--json").out


def test_stopped_remote_run_resumes_when_the_input_is_unchanged(cli, sandbox, web, tidy):
    server = sandbox(faults="token_revoked@3+")
    command = ("run", f"http://{web.address}/lists/leads.csv", *flags(server), "--concurrency", "1", "--json")
    assert cli(*command).code == 3
    server.control(faults="", token_revoked=False)
    rest = cli(*command)
    assert (rest.code, rest.json["counts"]["success"]) == (0, 5)
    assert set(server.enrolments().values()) == {1}


def test_secrets_of_an_address_are_not_printed_or_stored(cli, sandbox, web, tidy):
    server = sandbox()
    web.password = SECRET
    url = f"http://anna:{SECRET}@{web.address}/lists/leads.csv?token={SIGNATURE}"
    more = ("--log-file", "enroll.log", "--verbose", "--json")
    ended = cli("run", url, *flags(server), *more)
    assert ended.code == 0, ended.err
    shown = f"http://{web.address}/lists/leads.csv"
    assert ended.json["input"] == shown
    said = [ended.out, ended.err]
    web.password = "other"
    refused = cli("run", url, *flags(server), *more)
    assert (refused.code, "access was refused" in refused.err) == (2, True)
    web.status = 500
    web.password = SECRET
    broken = cli("run", url, *flags(server), *more)
    assert (broken.code, "the server answered 500" in broken.err) == (2, True)
    common = flags(server)
    for words in (
        ("check", url, *common),
        ("run", url, *common, "--archive", "done"),
        ("init", url),
        ("run", url, url),
        ("init", "https://[broken/leads.csv"),
    ):
        ended = cli(*words)
        assert ended.code == 2
        said += [ended.out, ended.err]
    said += [refused.out, refused.err, broken.out, broken.err, cli("runs", "--ledger", "ledger/ledger.sqlite").out]
    files = [path.read_bytes() for path in cli.folder.rglob("*") if path.is_file()]
    for secret in (SECRET, SIGNATURE, "anna"):
        assert secret == "anna" or not any(secret in text for text in said), secret
        assert not any(secret.encode() in content for content in files), secret


@pytest.mark.parametrize(
    ("misbehave", "said"),
    [
        ({"cut": True}, "came cut short"),
        ({"changes": True}, "changed during the download"),
        ({"status": 503}, "the server answered 503"),
        ({"status": 403}, "access was refused"),
    ],
)
def test_incomplete_download_is_one_error_and_nothing_is_sent(cli, sandbox, web, tidy, misbehave, said):
    server = sandbox()
    for name, value in misbehave.items():
        setattr(web, name, value)
    ended = cli("run", f"http://{web.address}/lists/leads.csv", *flags(server))
    assert ended.code == 2, ended.err
    assert said in ended.err
    assert "Traceback" not in ended.err
    assert not server.enrolments()


def test_missing_remote_file_is_an_error_unless_if_changed(cli, sandbox, web, tidy):
    command = ("run", f"http://{web.address}/lists/tomorrow.csv", *flags(sandbox()))
    missing = cli(*command)
    assert (missing.code, "There is no file http://" in missing.err) == (2, True)
    assert cli(*command, "--if-changed").code == 0


def test_unreachable_server_is_one_error(cli, sandbox, tidy):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and listens to nobody
        ended = cli("run", f"http://127.0.0.1:{taken.getsockname()[1]}/leads.csv", *flags(sandbox()))
    assert ended.code == 2
    assert "cannot be reached" in ended.err


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://platform.example/leads.csv", "unencrypted"),
        ("ftp://anna:pass-w0rd@platform.example/leads.csv", "unencrypted"),
        ("nowhere://host/leads.csv", "not a known protocol"),
        ("zip://leads.csv::s3://bucket/leads.zip", "chain"),
        ("s3://bucket/out-*/leads.csv", "pattern"),
        ("gs://bucket/leads.csv", "install gcsfs"),
        ("https://[broken/leads.csv", "address"),
        ("sftp:///leads.csv", "names no server"),
        ("http://127.0.0.1:9/a%00b.csv", "cannot be reached"),
        ("memory://leads.csv", "There is no file memory://leads.csv"),
    ],
)
def test_invalid_address_is_one_error(cli, sandbox, tidy, url, said):
    ended = cli("run", url, *flags(sandbox()))
    assert ended.code == 2, ended.err
    assert said in ended.err
    assert SECRET not in ended.err
    assert "Traceback" not in ended.err


def test_missing_extra_names_the_command_that_installs_it(cli, sandbox, tidy):
    hidden = cli.folder / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text("import sys\nsys.modules['fsspec'] = None\n")
    root = Path(__file__).resolve().parents[1]
    ended = cli("run", "s3://bucket/leads.csv", *flags(sandbox()), PYTHONPATH=f"{hidden}:{root}")
    assert ended.code == 2
    assert f"Install it: {shlex.quote(sys.executable)} -m pip install fsspec\n" in ended.err


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_during_a_download_leaves_no_copy(cli, sandbox, web, tidy, number, code):
    server = sandbox()
    web.trickle = True
    process = cli.start("run", f"http://{web.address}/lists/leads.csv", *flags(server))
    try:
        wait_until(lambda: bool(list(tidy.rglob("leads.csv"))))
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code, err
    assert "Nothing was sent" in err
    assert not server.enrolments()


def test_init_reads_a_remote_input(cli, web, tidy):
    ended = cli("init", f"http://{web.address}/lists/leads.csv?key={SIGNATURE}")
    assert ended.code == 0, ended.err
    assert f"batch-enroll check http://{web.address}/lists/leads.csv --job leads.toml" in ended.err
    assert 'column = "email"' in (cli.folder / "leads.toml").read_text()
    assert SIGNATURE not in (cli.folder / "leads.toml").read_text() + ended.err


# https://: the certificate, and each step of a redirect


def test_https_needs_a_valid_certificate(cli, sandbox, https, certificate, tidy):
    server = sandbox()
    command = ("run", f"https://{https.address}/lists/leads.csv", *flags(server))
    refused = cli(*command)
    assert (refused.code, "certificate is not valid" in refused.err) == (2, True), refused.err
    assert not server.enrolments()
    trusted = cli(*command, SSL_CERT_FILE=str(certificate))
    assert trusted.code == 0, trusted.err
    assert len(server.enrolments()) == 5


def test_https_redirect_must_stay_encrypted(cli, sandbox, https, certificate, tidy):
    server = sandbox()
    https.redirects = {
        "/plain": f"http://files.invalid/leads.csv?sig={SIGNATURE}",
        "/first": "/plain",
        "/moved": f"https://{https.address}/lists/leads.csv",
    }
    for path in ("plain", "first"):
        refused = cli(
            "run", f"https://{https.address}/{path}", *flags(server), "--if-changed", SSL_CERT_FILE=str(certificate)
        )
        assert refused.code == 2, refused.err
        assert "unencrypted: it comes from http://files.invalid" in refused.err
        assert SIGNATURE not in refused.err
    assert not server.enrolments()
    moved = cli("run", f"https://{https.address}/moved", *flags(server), SSL_CERT_FILE=str(certificate))
    assert moved.code == 0, moved.err
    assert len(server.enrolments()) == 5


def test_https_is_not_left_for_plain_http_of_this_machine(cli, sandbox, https, web, certificate):
    server = sandbox()
    https.redirects = {
        "/leads.csv": "/step",
        "/step": f"https://{https.address}/more",
        "/more": f"http://{web.address}/lists/leads.csv",
    }
    words = (f"https://{https.address}/leads.csv", *flags(server))
    refused = cli("run", *words, SSL_CERT_FILE=str(certificate))
    assert (refused.code, "comes from http://127.0.0.1" in refused.err) == (2, True), refused.err
    assert web.looks == 0
    meant = cli("check", *words, "--insecure-http", SSL_CERT_FILE=str(certificate))
    assert (meant.code, web.looks > 0) == (0, True), meant.err


def test_redirect_to_http_sends_no_request(web, tmp_path):
    with serve() as other:
        web.redirects = {"/leads.csv": f"http://{other.address}/lists/leads.csv"}
        by_name = web.address.replace("127.0.0.1", "localhost")
        with pytest.raises(JobError, match=r"unencrypted: it comes from http://127\.0\.0\.1"):
            get(f"http://{by_name}/leads.csv", tmp_path, plain_allowed=lambda host: host == "localhost")
        assert (web.looks > 0, other.looks) == (True, 0)
        assert get(f"http://{web.address}/leads.csv", tmp_path, plain_allowed=bool).path.read_text() == TABLE


def test_silent_server_differs_from_a_missing_file(web, tmp_path, monkeypatch):
    """With --if-changed a missing file is good news; a server that does not respond is not."""
    monkeypatch.setattr("batch_enroll.loading.download._SILENCE_S", 0.1)
    web.silent_s = 1.0
    with pytest.raises(InputError, match="silent for too long") as silent:
        get(f"http://{web.address}/lists/leads.csv", tmp_path, plain_allowed=bool)
    assert not isinstance(silent.value, NoSuchInput)


# The function itself, with fsspec's file systems in memory and on disk


def get(url, folder, *, plain_allowed=bool, stop_reason=lambda: ""):
    return download(Remote(url, plain_allowed), folder, salt=b"s" * 32, stop_reason=stop_reason)


@pytest.fixture
def memory():
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")
    files.pipe("/in/leads.csv", TABLE.encode())
    yield files
    files.store.clear()


def test_copy_is_whole_and_private_to_its_owner(memory, tmp_path):
    here = get("memory://in/leads.csv", tmp_path)
    assert here.path.read_text() == TABLE
    assert here.path.stat().st_mode & 0o777 == 0o600
    assert (here.name, here.place, here.path.name) == ("memory://in/leads.csv",) * 2 + ("leads.csv",)
    with pytest.raises(NoSuchInput):
        get("memory://in/none.csv", tmp_path)
    with pytest.raises(InputError, match="is a folder"):
        get("memory://in", tmp_path)
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "a.csv").write_text(TABLE)
    assert get(f"file://{tmp_path}/far/a.csv", tmp_path).path.read_text() == TABLE


def test_copy_is_removed_after_any_end_of_the_run(memory, tmp_path, monkeypatch):
    import anyio

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    job = Job.model_validate({"url": "https://p.example", "scenario": 3, "match": {"mode": "email", "column": "email"}})

    async def look():
        async with local_copy(Remote("memory://in/leads.csv"), job, sqlite_ledger(tmp_path)) as here:
            assert isinstance(here, DownloadedInput)
            assert here.path.parent.stat().st_mode & 0o777 == 0o700
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        anyio.run(look)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("batch-enroll-")]


def test_truncated_download_is_refused(memory, tmp_path, monkeypatch):
    real = type(memory).info
    monkeypatch.setattr(type(memory), "info", lambda self, path, **_: {**real(self, path), "size": len(TABLE) + 1})
    with pytest.raises(InputError, match="cut short"):
        get("memory://in/leads.csv", tmp_path)


def test_signal_ends_the_download(memory, tmp_path):
    from batch_enroll.errors import RunStopped

    with pytest.raises(RunStopped, match=r"Stopped by SIGTERM\. Nothing was sent"):
        get("memory://in/leads.csv", tmp_path, stop_reason=lambda: "Stopped by SIGTERM.")


def test_library_errors_are_shown_without_secrets(tmp_path, monkeypatch):
    fsspec = pytest.importorskip("fsspec")

    def fail(url, **_):
        raise RuntimeError(f"cannot log in at {url} with p@ss and p%40ss as anna")

    monkeypatch.setattr(fsspec, "url_to_fs", fail)
    with pytest.raises(InputError) as told:
        get("memory://anna:p%40ss@host/leads.csv?key=abc123", tmp_path)
    assert "RuntimeError: cannot log in at memory://host/leads.csv with *** and *** as ***" in told.value.message
    assert told.value.__cause__ is None
    assert told.value.__suppress_context__


def test_two_queries_are_two_inputs_and_are_not_stored():
    first, second = (Remote(f"https://h/export?list={n}").place(b"k" * 32) for n in (1, 2))
    assert first != second
    assert first.startswith("https://h/export?")
    assert "list" not in first
    assert Remote("https://h/export?list=1").place(b"other" * 6) != first
    assert repr(remote_input(f"https://u:{SECRET}@h/x", plain_allowed=bool)) == "Remote(https://h/x)"
