"""A run whose file is damaged, older than it was or gone: refused, blocks its scenario alone, and is written off."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from batch_enroll.errors import JobError, LedgerError
from batch_enroll.ledger.interface import Stage
from batch_enroll.ledger.records import PlannedRow, RunState
from batch_enroll.ledger.sqlite.salvage import CODE
from batch_enroll.messages import message
from batch_enroll.models import RowStatus
from tests.ledger.building import NOON, die, make_record, make_rows, open_run, send, statuses
from tests.support.ledgers import sqlite_ledger

PEOPLE = [f"p{n}" for n in range(60)]
SENT = 40
pytestmark = pytest.mark.usefixtures("anyio_backend")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def flip(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def changed(ending: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / f"run.sqlite{ending}"
        path.write_bytes(change(path.read_bytes()))

    return damage


def remove(*endings: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        for ending in endings:
            (folder / f"run.sqlite{ending}").unlink(missing_ok=True)

    return damage


DAMAGES = {
    "bit of the WAL": changed("-wal", lambda content: flip(content, len(content) // 2)),
    "bit of the WAL's header": changed("-wal", lambda content: flip(content, 17)),
    "cut WAL": changed("-wal", lambda content: content[: len(content) // 3]),
    "empty WAL": changed("-wal", lambda content: b""),
    "page of the WAL": changed("-wal", lambda content: content[:4096] + bytes(4096) + content[8192:]),
    "no WAL": remove("-wal"),
    "no file": remove("", "-wal", "-shm"),
    "no database": changed("", lambda content: b"nothing" * 999),
    "empty file": changed("", lambda content: b""),
}


async def killed(tmp_path: Path) -> Path:
    """A run that sent 40 of 60 rows and was killed; gives its folder."""
    run = await open_run(sqlite_ledger(tmp_path), PEOPLE)
    for seq in range(1, SENT + 1):
        await send(run, seq, RowStatus.SUCCESS)
    shutil.copytree(tmp_path, left := tmp_path.with_name(f"{tmp_path.name}-left"))
    await die(run)  # it closes the file, which a killed process does not
    shutil.rmtree(tmp_path)
    shutil.move(left, tmp_path)
    return run.folder


def plan_again(stage: Stage) -> list[list[PlannedRow]]:
    return [make_rows(PEOPLE)]


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
async def test_damaged_run_is_refused_until_it_is_written_off(tmp_path: Path, damage: Callable[[Path], None]):
    damage(await killed(tmp_path))
    ledger = sqlite_ledger(tmp_path)

    with pytest.raises(LedgerError) as refused:
        await ledger.open("run-1", read_only=False)
    assert "resolve run-1 --write-off" in refused.value.hint
    with pytest.raises(LedgerError, match="cannot be trusted"):
        await ledger.create(make_record("run-2"))
    elsewhere = await ledger.create(replace(make_record("run-3"), scenario=4))
    await elsewhere.discard()

    done = await ledger.write_off("run-1", plan_again, at=NOON)

    assert done.rows == len(PEOPLE)
    assert done.unknown is not None
    assert done.unknown >= len(PEOPLE) - SENT
    run = await ledger.open("run-1", read_only=True)
    found = await run.outcomes(after_seq=0, limit=99)
    assert {outcome.status for outcome in found} <= {RowStatus.SUCCESS, RowStatus.UNKNOWN}
    assert {outcome.code for outcome in found if outcome.status is RowStatus.UNKNOWN} <= {CODE, "interrupted"}
    assert (await run.counts()).unknown == done.unknown
    await run.close_unchanged()
    later = await open_run(ledger, PEOPLE, record=make_record("run-2"))
    assert await statuses(later) == [RowStatus.SKIPPED] * len(PEOPLE)
    await later.discard()


async def test_older_copy_of_a_run_is_written_off_and_opens_again(tmp_path: Path):
    ledger = sqlite_ledger(tmp_path)
    run = await open_run(ledger, PEOPLE)
    shutil.copytree(run.folder, tmp_path / "copy")
    for seq in range(1, SENT + 1):
        await send(run, seq, RowStatus.SUCCESS)
    await die(run)
    shutil.rmtree(run.folder)
    shutil.copytree(tmp_path / "copy", run.folder)

    assert (await ledger.write_off("run-1", plan_again, at=NOON)).unknown == len(PEOPLE)

    again = await ledger.open("run-1", read_only=False)
    assert await statuses(again) == [RowStatus.UNKNOWN] * len(PEOPLE)
    await again.close_unchanged()


async def test_run_of_which_nothing_is_left_frees_its_scenario(tmp_path: Path):
    shutil.rmtree(await killed(tmp_path))
    ledger = sqlite_ledger(tmp_path)

    def gone(stage: Stage) -> list[list[PlannedRow]]:
        stage.rows(1, 1)  # raises
        return []

    with pytest.raises(LedgerError, match="cannot be trusted"):
        await ledger.create(make_record("run-2"))

    assert await ledger.write_off("run-1", gone, at=NOON) == (len(PEOPLE), None)

    later = await open_run(ledger, PEOPLE, record=make_record("run-2"))
    assert await statuses(later) == [RowStatus.NOT_SENT] * len(PEOPLE)
    await later.discard()


async def test_full_disk_does_not_write_a_run_off(tmp_path: Path):
    folder = await killed(tmp_path)
    DAMAGES["no database"](folder)
    ledger = sqlite_ledger(tmp_path)

    def full(stage: Stage) -> list[list[PlannedRow]]:
        raise LedgerError(message("ledger.disk_full", path="x"))

    with pytest.raises(LedgerError, match="is full"):
        await ledger.write_off("run-1", full, at=NOON)

    with pytest.raises(LedgerError, match="cannot be trusted"):
        await ledger.create(make_record("run-2"))
    assert (await ledger.write_off("run-1", plan_again, at=NOON)).unknown == len(PEOPLE)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only the superuser gives files away")
async def test_run_of_another_user_is_not_written_off(tmp_path: Path):
    folder = await killed(tmp_path)
    os.chown(folder / "run.sqlite", 4711, -1)

    with pytest.raises(LedgerError, match="belongs to another user"):
        await sqlite_ledger(tmp_path).write_off("run-1", plan_again, at=NOON)


async def test_whole_run_is_not_written_off(tmp_path: Path):
    await killed(tmp_path)

    with pytest.raises(JobError, match="is not written off"):
        await sqlite_ledger(tmp_path).write_off("run-1", plan_again, at=NOON)


async def test_repeated_profile_is_unknown_once_when_planned_again(tmp_path: Path):
    folder = await killed(tmp_path)
    DAMAGES["no database"](folder)
    ledger = sqlite_ledger(tmp_path)

    await ledger.write_off("run-1", lambda stage: [make_rows(["ann", "bob", "ann"])], at=NOON)

    run = await ledger.open("run-1", read_only=True)
    assert await statuses(run) == [RowStatus.UNKNOWN, RowStatus.UNKNOWN, RowStatus.SKIPPED]
    await run.close_unchanged()
    assert (folder / "damaged-run.sqlite").exists()


async def test_random_damage_to_a_killed_run_lets_nobody_be_sent_again(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
):
    folder = await killed(tmp_path)
    shutil.copytree(tmp_path, whole := tmp_path_factory.mktemp("whole") / "run")
    rng, refused = random.Random(20261129), 0
    for _ in range(40):
        path = folder / rng.choice(["run.sqlite", "run.sqlite-wal"])
        content = path.read_bytes()
        path.write_bytes(flip(content, rng.randrange(len(content))))
        ledger = sqlite_ledger(tmp_path)
        try:
            run = await ledger.open("run-1", read_only=False)
        except LedgerError:
            refused += 1
        else:
            sent_before = [status for status in (await statuses(run))[:SENT] if status is RowStatus.NOT_SENT]
            await run.close_unchanged()
            assert not sent_before
        shutil.rmtree(tmp_path)
        shutil.copytree(whole, tmp_path)
    assert refused  # else the damage did not touch what counts


# The list of all runs


async def test_missing_index_is_refused_and_made_anew(tmp_path: Path):
    ledger = sqlite_ledger(tmp_path)
    first = await open_run(ledger, ["ann", "bob"])
    await send(first, 1, RowStatus.SUCCESS)
    await send(first, 2, RowStatus.ERROR)
    await first.close(state=RunState.FINISHED, stop_reason="", at=NOON)
    second = await open_run(ledger, ["carl", "dora"], record=make_record("run-2"))
    await send(second, 1, RowStatus.SUCCESS)
    await die(second)
    await ledger.salt()
    before = await ledger.runs()
    ledger.place[0].unlink()

    ledger = sqlite_ledger(tmp_path)
    with pytest.raises(LedgerError, match="the folders of 2 runs are still beside it") as refused:
        await ledger.runs()
    assert "doctor --rebuild-index" in refused.value.hint
    with pytest.raises(LedgerError, match="the folders of 2 runs are still beside it"):
        await ledger.create(make_record("run-3"))

    assert await ledger.rebuild_index() == (2, 0, ())

    assert sorted(await ledger.runs(), key=str) == sorted(before, key=str)
    later = await open_run(ledger, ["ann", "bob", "carl", "dora"], record=make_record("run-3"))
    skipped, waiting = RowStatus.SKIPPED, RowStatus.NOT_SENT
    assert await statuses(later) == [skipped, waiting, skipped, waiting]
    await later.discard()


async def test_rebuilt_index_says_what_is_lost(tmp_path: Path):
    ledger = sqlite_ledger(tmp_path)
    for name, person in (("run-1", "ann"), ("run-2", "bob"), ("run-3", "carl")):
        run = await open_run(ledger, [person], record=make_record(name))
        await send(run, 1, RowStatus.SUCCESS)
        await run.close(state=RunState.FINISHED, stop_reason="", at=NOON)
    await ledger.prune("run-1")
    await ledger.salt()
    (ledger.folder("run-2") / "record.json").unlink()  # as if an earlier release had made it
    ledger.place[0].unlink()

    ledger = sqlite_ledger(tmp_path)
    with pytest.raises(LedgerError) as refused:
        await ledger.runs()
    assert "Whom 2 runs of them enrolled" in refused.value.hint
    assert await ledger.rebuild_index() == (2, 2, ())
    with pytest.raises(JobError, match="is there, so it is not made anew"):
        await ledger.rebuild_index()


async def test_index_is_not_made_of_no_runs(tmp_path: Path):
    ledger = sqlite_ledger(tmp_path)
    with pytest.raises(JobError, match="holds no run"):
        await ledger.rebuild_index()
    assert not ledger.place[0].exists()


async def test_index_is_not_made_anew_without_its_secret(tmp_path: Path):
    ledger = sqlite_ledger(tmp_path)
    await (await open_run(ledger, ["ann"])).close_unchanged()
    ledger.place[0].unlink()

    with pytest.raises(LedgerError, match=r"The secret .* is missing"):
        await ledger.rebuild_index()


async def test_index_with_values_that_nobody_wrote_is_damaged(tmp_path: Path):
    ledger = sqlite_ledger(tmp_path)
    await (await open_run(ledger, ["ann"])).close_unchanged()
    with closing(sqlite3.connect(ledger.place[0])) as connection:
        connection.execute("UPDATE run SET state = NULL")
        connection.commit()

    with pytest.raises(LedgerError, match="is damaged"):
        await ledger.runs()


async def test_run_file_that_is_replaced_while_a_run_goes_is_told_at_its_end(tmp_path: Path):
    ledger = sqlite_ledger(tmp_path)
    run = await open_run(ledger, ["ann", "bob"])
    await send(run, 1, RowStatus.SUCCESS)
    (run.folder / "run.sqlite").unlink()

    with pytest.raises(LedgerError, match="was removed or replaced while run run-1 was going"):
        await run.close(state=RunState.OPEN, stop_reason="", at=NOON)


# Other users


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only the superuser gives files away")
@pytest.mark.parametrize("name", ["data/ledger.sqlite", "data/ledger.salt", "data/ledger.sqlite.runs/run-1/run.sqlite"])
async def test_file_of_another_user_is_refused(tmp_path: Path, name: str):
    await (await open_run(sqlite_ledger(tmp_path), ["ann"])).close_unchanged()
    await sqlite_ledger(tmp_path).salt()
    os.chown(tmp_path / name, 4711, -1)

    ledger = sqlite_ledger(tmp_path)
    with pytest.raises(LedgerError, match="belongs to another user"):
        await (ledger.open("run-1", read_only=False) if name.endswith("run.sqlite") else ledger.salt())


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize("mode", [0o602, 0o622, 0o660])
async def test_file_that_others_may_write_is_refused(tmp_path: Path, mode: int):
    run = await open_run(sqlite_ledger(tmp_path), ["ann"])
    await run.close_unchanged()
    path = run.folder / "run.sqlite"
    path.chmod(mode)
    if mode == 0o660:  # a volume that a group of this process shares
        os.chown(path, -1, os.getegid())
        await (await sqlite_ledger(tmp_path).open("run-1", read_only=False)).close_unchanged()
        return
    if mode == 0o622:
        if os.geteuid() != 0:
            pytest.skip("only the superuser gives files to a strange group")
        os.chown(path, -1, 4711)
        path.chmod(0o620)
    with pytest.raises(LedgerError, match="Other users may write"):
        await sqlite_ledger(tmp_path).open("run-1", read_only=False)


async def test_files_of_the_ledger_are_private_whatever_the_umask(tmp_path: Path):
    before = os.umask(0)
    try:
        run = await open_run(sqlite_ledger(tmp_path), ["ann"])
        await sqlite_ledger(tmp_path).salt()
        await send(run, 1, RowStatus.SUCCESS)
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "data").rglob("*")}
        await run.close_unchanged()
    finally:
        os.umask(before)
    assert not [name for name, mode in modes.items() if mode & 0o077], modes
