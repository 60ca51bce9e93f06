"""The archive through the command line: what is moved there and when, and what never happens to a file."""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import shutil
import stat
import time
from pathlib import Path

import pytest

from batch_enroll.errors import RunStopped
from batch_enroll.run.input_archive import archive_input
from tests.support.commands import read_results, write_csv
from tests.support.input_files import OLD_S, aged, emails, enrolled, flags, group, lay
from tests.support.sandbox import wait_until


def test_archived_input_keeps_its_run_readable(cli, sandbox):
    server = sandbox(faults="drop_after_acting@2")
    source = lay(cli.folder / "leads.csv", *group("a"), ("nobody@example.com", ""))
    source.chmod(0o600)
    content = source.read_bytes()
    ended = cli("run", source, *flags(server), "--concurrency", "1", "--archive", "done", "--json")
    assert ended.code == 4
    moved = cli.folder / "done" / "leads.csv"
    assert ended.json["files"]["input"] == str(moved)
    assert not source.exists()
    assert moved.read_bytes() == content
    assert time.time() - moved.stat().st_mtime > OLD_S / 2
    run = ended.json["run"]
    results = cli.folder / f"leads.{run}.results.csv"
    assert results.exists()
    where = ("--ledger", "ledger/ledger.sqlite")
    results.unlink()
    assert cli("report", run, *where).code == 0
    assert len(read_results(results)) == 4
    assert stat.S_IMODE(results.stat().st_mode) == 0o600
    assert "a.example.com" in cli("resolve", run, *where).out
    (cli.folder / "job.toml").write_text("[send]\nconcurrency = 1\n")
    retried = cli("retry", run, "--errors", *where, "--job", "job.toml", "--json")
    assert (retried.code, retried.json["counts"]["error"]) == (4, 1)
    assert cli("run", moved, *flags(server), "--if-changed").code == 0
    assert len(server.enrolments()) == 3


def test_archive_overwrites_nothing(cli, sandbox):
    server = sandbox()
    for name in ("a", "b", "c"):
        lay(cli.folder / "in" / "new.csv.gz", *group(name))
        (cli.folder / "in" / "new.csv.gz").write_bytes(gzip.compress((cli.folder / "in" / "new.csv.gz").read_bytes()))
        aged(cli.folder / "in" / "new.csv.gz")
        assert cli("run", "in/new.csv.gz", *flags(server), "--archive", "done").code == 0
    assert sorted(path.name for path in (cli.folder / "done").iterdir()) == [
        "new.2.csv.gz",
        "new.3.csv.gz",
        "new.csv.gz",
    ]
    assert enrolled(server) == emails("a", "b", "c")


def test_stopped_run_leaves_its_input_in_place(cli, sandbox):
    server = sandbox(faults="token_revoked@2+")
    source = lay(cli.folder / "in" / "new.csv", *group("a"))
    command = ("run", source, *flags(server), "--archive", "done", "--concurrency", "1", "--json")
    assert cli(*command).code == 3
    assert source.exists()
    server.control(faults="", token_revoked=False)
    assert cli(*command).code == 0
    assert not source.exists()


@pytest.mark.slow
def test_file_replaced_meanwhile_is_not_moved(cli, sandbox):
    server = sandbox(latency_s=(0.3, 0.3))
    source = lay(cli.folder / "new.csv", *group("a"))
    process = cli.start("run", source, *flags(server), "--archive", "done", "--concurrency", "1", "--quiet", "--json")
    try:
        wait_until(lambda: bool(server.enrolments()))
        lay(cli.folder / "other.csv", *group("b")).replace(source)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert "no longer the file" in err
    assert "input" not in json.loads(out)["files"]
    assert source.exists()
    assert not list((cli.folder / "done").iterdir())


def test_failed_move_is_repeated_next_time(cli, sandbox):
    server = sandbox()
    source = lay(cli.folder / "in" / "new.csv", *group("a"))
    assert cli("run", source, *flags(server)).code == 0
    ended = cli("run", source, *flags(server), "--if-changed", "--archive", "done")
    assert ended.code == 0, ended.err
    assert (cli.folder / "done" / "new.csv").exists()
    assert not source.exists()
    assert cli("run", source, *flags(server), "--if-changed", "--archive", "done").code == 0


def test_input_enrolled_before_is_moved_from_a_folder(cli, sandbox):
    server = sandbox()
    for name in ("a", "b"):
        lay(cli.folder / "in" / f"{name}.csv", *group(name))
    assert cli("run", "in/a.csv", *flags(server)).code == 0
    ended = cli("run", "in", *flags(server), "--pick", "new", "--archive", "done")
    assert ended.code == 0, ended.err
    assert "Moved in/a.csv" in ended.err
    assert sorted(path.name for path in (cli.folder / "done").iterdir()) == ["a.csv", "b.csv"]
    assert enrolled(server) == emails("a", "b")


