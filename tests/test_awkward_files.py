"""Files that people send although their format is a little wrong, through the command line."""

from __future__ import annotations

import os
import threading
import zipfile
from pathlib import Path

import pytest

from tests.support.corpus import FOLDER_2, case, play


@pytest.mark.parametrize("name", ["PK", "PAR1", "Rar!", "GIF8", "BZh", "MZ", "ARROW1"])
def test_first_header_like_a_signature_is_a_table(send, name):
    assert send(f"{name},client_id\n1,000123\n").sent == ("000123",)


@pytest.mark.parametrize("marks", [1, 2, 3])
@pytest.mark.parametrize("codec", ["utf-8", "utf-16-le", "utf-16-be"])
def test_repeated_byte_order_marks_are_skipped(send, marks, codec):
    assert send(("\ufeff" * marks + '"client_id","n"\n"000123","1"\n').encode(codec)).sent == ("000123",)


def test_workbook_with_parts_outside_its_usual_folder_is_read(send, cli):
    moved = cli.folder / "moved.xlsx"
    with zipfile.ZipFile(FOLDER_2 / "t2-55.xlsx") as given, zipfile.ZipFile(moved, "w") as out:
        for name in given.namelist():
            content = given.read(name)
            if name.endswith((".rels", ".xml")):
                content = content.replace(b"xl/", b"book/")
            out.writestr(name.replace("xl/", "book/"), content)
    assert send(moved.read_bytes(), "moved.xlsx").sent == ("000123", "1002")


def test_named_pipe_is_read(cli, sandbox):
    pipe = cli.folder / "pipe.csv"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text("client_id,n\n000123,1\n"))
    writer.start()
    assert play(cli, sandbox(), case(), pipe).sent == ("000123",)
    writer.join()


def test_own_column_enroll_status_is_a_column(cli, sandbox, send):
    played = send("client_id,enroll_status\n1001,new\n,old\n", content=("enroll_status",))
    assert (played.sent, played.columns["enroll_status"]) == (("1001", None), ("new", None))
    failed = cli.folder / "out.failed.csv"
    assert b"\n,old," in failed.read_bytes()
    corrected = failed.read_bytes().replace(b"\n,old,", b"\n1002,old,")
    played = send(corrected, "corrected.csv", content=("enroll_status",))
    assert (played.sent, played.columns["enroll_status"]) == (("1002",), ("old",))


def test_locked_opendocument_is_named(send):
    played = send((FOLDER_2 / "t2-64.ods").read_bytes(), "locked.ods")
    assert played.code == 2
    assert "protected with a password" in played.said


def test_dbase_file_is_named(send):
    played = send(b"\x03\x7c\x05\x11" + b"\x01\0\0\0\x41\0\x0b\0" + bytes(20) + b"ID\0\0\0\0\0\0\0\0\0C" + bytes(30))
    assert played.code == 2
    assert "dBase" in played.said


def test_dangling_link_is_named(cli, sandbox):
    link = cli.folder / "link.csv"
    link.symlink_to(Path("nowhere.csv"))
    played = play(cli, sandbox(), case(), link)
    assert played.code == 2
    assert "link" in played.said
    assert "nowhere.csv" in played.said
