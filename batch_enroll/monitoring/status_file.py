"""Status file of a run: one JSON object that other programs may poll.

Its keys are a contract (`docs/unattended.md`).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from batch_enroll.atomic_file import write_atomic
from batch_enroll.clock import iso_utc
from batch_enroll.reporting.run_state import RunSnapshot

STATUS_NAME = "status.json"
RUN_LOCKED = 5


def status_as_dict(standing: RunSnapshot, *, pid: int, host: str) -> dict[str, object]:
    """Give the JSON object of a run as it stands; every key is always there, null where nothing is known."""
    ending = standing.ending
    return {
        "run": standing.run_id,
        "state": standing.stage.value,
        "job": standing.job,
        "scenario": standing.scenario,
        "input": standing.input_name,
        "counts": standing.counts.as_dict() if standing.folder or (ending and ending.counts) else None,
        "rows_read": standing.rows_read,
        "to_send": standing.to_send,
        "done": standing.done,
        "requests": standing.requests,
        "throttled": standing.throttled,
        "unknown_by_code": dict(standing.unknown_by_code),
        "rate_per_s": None if standing.rate_per_s is None else round(standing.rate_per_s, 3),
        "eta_s": None if standing.eta_s is None else round(standing.eta_s, 1),
        "paused_until": iso_utc(standing.paused_until) if standing.paused_until else None,
        "stop_reason": standing.stop_reason or None,
        "exit_code": ending.exit_code if ending else None,
        "started_at": iso_utc(standing.started_at),
        "progress_at": iso_utc(standing.progress_at) if standing.progress_at else None,
        "updated_at": iso_utc(standing.updated_at),
        "ended_at": iso_utc(standing.updated_at) if ending else None,
        "pid": pid,
        "host": host,
    }


class StatusFile:
    """Writes the status into the run's own folder while it sends, and where the job says.

    Raises nothing: `write` gives the system's complaint, or None.
    """

    def __init__(self, path: Path | None, *, host: str) -> None:
        self._path = path
        self._host = host

    def write(self, standing: RunSnapshot) -> OSError | None:
        """Write it anew, unless the run is another process's and the file is told by that one."""
        status = status_as_dict(standing, pid=os.getpid(), host=self._host)
        content = (json.dumps(status, ensure_ascii=False, indent=1) + "\n").encode(errors="backslashreplace")
        trouble = None
        for path in self._paths(standing):
            try:
                write_atomic(path, content, sync=False)  # the next one comes in a second
            except OSError as error:
                trouble = trouble or error
        return trouble

    def _paths(self, standing: RunSnapshot) -> list[Path]:
        ending = standing.ending
        paths = []
        if self._path is not None and (standing.held or (ending is not None and ending.exit_code != RUN_LOCKED)):
            paths.append(self._path)
        of_several = ending is not None and ending.parts
        if standing.folder is not None and standing.began and not of_several:  # its own file is about this run alone
            paths.append(standing.folder / STATUS_NAME)
        return paths


def read_status(folder: Path) -> dict[str, Any] | None:
    """Give what the run in this folder last said of itself; None when it has said nothing that can be read."""
    try:
        status = json.loads((folder / STATUS_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return status if isinstance(status, dict) else None
