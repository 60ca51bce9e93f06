"""Airflow: enroll each new file of the drop folder, every night. For Airflow 2.9 or later; lies in the dags folder.

One worker only may run it, the one that has the ledger on its own disk: give that worker the queue `enroll`.
"""

from __future__ import annotations

import os
import subprocess
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from airflow.exceptions import AirflowException, AirflowFailException, AirflowSkipException

try:
    from airflow.sdk import dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task

COMMAND = (
    "/opt/batch-enroll/bin/batch-enroll",
    *("run", "/srv/leads", "--pick", "new", "--if-changed"),
    *("--job", "/etc/batch-enroll/nightly.toml"),
    *("--token-file", "/etc/batch-enroll/token"),
)
LEDGER = "/var/lib/batch-enroll/ledger.sqlite"  # always the same one, on a local disk


def judge(code: int, said: str) -> None:
    """Turn the exit code into what Airflow does next.

    Raises:
        AirflowSkipException: 5, another process is working on it.
        AirflowFailException: 2 and 4, which a second try does not make better; somebody is told.
        AirflowException: 3 or a kill: tried again, and the same command carries on where it stopped.
    """
    match code:
        case 0 | 1:  # 1: finished; the rows that were refused wait in the .failed.csv beside the input
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
        execution_timeout=timedelta(hours=4),  # ends it by SIGTERM: it saves, and the next try carries on
    )
    def enroll() -> None:
        ended = subprocess.run(
            COMMAND, env={**os.environ, "BATCH_ENROLL_LEDGER": LEDGER}, capture_output=True, text=True, check=False
        )
        judge(ended.returncode, ended.stderr[-2000:])

    enroll()


enroll_nightly()
