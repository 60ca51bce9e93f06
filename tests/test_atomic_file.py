"""A file written by `AtomicFile` is complete under its name, or the older one stays."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from batch_enroll.atomic_file import (
    AtomicFile,
    file_mode_from,
    require_writable,
    write_atomic,
)
from batch_enroll.errors import JobError

posix = pytest.mark.skipif(os.name == "nt", reason="permissions are another thing there")


@pytest.fixture
def synced(monkeypatch):
    """Gives what was put on disk: "file" or "folder", in order."""
    done = []
    fsync = os.fsync

    def recorded(descriptor):
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recorded)
    return done


def test_content_appears_only_at_commit(tmp_path):
    path = tmp_path / "x"
    path.write_text("old")
    with AtomicFile(path) as file:
        file.binary.write(b"new")
        file.save()
        assert path.read_text() == "old"
        file.commit()
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_failed_rename_keeps_older_file_and_leaves_nothing(tmp_path, monkeypatch):
    path = tmp_path / "x"
    write_atomic(path, b"old")

    def fail(*_):
        raise OSError("no room")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no room"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_block_that_ends_without_commit_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), AtomicFile(tmp_path / "x"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "x"
    with AtomicFile(path) as first, AtomicFile(path) as second:
        first.binary.write(b"first")
        second.binary.write(b"second")
        second.commit()
        first.commit()
    assert path.read_bytes() == b"first"


@posix
def test_mode_holds_before_the_first_byte(tmp_path):
    with AtomicFile(tmp_path / "x", mode=0o600):
        (partial,) = tmp_path.iterdir()
        assert stat.S_IMODE(partial.stat().st_mode) == 0o600


@posix
@pytest.mark.parametrize(("ignore_umask", "mode"), [(False, 0o600), (True, 0o644)])
def test_umask_narrows_the_mode_unless_ignored(tmp_path, ignore_umask, mode):
    before = os.umask(0o077)
    try:
        write_atomic(tmp_path / "x", b"", mode=0o644, ignore_umask=ignore_umask)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == mode


@posix
def test_planted_link_is_not_followed(tmp_path, monkeypatch):
    """Somebody who guesses the temporary name cannot have another file overwritten."""
    monkeypatch.setattr("secrets.token_hex", lambda _: "guessed")
    other = tmp_path / "other"
    other.write_text("kept")
    (tmp_path / "x.guessed.part").symlink_to(other)
    with pytest.raises(FileExistsError):
        write_atomic(tmp_path / "x", b"new")
    assert other.read_text() == "kept"
    assert (tmp_path / "x.guessed.part").is_symlink(), "what was not ours stays"


@posix
def test_file_is_synced_before_its_name_and_the_folder_after(tmp_path, synced, monkeypatch):
    replace = Path.replace
    monkeypatch.setattr(Path, "replace", lambda path, to: (synced.append("rename"), replace(path, to)))
    write_atomic(tmp_path / "x", b"new")
    assert synced == ["file", "rename", "folder"]


def test_nothing_is_synced_when_not_wanted(tmp_path, synced):
    write_atomic(tmp_path / "x", b"new", sync=False)
    assert (tmp_path / "x").read_bytes() == b"new"
    assert synced == []


@posix
@pytest.mark.parametrize("make", [Path.mkdir, lambda path: os.mkfifo(path)])
def test_folder_or_pipe_is_never_replaced(tmp_path, make):
    make(tmp_path / "x")
    with pytest.raises(OSError, match="it is a"):
        write_atomic(tmp_path / "x", b"new")
    assert not (tmp_path / "x").is_file()
    assert len(list(tmp_path.iterdir())) == 1


def test_require_writable_leaves_what_is_there(tmp_path):
    (tmp_path / "x").write_text("kept")
    require_writable(tmp_path / "x")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["kept"]
    with pytest.raises(JobError, match=r"cannot be written: the folder .*gone is not there\. Choose another"):
        require_writable(tmp_path / "gone" / "x")


@posix
def test_file_mode_is_no_wider_than_that_of_the_source(tmp_path):
    source = tmp_path / "in.csv"
    source.touch()
    source.chmod(0o440)
    assert file_mode_from(source) == 0o640
    assert file_mode_from(None) == 0o664
    assert file_mode_from(tmp_path / "gone", earlier=source) == 0o640
    assert file_mode_from(tmp_path / "gone") == 0o600
