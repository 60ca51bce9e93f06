"""The recipe for Airflow, with fakes of Airflow's names, and in a real Airflow where there is one.

`AIRFLOW_PYTHON` names the Python of an environment with Airflow (`.ci/run` makes one); without it that test is skipped.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.input_files import group, lay
from tests.support.recipes import POSIX, RECIPES, dag_on_stand_ins, stand_in

PATIENCE_S = 300
AIRFLOW_PYTHON = os.environ.get("AIRFLOW_PYTHON", "")
NIGHT = Path(__file__).parent / "support" / "airflow_dag_run.py"


@pytest.fixture
def dag(monkeypatch):
    return dag_on_stand_ins(monkeypatch)


def test_airflow_retries_only_resumable_runs(dag):
    assert dag.tasks[0]["max_active_runs"] == 1
    assert dag.tasks[0]["catchup"] is False
    for code in (0, 1):
        dag.module.handle_exit_code(code, "")
    for code, kind in ((2, dag.FailForGood), (3, dag.Fail), (4, dag.FailForGood), (5, dag.Skip), (-9, dag.Fail)):
        with pytest.raises(kind) as raised:
            dag.module.handle_exit_code(code, "said")
        assert type(raised.value) is kind
    with pytest.raises(dag.Fail) as raised:
        dag.module.handle_exit_code(2, "said", out_of_reach=True)
    assert type(raised.value) is dag.Fail


@pytest.mark.parametrize("several", [False, True])
def test_airflow_retries_when_the_platform_is_out_of_reach(dag, cli, several):
    """By the word that the program itself prints, also for one of several inputs."""
    for name in "ab" if several else "a":
        lay(cli.folder / "in" / f"{name}.csv", *group(name))
    words = ("--scenario", "3", "--match", "email=email", "--pick", "new", "--ledger", "l.sqlite", "--yes", "--json")
    closed = cli("run", "in", "--url", "http://127.0.0.1:9", *words)
    assert (closed.code, dag.module.is_out_of_reach(closed.out)) == (2, True), closed.err
    missing = cli("run", "gone.csv", "--url", "http://127.0.0.1:9", *words)
    assert (missing.code, dag.module.is_out_of_reach(missing.out)) == (2, False)


@POSIX
@pytest.mark.parametrize("code", [0, 3, 4])
def test_airflow_gets_the_exit_code_and_the_output(dag, tmp_path, code):
    program = stand_in(tmp_path, code, says="echo the last output >&2")
    assert dag.module.run((str(program),)) == (code, "the last output\n", False)


@POSIX
def test_ended_airflow_task_stops_the_program_gracefully(dag, tmp_path):
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


def test_airflow_notifies_after_the_last_retry(dag, caplog):
    assert dag.tasks[1]["on_failure_callback"] is dag.module.notify
    dag.module.notify({"exception": "Some rows are UNKNOWN"})
    assert "needs a person: Some rows are UNKNOWN" in caplog.text


def what_airflow_says(home, work):
    """What a real Airflow says of the DAG, and how its task ended after each exit code."""
    dags = RECIPES / "airflow"
    settings = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    words = [AIRFLOW_PYTHON, "-P", str(NIGHT), str(dags), str(work)]
    ended = subprocess.run(words, capture_output=True, text=True, check=False, env=settings, timeout=PATIENCE_S)
    assert ended.returncode == 0, ended.stderr[-5_000:]
    return json.loads(ended.stdout)


EXPECTED = {
    "errors": {},
    "dags": ["enroll_nightly"],
    "schedule": "30 2 * * *",
    "zone": "Europe/Moscow",
    "tags": ["batch-enroll"],
    "catchup": False,
    "max_active_runs": 1,
    "retries": 6,
    "retry_delay_s": 600.0,
    "time_s": 4 * 3600.0,
    "queue": "enroll",
}
NIGHTS = {  # exit codes of one try after the other: how the task ended, how often it was tried, what a person was told
    "0": ("success", 1, None),
    "1": ("success", 1, None),
    "2": ("failed", 1, "Nothing was sent. the last output"),
    "3, then 0": ("success", 2, None),
    "3 for ever": ("failed", 7, "Stopped before the end (3). the last output"),
    "4": ("failed", 1, "Some rows are UNKNOWN: batch-enroll resolve RUN. Never clear this task. the last output"),
    "5": ("skipped", 1, None),
    "143, then 0": ("success", 2, None),
}


@pytest.mark.skipif(not AIRFLOW_PYTHON, reason="AIRFLOW_PYTHON names no Python that has Airflow")
def test_real_airflow_runs_the_dag(tmp_path_factory):
    said = what_airflow_says(tmp_path_factory.mktemp("airflow"), tmp_path_factory.mktemp("commands"))
    assert {name: said[name] for name in EXPECTED} == EXPECTED
    ended = {
        exits: (night["state"], night["tries"], "\n".join(night["told"]).strip() or None)
        for exits, night in said["nights"].items()
    }
    prefix = "The nightly enrolment needs a person: "
    assert ended == {
        exits: (state, tries, told and f"{prefix}{told}") for exits, (state, tries, told) in NIGHTS.items()
    }
