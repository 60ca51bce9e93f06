"""Airflow: enroll each new file of the drop folder, every night. For Airflow 2.9 or later; lies in the dags folder.

One worker only may run it, the one that has the ledger on its own disk: give that worker the queue `enroll`.
"""

from __future__ import annotations

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
    *("--job", "/etc/batch-enroll/nightly.toml", "--profile", "prod"),
)
TELLS_CHARS = 2_000

log = logging.getLogger(__name__)


def run(command: tuple[str, ...]) -> tuple[int, str]:
    """Run the command to its end; give its exit code and the last that it said.

    When Airflow ends the task (its time is up, somebody cleared it), the command is asked to stop by SIGTERM and waited
    for: it takes no more rows, waits for the answers in flight and saves. `subprocess.run` would kill it, and each row
    in flight would be unknown.
    """
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            _, said = process.communicate()
        except BaseException:
            process.terminate()
            process.communicate()
            raise
    sys.stderr.write(said)
    return process.returncode, said[-TELLS_CHARS:]


def tell(context: dict[str, Any]) -> None:
    """Tell a person: put your mail or chat in the place of this line. Airflow calls it when no try is left."""
    log.error("The nightly enrolment needs a person: %s", context.get("exception"))


def judge(code: int, said: str) -> None:
    """Turn the exit code into what Airflow does next.

    Raises:
        AirflowSkipException: 5, another process is working on it.
        AirflowFailException: 2 and 4, which a second try does not make better; somebody is told.
        AirflowException: 3 or a kill: tried again, and the same command carries on where it stopped.
    """
    match code:
        case 0 | 1:  # 1: finished; the rows that were refused wait in the .failed.csv in the folder
            return
        case 5:
            raise AirflowSkipException(f"Another process is at work. {said}")
        case 2:
            raise AirflowFailException(f"Nothing was sent. {said}")
        case 4:
            raise AirflowFailException(
                f"Some rows are UNKNOWN: batch-enroll resolve RUN. Never clear this task. {said}"
            )
        case _:
            raise AirflowException(f"Stopped before the end ({code}). {said}")


@dag(
    schedule="30 2 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Moscow")),
    catchup=False,  # last week's nights are not made up for
    max_active_runs=1,  # never two at once
    tags=["batch-enroll"],
)
def enroll_nightly() -> None:
    """Enroll what is new, and say by the task's state what a person has to do."""

    @task(
        queue="enroll",
        retries=6,
        retry_delay=timedelta(minutes=10),
        execution_timeout=timedelta(hours=4),  # then it is asked to stop, and the next try carries on
        on_failure_callback=tell,
    )
    def enroll() -> None:
        judge(*run(COMMAND))

    enroll()


enroll_nightly()
