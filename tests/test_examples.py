"""Every file in `examples/` does what it says, against the sandbox."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

from tests.support.commands import read_results

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def examples(cli):
    """A copy of the examples, so that results do not land among them."""
    return shutil.copytree(EXAMPLES, cli.folder / "examples")


# Of 300 rows: one total row, one person without any identity, one person twice.
EXPECTED = {
    "by_email.toml": {"success": 297, "invalid": 2, "skipped": 1},
    "by_phone.toml": {"success": 297, "invalid": 2, "skipped": 1},
    "by_profile_id.toml": {"success": 297, "invalid": 2, "skipped": 1},
    "by_custom_field.toml": {"success": 297, "invalid": 2, "skipped": 1},
}


@pytest.mark.parametrize("leads", ["leads.csv", "leads.xlsx"])
@pytest.mark.parametrize("job", sorted(EXPECTED))
def test_each_job_file_enrolls_from_csv_and_xlsx(cli, sandbox, examples, job, leads):
    server = sandbox()
    ended = cli("run", examples / leads, "--job", examples / job, "--url", server.url, "--rate", "none", "--json")
    assert ended.code == 1, ended.err
    counts = {name: count for name, count in ended.json["counts"].items() if count}
    assert counts == {**EXPECTED[job], "rows": 300}
    enrolments = server.enrolments()
    assert len(enrolments) == 297
    assert set(enrolments.values()) == {1}
    results = read_results(examples / Path(ended.json["files"]["results"]).name)
    assert [row["enroll_status"] for row in results].count("success") == 297


def test_csv_and_xlsx_have_the_same_rows(cli, examples):
    job = ("--job", examples / "by_custom_field.toml", "--skip-preflight", "--json")
    by_csv = cli("check", examples / "leads.csv", *job).json
    by_excel = cli("check", examples / "leads.xlsx", *job).json
    assert by_csv["first_requests"] == by_excel["first_requests"]
    assert by_csv["first_requests"][0]["field_value"] == "00001"


def test_each_matching_mode_has_an_example():
    modes = {tomllib.loads(path.read_text(encoding="utf-8"))["match"]["mode"] for path in EXAMPLES.glob("*.toml")}
    assert modes == {"email", "phone", "profile_id", "custom"}
    assert {path.name for path in EXAMPLES.glob("*.toml")} == set(EXPECTED)
