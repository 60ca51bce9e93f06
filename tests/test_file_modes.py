"""What a command writes, whatever the umask: nobody outside owner and group may change it, and no link is followed."""

from __future__ import annotations

import os
import stat

import pytest

from tests.support.commands import people, write_csv

pytestmark = pytest.mark.skipif(os.name == "nt", reason="permissions are another thing there")
FLAGS = ("--scenario", "3", "--match", "email=email", "--rate", "none", "--yes")


@pytest.fixture
def no_umask():
    before = os.umask(0)
    yield
    os.umask(before)


def changeable(folder):
    """Files and folders that every user of the machine may change."""
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if not path.is_symlink() and path.stat().st_mode & stat.S_IWOTH
    ]


def test_nothing_is_writable_for_everybody(cli, sandbox, no_umask):
    server = sandbox(faults="drop_after_acting@2")
    source = write_csv(cli.folder / "in.csv", *people(2), ("nobody@example.com", ""), ("x", ""))
    source.chmod(0o666)
    there = ("--ledger", "ledger/l.sqlite", "--url", server.url, *FLAGS)
    outputs = ("--status-file", "s.json", "--metrics-file", "m.prom", "--log-file", "run.log", "--archive", "done")
    (cli.folder / "piped.csv").write_bytes(source.read_bytes())
    assert cli("check", source, *there, "--problems", "problems.csv", "--save", "plan.json").code in (0, 1)
    ended = cli("run", source, *there, *outputs, "--results", "results/", "--concurrency", "1", "--json")
    assert ended.code == 4, ended.err
    piped = cli("run", "-", *there, "--results", "piped.xlsx", stdin=b"email\nnew@example.com\n")
    assert piped.code == 0, piped.err
    assert cli("support", ended.json["run"], "--ledger", "ledger/l.sqlite", "--out", "help.zip").code == 0
    assert cli("init", "piped.csv", "--output", "made/").code == 0
    made = changeable(cli.folder)
    assert {"done/in.csv", "piped.csv"} >= set(made), made


def test_log_is_not_made_through_a_link(cli, sandbox):
    source = write_csv(cli.folder / "in.csv", *people(1))
    (cli.folder / "elsewhere").mkdir()
    (cli.folder / "run.log").symlink_to(cli.folder / "elsewhere" / "planted")
    ended = cli("run", source, "--url", sandbox().url, *FLAGS, "--log-file", "run.log")
    assert (ended.code, "run.log" in ended.err) == (2, True), ended.err
    assert not list((cli.folder / "elsewhere").iterdir())
    (cli.folder / "elsewhere" / "planted").touch()
    assert cli("run", source, "--url", sandbox().url, *FLAGS, "--log-file", "run.log").code == 0
    assert (cli.folder / "elsewhere" / "planted").stat().st_size


@pytest.mark.parametrize("flag", ["--status-file", "--metrics-file"])
def test_planted_link_is_replaced_and_not_followed(cli, sandbox, flag):
    source = write_csv(cli.folder / "in.csv", *people(1))
    (cli.folder / "theirs").touch()
    (cli.folder / "file").symlink_to(cli.folder / "theirs")
    ended = cli("run", source, "--url", sandbox().url, *FLAGS, flag, "file")
    assert ended.code == 0, ended.err
    assert (cli.folder / "theirs").stat().st_size == 0
    assert not (cli.folder / "file").is_symlink()
