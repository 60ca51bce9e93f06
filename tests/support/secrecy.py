"""A pytest plugin that searches the output and the files of each test for the tests' tokens.

A file that holds only the token is a token file made by the test; copies of the examples show the sandbox's token.
Tests that show the token on purpose are marked `shows_token`.
"""

from __future__ import annotations

import mmap
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

TOKENS = ("sandbox-token", "secret-token")
EXAMPLES = Path(__file__).parents[2] / "examples"
MARKER = "shows_token"
_PACKED = (".xlsx", ".zip")


def pytest_configure(config):
    config.addinivalue_line("markers", f"{MARKER}: prints or writes the sandbox's token, and is meant to")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Search what was printed while the test ran, in this process and in those that share its streams."""
    report = yield
    if report.when == "call" and report.passed and item.get_closest_marker(MARKER) is None:
        printed = "".join(text for title, text in report.sections if title.startswith("Captured"))
        if any(token in printed for token in TOKENS):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid}: the token was printed or logged"
    return report


@pytest.fixture(autouse=True)
def _no_token_on_disk(request, _isolated_environment):
    """Search every file below the test's folders, whichever way the command ended."""
    folders = [_isolated_environment]
    if "tmp_path" in request.fixturenames:
        folders.append(request.getfixturevalue("tmp_path"))
    yield
    if request.node.get_closest_marker(MARKER) is not None:
        return
    found = [str(path) for folder in folders for path in files_with_token(folder)]
    assert not found, f"the token stands in {', '.join(found)}"


def files_with_token(folder: Path) -> Iterator[Path]:
    """Find the files that hold a token and are no token files."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and any(map(_holds_token, _parts(path))) and not _is_example(path):
            yield path


def said_token(*texts: str) -> bool:
    """Tell whether a command's output holds a token."""
    return any(token in text for text in texts for token in TOKENS)


def _is_example(path: Path) -> bool:
    return any(path.read_bytes() == own.read_bytes() for own in EXAMPLES.rglob(path.name))


def _parts(path: Path) -> Iterator[Iterable[bytes] | mmap.mmap | bytes]:
    try:
        if not path.stat().st_size:
            return
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content
        if path.suffix in _PACKED and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                yield from (
                    archive.read(name) for name in archive.namelist() if not archive.getinfo(name).flag_bits & 1
                )
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError):
        return  # a socket, a damaged archive, a file that another process has just removed


def _holds_token(content) -> bool:
    for token in TOKENS:
        if content.find(token.encode()) >= 0 and content[: len(token) + 8].strip() != token.encode():
            return True
    return False
