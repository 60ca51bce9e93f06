"""The recipes of `examples/unattended`, with their absolute paths moved below a folder of a test."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "examples" / "unattended"
PROGRAM = "/opt/batch-enroll/bin/batch-enroll"
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="recipes for POSIX systems")
_PLACES = re.compile(r"(?<![\w/.])/(?=(?:opt|etc/batch-enroll|srv|var/lib)/)")


def text_of(*parts: str) -> str:
    """Give the text of one file of the recipes."""
    return RECIPES.joinpath(*parts).read_text(encoding="utf-8")


def stand_in(folder: Path, code: int, *, says: str = "") -> Path:
    """Make a program that ends with this exit code."""
    program = folder / "batch-enroll"
    program.write_text(f"#!/bin/sh\n{says}\nexit {code}\n", encoding="utf-8")
    program.chmod(0o755)
    return program


def commands_in(text: str) -> list[list[str]]:
    """Give the words of every `batch-enroll run ...` of a recipe, with the shell's line ends joined."""
    joined = re.sub(r"\\\n#?\s*", " ", text)
    found = re.findall(r"batch-enroll (run /[^\n&)]*)", joined)
    return [shlex.split(words.strip()) for words in found]


def settings_of(unit: str) -> dict[str, list[str]]:
    """Give the settings of one of systemd's units; each may stand there more than once."""
    settings: dict[str, list[str]] = {}
    for name, value in re.findall(r"^([A-Z]\w+)=(.*)$", text_of("systemd", unit), re.MULTILINE):
        settings.setdefault(name, []).append(value)
    return settings


def documents_of_kubernetes() -> dict[str, Any]:
    """Give the objects of the recipe by kind and name: `CronJob batch-enroll`."""
    documents = yaml.safe_load_all(text_of("kubernetes", "cronjob.yaml"))
    return {f"{document['kind']} {document['metadata']['name']}": document for document in documents}


def pod_of(cron_job: Any) -> Any:
    """Give the pod's own part of the CronJob."""
    return cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def words_of_pod(cron_job: Any) -> list[str]:
    """Give the words that the pod's container is started with."""
    (container,) = pod_of(cron_job)["containers"]
    return [*container["command"], *container["args"]]


def dag_on_stand_ins(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import the DAG's module with stand-ins for the few names of Airflow that it uses."""
    tasks: list[dict[str, object]] = []

    class Fail(Exception):
        pass

    class FailForGood(Fail):
        pass

    class Skip(Fail):
        pass

    def keep(**settings: object) -> Any:
        tasks.append(settings)
        return lambda function: function

    def task(**settings: object) -> Any:
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


@dataclass(frozen=True, slots=True)
class Machine:
    """A folder that is laid out as the recipes say a machine is: program, job, token, drop folder, ledger."""

    root: Path

    @classmethod
    def laid_out(cls, root: Path, *, url: str, token: str, notify: str) -> Machine:
        """Lay it out for a night on this platform; the hours are left out, for it is not night."""
        machine = cls(root)
        for folder in ("opt/batch-enroll/bin", "srv/leads", "etc/batch-enroll", "var/lib/prometheus/node-exporter"):
            (root / folder).mkdir(parents=True)
        for folder in ("var/lib/batch-enroll", "var/lib/batch-enroll-marks"):
            (root / folder).mkdir(mode=0o700)
        program = root / PROGRAM[1:]
        program.write_text(f"#!/bin/sh\nPYTHONPATH='{ROOT}' exec '{sys.executable}' -m batch_enroll \"$@\"\n")
        program.chmod(0o755)
        job = re.sub("^allowed_hours.*$", "", machine.moved(text_of("nightly.toml")), flags=re.MULTILINE)
        machine.keep("etc/batch-enroll/nightly.toml", re.sub('^url = ".*"$', f'url = "{url}"', job, flags=re.MULTILINE))
        machine.keep("etc/batch-enroll/token", token)
        machine.keep("etc/batch-enroll/who.txt", notify)
        return machine

    def moved(self, text: str) -> str:
        """Have the places that a recipe names lie on this machine."""
        return _PLACES.sub(f"{self.root}/", text)

    def keep(self, name: str, text: str) -> Path:
        """Write a file that its owner alone can read."""
        path = self.root / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return path

    def start(self, words: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
        """Start a recipe's command, and wait for it."""
        moved = {name: self.moved(value) for name, value in environment.items()}
        return subprocess.run(
            [self.moved(word) for word in words],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **moved},
            cwd=self.root,
            stdin=subprocess.DEVNULL,
        )
