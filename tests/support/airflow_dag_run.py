"""Import the example DAG in a real Airflow and run its task; started by Airflow's own Python.

Prints one JSON object: the DAG as Airflow reads it, and the state of its task for each exit code of the command.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

NIGHTS: dict[str, tuple[int, ...]] = {  # exit codes of one try after the other; the last one holds for the rest
    "0": (0,),
    "1": (1,),
    "2": (2,),
    "3, then 0": (3, 0),
    "3 for ever": (3,),
    "4": (4,),
    "5": (5,),
    "143, then 0": (143, 0),
}


def main(dags: str, folder: Path) -> dict[str, Any]:
    """Import the DAG and let its nights pass, without the waiting between them."""
    from airflow import __version__
    from airflow.dag_processing.dagbag import DagBag
    from airflow.utils.db import initdb

    initdb()
    bag = DagBag(dags)
    about: dict[str, Any] = {"version": __version__, "errors": bag.import_errors, "dags": bag.dag_ids}
    for dag in bag.dags.values():
        (task,) = dag.tasks
        about |= {
            "schedule": dag.schedule,
            "zone": str(dag.timezone),
            "tags": sorted(dag.tags),
            "catchup": dag.catchup,
            "max_active_runs": dag.max_active_runs,
            "retries": task.retries,
            "retry_delay_s": task.retry_delay.total_seconds(),
            "time_s": task.execution_timeout.total_seconds(),
            "queue": task.queue,
            "command": task.python_callable.__globals__["COMMAND"],
        }
        task.retry_delay = timedelta(0)
        about["nights"] = dict(nights(dag, task, folder))
    return about


def nights(dag: Any, task: Any, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give for each night the state of the task, how often the command was started, and what a person was told."""
    names = task.python_callable.__globals__
    for number, (name, codes) in enumerate(NIGHTS.items()):
        command, tries = folder / f"command{number}", folder / f"tries{number}"
        log = FakeLog()
        cases = "".join(f"{at}) exit {code};;\n" for at, code in enumerate(codes, start=1))
        command.write_text(
            f"#!/bin/sh\necho >> {tries}\necho the last output >&2\n"
            f"case $(wc -l < {tries}) in\n{cases}*) exit {codes[-1]};;\nesac\n"
        )
        command.chmod(0o755)
        names["COMMAND"], names["log"] = (str(command),), log
        run = dag.test(logical_date=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number))
        (ended,) = run.get_task_instances()
        yield name, {"state": str(ended.state), "tries": len(tries.read_text()), "told": log.texts}


class FakeLog:
    """Replaces the log of the DAG, which `notify` writes to."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def error(self, text: str, *words: object) -> None:
        self.texts.append(text % words)


if __name__ == "__main__":
    with redirect_stdout(sys.stderr):  # Airflow says a lot
        said = main(sys.argv[1], Path(sys.argv[2]))
    sys.stdout.write(json.dumps(said))
