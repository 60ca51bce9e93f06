"""Who may import whom: the house stays a row of rooms with one hall."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "batch_enroll"
STAGES = {"loading", "mapping", "ledger", "sending", "reporting"}
SHARED = {
    "background",
    "model",
    "errors",
    "clock",
    "events",
    "results_format",
    "columns",
    "advice",
    "installed",
    "os_errors",
    "atomic_file",
}
HALL = {"planning", "steering", "running", "run", "upkeep"}
JOB = {"hours", "job", "job_file", "job_mistakes", "job_profiles", "job_values", "secrets"}
FACES = {"cli", "web", "cluster"}

# What each room may import of the package; a room that is missing here fails the test by name.
ALLOWED: dict[str, set[str]] = {
    **dict.fromkeys(SHARED, SHARED),
    **{stage: SHARED | {stage} for stage in STAGES},
    "hours": SHARED,
    "job_values": SHARED,
    "job": SHARED | {"hours", "job_values"},
    "job_mistakes": SHARED | {"job"},
    "job_file": SHARED | {"job", "job_mistakes"},
    "job_profiles": SHARED | {"job", "job_file", "job_mistakes"},
    "secrets": SHARED,
    "sandbox": SHARED | {"sandbox"},
    "telling": SHARED | {"telling", "reporting"},  # a listener like reporting, whose words it uses
    "planning": SHARED | STAGES | JOB | {"planning"},
    "steering": SHARED | STAGES | JOB | {"steering"},
    "running": SHARED | STAGES | JOB | {"planning", "steering", "running"},
    "run": SHARED | STAGES | JOB | {"planning", "steering", "running"},
    "upkeep": SHARED | STAGES | JOB | HALL,
    "__init__": SHARED | STAGES | HALL | JOB,
    "__main__": {"cli"},
    **{face: SHARED | STAGES | HALL | JOB | {"sandbox", "telling", face} for face in FACES},
}

# Each library has one home: the modules in which it may be imported.
HOMES: dict[str, tuple[str, ...]] = {
    # The client and its transports; the heartbeat goes elsewhere.
    "httpx": ("sending/", "telling/heartbeat.py"),
    "tenacity": ("sending/retry.py",),
    "sqlite3": ("ledger/sqlite/",),
    "filelock": ("ledger/sqlite/process_lock.py", "loading/temp_copies.py"),
    "tqdm": ("reporting/progress.py",),
    "pandas": ("loading/", "reporting/"),
    "httptools": ("sandbox/", "sending/"),
    "pydantic": ("job.py", "job_file.py", "job_mistakes.py", "run/approved_plan.py"),
    "rich": ("reporting/",),
    "openpyxl": (),
    "fsspec": ("loading/download.py",),
    "aiohttp": ("loading/download.py",),  # its settings, for fsspec
    "paramiko": ("loading/download.py",),
    "apprise": ("monitoring/notifications.py",),
    "prometheus_client": ("monitoring/metrics_file.py",),
    "keyring": ("secrets.py",),
    "pythonjsonlogger": ("cli/logging_setup.py",),
    "xlrd": ("loading/xls_xlsb_worker.py",),
    "xlsxwriter": ("reporting/",),
    "phonenumbers": ("mapping/",),
    "email_validator": ("mapping/",),
}


def modules():
    return sorted(PACKAGE.rglob("*.py"))


def imported_by(path):
    """Every module that a file imports, by its dotted name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def room_of(path):
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_what_the_plan_of_the_house_allows(path):
    room = room_of(path)
    for name in imported_by(path):
        top, _, rest = name.partition(".")
        if top == "batch_enroll" and rest:
            assert rest.split(".")[0] in ALLOWED[room], f"{room} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_library_has_one_home(path):
    place = path.relative_to(PACKAGE).as_posix()
    for name in imported_by(path):
        homes = HOMES.get(name.partition(".")[0])
        if homes is not None:
            assert place.startswith(homes), f"{place} imports {name}; its home is {', '.join(homes)}"


def test_the_rule_can_fail():
    """The negative control: a stage that reached for another would be caught."""
    assert "sending" not in ALLOWED["loading"]
    assert "run" not in ALLOWED["sending"]
    assert not "reporting/plan_table.py".startswith(HOMES["httpx"])