@pytest.mark.parametrize(
    ("archive", "said"), [("nowhere/done", "nowhere is not there"), ("in", "of the input"), ("taken", "cannot be used")]
)
def test_unusable_archive_is_refused_before_sending(cli, sandbox, archive, said):
    server = sandbox()
    source = lay(cli.folder / "in" / "new.csv", *group("a"))
    (cli.folder / "taken").write_text("a file")
    ended = cli("run", source, *flags(server), "--archive", archive)
    assert ended.code == 2
    assert said in ended.err
    assert not server.enrolments()


def test_standard_input_cannot_be_archived(cli, sandbox):
    server = sandbox()
    ended = cli("run", "-", *flags(server), "--archive", "done", stdin=b"email\na@example.com\n")
    assert ended.code == 2
    assert "moves a file of this machine" in ended.err
    assert not server.enrolments()


def test_job_archive_is_beside_the_job_file_and_not_an_input(cli, sandbox):
    """A relative archive folder belongs to the job file's folder, and its files are not inputs."""
    server = sandbox()
    jobs = cli.folder / "jobs"
    lay(cli.folder / "drop" / "a.csv", *group("a"))
    jobs.mkdir()
    (jobs / "nightly.toml").write_text('[input]\npick = "new"\narchive = "../drop/done"\nif_changed = true\n')
    command = ("run", "drop/**/*.csv", "--job", "jobs/nightly.toml", *flags(server))
    assert cli(*command).code == 0
    assert (cli.folder / "drop" / "done" / "a.csv").exists()
    lay(cli.folder / "drop" / "done" / "never.csv", *group("b"))
    assert cli(*command).code == 0
    assert enrolled(server) == emails("a")


def other_disk(monkeypatch, folder, *, meanwhile=lambda: None):
    """Make `folder` lie on another disk: nothing can be renamed into it."""
    replace = Path.replace

    def refuse(self, target):
        if Path(target).parent == folder and self.parent != folder:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        meanwhile()
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refuse)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_archive_on_another_disk_copies_before_deleting(tmp_path, monkeypatch):
    source, folder = lay(tmp_path / "in" / "new.csv", *group("a")), tmp_path / "done"
    folder.mkdir()
    (folder / "new.csv").write_text("older")
    content, moment = source.read_bytes(), source.stat().st_mtime
    other_disk(monkeypatch, folder)
    moved = archive_input(source, folder, sha256=sha256(source))
    assert (moved.name, moved.read_bytes(), moved.stat().st_mtime) == ("new.2.csv", content, moment)
    assert (folder / "new.csv").read_text() == "older"
    assert not list(source.parent.iterdir())


def test_copy_on_another_disk_is_private_before_its_first_byte(tmp_path, monkeypatch):
    source, folder = lay(tmp_path / "in" / "new.csv", *group("a")), tmp_path / "done"
    folder.mkdir()
    source.chmod(0o640)
    modes: list[int] = []
    copy = shutil.copyfileobj

    def watched(*words):
        modes.extend(stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir() if path.suffix == ".part")
        copy(*words)

    monkeypatch.setattr("shutil.copyfileobj", watched)
    other_disk(monkeypatch, folder)
    moved = archive_input(source, folder, sha256=sha256(source))
    assert (modes, stat.S_IMODE(moved.stat().st_mode)) == ([0o600], 0o640)


def test_newer_file_during_the_copy_is_kept(tmp_path, monkeypatch):
    source, folder = lay(tmp_path / "in" / "new.csv", *group("a")), tmp_path / "done"
    folder.mkdir()
    was = sha256(source)
    other_disk(monkeypatch, folder, meanwhile=lambda: write_csv(source, *group("b")))
    with pytest.raises(RunStopped, match="no longer the file"):
        archive_input(source, folder, sha256=was)
    assert emails("b") <= set(source.read_text().replace("\n", ",").split(","))
    assert not list(folder.iterdir())
    assert len(list(source.parent.iterdir())) == 1


def test_full_disk_leaves_the_input_in_place(tmp_path, monkeypatch):
    source, folder = lay(tmp_path / "in" / "new.csv", *group("a")), tmp_path / "done"
    folder.mkdir()
    other_disk(monkeypatch, folder)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    with pytest.raises(RunStopped, match="the disk is full"):
        archive_input(source, folder, sha256=sha256(source))
    assert source.exists()
    assert not list(folder.iterdir())


def test_symbolic_link_is_not_moved(tmp_path):
    real, folder = lay(tmp_path / "in" / "real.csv", *group("a")), tmp_path / "done"
    folder.mkdir()
    link = tmp_path / "new.csv"
    link.symlink_to(real)
    with pytest.raises(RunStopped, match="link"):
        archive_input(link, folder, sha256=sha256(real))
    assert link.is_symlink()
