"""The pages of `--help`: whoever reads one finds the next word to type."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import subprocess
import sys

import pytest

from batch_enroll.cli.exit_codes import EXIT_CODES
from batch_enroll.cli.main import COMMANDS, build_parser
from batch_enroll.cli.parser import CommandParser
from batch_enroll.config.settings import flagged_settings

LONG = ("run", "check")


def page(name, monkeypatch, *, columns=100):
    monkeypatch.setenv("COLUMNS", str(columns))
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        build_parser().parse_args([name, "--help"])
    return printed.getvalue()


@pytest.mark.parametrize("columns", [80, 100, 250])
@pytest.mark.parametrize("name", COMMANDS)
def test_help_lines_fit_terminal_and_readable_width(name, columns, monkeypatch):
    lines = page(name, monkeypatch, columns=columns).splitlines()
    widest = max(lines, key=len)
    assert len(widest) < min(columns, 100), widest


def test_prose_is_wrapped_and_tables_are_not(monkeypatch):
    monkeypatch.setenv("COLUMNS", "42")
    parser = CommandParser("x")
    parser.description = (
        "One sentence that goes\non here.\n\nwords:\n  a     short\n  long  so long that it goes on below itself"
    )
    assert parser.format_help().splitlines()[2:] == [
        "One sentence that goes on here.",
        "",
        "words:",
        "  a     short",
        "  long  so long that it goes on below",
        "        itself",
    ]


@pytest.mark.parametrize("name", LONG)
def test_flag_and_description_share_a_line(name, monkeypatch):
    lines = page(name, monkeypatch).splitlines()
    for setting in flagged_settings():
        shown = f"  {setting.flag} {setting.metavar}".rstrip()
        [line] = [line for line in lines if line == shown or line.startswith(f"{shown} ")]
        assert line.removeprefix(shown).strip(), f"{line} says nothing"


@pytest.mark.parametrize("name", LONG)
def test_long_page_starts_with_purpose_and_ends_with_exit_codes(name, monkeypatch):
    text = page(name, monkeypatch)
    assert "positional arguments" not in text
    titles = ("the input:", "the job:", "the platform:", "help:", "exit codes:")
    parts = ["usage:", "examples:", "BATCH_ENROLL_MAX_ERRORS", *(f"\n{title}" for title in titles)]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_run_page_lists_all_exit_codes(monkeypatch):
    told = re.findall(r"^  (\d+) +(.+)$", page("run", monkeypatch).partition("\nexit codes:\n")[2], re.MULTILINE)
    assert {int(code): meaning for code, meaning in told} == EXIT_CODES


@pytest.mark.parametrize("name", COMMANDS)
def test_page_has_separate_exit_codes_and_short_usage(name, monkeypatch):
    text = page(name, monkeypatch)
    assert len(text.partition("\n\n")[0].splitlines()) <= 5
    assert text.count("xit codes: 0") == text.count("\n\nexit codes: 0")


@pytest.mark.parametrize("name", LONG)
def test_each_example_is_a_valid_command(name, monkeypatch):
    text = page(name, monkeypatch)
    examples = re.findall(r"^  batch-enroll (.+)$", text, re.MULTILINE)
    assert len(examples) == 3
    for example in examples:
        assert build_parser().parse_args(shlex.split(example)).command == name


_TELL_LOADED = """
import sys
before = set(sys.modules)  # who measures coverage has loaded a lot of its own
from batch_enroll.cli.main import main
main(sys.argv[1:])
print(*sys.modules.keys() - before, file=sys.stderr)
"""


@pytest.mark.parametrize("words", [["--help"], *([name, "--help"] for name in COMMANDS)], ids=" ".join)
def test_page_loads_no_other_command_and_no_heavy_library(words):
    ended = subprocess.run([sys.executable, "-c", _TELL_LOADED, *words], capture_output=True, text=True, check=True)
    loaded = set(ended.stderr.split())
    own = {f"batch_enroll.cli.commands.{COMMANDS[name][0]}" for name in words if name in COMMANDS}
    assert {name for name in loaded if name.startswith("batch_enroll.cli.commands.")} == own
    assert not loaded & {"asyncio", "anyio", "httpx", "openpyxl", "pandas", "pydantic", "shtab", "sqlite3", "tqdm"}
