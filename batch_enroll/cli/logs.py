"""The log file: what happened, line by line, for whoever looks later.

In: the run's events. Out: lines of text or JSON in the file that the job names. Never: a token, an address, a phone or
any other personal data: rows are named by their number.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from batch_enroll.clock import iso_utc
from batch_enroll.errors import JobError
from batch_enroll.events import (
    AttemptFailed,
    Event,
    Listener,
    PaceChanged,
    RowFinished,
    RunFinished,
    RunStarted,
    Stopping,
)
from batch_enroll.job import Job
from batch_enroll.model import RowStatus

_log = logging.getLogger("batch_enroll")


@contextmanager
def log_to(job: Job, token: str) -> Iterator[Listener]:
    """Give a listener that logs what the job wants logged, and close the file in the end.

    Raises:
        JobError: the log file cannot be written.
    """
    handlers: list[logging.Handler] = []
    if job.output.log_file is not None:
        try:
            handlers.append(logging.FileHandler(job.output.log_file, encoding="utf-8"))
        except OSError as error:
            raise JobError(f"The log file {job.output.log_file} cannot be written: {error.strerror}.") from error
    if job.output.verbose:
        handlers.append(logging.StreamHandler())
    level = _log.level
    for handler in handlers:
        lines: logging.Formatter = _JsonLines() if job.output.log_format == "json" else _TextLines()
        handler.setFormatter(_Masked(lines, token))
        _log.addHandler(handler)
    _log.setLevel(logging.DEBUG if job.output.verbose else logging.INFO)
    try:
        yield _listen if handlers else _ignore
    finally:
        _log.setLevel(level)
        for handler in handlers:
            _log.removeHandler(handler)
            handler.close()


def _ignore(event: Event) -> None:
    """Log nothing."""


def _listen(event: Event) -> None:
    match event:
        case RunStarted(run_id=run_id, to_send=to_send, counts=counts):
            _tell("run started", run=run_id, to_send=to_send, rows=counts.rows)
        case AttemptFailed(row_number=row, attempt=attempt, code=code, wait_s=wait_s):
            _tell("attempt failed", row=row, attempt=attempt, code=code, wait_s=round(wait_s, 3))
        case RowFinished(row_number=row, outcome=outcome) if outcome.status is not RowStatus.SUCCESS:
            _tell(
                "row finished",
                row=row,
                status=outcome.status.value,
                code=outcome.code,
                http_status=outcome.http_status,
                attempts=outcome.attempts,
            )
        case PaceChanged(rate_per_s=rate_per_s, pause_s=pause_s):
            _tell("pace changed", rate_per_s=rate_per_s and round(rate_per_s, 3), pause_s=round(pause_s, 3))
        case Stopping(reason=reason):
            _tell("stopping", reason=reason)
        case RunFinished(run_id=run_id, counts=counts):
            _tell("run finished", run=run_id, **counts.as_dict())


def _tell(what: str, **fields: object) -> None:
    _log.info(what, extra={"fields": fields})


class _Masked(logging.Formatter):
    """The last guard: a line that would hold the token does not."""

    def __init__(self, lines: logging.Formatter, token: str) -> None:
        super().__init__()
        self._lines = lines
        self._token = token

    def format(self, record: logging.LogRecord) -> str:
        return self._lines.format(record).replace(self._token, "***")


class _TextLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", {})
        told = " ".join(f"{name}={_plain(value)}" for name, value in fields.items() if value is not None)
        return f"{_moment(record)} {record.levelname} {record.getMessage()} {told}".rstrip()


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", {})
        line = {"time": _moment(record), "level": record.levelname, "event": record.getMessage(), **fields}
        return json.dumps(line, ensure_ascii=False, default=str)


def _moment(record: logging.LogRecord) -> str:
    return iso_utc(datetime.fromtimestamp(record.created, UTC))


def _plain(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if " " in text or not text else text
