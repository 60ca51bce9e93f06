"""A disk whose power can be cut: records what SQLite writes and syncs, and makes the images a cut could leave.

The method is that of SQLite's own test6.c: what was written before a file's last sync is there; of what was written
later each sector of 512 bytes may be there or not. A connection of the standard library cannot be given such a disk, so
`connect` gives one of apsw that looks like it as far as the ledger needs.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw

SECTOR = 512


class Disk:
    """What happened, in order: (name, offset, bytes) written, (name, size) cut, (name,) synced, or a note."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, int, bytes]] = []

    def note(self, what: str, number: int) -> None:
        """Remember that the ledger confirmed something at this moment."""
        self.events.append((what, "", number, b""))

    def images(
        self, base: dict[str, bytes], many: int, seed: int
    ) -> Iterator[tuple[dict[str, bytes], set[tuple[str, int]]]]:
        """Cut the power at random moments: give the files that are left, and what had been confirmed before."""
        chance = random.Random(seed)
        for _ in range(many):
            moment = chance.randrange(1, len(self.events) + 1)
            confirmed = {(what, number) for what, name, number, _ in self.events[:moment] if not name}
            yield self._image(base, moment, chance), confirmed

    def _image(self, base: dict[str, bytes], moment: int, chance: random.Random) -> dict[str, bytes]:
        synced = {name: at for at, (what, name, *_) in enumerate(self.events[:moment]) if what == "sync"}
        files = {name: bytearray(content) for name, content in base.items()}
        for at, (what, name, number, content) in enumerate(self.events[:moment]):
            safe = at < synced.get(name, -1)
            file = files.setdefault(name, bytearray()) if name else bytearray()
            if what == "write":
                for start in range(0, len(content), SECTOR):
                    if safe or chance.random() < 0.5:
                        write(file, number + start, content[start : start + SECTOR])
            elif what == "truncate" and (safe or chance.random() < 0.5):
                del file[number:]
            elif what == "delete":
                files.pop(name, None)
        return {name: bytes(content) for name, content in files.items()}


def write(file: bytearray, offset: int, content: bytes) -> None:
    file.extend(bytes(max(0, offset - len(file))))
    file[offset : offset + len(content)] = content


class RecordingVFS(apsw.VFS):
    """The system's file system, with a record kept by `disk`."""

    def __init__(self, name: str, disk: Disk) -> None:
        self._disk = disk
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> RecordingFile:
        return RecordingFile(name, flags, self._disk)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        self._disk.events.append(("delete", Path(filename).name, 0, b""))


class RecordingFile(apsw.VFSFile):
    def __init__(self, name: Any, flags: list[int], disk: Disk) -> None:
        filename = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._name = Path(filename).name if filename else "temporary"
        self._disk = disk
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        super().xWrite(data, offset)
        self._disk.events.append(("write", self._name, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:
        super().xTruncate(newsize)
        self._disk.events.append(("truncate", self._name, newsize, b""))

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        self._disk.events.append(("sync", self._name, 0, b""))


class Connection:
    """An apsw connection that looks like one of the standard library, as far as the ledger needs it."""

    def __init__(self, uri: str, vfs: str) -> None:
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_URI
        self._apsw = apsw.Connection(uri, flags=flags, vfs=vfs)

    @property
    def total_changes(self) -> int:
        return int(self._apsw.total_changes())

    @property
    def in_transaction(self) -> bool:
        return bool(self._apsw.in_transaction)

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Cursor:
        lines = list(self._apsw.execute(statement, values))
        return Cursor(lines, int(self._apsw.changes()))

    def close(self) -> None:
        self._apsw.close()


class Cursor:
    def __init__(self, lines: list[Any], rowcount: int) -> None:
        self._lines = lines
        self.rowcount = rowcount

    def __iter__(self) -> Iterator[Any]:
        return iter(self._lines)

    def fetchone(self) -> Any:
        return self._lines[0] if self._lines else None

    def fetchall(self) -> list[Any]:
        return self._lines
