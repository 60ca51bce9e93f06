"""README and docs match the program: flags, commands, exit codes and statuses."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import jsonschema
import pytest

from batch_enroll.cli.exit_codes import EXIT_CODES
from batch_enroll.cli.main import COMMANDS, build_parser
from batch_enroll.config.job import Job
from batch_enroll.config.job_profiles import choose_profile, job_schema
from batch_enroll.config.load import build_job, read_job_file
from batch_enroll.config.settings import SETTINGS, flagged_settings
from batch_enroll.config.settings_reference import with_tables
from batch_enroll.models import RowStatus

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS_PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
SETTINGS_PAGE = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")


def section(title, page):
    """The text below one heading, up to the next."""
    return re.split(r"^## ", page.partition(f"## {title}\n")[2], flags=re.MULTILINE)[0]


def table(title, page):
    """The cells of the rows of a section's first table."""
    lines = [line for line in section(title, page).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


SHOWN_JOB = section("The job file", SETTINGS_PAGE).partition("```toml\n")[2].partition("```")[0]


def test_settings_page_matches_the_declarations():
    again = "python -m batch_enroll.config.settings_reference docs/settings.md"
    assert with_tables(SETTINGS_PAGE) == SETTINGS_PAGE, f"make it again: {again}"
    assert len([line for line in SETTINGS_PAGE.splitlines() if line.startswith("| `")]) == len(SETTINGS)


@pytest.mark.parametrize("name", ["run", "check"])
def test_run_and_check_accept_exactly_the_listed_flags(name, capsys):
    with pytest.raises(SystemExit):
        build_parser().parse_args([name, "--help"])
    taken = set(re.findall(r"^  (?:-h, )?(--[a-z-]+)", capsys.readouterr().out, re.MULTILINE))
    own = {"--help", "--job", "--profile", "--problems", "--save", "--plan", "--samples"}
    assert taken - own == {setting.flag for setting in flagged_settings()}


def test_job_file_example_is_valid(tmp_path):
    file = tmp_path / "job.toml"
    file.write_text(SHOWN_JOB, encoding="utf-8")
    settings, places = choose_profile(read_job_file(file), "prod", file_name="job.toml")
    job = build_job(file=settings, file_name="job.toml", given=(), file_places=places)
    assert (job.scenario, job.send.rate, job.match.column) == (17, 50, "Client no")


def test_readme_is_short():
    assert len(README.splitlines()) < 120


def test_the_docs_list_the_exit_codes():
    assert {int(code): meaning for code, meaning in table("Exit codes", COMMANDS_PAGE)} == EXIT_CODES


def test_the_docs_list_the_statuses():
    assert [row[0].strip("`") for row in table("Statuses", COMMANDS_PAGE)] == [status.value for status in RowStatus]


def test_the_docs_list_the_commands():
    named = {word for row in table("Commands", COMMANDS_PAGE) for word in re.findall(r"`(\w+)", row[0])}
    assert named == set(COMMANDS)


@pytest.mark.parametrize("what", ["demo", "test"])
def test_pasted_lines_are_at_the_top(what):
    found = re.search(rf"<!-- {what} line -->\n```\n(python3 .+)\n```", README)
    assert found
    assert README.index(found[0]) < 1_500
    if what == "test":
        assert "readme_line test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def keys_in(schema, part, above=""):
    """Every key of a part of the JSON Schema, with what the schema says of it."""
    for key, value in part["properties"].items():
        below = schema["$defs"].get(value.get("$ref", "").rpartition("/")[2], {})
        yield f"{above}{key}", value
        if "properties" in below:
            yield from keys_in(schema, below, f"{above}{key}.")


def test_job_file_has_exactly_the_declared_settings():
    schema = Job.model_json_schema(by_alias=True)
    keys = dict(keys_in(schema, schema))
    assert set(keys) - {"input", "send", "stop", "output", "notify"} == {setting.key for setting in SETTINGS}
    for setting in SETTINGS:
        if setting.key != "match":  # a section, whose keys have one flag
            assert keys[setting.key]["description"] == setting.description


@pytest.mark.parametrize("path", sorted((ROOT / "examples").rglob("*.toml")), ids=lambda path: path.name)
def test_schema_accepts_the_examples(path):
    jsonschema.validate(tomllib.loads(path.read_text(encoding="utf-8")), job_schema())


def test_schema_accepts_the_shown_job_file():
    jsonschema.validate(tomllib.loads(SHOWN_JOB), job_schema())


GOOD_JOB = 'url = "https://x.example"\nscenario = 3\nmatch = {mode = "email", column = "a"}\n'


@pytest.mark.parametrize(
    "line",
    [
        'send.rate = "none"',
        'send.window = "7d"',
        'input.settle = "10s"',
        "stop.max_errors = 5",
        'stop.max_unknown = "5%"',
        'content = {first = "First name"}',
        'codes = {404 = "row"}',
        'notify.on = ["stop"]',
        'notify.urls = "mailto://x"',
    ],
)
def test_schema_and_job_accept_the_same_values(line):
    values = tomllib.loads(GOOD_JOB + line)
    jsonschema.validate(values, job_schema())
    build_job(file=values, file_name="job.toml", given=())


@pytest.mark.parametrize(
    "line",
    [
        'send.rate = "fast"',
        "send.concurrency = 0",
        'content = [["a", "b"]]',
        'codes = {404 = "perhaps"}',
        "send.window = true",
        'stop.max_rows = "many"',
        "nonsense = 1",
    ],
)
def test_schema_refuses_invalid_job_values(line):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tomllib.loads(GOOD_JOB + line), job_schema())


def test_exported_names_exist():
    import batch_enroll

    for name in batch_enroll.__all__:
        assert getattr(batch_enroll, name)
    with pytest.raises(AttributeError):
        batch_enroll.no_such_name  # noqa: B018
