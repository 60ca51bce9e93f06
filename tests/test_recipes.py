"""The recipes for nights that nobody watches: each is checked by the program that it is written for, or run here.

What lies at a fixed place there (the program, the job file) is put elsewhere in a copy; a stand-in of the program ends
with the exit code that a test wants.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
import types
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import kubernetes_validate
import pytest
import yaml

from batch_enroll.cli.main import build_parser
from batch_enroll.errors import JobError
from batch_enroll.job import Job
from batch_enroll.planning.limits import end_of_sending, see_hours

ROOT = Path(__file__).parents[1]
RECIPES = ROOT / "examples" / "unwatched"
PROGRAM = "/opt/batch-enroll/bin/batch-enroll"
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="recipes for POSIX systems")


def text_of(*parts: str) -> str:
    return RECIPES.joinpath(*parts).read_text(encoding="utf-8")


def stand_in(folder: Path, code: int, *, says: str = "") -> Path:
    """A program that ends with this exit code."""
    program = folder / "batch-enroll"
    program.write_text(f"#!/bin/sh\n{says}\nexit {code}\n", encoding="utf-8")
    program.chmod(0o755)
    return program


def commands_in(text: str) -> list[list[str]]:
    """The words of every `batch-enroll run ...` of a recipe, with the shell's line ends joined."""
    joined = re.sub(r"\\\n#?\s*", " ", text)
    found = re.findall(r"batch-enroll (run /[^\n&)]*)", joined)
    return [shlex.split(words.strip()) for words in found]


@pytest.mark.parametrize(
    "recipe",
    [
        "cron/enroll-nightly",
        "systemd/batch-enroll.service",
        "kubernetes/cronjob.yaml",
        "docker/Dockerfile",
    ],
)
def test_our_own_parser_takes_the_commands(recipe):
    commands = commands_in(text_of(recipe))
    assert commands
    for words in commands:
        args = build_parser().parse_args(words)
        assert (args.pick, args.if_changed) == ("new", True)
        assert args.job.endswith("nightly.toml")
        assert args.token_file


def test_the_job_is_valid_and_asks_nobody():
    job = Job.model_validate(tomllib.loads(text_of("nightly.toml")))
    assert job.output.yes
    assert job.stop.max_rows
    assert job.stop.max_change
    assert job.stop.max_invalid


def test_a_restart_after_the_night_enrolls_nobody_by_day():
    """Every recipe restarts after exit code 3; a bare deadline of 05:30 would mean tomorrow's for a start at 5:40."""
    job = Job.model_validate(tomllib.loads(text_of("nightly.toml")))
    moscow = ZoneInfo("Europe/Moscow")
    for hour, minute in ((2, 30), (5, 30), (5, 59)):  # the first start, and the last one of cron
        see_hours(job, datetime(2026, 3, 2, hour, minute, tzinfo=moscow))
    for hour, minute in ((6, 0), (6, 10), (12, 0)):
        with pytest.raises(JobError, match="outside the allowed hours"):
            see_hours(job, datetime(2026, 3, 2, hour, minute, tzinfo=moscow))
    end = end_of_sending(job, datetime(2026, 3, 2, 5, 59, tzinfo=moscow))
    assert end is not None
    assert end.at == datetime(2026, 3, 2, 6, 0, tzinfo=moscow)


@POSIX
@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 5, 143])
def test_cron_is_told_only_when_a_person_should_read_it(tmp_path, code):
    program = stand_in(tmp_path, code)
    script = tmp_path / "enroll-nightly"
    script.write_text(text_of("cron", "enroll-nightly").replace(PROGRAM, str(program)), encoding="utf-8")
    ended = subprocess.run(["sh", str(script)], capture_output=True, text=True, check=False)
    assert ended.returncode == code
    assert bool(ended.stdout) == (code not in (0, 5))
    assert ended.stderr == ""
    assert ("UNKNOWN" in ended.stdout) == (code == 4)


