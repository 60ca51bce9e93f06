"""Where the token comes from, who may read the file it is in, and that nobody gets to see it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from batch_enroll.cli import console
from batch_enroll.config.secrets import open_to_others
from tests.support.commands import people, write_csv

ROOT = str(Path(__file__).parents[1])
COMMON = ("--scenario", "3", "--match", "email=email", "--rate", "none")

KEYRING = """
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

class Backend(KeyringBackend):
    priority = 1

    def get_password(self, service, user):
        if "locked" in {mode!r}:
            raise KeyringLocked("sandbox-token is behind a lock")
        if "broken" in {mode!r}:
            raise ValueError("the store is damaged")
        with open({seen!r}, "w") as file:
            file.write(f"{{service}} {{user}}")
        return "sandbox-token" if service == "batch-enroll" else None

    def set_password(self, *_): ...
    def delete_password(self, *_): ...
"""


@pytest.fixture
def keyring_of(cli):
    """A key store of our own in place of the system's; gives the environment that chooses it."""

    def environment(mode="open"):
        source = KEYRING.format(mode=mode, seen=str(cli.folder / "asked"))
        (cli.folder / "key_store_of_tests.py").write_text(source)
        return {
            "PYTHON_KEYRING_BACKEND": "key_store_of_tests.Backend",
            "PYTHONPATH": os.pathsep.join((ROOT, str(cli.folder))),
            "PYTHONDONTWRITEBYTECODE": "1",
            "BATCH_ENROLL_TOKEN": "",
        }

    return environment


@pytest.mark.shows_token  # the key store's own source holds it
def test_token_comes_from_the_keyring_entry_of_the_url(cli, sandbox, keyring_of):
    server = sandbox()
    source = write_csv(cli.folder / "in.csv", *people(2))
    ended = cli("run", source, "--url", server.url, *COMMON, **keyring_of())
    assert ended.code == 0, ended.err
    assert len(server.enrolments()) == 2
    assert (cli.folder / "asked").read_text() == f"batch-enroll {server.url}"
    assert "sandbox-token" not in ended.out + ended.err


@pytest.mark.shows_token
@pytest.mark.parametrize("mode", ["locked", "broken"])
def test_failing_keyring_gives_no_token_and_no_traceback(cli, sandbox, keyring_of, mode):
    source = write_csv(cli.folder / "in.csv", *people(2))
    ended = cli("run", source, "--url", sandbox().url, *COMMON, **keyring_of(mode))
    assert ended.code == 2
    assert "No API token was given" in ended.err
    assert "keyring" in ended.err
    assert "Traceback" not in ended.err
    assert "sandbox-token" not in ended.out + ended.err


@pytest.mark.shows_token
def test_precedence_variable_file_keyring(cli, sandbox, keyring_of):
    source = write_csv(cli.folder / "in.csv", *people(1))
    (cli.folder / "token").write_text("wrong-token-0000")
    flags = ("run", source, "--url", sandbox().url, *COMMON, "--token-file", "token")
    by_file = cli(*flags, **keyring_of())
    assert by_file.code == 2
    assert not (cli.folder / "asked").exists()
    assert cli(*flags, **{**keyring_of(), "BATCH_ENROLL_TOKEN": "sandbox-token"}).code == 0


@pytest.mark.skipif(os.name == "nt", reason="modes mean nothing there")
@pytest.mark.parametrize(("mode", "told"), [(0o600, 0), (0o400, 0), (0o640, 1), (0o644, 1), (0o620, 1)])
def test_readable_token_file_gives_one_warning(cli, sandbox, mode, told):
    source = write_csv(cli.folder / "in.csv", *people(1))
    (cli.folder / "token").write_text("sandbox-token\n")
    (cli.folder / "token").chmod(mode)
    flags = ("--url", sandbox().url, *COMMON, "--token-file", "token")
    for command in ("check", "run"):
        ended = cli(command, source, *flags, "--quiet", BATCH_ENROLL_TOKEN="")
        assert ended.code == 0, ended.err
        assert ended.err.count("Other users of this machine can read") == told
        assert ended.err.count(f"chmod 600 {cli.folder / 'token'}") == told
    by_variable = cli("run", source, *flags, "--again", "--quiet")  # the file is not read then
    assert by_variable.err == ""


def test_read_only_mount_gives_no_warning(tmp_path, monkeypatch):
    path = tmp_path / "token"
    path.write_text("x")
    path.chmod(0o444)
    assert open_to_others(path)
    mounted = os.statvfs_result((*os.statvfs(path)[:8], os.ST_RDONLY, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: mounted)
    assert not open_to_others(path)


def test_missing_file_is_not_open_to_others(tmp_path):
    assert not open_to_others(tmp_path / "token")


def test_secrets_are_masked_in_all_output(capsys, monkeypatch):
    monkeypatch.setattr(console, "_secrets", set())
    console.register_secret("hush-hush")
    console.register_secret("a")  # too short to be one; it would tear holes into words
    console.print_message("the token hush-hush was refused")
    console.print_output('{"token": "hush-hush"}')
    out, err = capsys.readouterr()
    assert (out, err) == ('{"token": "***"}\n', "the token *** was refused\n")


def test_internal_error_shows_no_token(cli, sandbox):
    """A traceback goes through the same guard."""
    broken = cli.folder / "sitecustomize.py"
    broken.write_text(
        "import batch_enroll.run.api, os\n"
        "async def fail(*_, **how):\n    raise ValueError('bad: ' + how['token'])\n"
        "batch_enroll.run.api.enroll_async = fail\n"
    )
    source = write_csv(cli.folder / "in.csv", *people(1))
    path = os.pathsep.join((ROOT, str(cli.folder)))
    ended = cli("run", source, "--url", sandbox().url, *COMMON, PYTHONPATH=path)
    assert ended.code == 3
    assert "a bug in batch-enroll" in ended.err
    assert "ValueError: bad: ***" in ended.err
