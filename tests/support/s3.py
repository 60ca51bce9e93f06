"""A mock S3 server (moto) in a child process, which checks keys and signatures."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

PATIENCE_S = 60.0
_WHOSE = "exporter"
_MAY_READ = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
_MAY_NOT = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:GetObject","Resource":"*"}]}'


@dataclass(frozen=True, slots=True)
class S3:
    """The server's address and its access key."""

    url: str
    key: str
    secret: str

    @property
    def environment(self) -> dict[str, str]:
        """What AWS's own tools read; nothing else of this machine says anything about it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def put(self, path: str, content: bytes = b"") -> None:
        """Make a bucket (`bucket`), or an object in it (`bucket/leads.csv`); its owner needs no key."""
        self._open_to("inf")
        _ask("PUT", f"{self.url}/{path}", content, service="s3")
        self._open_to("0")

    def may_read(self, yes: bool) -> None:
        """Allow the key's owner to read objects, or forbid it."""
        self._open_to("inf")
        policy = _MAY_READ if yes else _MAY_NOT
        _iam(self.url, "PutUserPolicy", UserName=_WHOSE, PolicyName="one", PolicyDocument=policy)
        self._open_to("0")

    def _open_to(self, requests: str) -> None:
        _ask("POST", f"{self.url}/moto-api/reset-auth", requests.encode(), service="s3")


@contextmanager
def s3_server() -> Iterator[S3]:
    """Serve an empty S3 on 127.0.0.1 until the block ends."""
    words = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = next((line for line in process.stderr if "Running on" in line), "")
            found = re.search(r"http://127\.0\.0\.1:\d+", said)
            assert found, "moto's server did not start"
            threading.Thread(target=process.stderr.read, daemon=True).start()  # it tells of each request
            url = found[0]
            _iam(url, "CreateUser", UserName=_WHOSE)
            made = _iam(url, "CreateAccessKey", UserName=_WHOSE)
            server = S3(url, _between(made, "AccessKeyId"), _between(made, "SecretAccessKey"))
            server.may_read(True)
            yield server
        finally:
            process.kill()


@pytest.fixture(scope="module")
def s3_process() -> Iterator[S3]:
    """One server for the tests of a module; most of its start is the import of moto."""
    with s3_server() as server:
        server.put("crm-export")
        yield server


@pytest.fixture
def s3(s3_process: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[S3]:
    """A bucket `crm-export`, and the environment of somebody who may read it; no other key of this machine is found."""
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    for name, value in s3_process.environment.items():
        monkeypatch.setenv(name, value)
    yield s3_process
    s3_process.may_read(True)


def _iam(url: str, action: str, **words: str) -> str:
    return _ask("POST", url, urlencode({"Action": action, "Version": "2010-05-08", **words}).encode(), service="iam")


def _ask(method: str, url: str, content: bytes, *, service: str) -> str:
    scope = f"Credential=owner/20260101/us-east-1/{service}/aws4_request"
    form = "application/x-www-form-urlencoded" if service == "iam" else "application/octet-stream"
    headers = {"Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=none", "Content-Type": form}
    with urlopen(Request(url, data=content, method=method, headers=headers), timeout=PATIENCE_S) as answer:
        return str(answer.read().decode())


def _between(answer: str, name: str) -> str:
    found = re.search(f"<{name}>(.*?)</{name}>", answer)
    assert found, answer
    return found[1]
