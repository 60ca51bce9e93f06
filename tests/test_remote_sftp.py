"""SFTP inputs through the command line, against a real SFTP server: only to servers that are known."""

from __future__ import annotations

import pytest

from tests.support.commands import people, write_csv
from tests.support.input_files import flags
from tests.support.sftp import USER, sftp_server

PASSWORD = "pass-w0rd"


@pytest.fixture
def server(cli):
    (cli.folder / "far").mkdir()
    write_csv(cli.folder / "far" / "leads.csv", *people(3_000))
    with sftp_server(cli.folder / "far", password=PASSWORD) as here:
        yield here


@pytest.fixture
def home(cli, server):
    folder = cli.folder / "home"
    (folder / ".ssh").mkdir(parents=True)
    (folder / ".ssh" / "known_hosts").write_text(server.known_host)
    return folder


def address(server, *, password=PASSWORD, name="leads.csv"):
    user = USER if password is None else f"{USER}:{password}"
    return f"sftp://{user}@127.0.0.1:{server.port}/{name}"


def test_file_is_downloaded_from_a_known_server(cli, sandbox, server, home):
    platform = sandbox()
    ended = cli("run", address(server), *flags(platform), "--limit", "5", "--json", HOME=str(home))
    assert ended.code == 0, ended.err
    assert ended.json["input"] == f"sftp://127.0.0.1:{server.port}/leads.csv"
    assert len(platform.enrolments()) == 5
    assert PASSWORD not in ended.out + ended.err


@pytest.mark.parametrize(
    ("known", "words", "said"),
    [
        ("", {}, "the server's key is not known"),
        ("other", {}, "the server's key is not known"),
        ("right", {"password": "wr0ng-pass"}, "access was refused"),
        ("right", {"password": None}, "access was refused"),
        ("right", {"name": "none.csv"}, "There is no file sftp://127.0.0.1"),
        ("right", {"name": "inside"}, "is a folder"),
    ],
)
def test_sftp_error_is_one_sentence_without_the_password(cli, sandbox, server, home, known, words, said):
    platform = sandbox()
    (cli.folder / "far" / "inside").mkdir()
    hosts = home / ".ssh" / "known_hosts"
    if known == "other":
        with sftp_server(cli.folder, password="") as other:
            hosts.write_text(other.known_host.replace(str(other.port), str(server.port)))
    elif not known:
        hosts.unlink()
    ended = cli("run", address(server, **words), *flags(platform), HOME=str(home))
    assert ended.code == 2, ended.err
    assert said in ended.err
    assert "Traceback" not in ended.err
    assert PASSWORD not in ended.err
    assert "wr0ng-pass" not in ended.err
    assert not platform.enrolments()
