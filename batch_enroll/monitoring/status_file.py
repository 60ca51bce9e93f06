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
from batch_enroll.reporting.reason_counts import notice_to_json
from batch_enroll.reporting.run_state import RunSnapshot

STATUS_NAME = "status.json"
RUN_LOCKED = 5


def status_to_json(state: RunSnapshot, *, pid: int, host: str) -> dict[str, object]:
    """Return the JSON object of a run; every key is always there, null where nothing is known."""
    ending = state.ending
    return {
        "run": state.run_id,
        "state": state.stage.value,
        "job": state.job,
        "scenario": state.scenario,
        "input": state.input_name,
        "counts": state.counts.as_dict() if state.folder or (ending and ending.counts) else None,
        "rows_read": state.rows_read,
        "to_send": state.to_send,
        "done": state.done,
        "requests": state.requests,
        "throttled": state.throttled,
        "unknown_by_code": dict(state.unknown_by_code),
        "rate_per_s": None if state.rate_per_s is None else round(state.rate_per_s, 3),
        "eta_s": None if state.eta_s is None else round(state.eta_s, 1),
        "paused_until": iso_utc(state.paused_until) if state.paused_until else None,
        "stop_reason": state.stop_reason or None,
        "notices": [notice_to_json(notice) for notice in state.notices],
        "exit_code": ending.exit_code if ending else None,
        "started_at": iso_utc(state.started_at),
        "progress_at": iso_utc(state.progress_at) if state.progress_at else None,
        "updated_at": iso_utc(state.updated_at),
        "ended_at": iso_utc(state.updated_at) if ending else None,
        "pid": pid,
        "host": host,
    }


class StatusFile:
    """Writes the status into the run's own folder while it sends, and where the job says.

    `write` returns the error of the system instead of raising it.
    """

    def __init__(self, path: Path | None, *, host: str) -> None:
        self._path = path
        self._host = host

    def write(self, state: RunSnapshot) -> OSError | None:
        """Write the file, unless another process works on the run and writes it."""
        status = status_to_json(state, pid=os.getpid(), host=self._host)
        content = (json.dumps(status, ensure_ascii=False, indent=1) + "\n").encode(errors="backslashreplace")
        trouble = None
        for path in self._paths(state):
            try:
                write_atomic(path, content, sync=False)  # the next one comes in a second
            except OSError as error:
                trouble = trouble or error
        return trouble

    def _paths(self, state: RunSnapshot) -> list[Path]:
        ending = state.ending
        paths = []
        if self._path is not None and (state.held or (ending is not None and ending.exit_code != RUN_LOCKED)):
            paths.append(self._path)
        of_several = ending is not None and ending.parts
        if state.folder is not None and state.began and not of_several:  # this file is about one run
            paths.append(state.folder / STATUS_NAME)
        return paths


def read_status(folder: Path) -> dict[str, Any] | None:
    """Return the last status of the run in this folder; None when there is none that can be read."""
    try:
        status = json.loads((folder / STATUS_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return status if isinstance(status, dict) else None
