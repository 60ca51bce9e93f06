"""S3 inputs through the command line, against a server that checks keys and signatures as S3 does."""

from __future__ import annotations

import socket

import pytest

from batch_enroll.errors import InputError
from batch_enroll.loading.download import download
from batch_enroll.loading.remote_address import Remote
from tests.support.commands import people
from tests.support.input_files import flags

TABLE = "email,first_name\n" + "".join(f"{email},{name}\n" for email, name in people(5))
LEADS = "s3://crm-export/out/leads.csv"
WRONG = "wr0ng-key"


@pytest.fixture(autouse=True)
def leads(s3):
    s3.put("crm-export/out/leads.csv", TABLE.encode())


def test_object_is_recognised_until_it_changes(cli, sandbox, s3):
    platform = sandbox()
    command = ("run", LEADS, *flags(platform), "--json")
    first = cli(*command)
    assert first.code == 0, first.err
    assert (first.json["input"], first.json["counts"]["success"]) == (LEADS, 5)
    again = cli(*command)
    assert (again.code, "was sent to scenario 3 before" in again.err) == (2, True), again.err
    unchanged = cli(*command, "--if-changed")
    assert (unchanged.code, unchanged.json["status"], unchanged.json["earlier"]["run"]) == (
        0,
        "unchanged",
        first.json["run"],
    )
    s3.put("crm-export/out/leads.csv", f"{TABLE}new@example.com,New\n".encode())
    changed = cli(*command, "--if-changed")
    assert (changed.json["counts"]["success"], changed.json["counts"]["skipped"]) == (1, 5), changed.err
    assert set(platform.enrolments().values()) == {1}
    written = b"".join(path.read_bytes() for path in cli.folder.rglob("*") if path.is_file())
    assert s3.secret.encode() not in written
    assert s3.key.encode() not in written


def test_missing_bucket_is_always_an_error(cli, sandbox, s3):
    """A missing object is not an error with if_changed; a missing bucket is."""
    command = flags(sandbox())
    missing = cli("run", "s3://crm-export/out/tomorrow.csv", *command)
    assert (missing.code, "There is no file s3://crm-export/out/tomorrow.csv" in missing.err) == (2, True)
    assert cli("run", "s3://crm-export/out/tomorrow.csv", *command, "--if-changed").code == 0
    for more in ((), ("--if-changed",)):
        wrong = cli("run", "s3://crm-exprot/out/leads.csv", *command, *more)
        assert (wrong.code, "there is no bucket crm-exprot" in wrong.err) == (2, True), wrong.err


def nobody_at():
    """An address of this machine at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize(
    ("address", "environment", "said"),
    [
        (LEADS, {"AWS_SECRET_ACCESS_KEY": WRONG}, "access was refused"),
        (LEADS, {"AWS_ACCESS_KEY_ID": f"AKIA{WRONG}"}, "access was refused"),
        (LEADS, {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "no key for it was found"),
        (LEADS, {"AWS_PROFILE": "prod"}, "no key for it was found"),
        (LEADS, {"AWS_ENDPOINT_URL": nobody_at(), "AWS_MAX_ATTEMPTS": "1"}, "cannot be reached"),
        (LEADS, {"AWS_ENDPOINT_URL": "http://minio.invalid:9000"}, "unencrypted: it comes from http://minio.invalid"),
        ("s3://crm-export/out", {}, "is a folder"),
        (f"s3://AKIA{WRONG}:{WRONG}@crm-export/out/leads.csv", {}, "holds no user and no password"),
    ],
)
def test_s3_error_is_one_sentence_without_the_key(cli, sandbox, s3, address, environment, said):
    platform = sandbox()
    ended = cli("run", address, *flags(platform), "--if-changed", "--verbose", **environment)
    assert ended.code == 2, ended.err
    assert said in ended.err
    assert "Traceback" not in ended.err
    told = ended.out + ended.err
    assert not [secret for secret in (WRONG, s3.key, s3.secret) if secret in told]
    assert not platform.enrolments()


def test_key_without_read_permission_names_the_needed_rights(cli, sandbox, s3):
    s3.may_read(False)
    platform = sandbox()
    ended = cli("run", LEADS, *flags(platform))
    assert (ended.code, "access was refused" in ended.err, "s3:GetObject" in ended.err) == (2, True, True), ended.err
    assert not platform.enrolments()


def test_unencrypted_server_needs_a_setting(cli, sandbox, s3):
    away = {"AWS_ENDPOINT_URL": "http://minio.invalid:9000", "AWS_MAX_ATTEMPTS": "1"}
    ended = cli("run", LEADS, *flags(sandbox()), "--insecure-http", **away)
    assert (ended.code, "cannot be reached" in ended.err) == (2, True), ended.err


def test_object_overwritten_during_the_download_is_refused(s3, tmp_path, monkeypatch):
    from s3fs import S3FileSystem

    monkeypatch.setattr(S3FileSystem, "default_block_size", 1 << 16)
    monkeypatch.setattr("batch_enroll.loading.download._CHUNK_BYTES", 1 << 16)
    s3.put("crm-export/out/large.csv", b"a" * (1 << 20))
    asked: list[int] = []

    def overwrite():
        if not asked:
            s3.put("crm-export/out/large.csv", b"b" * (1 << 20))
        asked.append(1)
        return ""

    with pytest.raises(InputError, match="changed during the download"):
        download(Remote("s3://crm-export/out/large.csv", bool), tmp_path, salt=b"", stop_reason=overwrite)
