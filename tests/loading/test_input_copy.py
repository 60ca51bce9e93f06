"""The input is copied first, so that nothing that happens to it later can change the run."""

from __future__ import annotations

import hashlib
import io
import os
import stat

import pytest

from batch_enroll.errors import InputError
from batch_enroll.loading import open_table
from batch_enroll.models import InputOptions

TABLE = b"id,name\n1,Anna\n2,Boris\n"


class Pipe(io.BytesIO):
    """A stream that can only be read forwards, a few bytes at a time."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size, 7) if size and size > 0 else size)

    def seek(self, offset: int, whence: int = 0) -> int:
        raise io.UnsupportedOperation("seek")

    def seekable(self) -> bool:
        return False


def _rows(table):
    return [row.cells for block in table.blocks() for row in block]


def test_pipe_gives_the_same_rows_as_the_file(tmp_path):
    with open_table(Pipe(TABLE), InputOptions(), spool=tmp_path) as table:
        assert _rows(table) == [("1", "Anna"), ("2", "Boris")]
        assert table.sha256 == hashlib.sha256(TABLE).hexdigest()


def test_later_change_does_not_affect_the_rows(tmp_path):
    path = tmp_path / "people.csv"
    path.write_bytes(TABLE)
    with open_table(path, InputOptions(), spool=tmp_path) as table:
        path.write_bytes(b"id,name\n9,Mallory\n")
        assert _rows(table) == [("1", "Anna"), ("2", "Boris")]
        path.unlink()
        assert _rows(table) == [("1", "Anna"), ("2", "Boris")]


def test_file_changed_while_it_is_copied_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "people.csv"
    path.write_bytes(TABLE)
    original = hashlib.sha256

    def sha256():
        with path.open("ab") as file:
            file.write(b"3,Clara\n")
        return original()

    monkeypatch.setattr("batch_enroll.loading.input_copy.hashlib.sha256", sha256)
    with (
        pytest.raises(InputError, match=r"'people.csv' changed while it was being read"),
        open_table(path, InputOptions(), spool=tmp_path),
    ):
        pass


def test_copy_is_private_and_removed(tmp_path):
    spool = tmp_path / "spool"
    spool.mkdir()
    with open_table(io.BytesIO(TABLE), InputOptions(), spool=spool):
        copies = [path for path in spool.rglob("*") if path.is_file()]
        assert copies
        if os.name == "posix":
            assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in copies)
    assert not list(spool.iterdir())


def test_copy_is_removed_after_an_error(tmp_path):
    with pytest.raises(RuntimeError, match="elsewhere"), open_table(io.BytesIO(TABLE), InputOptions(), spool=tmp_path):
        raise RuntimeError("elsewhere")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "message"), [("missing.csv", "There is no file"), (".", "is a folder")])
def test_unreadable_input_is_one_error(tmp_path, name, message):
    with pytest.raises(InputError, match=message), open_table(tmp_path / name, InputOptions(), spool=tmp_path):
        pass


def test_broken_stream_is_one_error(tmp_path):
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with (
        pytest.raises(InputError, match="the standard input cannot be read: Input/output error"),
        open_table(Broken(), InputOptions(), spool=tmp_path),
    ):
        pass
