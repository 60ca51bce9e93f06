"""The search for the token finds it: the negative control of `tests/support/secrecy.py`, test by test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Not written out here: pytest repeats the source of a test that fails.
BEGIN = """
import subprocess, sys, zipfile
import pytest

TOKEN = "sandbox" + "-token"

@pytest.fixture(autouse=True)
def _isolated_environment(tmp_path_factory):
    return tmp_path_factory.mktemp("home")

@pytest.fixture
def leaky(cli, monkeypatch):
    \"\"\"A command that says what it must not.\"\"\"
    monkeypatch.setattr(type(cli), "_words", lambda self, words: [sys.executable, "-c", *map(str, words)])
    return cli

"""
SAY = "import os, sys; print(os.environ['BATCH_ENROLL_TOKEN'], file=sys.{stream})"

LEAKS = {
    "a file of the test's folder": "def test_it(tmp_path):\n    (tmp_path / 'log').write_text(f'row 1 {TOKEN}')",
    "a file deep below": (
        "def test_it(tmp_path):\n    (tmp_path / 'a').mkdir()\n    (tmp_path / 'a' / 'ledger').write_bytes("
        "b'\\0' * 99 + TOKEN.encode())"
    ),
    "the data folder": (
        "def test_it(_isolated_environment):\n    (_isolated_environment / 'log').write_text(f'x{TOKEN}')"
    ),
    "a workbook": (
        "def test_it(tmp_path):\n    with zipfile.ZipFile(tmp_path / 'r.xlsx', 'w', zipfile.ZIP_DEFLATED) as book:\n"
        "        book.writestr('sheet.xml', f'<c>{TOKEN}</c>')"
    ),
    "standard output": f"def test_it(leaky):\n    leaky({SAY.format(stream='stdout')!r}, child=True)",
    "standard error": f"def test_it(leaky):\n    leaky({SAY.format(stream='stderr')!r}, child=True)",
    "a command in the test's own process": (
        "def test_it(cli, monkeypatch):\n"
        "    monkeypatch.setattr('batch_enroll.cli.main.main', lambda words: print(TOKEN) or 0)\n    cli('run')"
    ),
    "a command left running": f"def test_it(leaky):\n    leaky.start({SAY.format(stream='stderr')!r}).communicate()",
    "what the test's own process prints": "def test_it():\n    print('Authorization:', TOKEN)",
    "what the test's own process logs": "def test_it():\n    __import__('logging').error('token %s', TOKEN)",
}

INNOCENT = {
    "a token file": "def test_it(tmp_path):\n    (tmp_path / 'token').write_text(TOKEN + '\\n')",
    "a command that is meant to": f"@pytest.mark.shows_token\ndef test_it(leaky):\n"
    f"    leaky({SAY.format(stream='stdout')!r}, child=True)",
    "a folder without it": "def test_it(tmp_path):\n    (tmp_path / 'log').write_text('row 1 refused')",
}


def ran(tmp_path, source):
    test = tmp_path / "test_leak.py"
    test.write_text(BEGIN + source + "\n")
    words = ["-p", "tests.support.secrecy", "-p", "tests.support.commands", "-q", "-p", "no:cacheprovider"]
    words += ["-c", os.devnull, "--rootdir", str(tmp_path), "--basetemp", str(tmp_path / "base"), str(test)]
    # The outer run's own options are not for this one: a demand for coverage, say, would fail it.
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.shows_token
@pytest.mark.parametrize("source", LEAKS.values(), ids=LEAKS)
def test_leaked_token_fails_the_test(tmp_path, source):
    code, said = ran(tmp_path, source)
    assert code == 1, said
    assert "the token " in said


@pytest.mark.shows_token
@pytest.mark.parametrize("source", INNOCENT.values(), ids=INNOCENT)
def test_hidden_token_passes_the_test(tmp_path, source):
    code, said = ran(tmp_path, source)
    assert code == 0, said
