"""`[profile.NAME]` in a job file: one file for several surroundings, through the command line."""

from __future__ import annotations

import pytest

from batch_enroll.config.job_profiles import choose_profile, job_schema
from batch_enroll.errors import JobError
from tests.support.commands import people, write_csv

JOB = """
url = "{url}"
scenario = 5
[match]
mode = "custom"
field_name = "CRM_ID"
column = "id"
[input]
limit = 4
[send]
rate = "none"
[profile.prod]
scenario = 3
[profile.prod.match]
mode = "email"
column = "email"
[profile.prod.input]
limit = 3
[profile.small.input]
limit = 1
"""


@pytest.fixture
def job(cli, sandbox):
    """A job file with two profiles, an input beside it, and the words of a check."""
    write_csv(cli.folder / "in.csv", *[(*person, "7") for person in people(6)], header=("email", "name", "id"))
    path = cli.folder / "nightly.toml"
    path.write_text(JOB.format(url=sandbox().url))
    return path


def checked(cli, *words, **environment):
    ended = cli("check", "in.csv", "--job", "nightly.toml", "--duplicates", "send", "--json", *words, **environment)
    assert ended.code == 0, ended.err
    return ended.json["scenario"]["id"], ended.json["rows"]


def test_precedence_is_flag_variable_profile_job_file(cli, job):
    assert checked(cli) == (5, 4)
    assert checked(cli, "--profile", "prod") == (3, 3)
    assert checked(cli, BATCH_ENROLL_PROFILE="prod") == (3, 3)
    assert checked(cli, "--profile", "small", BATCH_ENROLL_PROFILE="prod") == (5, 1)
    assert checked(cli, "--profile", "prod", BATCH_ENROLL_LIMIT="2") == (3, 2)
    assert checked(cli, "--profile", "prod", "--limit", "5", BATCH_ENROLL_LIMIT="2") == (3, 5)


def test_run_and_its_retry_use_the_profile(cli, job, sandbox):
    server = sandbox()
    job.write_text(JOB.format(url=server.url))
    first = cli("run", "in.csv", "--job", "nightly.toml", "--profile", "prod", "--json")
    assert (first.code, first.json["counts"]["success"]) == (0, 3)
    assert set(server.enrolments(scenario=3)) == {f"email:{email}" for email, _ in people(3)}
    ended = cli("retry", first.json["run"], "--errors", "--job", "nightly.toml", "--profile", "nix")
    assert ended.code == 2
    assert "nightly.toml has no profile 'nix'" in ended.err


@pytest.mark.parametrize(
    ("more", "words", "said"),
    [
        (
            "",
            ("--profile", "prd"),
            "--profile: nightly.toml has no profile 'prd'.",
        ),
        ("", ("--profile", "prd"), "Did you mean 'prod'?"),
        ("", ("--profile", "zzz"), "There are: prod, small."),
        (
            "[profile.prod.send]\nratee = 5\n",
            (),
            "nightly.toml: [profile.prod.send] ratee is not a known key. Did you mean 'rate'?",
        ),
        (
            "[profile.other]\nscenaro = 5\n",
            ("--profile", "prod"),
            "[profile.other] scenaro is not a known key. Did you mean 'scenario'?",
        ),
        (
            "[profile.prod.send]\nrate = 'fast'\n",
            ("--profile", "prod"),
            "nightly.toml: [profile.prod.send] rate: 'fast' is not a rate",
        ),
        ("[profile]\nother = 5\n", (), "other is not a table"),
        ("[profil.x]\nscenario = 5\n", (), "Did you mean 'profile'?"),
        ("[profile.prod.profile.x]\nscenario = 5\n", (), "[profile.prod] profile is not a known key"),
    ],
)
def test_exit_2_for_an_unknown_profile_or_key(cli, job, more, words, said):
    job.write_text(job.read_text() + more)
    ended = cli("check", "in.csv", "--job", "nightly.toml", *words)
    assert ended.code == 2
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_exit_2_for_a_profile_without_a_job_file(cli):
    ended = cli("check", "in.csv", "--profile", "prod")
    assert ended.code == 2
    assert "Name it with --job" in ended.err


def test_profile_paths_are_relative_to_the_job_file(cli, sandbox):
    folder = cli.folder / "jobs"
    folder.mkdir()
    (folder / "token").write_text("sandbox-token\n")
    (folder / "token").chmod(0o600)
    (folder / "job.toml").write_text(
        f'url = "{sandbox().url}"\nscenario = 3\n[match]\nmode = "email"\ncolumn = "email"\n'
        '[profile.prod]\ntoken_file = "token"\n[profile.prod.output]\nresults = "out.csv"\n'
    )
    source = write_csv(cli.folder / "in.csv", *people(2))
    ended = cli("run", source, "--job", "jobs/job.toml", "--profile", "prod", BATCH_ENROLL_TOKEN="")
    assert ended.code == 0, ended.err
    assert (folder / "out.csv").exists()


def test_schema_accepts_profiles_and_requires_nothing_in_them(cli):
    schema = cli("init", "--schema").json
    profile = schema["$defs"]["Profile"]
    assert schema["properties"]["profile"]["additionalProperties"] == {"$ref": "#/$defs/Profile"}
    assert set(profile["properties"]) == set(schema["properties"]) - {"profile"}
    assert "required" not in profile
    assert "required" not in schema["$defs"]["MatchSectionOfProfile"]
    assert profile["properties"]["match"]["$ref"].endswith("MatchSectionOfProfile")
    assert schema["$defs"]["MatchSection"]["required"] == ["mode", "column"]


def test_schema_has_every_referenced_definition():
    schema = job_schema()

    def references(part):
        if isinstance(part, dict):
            yield from [part["$ref"]] if "$ref" in part else []
            part = list(part.values())
        if isinstance(part, list):
            for inner in part:
                yield from references(inner)

    assert {name.rpartition("/")[2] for name in references(schema)} <= set(schema["$defs"])


def test_profile_is_merged_into_a_copy():
    content = {"content": {"a": "A"}, "profile": {"x": {"content": {"b": "B"}}}}
    settings, places = choose_profile(content, "x", file_name="job.toml")
    assert settings == {"content": {"a": "A", "b": "B"}}
    assert places == {("content", "b"): "job.toml: [profile.x.content] b"}
    assert content["content"] == {"a": "A"}
    with pytest.raises(JobError):
        choose_profile(content, "y", file_name="job.toml")
