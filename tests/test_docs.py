"""The documentation: links have a target, and console examples match the output of the program.

A fenced block marked `console` holds commands (`$ ...`) and their whole output; `...` on a line of its own stands for
omitted lines. Values that differ from run to run (ids, seconds, rates, folders) are compared by kind.
"""

from __future__ import annotations

import re
import shlex
import shutil
import textwrap
from functools import cache
from pathlib import Path

import pytest
import yaml

import batch_enroll
from tests.support.commands import people, write_csv

ROOT = Path(__file__).parents[1]
FOLDERS = ("", "docs", "examples", "benchmarks", "tests")
PAGES = sorted({page for name in FOLDERS for page in (ROOT / name).glob("**/*.md" if name else "*.md")})
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CONSOLE = re.compile(r"^( *)```console\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def without_code(text):
    """A page without its fenced blocks and code spans: brackets there are no links."""
    text = re.sub(r"^( *)```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", lambda code: "x" * len(code[0]), text)


@cache
def anchors(page):
    """The names of a page's headings as GitHub makes them."""
    text = re.sub(r"^( *)```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    names: list[str] = []
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        name = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        names.append(f"{name}-{sum(one == name for one in names)}" if name in names else name)
    return set(names)


def links():
    """Every link to a place in this project, with the page it stands on."""
    for page in PAGES:
        for target in dict.fromkeys(_LINK.findall(without_code(page.read_text(encoding="utf-8")))):
            if not re.match(r"[a-z]+:", target):
                yield pytest.param(page, target, id=f"{page.relative_to(ROOT)}: {target}")


@pytest.mark.parametrize(("page", "target"), list(links()))
def test_links_have_a_target(page, target):
    path, _, anchor = target.partition("#")
    place = (page.parent / path).resolve() if path else page
    assert place.exists(), f"there is no {place}"
    assert place.is_relative_to(ROOT), "it leads out of the project"
    if anchor:
        assert anchor in anchors(place), f"{place.name} has no heading {anchor}; it has {sorted(anchors(place))}"


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "SECURITY.md", "docs/architecture.md"])
def test_files_that_pages_name_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w.*/-])[\w./-]+\.(?:py|md|toml|yml)\b|[\w/]+/(?=`)", text)) - {"dist/"}
    assert len(named) > 3
    starts = (ROOT, (ROOT / page).parent, ROOT / "batch_enroll", ROOT / "tests")
    assert sorted(name for name in named if not any((start / name).exists() for start in starts)) == []


PAGES_OF_DOCS = {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}


@pytest.mark.parametrize(("front", "folder"), [("README.md", "docs/"), ("docs/index.md", "")])
def test_front_pages_link_every_page_of_docs(front, folder):
    linked = re.findall(rf"\({folder}([\w-]+\.md)", (ROOT / front).read_text(encoding="utf-8"))
    assert set(linked) >= PAGES_OF_DOCS


def test_the_site_has_every_page_of_docs():
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")}
    assert set(re.findall(r"[\w/-]+\.md", str(settings["nav"]))) == pages


def test_the_api_page_has_every_exported_name():
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^::: batch_enroll\.(\w+)$", page, re.MULTILINE)) == sorted(batch_enroll.__all__)


# Consoles


def consoles(page):
    """The blocks of a page: commands, each with the lines that it prints."""
    for _, block in _CONSOLE.findall(page.read_text(encoding="utf-8")):
        shown: list[tuple[str, list[str]]] = []
        for line in textwrap.dedent(block).splitlines():
            if line.startswith("$ "):
                shown.append((line.removeprefix("$ "), []))
            else:
                shown[-1][1].append(line)
        yield from shown


def kinds(text):
    """A text with what differs from run to run replaced by its kind."""
    for pattern, kind in (
        (r"http://127\.0\.0\.1:\d+", "URL"),
        (r"\b[0-9a-f]{8}\b", "RUN"),
        (r"\b[\d,.]+ (requests )?a second", r"N \1a second"),
        (r"\b[\d.]+ (m?s|min|h)\b", "TIME"),
    ):
        text = re.sub(pattern, kind, text)
    return text


def fits(shown, printed):
    """Whether lines are what was printed, `...` standing for any number of lines."""
    form = "".join(r"(?:.*\n)*?" if line == "..." else re.escape(line) + r"\n" for line in shown)
    return re.fullmatch(form, "".join(f"{line}\n" for line in printed)) is not None


def test_ellipsis_matches_omitted_lines_only():
    printed = ["a", "b", "c", "d"]
    assert fits(["a", "b", "c", "d"], printed)
    assert fits(["a", "...", "d"], printed)
    assert fits(["...", "c", "d"], printed)
    assert fits(["a", "b", "..."], printed)
    assert not fits(["a", "b", "d"], printed)
    assert not fits(["a", "...", "c"], printed)
    assert not fits(["b", "...", "d"], printed)
    assert not fits(["a", "...", "d", "c"], printed)


@pytest.mark.parametrize("page", ["README.md", "docs/enroll.md"])
def test_console_examples_match_the_output(page, cli, sandbox):
    server = sandbox()
    shutil.copy(ROOT / "examples" / "leads.xlsx", cli.folder)
    (cli.folder / "token.txt").write_text("sandbox-token\n")
    (cli.folder / "token.txt").chmod(0o600)
    shown = list(consoles(ROOT / page))
    assert [command.split()[1] for command, _ in shown] == ["init", "check", "run"]
    for command, lines in shown:
        words = shlex.split(command.replace("http://127.0.0.1:8765", server.url))
        words += [] if words[1] == "init" else ["--samples"]  # as a terminal shows it
        ended = cli(*words[1:], BATCH_ENROLL_RATE="none" if words[1] == "run" else "", BATCH_ENROLL_TOKEN="")
        printed = kinds((ended.out + ended.err).replace(str(cli.folder), "/home/me"))
        assert fits(kinds("\n".join(lines)).splitlines(), printed.splitlines()), f"{command} prints:\n{printed}"
    assert len(server.enrolments()) == 297


# Python


def test_examples_of_the_python_page_run(sandbox, tmp_path, monkeypatch):
    server = sandbox()
    monkeypatch.chdir(tmp_path)
    write_csv(Path("leads.csv"), *people(5), header=("E-mail", "First name"))
    names = {"token": server.token}
    for block in _PYTHON.findall((ROOT / "docs" / "python.md").read_text(encoding="utf-8")):
        exec(block.replace("https://ru.altkraft.com", server.url), names)
        assert names["summary"].counts.success == 5
    assert set(server.enrolments().values()) == {2}  # the forgotten ledger did not know of the first run
