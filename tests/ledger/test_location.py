"""Where a ledger may lie, and what is said of a file that is not what it should be."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
from pathlib import Path

import pytest

from batch_enroll.errors import LedgerError, RunLocked
from batch_enroll.ledger.sqlite import filesystem_checks
from batch_enroll.models import RowStatus
from tests.ledger.building import make_record, open_run, send, statuses
from tests.support.ledgers import sqlite_ledger

MOUNTINFO = r"""
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:27 / /tmp rw,nosuid - tmpfs tmpfs rw
41 22 0:40 /share /mnt/team\040share rw master:1 - nfs4 server:/share rw
42 22 0:41 / /home/anna/cloud rw - fuse.sshfs anna@server: rw
43 22 0:42 / /srv rw - cifs //server/srv rw
44 43 8:1 / /srv/local rw - xfs /dev/sdb1 rw
45 22 8:2 / /data rw - ext4 /dev/sdc1 rw
46 45 0:43 / /data rw - 9p host rw
""".strip()

MAC_MOUNTS = """
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
//anna@server/share on /Volumes/team share (smbfs, nodev, nosuid)
""".strip()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var/lib", "ext4"),
        ("/tmp/x", "tmpfs"),
        ("/mnt/team share/ledgers", "nfs4"),
        ("/mnt/team", "ext4"),
        ("/home/anna/cloud", "fuse.sshfs"),
        ("/srv/x", "cifs"),
        ("/srv/local/x", "xfs"),
        ("/data/x", "9p"),
    ],
)
def test_deepest_and_latest_mount_gives_the_disk_type(folder: str, kind: str):
    assert filesystem_checks._type_at(Path(folder), filesystem_checks._linux_mounts(MOUNTINFO)) == kind


@pytest.mark.parametrize(("folder", "kind"), [("/Users/anna", "apfs"), ("/Volumes/team share/x", "smbfs")])
def test_macos_mounts_are_parsed(folder: str, kind: str):
    assert filesystem_checks._type_at(Path(folder), filesystem_checks._mac_mounts(MAC_MOUNTS)) == kind


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "lustre", "gpfs", "fuse.sshfs", "virtiofs"]
)
async def test_network_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str):
    monkeypatch.setattr(filesystem_checks, "file_system", lambda _: kind)

    with pytest.raises(LedgerError, match="network file system") as refused:
        await sqlite_ledger(tmp_path).create(make_record())
    assert "`output.ledger`" in refused.value.hint
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "overlay", "apfs", "fuseblk", ""])
def test_local_disk_is_accepted_without_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str):
    monkeypatch.setattr(filesystem_checks, "file_system", lambda _: kind)

    assert sqlite_ledger(tmp_path).notices() == ()


def test_memory_file_system_is_accepted_with_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(filesystem_checks, "file_system", lambda _: "tmpfs")

    (notice,) = sqlite_ledger(tmp_path).notices()
    assert notice.code == "ledger_not_durable"


async def test_commit_time_is_measured_before_the_input_is_read(tmp_path: Path):
    run = await sqlite_ledger(tmp_path).create(make_record())

    assert 0 < run.commit_s < 1
    await run.discard()


async def test_ledger_files_are_readable_by_the_owner_only(tmp_path: Path):
    ledger = sqlite_ledger(tmp_path)
    await ledger.salt()
    run = await open_run(ledger, ["ann"])

    def mode(path: Path) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    assert mode(tmp_path / "data" / "ledger.salt") == 0o600
    assert mode(tmp_path / "data" / "ledger.sqlite") == 0o600
    assert mode(run.folder) == 0o700
    assert mode(run.folder.parent) == 0o700
    await run.close_unchanged()


async def test_refused_run_leaves_no_folder(tmp_path: Path):
    ledger = sqlite_ledger(tmp_path)
    run = await open_run(ledger, ["ann"])

    with pytest.raises(RunLocked):
        await ledger.create(make_record("run-2", identity=make_record().identity))

    assert [folder.name for folder in sorted(run.folder.parent.iterdir())] == ["run-1"]
    await run.close_unchanged()


async def test_ledger_holds_no_name_or_address(tmp_path: Path):
    ledger = sqlite_ledger(tmp_path)
    run = await open_run(ledger, ["ann@example.org"])
    await send(run, 1, RowStatus.SUCCESS)
    await run.close_unchanged()

    kept = b"".join(path.read_bytes() for path in sorted((tmp_path / "data").rglob("*.sqlite*")) if path.is_file())
    assert b"example.org" in kept  # the platform's address, in the record
    assert b"ann@" not in kept


def make_read_only(disk: Path) -> None:
    """Permissions would not do: they do not stop root."""
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


async def test_read_only_disk_allows_reading_only(disk: Path):
    ledger = sqlite_ledger(disk)
    run = await open_run(ledger, ["ann"])
    await send(run, 1, RowStatus.SUCCESS)
    await run.close_unchanged()
    make_read_only(disk)

    assert [record.run_id for record in await ledger.runs()] == ["run-1"]
    reader = await ledger.open("run-1", read_only=True)
    assert await statuses(reader) == [RowStatus.SUCCESS]
    await reader.close_unchanged()
    with pytest.raises(LedgerError, match=r"[Rr]ead-only") as refused:
        await ledger.create(make_record("run-2"))
    assert "`output.ledger`" in refused.value.hint
    with pytest.raises(LedgerError, match=r"[Rr]ead-only"):
        await ledger.open("run-1", read_only=False)


async def test_path_below_a_file_is_refused(tmp_path: Path):
    (tmp_path / "data").write_text("a file")

    with pytest.raises(LedgerError, match="cannot use"):
        await sqlite_ledger(tmp_path).create(make_record())


async def test_index_that_is_not_a_ledger_is_refused(tmp_path: Path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ledger.sqlite").write_text("number;name\n" * 100)

    with pytest.raises(LedgerError, match="damaged, or is no ledger"):
        await sqlite_ledger(tmp_path).runs()
    with pytest.raises(LedgerError, match="damaged, or is no ledger"):
        await sqlite_ledger(tmp_path).create(make_record())


def run_statements(path: Path, *statements: str) -> None:
    path.parent.mkdir(exist_ok=True)
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


async def test_database_of_another_program_is_refused(tmp_path: Path):
    run_statements(tmp_path / "data" / "ledger.sqlite", "CREATE TABLE places(name)")

    with pytest.raises(LedgerError, match="not a ledger of batch_enroll"):
        await sqlite_ledger(tmp_path).create(make_record())
    with pytest.raises(LedgerError, match="not a ledger of batch_enroll"):
        await sqlite_ledger(tmp_path).runs()


@pytest.mark.parametrize("file", ["ledger.sqlite", "ledger.sqlite.runs/run-1/run.sqlite"])
async def test_other_schema_version_is_refused(tmp_path: Path, file: str):
    ledger = sqlite_ledger(tmp_path)
    await (await open_run(ledger, ["ann"])).close_unchanged()
    run_statements(tmp_path / "data" / file, "PRAGMA user_version = 99")

    with pytest.raises(LedgerError, match="layout 99"):
        await ledger.open("run-1", read_only=False)
    with pytest.raises(LedgerError, match="layout 99"):
        await ledger.open("run-1", read_only=True)


async def test_damaged_run_is_refused_until_it_is_restored(tmp_path: Path):
    ledger = sqlite_ledger(tmp_path)
    run = await open_run(ledger, [f"p{n}" for n in range(1000)])
    await run.close_unchanged()
    file = run.folder / "run.sqlite"
    whole = file.read_bytes()
    file.write_bytes(whole[:8192] + b"\xff" * 8192 + whole[16384:])

    for _ in range(2):
        with pytest.raises(LedgerError, match=r"damaged|not as this program left it"):
            await ledger.open("run-1", read_only=False)
    file.write_bytes(whole)
    again = await ledger.open("run-1", read_only=False)
    await again.close_unchanged()


async def test_totals_that_do_not_add_up_are_refused(tmp_path: Path):
    ledger = sqlite_ledger(tmp_path)
    run = await open_run(ledger, ["ann", "bob"])
    await run.close_unchanged()
    run_statements(run.folder / "run.sqlite", "DELETE FROM row WHERE seq = 2")

    with pytest.raises(LedgerError, match="do not add up"):
        await ledger.open("run-1", read_only=False)


async def test_file_of_another_run_is_refused(tmp_path: Path):
    ledger = sqlite_ledger(tmp_path)
    for name in ("run-1", "run-2"):
        run = await open_run(ledger, ["ann"], record=make_record(name))
        await run.close_unchanged()
    other = run.folder.with_name("run-1") / "run.sqlite"
    other.write_bytes((run.folder / "run.sqlite").read_bytes())

    with pytest.raises(LedgerError, match="it holds run run-2"):
        await ledger.open("run-1", read_only=False)


async def test_run_without_its_file_is_refused(tmp_path: Path):
    ledger = sqlite_ledger(tmp_path)
    run = await open_run(ledger, ["ann"])
    await run.close_unchanged()
    (run.folder / "run.sqlite").unlink()

    with pytest.raises(LedgerError, match="are gone"):
        await ledger.open("run-1", read_only=False)


@pytest.mark.parametrize("secret", [None, bytes(32), b"short"])
async def test_missing_or_changed_salt_is_refused(tmp_path: Path, secret: bytes | None):
    ledger = sqlite_ledger(tmp_path)
    await ledger.salt()
    salt = tmp_path / "data" / "ledger.salt"
    salt.write_bytes(secret) if secret is not None else salt.unlink()

    with pytest.raises(LedgerError, match="would not be recognised"):
        await ledger.salt()


@pytest.mark.parametrize("name", ["", "..", "a/b", "-rf", "a\0b", "é/"])
async def test_run_id_cannot_escape_the_folder(tmp_path: Path, name: str):
    with pytest.raises(LedgerError, match="name of a run"):
        await sqlite_ledger(tmp_path).create(make_record(name))
