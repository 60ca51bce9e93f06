"""The recipes for unattended runs: the job, cron, systemd, the image and their page.

Each is checked by the program that it is written for, or run here. `test_recipe_runs.py` enrolls with all of them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from batch_enroll.cli.main import build_parser
from batch_enroll.config.job import Job
from batch_enroll.config.job_profiles import choose_profile
from batch_enroll.errors import JobError
from batch_enroll.run.plan_limits import SendDeadlines, check_allowed_hours
from tests.support.clocks import ManualClock
from tests.support.recipes import POSIX, RECIPES, ROOT, commands_in, settings_of, stand_in, text_of

MOSCOW = ZoneInfo("Europe/Moscow")
PROGRAM = "/opt/batch-enroll/bin/batch-enroll"
FILES = {
    "cron": "cron/enroll-nightly",
    "systemd": "systemd/batch-enroll.service",
    "Kubernetes": "kubernetes/cronjob.yaml",
    "Airflow": "airflow/enroll_nightly.py",
    "Docker": "docker/Dockerfile",
}


def job_of(profile):
    settings, _ = choose_profile(tomllib.loads(text_of("nightly.toml")), profile, file_name="nightly.toml")
    return Job.model_validate(settings)


@pytest.mark.parametrize("recipe", [FILES[name] for name in FILES if name != "Airflow"])
def test_recipe_commands_are_valid(recipe):
    commands = commands_in(text_of(recipe))
    assert commands
    for words in commands:
        args = build_parser().parse_args(words)
        assert (args.input, args.job, args.profile) == ("/srv/leads", "/etc/batch-enroll/nightly.toml", "prod")


def test_job_uses_a_test_scenario_without_its_profile():
    trial, night = job_of(None), job_of("prod")
    assert trial.scenario != night.scenario
    assert (trial.output.ledger, trial.token_file) == (None, None)
    assert night.send.rate > trial.send.rate


def test_profile_is_unattended_and_limited():
    night = job_of("prod")
    assert (night.output.yes, night.input.pick, night.input.if_changed) == (True, "new", True)
    assert night.stop.max_rows
    assert night.stop.max_change
    assert night.stop.max_invalid
    assert night.input.archive
    assert night.notify.urls_file
    assert str(night.output.ledger).startswith("/var/lib/batch-enroll/")
    assert str(night.output.status_file).startswith("/var/lib/batch-enroll/")


def test_restart_outside_the_allowed_hours_is_refused():
    """Every recipe restarts after exit code 3; a bare deadline of 05:30 would mean tomorrow's for a start at 5:40."""
    job = job_of("prod")
    for hour, minute in ((2, 30), (5, 30), (5, 59)):  # the first start, and the last one of cron
        check_allowed_hours(job, datetime(2026, 3, 2, hour, minute, tzinfo=MOSCOW))
    for hour, minute in ((6, 0), (6, 10), (12, 0)):
        with pytest.raises(JobError, match="outside the allowed hours"):
            check_allowed_hours(job, datetime(2026, 3, 2, hour, minute, tzinfo=MOSCOW))
    clock = ManualClock(datetime(2026, 3, 2, 5, 59, tzinfo=MOSCOW))
    deadlines = SendDeadlines(job, clock)
    clock.moved_s = 59
    assert deadlines.stop_reason() is None
    clock.moved_s = 60
    assert deadlines.stop_reason() is not None


def test_recipes_use_the_same_time_zone():
    for recipe in (
        "nightly.toml",
        "systemd/batch-enroll.timer",
        "kubernetes/cronjob.yaml",
        "airflow/enroll_nightly.py",
    ):
        assert "Europe/Moscow" in text_of(recipe), recipe


@pytest.mark.parametrize("name", FILES)
def test_each_recipe_describes_the_exit_codes(name):
    """In its own file, and in the table of the page: the recipe's name, and 1 to 5."""
    rows = [line for line in text_of("README.md").splitlines() if line.startswith(f"| {name} |")]
    assert [len([cell for cell in row.strip("|").split("|") if cell.strip()]) for row in rows] == [6]
    for code in "1345":
        assert re.search(rf"(?<![\w.:]){code}(?![\w.:]*\w)", text_of(FILES[name])), (name, code)


# cron


