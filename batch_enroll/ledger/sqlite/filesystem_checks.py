"""Check that a folder is on a file system that is safe for SQLite, time a commit there, and reserve disk space."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path

from batch_enroll.atomic_file import OWNER_ONLY, write_atomic
from batch_enroll.errors import LedgerError
from batch_enroll.ledger.sqlite.connection import fsync_path, open_for_sending, translate_sqlite_errors
from batch_enroll.messages import message
from batch_enroll.models import Notice

NETWORK = re.compile(
    r"nfs\d?|cifs|smb\w*|9p|afs|ncpfs|ceph|lustre|gpfs|beegfs|ocfs2|gfs2|glusterfs|virtiofs|vboxsf|prl_fs|vmhgfs|webdav"
    r"|fuse\.(sshfs|glusterfs|ceph\w*|rclone|s3fs|gcsfuse|vmhgfs-fuse|juicefs|mfs|davfs2?|curlftpfs)|davfs2?|\\\\"
)
"""Types on which SQLite's locks or its shared memory cannot be trusted (sqlite.org/wal.html, section 1)."""

VOLATILE = {"tmpfs", "ramfs"}
_RESERVE_BYTES = 1 << 20
_DRIVE_REMOTE = 4  # GetDriveTypeW


def check_location(folder: Path) -> Notice | None:
    """Refuse a network file system; return a notice for a file system in memory.

    Raises:
        LedgerError: the folder lies on a network file system.
    """
    kind = file_system(folder)
    if NETWORK.fullmatch(kind):
        raise LedgerError(message("ledger.network_file_system", folder=str(folder), type=kind))
    if kind in VOLATILE:
        return Notice(code="ledger_not_durable", message=message("ledger.not_durable", folder=str(folder), type=kind))
    return None


def check_owner(*paths: Path) -> None:
    """Refuse files and folders that another user could change: a run would send what that user likes.

    A group of this process may write, so that a volume shared by a group stays usable. On Windows nothing is checked.

    Raises:
        LedgerError: one of them belongs to another user, or others may write it.
    """
    if sys.platform == "win32":
        return
    for path in paths:
        try:
            found = path.stat()
        except OSError:  # not there yet, or not to be looked at: whoever opens it says so
            continue
        if found.st_uid not in (0, os.geteuid()):
            raise LedgerError(message("ledger.other_owner", path=str(path), uid=found.st_uid))
        is_ours = found.st_gid == os.getegid() or found.st_gid in os.getgroups()
        if found.st_mode & stat.S_IWOTH or (found.st_mode & stat.S_IWGRP and not is_ours):
            raise LedgerError(message("ledger.others_may_write", path=str(path)))


def file_system(folder: Path) -> str:
    """Return the type of the file system of a folder, which need not exist yet; "" when it is not known."""
    folder = folder.absolute().resolve()
    if sys.platform == "linux":
        with suppress(OSError):
            return _type_at(folder, _linux_mounts(Path("/proc/self/mountinfo").read_text(encoding="utf-8")))
    elif sys.platform == "darwin":
        with suppress(OSError, subprocess.SubprocessError):
            listing = subprocess.run(["/sbin/mount"], capture_output=True, text=True, check=True, timeout=10).stdout
            return _type_at(folder, _mac_mounts(listing))
    elif sys.platform == "win32":
        import ctypes

        remote = ctypes.windll.kernel32.GetDriveTypeW(folder.anchor) == _DRIVE_REMOTE
        return "smb" if remote or folder.drive.startswith("\\\\") else ""
    return ""


def probe(folder: Path) -> float:
    """Try in `folder` what a run does there; return the seconds that a commit takes (the median of three).

    Raises:
        LedgerError: one of these operations fails.
    """
    path = folder / "probe.sqlite"
    with translate_sqlite_errors(folder):
        try:
            with closing(open_for_sending(path)) as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS probe(n)")
                times_s = sorted(_commit_time(connection) for _ in range(3))
            path.replace(path.with_name("probe.renamed")).unlink()
            fsync_path(folder)
        finally:
            for left in folder.glob("probe.*"):
                left.unlink(missing_ok=True)
    return times_s[1]


class DiskReserve:
    """A file that is deleted when the disk is full, so that the outcomes of requests in flight can be saved."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ballast"
        self.released = False  #: the space was freed; no new row may be sent

    def create(self) -> None:
        """Write the file with random bytes, which no file system can compress.

        Raises:
            LedgerError: the disk is full.
        """
        with translate_sqlite_errors(self._path):
            if not (self._path.exists() and self._path.stat().st_size >= _RESERVE_BYTES):
                write_atomic(self._path, os.urandom(_RESERVE_BYTES), mode=OWNER_ONLY)

    def release(self) -> None:
        """Free the space for the requests in flight."""
        self.released = True
        self.remove()

    def remove(self) -> None:
        """Remove the file."""
        with suppress(OSError):
            self._path.unlink()


def _commit_time(connection: sqlite3.Connection) -> float:
    start_s = time.perf_counter()
    connection.execute("INSERT INTO probe VALUES (1)")
    return time.perf_counter() - start_s


def _type_at(folder: Path, mounts: Iterable[tuple[str, str]]) -> str:
    """Return the type of the deepest mount over `folder`; of two on the same folder the later hides the other."""
    best, kind = -1, ""
    for point, its_kind in mounts:
        depth = len(Path(point).parts)
        if depth >= best and folder.is_relative_to(point):
            best, kind = depth, its_kind
    return kind


def _linux_mounts(mountinfo: str) -> Iterable[tuple[str, str]]:
    """Read (mount point, type) from `/proc/self/mountinfo` (proc(5)); blanks in it are written as octal escapes."""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        point = re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), before.split(" ")[4])
        yield point, after.split(" ")[0]


def _mac_mounts(listing: str) -> Iterable[tuple[str, str]]:
    """Read (mount point, type) from what `mount` prints: `//me@host/share on /Volumes/share (smbfs, nodev)`."""
    for line in listing.splitlines():
        if match := re.fullmatch(r".* on (/.*) \((\w+).*\)", line):
            yield match[1], match[2]
