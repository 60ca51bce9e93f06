"""Copies of inputs hold personal data: they are gone when a command ends, and after a kill with the next command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager

import pytest

from batch_enroll.errors import InputError
from batch_enroll.loading.temp_copies import orphaned_copies, private_temp_dir
from tests.support.commands import people, write_csv
from tests.support.sandbox import wait_until

PATIENCE_S = 60.0
MANY = 300_000  #: rows that take a few seconds to plan
SECRET = "user00001@example.com"


def flags(server):
    return ("--url", server.url, "--scenario", "3", "--match", "email=email", "--rate", "none")


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The temporary folder of every process that the test starts, and of this one."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    return write_csv(tmp_path_factory.mktemp("many") / "many.csv", *people(MANY))


def spools(folder):
    return sorted(path.name for path in folder.iterdir())


def copied(folder):
    """Whether the personal data has arrived in a spool."""
    return any(SECRET in path.read_text() for path in folder.glob("batch-enroll-*/files/**/input"))


@contextmanager
def half_way(cli, temporary, *words):
    """A command that has copied half of its input and waits for the rest."""
    process = cli.start(*words, stdin=subprocess.PIPE)
    try:
        process.stdin.write(f"email\n{SECRET}\n" + "x" * (1 << 20))
        process.stdin.flush()
        wait_until(lambda: copied(temporary), timeout_s=PATIENCE_S)
        yield process
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_S)


def leave_one(cli, temporary):
    """Kill a command that has a copy of its input."""
    before = spools(temporary)
    with half_way(cli, temporary, "init", "-", "--output", "killed.toml"):
        pass  # and the block's end kills it
    [name] = set(spools(temporary)) - set(before)
    return name


def test_killed_planning_leaves_a_copy_until_the_next_command(cli, sandbox, temporary, many):
    server = sandbox()
    process = cli.start("run", many, *flags(server), "--yes")
    wait_until(lambda: copied(temporary), timeout_s=PATIENCE_S)
    process.kill()
    process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, server.enrolments()) == (-signal.SIGKILL, {})
    assert len(orphaned_copies()) == len(spools(temporary)) == 1
    assert cli("init", many).code == 0
    assert spools(temporary) == []


@pytest.mark.parametrize("command", ["run", "check", "init", "resolve"])
def test_next_command_removes_leftover_copies(cli, sandbox, temporary, command):
    server = sandbox(faults="drop_after_acting@1")
    source = write_csv(cli.folder / "in.csv", *people(3))
    if command == "resolve":
        run = cli("run", source, *flags(server), "--json").json["run"]
        verdicts = cli.folder / "verdicts.csv"
        verdicts.write_text(cli("resolve", run).out.replace(",,,", ",enrolled,,"))
    left = leave_one(cli, temporary)
    assert (temporary / left).stat().st_mode & 0o777 == 0o700
    assert orphaned_copies() == [temporary / left]

    match command:
        case "run":
            ended = cli("run", source, *flags(server))
        case "check":
            ended = cli("check", source, *flags(server))
        case "init":
            ended = cli("init", source)
        case _:
            ended = cli("resolve", run, "--verdicts", verdicts)

    assert ended.code == (4 if command == "run" else 0), ended.err
    assert spools(temporary) == []


def test_copy_of_a_live_process_stays(cli, sandbox, temporary):
    server = sandbox()
    source = write_csv(cli.folder / "in.csv", *people(3))
    with half_way(cli, temporary, "check", "-", *flags(server), "--json") as process:
        assert cli("check", source, *flags(server)).code == 0
        assert cli("init", source).code == 0
        assert cli("run", source, *flags(server)).code == 0
        assert len(spools(temporary)) == 1
        assert orphaned_copies() == []
        out, err = process.communicate("\nlast@example.com\n", timeout=PATIENCE_S)
        assert json.loads(out)["rows"] == 3, err
    assert spools(temporary) == []


def test_doctor_lists_leftover_copies_and_keeps_them(cli, temporary):
    def copies():
        findings = json.loads(cli("doctor", "--json", BATCH_ENROLL_TOKEN="").out)["findings"]
        return next(one for one in findings if one["name"] == "copies")

    assert copies()["level"] == "ok"
    left = leave_one(cli, temporary)
    found = copies()
    assert (found["level"], found["message"]) == (
        "warning",
        f"1 copy of an input, with personal data, left in {temporary} by a process that was killed",
    )
    assert spools(temporary) == [left]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)], ids=["INT", "TERM", "HUP"]
)
@pytest.mark.parametrize("command", ["run", "check", "init"])
def test_signal_leaves_no_copy(cli, sandbox, temporary, many, command, number, code):
    server = sandbox()

    def end(process):
        process.send_signal(number)
        _, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == code, err
        assert "othing was sent" in err
        assert "Traceback" not in err

    if command == "init":
        with half_way(cli, temporary, "init", "-", "--output", "job.toml") as process:
            end(process)
    else:
        process = cli.start(command, many, *flags(server), "--yes")
        wait_until(lambda: copied(temporary), timeout_s=PATIENCE_S)
        end(process)
    assert spools(temporary) == []
    assert server.enrolments() == {}


@pytest.mark.parametrize("content", ["", "name\nx\n", "email\n"], ids=["empty", "no such column", "no row"])
def test_unusable_input_leaves_no_copy(cli, sandbox, temporary, content):
    (cli.folder / "in.csv").write_text(content)
    for command in ("run", "check"):
        assert cli(command, "in.csv", *flags(sandbox())).code == 2
    assert cli("init", "in.csv").code == 2
    assert spools(temporary) == []


# The module itself: what it must never touch


def aged(path, hours):
    moment = time.time() - hours * 3600
    os.utime(path, (moment, moment))


def dead(folder, *, lock=True):
    """A folder as a killed process leaves it."""
    (folder / "files").mkdir(parents=True)
    (folder / "files" / "input").write_text(SECRET)
    if lock:
        (folder / "in-use.lock").touch()
    return folder


def swept(temporary):
    with private_temp_dir() as files:
        assert files.parent.parent == temporary
    return spools(temporary)


def test_unrelated_folder_stays(temporary):
    dead(temporary / "batch-enroll-abcdefgh")
    dead(temporary / "batch-enroll-support-a906cc51")
    dead(temporary / "batch-enroll-main")
    dead(temporary / "batch-enroll-mailings-2026")
    aged(dead(temporary / "batch-enroll-12345678", lock=False), hours=100)
    (temporary / "batch-enroll-87654321").write_text("a file")

    assert swept(temporary) == [
        "batch-enroll-12345678",
        "batch-enroll-87654321",
        "batch-enroll-mailings-2026",
        "batch-enroll-main",
        "batch-enroll-support-a906cc51",
    ]


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_links_are_not_followed(temporary, tmp_path):
    mine = dead(tmp_path / "mine")
    (temporary / "batch-enroll-linklink").symlink_to(mine)
    inside = dead(temporary / "batch-enroll-abcdefgh")
    (inside / "files" / "link").symlink_to(mine / "files")

    assert swept(temporary) == ["batch-enroll-linklink"]
    assert (mine / "files" / "input").read_text() == SECRET
    assert (mine / "in-use.lock").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="the temporary folder is one person's own there")
def test_folder_of_another_user_stays(temporary, monkeypatch):
    dead(temporary / "batch-enroll-abcdefgh")
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    assert swept(temporary) == ["batch-enroll-abcdefgh"]
    assert orphaned_copies() == []
    monkeypatch.setattr(os, "geteuid", lambda: me)
    assert swept(temporary) == []


def test_unfinished_new_folder_stays(temporary):
    (temporary / "batch-enroll-abcdefgh").mkdir()
    assert swept(temporary) == ["batch-enroll-abcdefgh"]
    aged(temporary / "batch-enroll-abcdefgh", hours=2)
    assert swept(temporary) == []


def test_two_temp_folders_of_one_process_stay_separate(temporary):
    with private_temp_dir() as first:
        (first / "input").write_text(SECRET)
        with private_temp_dir() as second:
            assert first != second
            assert orphaned_copies() == []
        assert (first / "input").read_text() == SECRET
        assert first.stat().st_mode & 0o777 == 0o700
    assert spools(temporary) == []


def test_folder_is_removed_after_any_end_of_the_block(temporary):
    def fail():
        with private_temp_dir() as files:
            (files / "input").write_text(SECRET)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert spools(temporary) == []


def test_unwritable_temp_location_is_one_error(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with (
        pytest.raises(InputError, match=r"^No copy of the input can be made in .*none: No such file"),
        private_temp_dir(),
    ):
        pass
    assert orphaned_copies() == []