@POSIX
@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 5, 143])
def test_cron_prints_only_what_needs_a_person(tmp_path, code):
    program = stand_in(tmp_path, code)
    script = tmp_path / "enroll-nightly"
    script.write_text(text_of("cron", "enroll-nightly").replace(PROGRAM, str(program)), encoding="utf-8")
    ended = subprocess.run(["sh", str(script)], capture_output=True, text=True, check=False)
    assert ended.returncode == code
    assert bool(ended.stdout) == (code not in (0, 5))
    assert ended.stderr == ""
    assert ("UNKNOWN" in ended.stdout) == (code == 4)
    assert ("batch-enroll resume RUN" in ended.stdout) == (code in (3, 143))
    assert ("could not be reached" in ended.stdout) == (code == 2)


@POSIX
def test_crontab_prevents_concurrent_starts():
    lines = [line for line in text_of("cron", "batch-enroll.cron").splitlines() if not line.startswith("#")]
    jobs = [line for line in lines if "=" not in line.split()[0]]
    assert len(jobs) == 2
    for line in jobs:
        *_moments, user, flock = line.split(maxsplit=6)
        assert user == "enroll"
        assert flock.startswith("flock --nonblock --conflict-exit-code 5 ")
        assert flock.endswith("/opt/batch-enroll/bin/enroll-nightly")


# systemd


@pytest.fixture
def systemd_analyze():
    """systemd's own check; where `REQUIRE_SYSTEMD` says that it must be there (`.ci/run`), it must."""
    program = shutil.which("systemd-analyze")
    if program is None and os.environ.get("REQUIRE_SYSTEMD"):
        pytest.fail("systemd-analyze is not installed, and REQUIRE_SYSTEMD is set")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    return program


def test_systemd_accepts_the_units(systemd_analyze, tmp_path):
    program = stand_in(tmp_path, 0)
    units = []
    for unit in (RECIPES / "systemd").iterdir():
        copy = tmp_path / unit.name
        copy.write_text(unit.read_text(encoding="utf-8").replace(PROGRAM, str(program)), encoding="utf-8")
        units.append(str(copy))
    words = [systemd_analyze, "verify", "--man=no", *sorted(units)]
    environment = {"SYSTEMD_UNIT_PATH": f"{tmp_path}:"}
    ended = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    said = "\n".join(line for line in ended.stderr.splitlines() if "batch-enroll" in line)
    assert (ended.returncode, said) == (0, "")


def test_systemd_accepts_the_calendar_time(systemd_analyze):
    (moment,) = settings_of("batch-enroll.timer")["OnCalendar"]
    ended = subprocess.run([systemd_analyze, "calendar", moment], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "Normalized form: *-*-* 02:30:00 Europe/Moscow" in ended.stdout


def test_systemd_restarts_only_resumable_runs():
    unit = {name: values[-1] for name, values in settings_of("batch-enroll.service").items()}
    assert unit["RestartForceExitStatus"].split() == ["3"]
    assert {"2", "4"} <= set(unit["RestartPreventExitStatus"].split())
    assert {"1", "5"} <= set(unit["SuccessExitStatus"].split())
    assert "3" not in unit["SuccessExitStatus"].split()


def test_service_may_write_the_paths_of_the_job():
    unit = settings_of("batch-enroll.service")
    places = [*unit["ReadWritePaths"][0].split(), *(f"/var/lib/{name}" for name in unit["StateDirectory"][0].split())]
    allowed = tuple(f"{place.lstrip('-')}/" for place in places)
    night = job_of("prod")
    written = [str(night.input.archive), str(night.output.ledger), str(night.output.status_file)]
    written += [word.partition("=")[2] for line in unit["Environment"] for word in line.split() if "METRICS" in word]
    assert len(written) == 4
    assert all(path.startswith(allowed) for path in written)


# the image


def test_image_copies_existing_files():
    text = text_of("docker", "Dockerfile")
    copied = [name for line in re.findall(r"^COPY (?!--)(.*)$", text, re.MULTILINE) for name in line.split()[:-1]]
    assert copied
    assert not [name for name in copied if not (ROOT / name).exists()]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = re.search(r"^ARG EXTRAS=([a-z,]+)$", text, re.MULTILINE)
    assert extras is not None
    assert set(extras[1].split(",")) <= project["optional-dependencies"].keys()
    assert {project["readme"], *project["license-files"]} <= set(copied)
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE), (
        "a number, so that Kubernetes can see that it is not root"
    )
    assert 'VOLUME ["/var/lib/batch-enroll", "/var/lib/batch-enroll-marks"]' in text


def test_build_context_holds_only_copied_files():
    text = text_of("docker", "Dockerfile")
    copied = {
        name.removeprefix("./")
        for line in re.findall(r"^COPY (?!--)(.*)$", text, re.MULTILINE)
        for name in line.split()[:-1]
    }
    lines = [line for line in text_of("docker", "Dockerfile.dockerignore").splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == copied
    assert "**/__pycache__" in lines
