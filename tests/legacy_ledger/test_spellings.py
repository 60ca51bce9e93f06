"""People enrolled by the earlier release are known, however it spelled address and phone; README.md tells how."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.support.commands import read_results, write_csv
from tests.support.scripted_platform import OK
from tests.support.small_platform import small_platform

FILES = Path(__file__).with_name("spellings")
COMMON = ("--ledger", "ledger/ledger.sqlite", "--insecure-http", "--rate", "none", "--results", "new.results.csv")
PLATFORM = ("--url", "http://platform.example", "--scenario", "3")
EMAIL = ("--match", "email=E-mail")
PHONE = ("--match", "phone=Phone")


@pytest.fixture
def upgraded(cli):
    """Run a command on a copy of the old ledger; give its result and whom the platform was asked to start."""
    shutil.copytree(FILES, cli.folder, dirs_exist_ok=True)
    started = []

    def reply(body):
        started.append(body.get("email") or body["phone"])
        return OK

    with small_platform(reply=reply) as address:

        def command(*words, code=0):
            started.clear()
            environment = {"http_proxy": address, "no_proxy": "", "XDG_STATE_HOME": str(cli.folder / "state")}
            ended = cli(*words, *COMMON, **environment)
            assert ended.code == code, ended.err
            return ended, sorted(started)

        yield command


@pytest.mark.parametrize("name", ["capitals", "port"])
@pytest.mark.parametrize("way", ["edited", "same"])
def test_people_of_another_spelling_of_the_address(cli, upgraded, name, way):
    rows = [(f"{name}{number}@leads.example", f"Name {number}") for number in range(1, 5)]
    if way == "edited":
        rows = [("new@leads.example", "New"), *rows[::-1]]
        write_csv(cli.folder / f"{name}.csv", *rows, header=("E-mail", "First name"))
    refused = 2 if way == "same" else 0
    _, started = upgraded("run", f"{name}.csv", *PLATFORM, *EMAIL, "--content", "first_name=First name", code=refused)
    assert started == (["new@leads.example"] if way == "edited" else [])


def test_phones_with_and_without_the_plus(cli, upgraded):
    rows = [("79000000001", "1"), ("+79000000002", "2"), ("79000000003", "3"), ("+79000000004", "4")]
    write_csv(cli.folder / "other.csv", *rows, header=("Phone", "First name"))
    _, started = upgraded("run", "other.csv", *PLATFORM, *PHONE)
    assert started == ["+79000000004"]


def test_unfinished_run_is_found_under_the_canonical_address(cli, upgraded):
    content = ("--content", "first_name=First name")
    _, started = upgraded("run", "stopped.csv", *PLATFORM, *EMAIL, *content)
    assert len(started) == 12
    assert Counter(row["enroll_status"] for row in read_results(cli.folder / "new.results.csv")) == {"success": 24}


def test_old_unfinished_run_skips_whom_a_new_run_enrolled(cli, upgraded):
    people = [(f"stopped{number:02d}@leads.example", "Name") for number in range(1, 25)]
    write_csv(cli.folder / "other.csv", *people[::-1], header=("E-mail", "First name"))
    _, started = upgraded("run", "other.csv", *PLATFORM, *EMAIL)
    assert len(started) == 12
    assert not set(started) & {f"stopped{number:02d}@leads.example" for number in range(1, 13)}
    _, started = upgraded("run", "stopped.csv", *PLATFORM, *EMAIL, "--content", "first_name=First name")
    assert started == []


def test_negative_control_another_platform_knows_nobody(upgraded):
    _, started = upgraded("run", "capitals.csv", "--url", "http://other.example", "--scenario", "3", *EMAIL)
    assert len(started) == 4
