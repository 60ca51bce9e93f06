"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from batch_enroll.messages import Wording, set_default_wording

pytest_plugins = (
    "tests.support.secrecy",
    "tests.support.sandbox",
    "tests.support.commands",
    "tests.support.corpus",
    "tests.support.ledgers",
    "tests.support.receiver",
    "tests.support.s3",
)

TESTS = Path(__file__).parent

# Whole files and folders that are slow: kills, nights, fuzz, recipes, and what starts an interpreter for each test.
# A single slow test carries the marker itself.
SLOW = (
    "fuzz",
    "legacy_ledger",
    "proof",
    "unattended",
    "ledger/test_full_disk.py",
    "ledger/test_killed_process.py",
    "ledger/test_power_cut.py",
    "ledger/test_two_processes.py",
    "loading/test_xlsb.py",
    "monitoring/test_notifications.py",
    "monitoring/test_status_and_metrics_files.py",
    "test_benchmarks.py",
    "test_concurrent_starts.py",
    "test_control.py",
    "test_control_before_sending.py",
    "test_diagnosis.py",
    "test_life_cycle.py",
    "test_memory_use.py",
    "test_odd_surroundings.py",
    "test_printed_commands.py",
    "test_recipe_runs.py",
    "test_recipes.py",
    "test_recipes_airflow.py",
    "test_recipes_kubernetes.py",
    "test_remote_s3.py",
    "test_remote_sftp.py",
    "test_same_people.py",
    "test_secrecy.py",
    "test_standard_streams.py",
    "test_temp_copies.py",
)

# Files that together use every library of pyproject.toml within a minute, for other versions of them and of Python.
SMOKE = (
    "ledger/test_staged_rows.py",
    "loading/test_corpus.py",
    "mapping/test_row_mapper.py",
    "monitoring/test_run_monitor.py",
    "monitoring/test_status_and_metrics_files.py",
    "reporting/test_plan_table.py",
    "reporting/test_results_writer.py",
    "sending/test_httpx_transport.py",
    "sending/test_retry.py",
    "test_examples.py",
    "test_logs.py",
    "test_secrets.py",
)

# `examples` of tests/support takes its share of these: the fast tests try a fifth of the examples.
# A slow machine fails no test: neither an example's time nor that of making examples is judged.
TIMELESS = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fast", TIMELESS, max_examples=20)
settings.register_profile("thorough", TIMELESS, max_examples=100)
settings.load_profile("fast")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `SLOW` and `SMOKE` name."""
    for marker, names in (("slow", SLOW), ("smoke", SMOKE)):
        paths = [TESTS / name for name in names]
        if gone := [str(path) for path in paths if not path.exists()]:
            raise pytest.UsageError(f"tests/conftest.py marks files that do not exist: {', '.join(gone)}")
        for item in items:
            if any(item.path.is_relative_to(path) for path in paths):
                item.add_marker(marker)


@pytest.fixture(autouse=True)
def _isolated_environment(monkeypatch, tmp_path_factory):
    """Isolate each test from the settings, data folder and /tmp of the user."""
    for name in [name for name in os.environ if name.startswith("BATCH_ENROLL_")]:
        monkeypatch.delenv(name)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path_factory.mktemp("home")
    for name in ("XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(home / name.lower()))
    (home / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(home / "tmp"))  # for processes that a test starts, and may kill
    set_default_wording(Wording())  # a command line in the same process names flags, and would go on naming them
    return home


@pytest.fixture
def anyio_backend():
    return "asyncio"
