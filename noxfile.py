"""One command for each chore: `nox` checks a change, `nox -l` lists the others, `nox -s NAME -- ARGUMENTS` runs one."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "typing", "tests"]
nox.options.reuse_venv = "yes"

ROOT = Path(__file__).parent
PYPROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
SITE = "build/site"
SETTINGS_PAGE = "docs/settings.md"


def install(session: nox.Session, *groups: str, package: bool = True) -> None:
    """Install dependency groups of pyproject.toml, and the program itself in its editable form."""
    session.install(*(["-e", "."] if package else []), *nox.project.dependency_groups(PYPROJECT, *groups))


def arguments_of_test_line() -> list[str]:
    """Give what the test line of README.md passes to pytest."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    line = re.search(r"<!-- test line -->\n```\n.* -m pytest (.*)\n```", readme)
    if line is None:
        raise ValueError("README.md has no test line")
    return shlex.split(line[1])


@nox.session
def lint(session: nox.Session) -> None:
    """Check with ruff; `nox -s lint -- --fix` corrects and formats."""
    install(session, "lint", package=False)
    if "--fix" in session.posargs:
        session.run("ruff", "check", "--fix", ".")
        session.run("ruff", "format", ".")
    else:
        session.run("ruff", "check", ".")
        session.run("ruff", "format", "--check", ".")


@nox.session
def typing(session: nox.Session) -> None:
    """Check the types with mypy --strict."""
    install(session, "typing", "test")
    session.run("mypy", "--strict", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests of the test line in README.md, or `nox -s tests -- tests/test_cli.py -k help`."""
    install(session, "test")
    session.run("pytest", *(session.posargs or arguments_of_test_line()))


@nox.session
def slow(session: nox.Session) -> None:
    """Run the slow tests (kills, nights, fuzz, recipes), and the property tests with all their examples."""
    install(session, "test")
    marked = ("-m", "slow or hypothesis", "--hypothesis-profile", "thorough")  # as in .ci/run
    session.run("pytest", "-q", "-n", "auto", *marked, *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site of docs/ with the public API; every warning is an error. `-- serve` shows it while you write."""
    install(session, "docs")
    if session.posargs:
        session.run("mkdocs", *session.posargs)
    else:
        session.run("mkdocs", "build", "--strict", "--site-dir", SITE)


@nox.session
def settings(session: nox.Session) -> None:
    """Make the tables of docs/settings.md from the declared settings."""
    session.install("-e", ".")
    session.run("python", "-m", "batch_enroll.config.settings_reference", SETTINGS_PAGE)


@nox.session
def bench(session: nox.Session) -> None:
    """Run the benchmarks (Linux; a quarter of an hour); `nox -s bench -- --quick` takes some minutes."""
    install(session, "bench", "test")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Build sdist and wheel into dist/, install the wheel and run the demo with it."""
    install(session, "build", package=False)
    folder = Path(session.create_tmp()).absolute()
    for old in folder.glob("*"):
        if old.is_file():
            old.unlink()
    session.run("python", "-m", "build", "--outdir", str(folder))
    (wheel,) = folder.glob("*.whl")
    session.install(str(wheel))
    session.install("--force-reinstall", "--no-deps", str(wheel))  # the version may be that of the last time
    with session.chdir(folder):
        session.run("batch-enroll", "demo")
    dist = ROOT / "dist"
    dist.mkdir(exist_ok=True)
    for file in (wheel, *folder.glob("*.tar.gz")):
        file.replace(dist / file.name)
        session.log(f"dist/{file.name}")
