"""Fixtures for all tests."""

from __future__ import annotations

import os

import pytest

from batch_enroll.messages import Wording, set_default_wording

pytest_plugins = (
    "tests.support.secrecy",
    "tests.support.sandbox",
    "tests.support.commands",
    "tests.support.ledgers",
    "tests.support.receiver",
    "tests.support.s3",
)


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