@POSIX
def test_the_crontab_keeps_two_starts_apart():
    lines = [line for line in text_of("cron", "batch-enroll.cron").splitlines() if not line.startswith("#")]
    jobs = [line for line in lines if "=" not in line.split()[0]]
    assert len(jobs) == 2
    for line in jobs:
        *_moments, user, flock = line.split(maxsplit=6)
        assert user == "enroll"
        assert flock.startswith("flock --nonblock --conflict-exit-code 5 ")
        assert flock.endswith("/opt/batch-enroll/bin/enroll-nightly")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_units(tmp_path):
    program = stand_in(tmp_path, 0)
    units = []
    for unit in (RECIPES / "systemd").iterdir():
        copy = tmp_path / unit.name
        copy.write_text(unit.read_text(encoding="utf-8").replace(PROGRAM, str(program)), encoding="utf-8")
        units.append(str(copy))
    words = ["systemd-analyze", "verify", "--man=no", *sorted(units)]
    environment = {"SYSTEMD_UNIT_PATH": f"{tmp_path}:"}
    ended = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    said = "\n".join(line for line in ended.stderr.splitlines() if "batch-enroll" in line)
    assert (ended.returncode, said) == (0, "")


def test_systemd_starts_again_only_what_carries_on():
    lines = text_of("systemd", "batch-enroll.service").splitlines()
    unit = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z]\w+=", line))
    assert unit["RestartForceExitStatus"].split() == ["3"]
    assert {"2", "4"} <= set(unit["RestartPreventExitStatus"].split())
    assert {"1", "5"} <= set(unit["SuccessExitStatus"].split())
    assert "3" not in unit["SuccessExitStatus"].split()


@pytest.fixture(scope="module")
def cron_job():
    documents = list(yaml.safe_load_all(text_of("kubernetes", "cronjob.yaml")))
    for document in documents:
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    return next(document for document in documents if document["kind"] == "CronJob")


def test_kubernetes_never_runs_two_and_never_retries_what_needs_a_person(cron_job):
    assert cron_job["spec"]["concurrencyPolicy"] == "Forbid"
    job = cron_job["spec"]["jobTemplate"]["spec"]
    assert job["template"]["spec"]["restartPolicy"] == "Never"
    actions = {
        code: rule["action"]
        for rule in job["podFailurePolicy"]["rules"]
        for code in rule.get("onExitCodes", {}).get("values", ())
    }
    assert {code: actions.get(code) for code in (2, 3, 4, 5, 143)} == {
        2: "FailJob",
        3: "Count",
        4: "FailJob",
        5: "FailJob",
        143: "Count",
    }


