"""README and docs say what the program does: flags, commands, exit codes and statuses are the parser's own."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from batch_enroll.cli.exit_codes import EXIT_CODES
from batch_enroll.cli.main import COMMANDS, build_parser
from batch_enroll.cli.options import REMOVED, SETTINGS
from batch_enroll.config.load import build_job, read_job_file
from batch_enroll.config.profiles import choose_profile
from batch_enroll.models import RowStatus

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETTINGS_PAGE = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")


def section(title, page=README):
    """The text below one heading, up to the next."""
    return re.split(r"^## ", page.partition(f"## {title}\n")[2], flags=re.MULTILINE)[0]


def table(title, page=README):
    """The cells of the rows of a section's first table."""
    lines = [line for line in section(title, page).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def flag_row(setting):
    """How the page shows a setting."""
    key = ".".join(setting.path) if len(setting.path) > 1 else setting.path[0]
    flag = f"`{setting.flag} {setting.metavar}`" if setting.metavar else f"`{setting.flag}`"
    return [flag.replace("|", "\\|"), f"`{key}`", setting.help.replace("|", "\\|")]


def test_the_page_of_settings_lists_every_flag_with_its_place_in_the_job_file():
    assert table("Flags of `run` and `check`", SETTINGS_PAGE) == [flag_row(setting) for setting in SETTINGS]


def test_run_and_check_take_exactly_these_flags():
    commands = next(
        action.choices for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    settings = {setting.flag for setting in SETTINGS}
    for name in ("run", "check"):
        taken = {flag for action in commands[name]._actions for flag in action.option_strings}
        taken -= {setting.flag for setting in REMOVED}  # taken to say that they were removed
        assert taken - {"-h", "--help", "--job", "--profile", "--problems", "--save", "--plan"} == settings


def test_the_job_file_that_is_shown_can_be_used(tmp_path):
    shown = re.search(r"```toml\n(.+?)```", section("The job file", SETTINGS_PAGE), re.DOTALL)
    assert shown
    file = tmp_path / "job.toml"
    file.write_text(shown[1], encoding="utf-8")
    settings, places = choose_profile(read_job_file(file), "prod", file_name="job.toml")
    job = build_job(file=settings, file_name="job.toml", given=(), file_places=places)
    assert (job.scenario, job.send.rate, job.match.column) == (17, 50, "Client no")


def test_the_front_door_is_short():
    assert len(README.splitlines()) < 260


def test_readme_lists_the_exit_codes():
    assert {int(code): meaning for code, meaning in table("Exit codes")} == EXIT_CODES


def test_readme_lists_the_statuses():
    assert [row[0].strip("`") for row in table("Statuses")] == [status.value for status in RowStatus]


def test_readme_lists_the_commands():
    named = {word for row in table("Commands") for word in re.findall(r"`(\w+)", row[0])}
    assert named == set(COMMANDS)


@pytest.mark.parametrize("what", ["demo", "test"])
def test_the_two_lines_stand_at_the_top_and_the_check_uses_the_same(what):
    found = re.search(rf"<!-- {what} line -->\n```\n(python3 .+)\n```", README)
    assert found
    assert README.index(found[0]) < 1_500
    if what == "test":
        assert "readme_line test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_every_setting_is_a_key_of_the_job_file():
    from batch_enroll.config.job import Job

    for setting in SETTINGS:
        schema = Job.model_json_schema(by_alias=True)
        for key in setting.path:
            properties = schema["properties"]
            assert key in properties, f"{setting.flag}: no key {'.'.join(setting.path)}"
            schema = properties[key]
            if "$ref" in schema:
                schema = Job.model_json_schema(by_alias=True)["$defs"][schema["$ref"].rpartition("/")[2]]
            if "anyOf" in schema and "properties" not in schema:
                break


def test_names_of_the_package_for_programs_are_there():
    import batch_enroll

    for name in batch_enroll.__all__:
        assert getattr(batch_enroll, name)
    with pytest.raises(AttributeError):
        batch_enroll.no_such_name  # noqa: B018
