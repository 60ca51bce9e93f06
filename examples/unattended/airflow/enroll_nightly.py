"""Airflow: enroll each new file of the incoming folder, every night. Needs Airflow 2.9 or later.

Copy it to the dags folder. Only the worker that has the ledger on its local disk may run it: give that worker the
queue `enroll`.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow.exceptions import AirflowException

try:
    from airflow.sdk import dag, task
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task
    from airflow.exceptions import AirflowFailException, AirflowSkipException

COMMAND = (
    "/opt/batch-enroll/bin/batch-enroll",
    *("run", "/srv/leads"),
    *("--job", "/etc/batch-enroll/nightly.toml", "--profile", "prod", "--json"),
)
OUTPUT_CHARS = 2_000

log = logging.getLogger(__name__)


def run(command: tuple[str, ...]) -> tuple[int, str, bool]:
    """Run the command to its end; return its exit code, the end of its output, and whether no platform was reached.

    When Airflow ends the task (timeout, or somebody cleared it), the command gets SIGTERM and is waited for: it takes
    no more rows, waits for the requests in flight and saves. `subprocess.run` would kill it, and each row in flight
    would become unknown.
    """
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            ended, output = process.communicate()
        except BaseException:
            process.terminate()
            process.communicate()
            raise
    sys.stderr.write(output)
    sys.stdout.write(ended)
    return process.returncode, output[-OUTPUT_CHARS:], is_out_of_reach(ended)


def is_out_of_reach(ended: str) -> bool:
    """Say whether --json named a platform that could not be reached; of several inputs each is in `runs`."""
    if not ended.strip():
        return False
    told = json.loads(ended)
    return any(each.get("finding") == "out_of_reach" for each in (told, *told.get("runs", ())))


def notify(context: dict[str, Any]) -> None:
    """Notify a person: replace this line with your mail or chat. Airflow calls it after the last retry."""
    log.error("The nightly enrolment needs a person: %s", context.get("exception"))


def handle_exit_code(code: int, output: str, out_of_reach: bool = False) -> None:
    """Turn the exit code into what Airflow does next.

    Raises:
        AirflowSkipException: 5, another process is working on it.
        AirflowFailException: 2 and 4, which a retry does not fix; a person is notified.
        AirflowException: 3 or a kill: retried, and the same command resumes the run. Also 2 when the platform was not
            reached.
    """
    match code:
        case 0 | 1:  # 1: finished; the refused rows are in the .failed.csv in the folder
            return
        case 5:
            raise AirflowSkipException(f"Another process is working on it. {output}")
        case 2 if out_of_reach:
            raise AirflowException(f"The platform was not reached; nothing was sent. {output}")
        case 2:
            raise AirflowFailException(f"Nothing was sent. {output}")
        case 4:
            raise AirflowFailException(
                f"Some rows are UNKNOWN: batch-enroll resolve RUN. Never clear this task. {output}"
            )
        case _:
            raise AirflowException(f"Stopped before the end ({code}). {output}")


@dag(
    schedule="30 2 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Moscow")),
    catchup=False,  # missed nights are not repeated
    max_active_runs=1,  # never two at once
    tags=["batch-enroll"],
)
def enroll_nightly() -> None:
    """Enroll new files; the state of the task says whether a person is needed."""

    @task(
        queue="enroll",
        retries=6,
        retry_delay=timedelta(minutes=10),
        execution_timeout=timedelta(hours=4),  # then it is stopped, and the next retry resumes
        on_failure_callback=notify,
    )
    def enroll() -> None:
        handle_exit_code(*run(COMMAND))

    enroll()


enroll_nightly()