def test_a_node_that_goes_away_is_not_counted_as_a_try(cron_job):
    """The first rule that fits counts, and a pod of such a node ends with 143, which the last rule counts."""
    rules = cron_job["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    assert [rule["action"] for rule in rules] == ["FailJob", "Ignore", "Count"]


def test_the_schema_check_can_fail(cron_job):
    wrong = {**cron_job, "spec": {**cron_job["spec"], "concurencyPolicy": "Forbid"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)


def test_the_ledger_in_kubernetes_outlives_the_pod(cron_job):
    pod = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    places = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert "persistentVolumeClaim" in volumes[places["/ledger"]]
    assert "persistentVolumeClaim" in volumes[places["/marks"]]
    assert "ENV BATCH_ENROLL_LEDGER=/ledger/" in text_of("docker", "Dockerfile")


@POSIX
@pytest.mark.parametrize(("code", "shown"), [(0, 0), (1, 0), (2, 2), (3, 3), (4, 4), (5, 5)])
def test_the_pod_ends_with_the_exit_code_and_1_is_no_failure(tmp_path, cron_job, code, shown):
    ended = subprocess.run(pod_words(cron_job, stand_in(tmp_path, code)), check=False)
    assert ended.returncode == shown


@POSIX
def test_a_pod_that_is_stopped_asks_the_program_and_waits_for_it(tmp_path, cron_job):
    says = "trap 'sleep 0.3; exit 143' TERM\necho ready\nwhile :; do sleep 0.05; done"
    with subprocess.Popen(pod_words(cron_job, stand_in(tmp_path, 0, says=says)), stdout=subprocess.PIPE) as pod:
        assert pod.stdout is not None
        assert pod.stdout.readline() == b"ready\n"
        pod.terminate()
        assert pod.wait(30) == 143


def pod_words(cron_job, program):
    (container,) = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    return [*container["command"], *(word.replace(PROGRAM, str(program)) for word in container["args"])]


@pytest.fixture
def dag(monkeypatch):
    """The DAG's module, with stand-ins for the few names of Airflow that it uses."""
    tasks: list[dict[str, object]] = []

    class Fail(Exception):
        pass

    class FailForGood(Fail):
        pass

    class Skip(Fail):
        pass

    def keep(**settings):
        tasks.append(settings)
        return lambda function: function

    def task(**settings):
        tasks.append(settings)
        return lambda function: lambda: None

    names: dict[str, dict[str, Any]] = {
        "airflow": {},
        "airflow.exceptions": {"AirflowException": Fail},
        "airflow.sdk": {"dag": keep, "task": task},
        "airflow.sdk.exceptions": {"AirflowFailException": FailForGood, "AirflowSkipException": Skip},
    }
    for name, members in names.items():
        module = types.ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    spec = importlib.util.spec_from_file_location("enroll_nightly", RECIPES / "airflow" / "enroll_nightly.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return types.SimpleNamespace(module=module, tasks=tasks, Fail=Fail, FailForGood=FailForGood, Skip=Skip)


def test_airflow_tries_again_only_what_carries_on(dag):
    assert dag.tasks[0]["max_active_runs"] == 1
    assert dag.tasks[0]["catchup"] is False
    for code in (0, 1):
        dag.module.judge(code, "")
    for code, kind in ((2, dag.FailForGood), (3, dag.Fail), (4, dag.FailForGood), (5, dag.Skip), (-9, dag.Fail)):
        with pytest.raises(kind) as raised:
            dag.module.judge(code, "said")
        assert type(raised.value) is kind


@POSIX
@pytest.mark.parametrize("code", [0, 3, 4])
def test_airflow_hears_the_exit_code_and_the_last_words(dag, tmp_path, code):
    program = stand_in(tmp_path, code, says='echo "$BATCH_ENROLL_LEDGER" >&2')
    assert dag.module.run((str(program),)) == (code, f"{dag.module.LEDGER}\n")


@POSIX
def test_a_task_that_airflow_ends_asks_the_program_to_stop_and_waits_for_it(dag, tmp_path):
    """Airflow raises in the middle of the task, by an alarm or a signal of its own."""
    ready, saved = tmp_path / "ready", tmp_path / "saved"
    says = f"trap 'sleep 0.3; touch {saved}; exit 143' TERM\ntouch {ready}\nwhile :; do sleep 0.05; done"

    def look(*_):
        if ready.exists():
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise TimeoutError("the task's time is up")

    before = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    try:
        with pytest.raises(TimeoutError):
            dag.module.run((str(stand_in(tmp_path, 0, says=says)),))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert saved.exists()


def test_airflow_tells_somebody_when_no_try_is_left(dag, caplog):
    assert dag.tasks[1]["on_failure_callback"] is dag.module.tell
    dag.module.tell({"exception": "Some rows are UNKNOWN"})
    assert "needs a person: Some rows are UNKNOWN" in caplog.text


def test_airflow_gives_a_command_that_our_parser_takes(dag):
    args = build_parser().parse_args(dag.module.COMMAND[1:])
    assert (args.command, args.pick, args.if_changed) == ("run", "new", True)


def test_the_image_is_made_of_what_is_there():
    text = text_of("docker", "Dockerfile")
    copied = [name for line in re.findall(r"^COPY (?!--)(.*)$", text, re.MULTILINE) for name in line.split()[:-1]]
    assert copied
    assert not [name for name in copied if not (ROOT / name).exists()]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = re.search(r'whl\)\[([a-z,]+)\]"', text)
    assert extras is not None
    assert set(extras[1].split(",")) <= project["optional-dependencies"].keys()
    assert {project["readme"], *project["license-files"]} <= set(copied)
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE), (
        "a number, so that Kubernetes can see that it is not root"
    )
    assert 'VOLUME ["/ledger", "/marks"]' in text
