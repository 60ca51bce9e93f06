"""A night of each recipe: its very command, on a machine laid out as it says, enrolls whom it should and says so."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from tests.support.commands import write_csv
from tests.support.input_files import aged, emails, enrolled, group
from tests.support.recipes import (
    POSIX,
    Machine,
    dag_on_stand_ins,
    documents_of_kubernetes,
    settings_of,
    text_of,
    words_of_pod,
)

pytestmark = POSIX
REAL = 5  # the scenario of the nights; the job file alone means 3
METRICS = "var/lib/prometheus/node-exporter/batch-enroll.prom"


def cron(_monkeypatch):
    return ["sh", "-c", text_of("cron", "enroll-nightly")], {}


def systemd(_monkeypatch):
    unit = settings_of("batch-enroll.service")
    lines = " ".join(unit["Environment"]).replace("%d", "/etc/batch-enroll").replace("%S", "/var/lib")
    return shlex.split(unit["ExecStart"][0]), dict(word.split("=", 1) for word in lines.split())


def kubernetes(_monkeypatch):
    return words_of_pod(documents_of_kubernetes()["CronJob batch-enroll"]), {}


def docker(_monkeypatch):
    text = text_of("docker", "Dockerfile")
    entry = re.search(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)
    environment = re.search(r"^ENV (.*)$", text.replace("\\\n", ""), re.MULTILINE)
    command = re.search(r"docker run .*? batch-enroll (run .*)$", re.sub(r"\\\n#\s*", "", text), re.MULTILINE)
    assert entry
    assert environment
    assert command
    return [*json.loads(entry[1]), *shlex.split(command[1])], dict(word.split("=") for word in environment[1].split())


def airflow(monkeypatch):
    return [*dag_on_stand_ins(monkeypatch).module.COMMAND], {}


@pytest.fixture
def platform(sandbox):
    return sandbox()


@pytest.fixture
def machine(tmp_path, platform, receiver):
    return Machine.laid_out(
        tmp_path / "machine", url=platform.url, token="sandbox-token", notify=f"json://{receiver.address}/\n"
    )


def drop(machine, name):
    return aged(
        write_csv(machine.root / "srv" / "leads" / f"{name}.csv", *group(name), header=("E-mail", "First name"))
    )


@pytest.mark.parametrize("recipe", [cron, systemd, kubernetes, docker, airflow])
def test_recipe_enrolls_new_files_once(machine, platform, receiver, monkeypatch, recipe):
    words, environment = recipe(monkeypatch)
    drop(machine, "monday")
    first = machine.start(words, **environment)
    assert first.returncode == 0, first.stderr
    assert enrolled(platform, REAL) == emails("monday")
    assert (machine.root / "srv" / "leads" / "done" / "monday.csv").exists()
    status = json.loads((machine.root / "var" / "lib" / "batch-enroll" / "status.json").read_text())
    assert (status["exit_code"], status["scenario"], status["counts"]["success"]) == (0, REAL, 3)
    assert (machine.root / "var" / "lib" / "batch-enroll" / "ledger.sqlite").exists()
    if recipe in (cron, systemd):
        assert (machine.root / METRICS).stat().st_mode & 0o044 == 0o044  # whatever the mask: the collector reads it
    second = machine.start(words, **environment)
    assert second.returncode == 0, second.stderr
    if recipe is cron:
        assert first.stdout + first.stderr + second.stdout + second.stderr == ""  # or cron would send a mail
    assert enrolled(platform, REAL) == emails("monday")
    assert not enrolled(platform)  # nobody in the scenario for trying out
    assert not receiver.requests  # a good night wakes nobody


def test_stopped_run_notifies_and_resumes(machine, platform, receiver, monkeypatch):
    words, environment = cron(monkeypatch)
    dropped = drop(machine, "monday")
    platform.control(faults="token_revoked@2+")
    stopped = machine.start(words, **environment)
    assert stopped.returncode == 3, stopped.stderr
    assert "The next start resumes the run" in stopped.stdout
    assert dropped.exists()
    (told,) = receiver.requests
    assert "exit code 3" in told.body.lower()
    assert "monday.example.com" not in told.body
    platform.control(faults="", token_revoked=False)
    rest = machine.start(words, **environment)
    assert (rest.returncode, rest.stdout) == (0, ""), rest.stderr
    assert enrolled(platform, REAL) == emails("monday")
    assert not dropped.exists()
