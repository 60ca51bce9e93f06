"""A folder or a pattern elsewhere, through the command line: which of its files is meant, and which is new."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from batch_enroll.errors import InputError
from batch_enroll.loading.download import list_files
from batch_enroll.loading.remote_address import Remote
from tests.support.input_files import OLD_S, emails, enrolled, flags, group, lay
from tests.support.sftp import USER, sftp_server

PASSWORD = "pass-w0rd"


def table(name):
    return "email,first_name\n" + "".join(f"{email},{first}\n" for email, first in group(name))


# SFTP: the times are the files' own


@pytest.fixture
def far(cli, monkeypatch):
    """A folder on an SFTP server that is known; `far("out/")` is its address."""
    (cli.folder / "far" / "out").mkdir(parents=True)
    home = cli.folder / "home" / ".ssh"
    home.mkdir(parents=True)
    with sftp_server(cli.folder / "far", password=PASSWORD) as server:
        (home / "known_hosts").write_text(server.known_host)
        monkeypatch.setenv("HOME", str(home.parent))
        yield lambda path: f"sftp://{USER}:{PASSWORD}@127.0.0.1:{server.port}/{path}"


def test_newest_file_of_a_remote_folder_is_enrolled(cli, sandbox, far):
    server, out = sandbox(), cli.folder / "far" / "out"
    lay(out / "b.csv", *group("b"), age_s=3 * OLD_S)
    lay(out / "a.csv", *group("a"), age_s=2 * OLD_S)
    lay(out / "zz.csv", *group("z"), age_s=0)  # may still be growing
    lay(out / "a.results.csv", *group("r"))
    lay(out / "notes.pdf", *group("n"))
    (out / "inside").mkdir()
    ended = cli("run", far("out/"), *flags(server), "--pick", "newest", "--json")
    assert ended.code == 0, ended.err
    assert enrolled(server) == emails("a")
    assert ended.json["input"].endswith("/out/a.csv")
    assert "1 changed less than 10 s ago (zz.csv)" in ended.err
    assert "no table by the name (notes.pdf)" in ended.err
    assert PASSWORD not in ended.out + ended.err


def test_remote_pattern_enrolls_each_new_file_oldest_first(cli, sandbox, far):
    server, out = sandbox(), cli.folder / "far" / "out"
    command = ("run", far("out/leads-*.csv"), *flags(server), "--pick", "new", "--if-changed", "--json")
    lay(out / "leads-2.csv", *group("first"), age_s=3 * OLD_S)
    lay(out / "leads-1.csv", *group("second"), age_s=2 * OLD_S)
    lay(out / "other.csv", *group("other"))
    both = cli(*command)
    assert both.code == 0, both.err
    assert [run["input"].rpartition("/")[2] for run in both.json["runs"]] == ["leads-2.csv", "leads-1.csv"]
    assert enrolled(server) == emails("first", "second")
    again = cli(*command)
    assert (again.code, again.json["status"]) == (0, "unchanged")
    assert again.json["input"].startswith("sftp://127.0.0.1:")
    assert "2 enrolled before (leads-2.csv, leads-1.csv)" in again.err
    assert PASSWORD not in again.out + again.err
    lay(out / "leads-3.csv", *group("third"))
    lay(out / "leads-4.csv", *group("first"))  # a copy of what was enrolled
    third = cli(*command)
    assert (third.code, third.json["input"].rpartition("/")[2]) == (0, "leads-3.csv"), third.err
    assert enrolled(server) == emails("first", "second", "third")


def test_file_of_a_stopped_run_counts_as_new(cli, sandbox, far):
    server, out = sandbox(faults="token_revoked@2+"), cli.folder / "far" / "out"
    lay(out / "a.csv", *group("a"))
    command = ("run", far("out/"), *flags(server), "--pick", "new", "--if-changed", "--concurrency", "1")
    assert cli(*command).code == 3
    server.control(faults="", token_revoked=False)
    assert cli(*command).code == 0
    assert enrolled(server) == emails("a")


def test_ambiguous_pick_is_one_error_and_nothing_is_sent(cli, sandbox, far):
    server, out = sandbox(), cli.folder / "far" / "out"
    nothing = cli("run", far("out/"), *flags(server), "--pick", "newest")
    assert (nothing.code, "There is no file to enroll in sftp://127.0.0.1" in nothing.err) == (2, True), nothing.err
    lay(out / "a.csv", *group("a"))
    lay(out / "b.csv", *group("b"))
    told = [nothing.out, nothing.err]
    for address, more, said in (
        ("out/", (), "has 2 files that could be meant: a.csv, b.csv"),
        ("nowhere/", ("--pick", "newest", "--if-changed"), "There is no folder sftp://127.0.0.1"),
        ("out", ("--pick", "newest"), "end the address with / and set --pick"),
        ("out/", ("--pick", "newest", "--archive", "done"), "--archive moves a file of this machine"),
    ):
        ended = cli("run", far(address), *flags(server), *more)
        assert (ended.code, said in ended.err) == (2, True), ended.err
        told += [ended.out, ended.err]
    assert not [text for text in told if PASSWORD in text]
    assert not server.enrolments()


def test_check_reads_the_picked_file(cli, sandbox, far):
    server = sandbox()
    lay(cli.folder / "far" / "out" / "a.csv", *group("a"))
    ended = cli("check", far("out/*.csv"), *flags(server), "--pick", "newest", "--json")
    assert ended.code == 0, ended.err
    assert ended.json["input"].endswith("/out/a.csv")
    assert not server.enrolments()


# S3: there are no folders, only names


@pytest.mark.slow
def test_new_bucket_objects_are_enrolled_once(cli, sandbox, s3):
    platform = sandbox()
    command = ("run", "s3://crm-export/out/", *flags(platform), "--pick", "new", "--if-changed", "--settle", "0s")
    empty = cli(*command)
    assert (empty.code, "there is no file to enroll in s3://crm-export/out/" in empty.err) == (0, True), empty.err
    s3.put("crm-export/out/a.csv", table("a").encode())
    s3.put("crm-export/out/deeper/x.csv", table("x").encode())
    first = cli(*command)
    assert first.code == 0, first.err
    s3.put("crm-export/out/b.csv", table("b").encode())
    second = cli(*command, "--json")
    assert (second.code, second.json["input"]) == (0, "s3://crm-export/out/b.csv"), second.err
    assert enrolled(platform) == emails("a", "b")
    wrong = cli("run", "s3://crm-exprot/out/", *command[2:])
    assert (wrong.code, "there is no bucket crm-exprot" in wrong.err) == (2, True), wrong.err


# The list itself, with fsspec's file system in memory


@pytest.fixture
def memory():
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()


def listed(address):
    return list_files(Remote(address), now=datetime(2100, 1, 1, tzinfo=UTC), settle_s=10)


def test_name_that_no_address_can_hold_is_skipped(memory):
    for name in ("a.csv", "b?c.csv", "d#e.csv", "f g.csv"):
        memory.pipe(f"/in/{name}", b"email\n")
    assert [place.shown for place in listed("memory://in/").files] == ["memory://in/a.csv", "memory://in/f g.csv"]


def test_server_without_file_times_cannot_be_picked_from(memory, monkeypatch):
    memory.pipe("/in/a.csv", b"email\n")
    real = type(memory).ls

    def without(self, path, **_):
        return [{**entry, "created": None} for entry in real(self, path, detail=True)]

    monkeypatch.setattr(type(memory), "ls", without)
    with pytest.raises(InputError, match="does not report when its files changed"):
        listed("memory://in/")
