"""Who may import whom: stages import the shared modules, `run` joins them, front ends show it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "batch_enroll"
STAGES = {"loading", "mapping", "ledger", "sending", "reporting"}
SHARED = {
    "atomic_file",
    "canonical_address",
    "daemon_threads",
    "clock",
    "column_lookup",
    "errors",
    "messages",
    "events",
    "models",
    "os_errors",
    "overwrite_guard",
    "result_columns",
    "installed_versions",
}
RUN = {"run", "control", "config"}
FRONT_ENDS = {"cli", "web", "cluster"}

# What each package or module may import of batch_enroll; one that is missing here fails the test by name.
ALLOWED: dict[str, set[str]] = {
    **dict.fromkeys(SHARED, SHARED),
    **{stage: SHARED | {stage} for stage in STAGES},
    "config": SHARED | {"config"},
    "sandbox": SHARED | {"sandbox"},
    "monitoring": SHARED | {"monitoring", "reporting"},  # a listener like reporting, whose texts it uses
    "control": SHARED | STAGES | {"config", "control"},
    "run": SHARED | STAGES | RUN,
    "maintenance": SHARED | STAGES | RUN | {"maintenance"},
    "__init__": SHARED | STAGES | RUN | {"maintenance"},
    "__main__": {"cli"},
    **{front: SHARED | STAGES | RUN | {"maintenance", "monitoring", "sandbox", front} for front in FRONT_ENDS},
}

# Each library is imported in one place.
PLACES: dict[str, tuple[str, ...]] = {
    # The client and its transports; the heartbeat goes elsewhere.
    "httpx": ("sending/", "monitoring/heartbeat.py"),
    "tenacity": ("sending/retry.py",),
    "sqlite3": ("ledger/sqlite/",),
    "filelock": ("ledger/sqlite/process_lock.py", "loading/temp_copies.py"),
    "tqdm": ("reporting/progress.py",),
    "pandas": ("loading/", "reporting/"),
    "httptools": ("sandbox/", "sending/"),
    "pydantic": ("config/", "run/approved_plan.py"),
    "rich": ("reporting/",),
    "openpyxl": (),
    "fsspec": ("loading/download.py",),
    "aiohttp": ("loading/download.py",),  # its settings, for fsspec
    "paramiko": ("loading/download.py",),
    "apprise": ("monitoring/notifications.py",),
    "prometheus_client": ("monitoring/metrics_file.py",),
    "keyring": ("config/secrets.py",),
    "pythonjsonlogger": ("cli/logging_setup.py",),
    "shtab": ("cli/parser.py", "cli/commands/completion.py"),
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


def package_of(path):
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_package_imports_only_what_it_may(path):
    package = package_of(path)
    for name in imported_by(path):
        top, _, rest = name.partition(".")
        if top == "batch_enroll" and rest:
            assert rest.split(".")[0] in ALLOWED[package], f"{package} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_library_is_imported_in_one_place(path):
    place = path.relative_to(PACKAGE).as_posix()
    for name in imported_by(path):
        places = PLACES.get(name.partition(".")[0])
        if places is not None:
            assert place.startswith(places), f"{place} imports {name}; its place is {', '.join(places)}"


def test_rule_can_fail():
    """The negative control: a stage that reached for another would be caught."""
    assert "sending" not in ALLOWED["loading"]
    assert "run" not in ALLOWED["sending"]
    assert not "reporting/plan_table.py".startswith(PLACES["httpx"])
