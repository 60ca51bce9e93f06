"""Write a run's events to the log file and, with `verbose`, to standard error.

Lines hold no token and no personal data: rows are named by number, the input by a hash. The field names are documented
in `docs/unattended.md` and must stay.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import TextIOWrapper

from batch_enroll.atomic_file import open_shared
from batch_enroll.cli.console import mask_secrets, print_error
from batch_enroll.clock import iso_utc
from batch_enroll.config.job import Job
from batch_enroll.errors import JobError
from batch_enroll.events import (
    AttemptFailed,
    EnrolledMeanwhile,
    Event,
    Listener,
    Paused,
    PlanningStarted,
    RateChanged,
    RateSet,
    Resumed,
    RowFinished,
    RunDiagnosed,
    RunFinished,
    RunPlanned,
    RunStarted,
    Stopping,
    StrayAnswer,
    WaitingForScenario,
)
from batch_enroll.messages import message
from batch_enroll.models import RowStatus
from batch_enroll.os_errors import os_error_reason, translate_os_errors
from batch_enroll.reporting.run_result import SUCCESS_CODES, redact_personal_data

_log = logging.getLogger("batch_enroll")
_HASH_CHARS = 12


@contextmanager
def log_to(job: Job, token: str) -> Iterator[Listener]:
    """Give a listener that logs events as the job says; the file is closed at the end.

    Raises:
        JobError: the log file cannot be written.
    """
    handlers: list[logging.Handler] = []
    if job.output.log_file is not None:
        path = job.output.log_file
        unwritable = message("job.log_unwritable", path=str(path))
        with translate_os_errors(unwritable, to=JobError, writes=path):
            handlers.append(_LogFile(path, encoding="utf-8"))
    if job.output.verbose:
        handlers.append(logging.StreamHandler())
    if not handlers:
        yield _ignore
        return
    stamp = RunIdFilter()
    lines = _json_lines() if job.output.log_format == "json" else _TextLines()
    level = _log.level
    for handler in handlers:
        handler.addFilter(stamp)
        handler.setFormatter(RedactingFormatter(lines, token))
        _log.addHandler(handler)
    _log.setLevel(logging.DEBUG if job.output.verbose else logging.INFO)
    try:
        yield _Listener(stamp)
    finally:
        _log.setLevel(level)
        for handler in handlers:
            _log.removeHandler(handler)
            handler.close()


def log_end(exit_code: int, reason: str = "") -> None:
    """Log the end; the last line of a run, also of one that failed before it sent anything."""
    if not _log.handlers:  # without a handler the standard library would print the line to standard error
        return
    level = logging.INFO if exit_code in SUCCESS_CODES else logging.ERROR
    why = {"reason": redact_personal_data(reason)} if reason else {}
    _log.log(level, "run ended", extra={"exit_code": exit_code, **why})


def _ignore(event: Event) -> None:
    """Log nothing."""


class _LogFile(logging.FileHandler):
    """A log whose disk may be full: that is reported once, and the run continues without it."""

    _is_broken = False

    def _open(self) -> TextIOWrapper:
        return TextIOWrapper(open(self.baseFilename, "ab", opener=open_shared), encoding=self.encoding)

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):  # a bug: the standard library prints the traceback
            super().handleError(record)
        elif not self._is_broken:
            self._is_broken = True
            why = os_error_reason(error)
            print_error(f"The log file {self.baseFilename} cannot be written: {why}. The run continues without it.")

    def close(self) -> None:
        with suppress(OSError):  # the buffer cannot be written either
            super().close()


class RunIdFilter(logging.Filter):
    """Adds the time and the run's id to every log record of the package."""

    def __init__(self) -> None:
        super().__init__()
        self.run_id: str | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        record.time = iso_utc(datetime.fromtimestamp(record.created, UTC))
        record.run = self.run_id
        return True


class _Listener:
    """Logs events with their fields."""

    def __init__(self, stamp: RunIdFilter) -> None:
        self._stamp = stamp

    def __call__(self, event: Event) -> None:
        match event:
            case PlanningStarted(run_id=run_id):
                self._stamp.run_id = run_id
                _log_event("plan begun")
            case RunPlanned(run_id=run_id, counts=counts, resumed=resumed, input_sha256=sha256):
                self._stamp.run_id = run_id
                _log_event("run planned", rows=counts.rows, resumed=resumed, input=sha256[:_HASH_CHARS])
            case WaitingForScenario(owner=owner):
                _log_event("waiting", reason=str(owner))
            case EnrolledMeanwhile(rows=rows):
                _log_event("skipped meanwhile", rows=rows)
            case RunStarted(run_id=run_id, to_send=to_send, counts=counts):
                self._stamp.run_id = run_id
                _log_event("run started", to_send=to_send, rows=counts.rows)
            case AttemptFailed(row_number=row, attempt=attempt, code=code, throttled=throttled, wait_s=wait_s, key=key):
                _log_event(
                    "attempt failed",
                    row=row,
                    key=_short(key),
                    attempt=attempt,
                    code=code,
                    throttled=throttled,
                    wait_s=round(wait_s, 3),
                )
            case RowFinished(row_number=row, outcome=outcome, key=key) if outcome.status is not RowStatus.SUCCESS:
                _log_event(
                    "row finished",
                    row=row,
                    key=_short(key),
                    status=outcome.status.value,
                    code=outcome.code,
                    http_status=outcome.http_status,
                    attempts=outcome.attempts,
                )
            case StrayAnswer(row_number=row, outcome=outcome, key=key):
                _log_event("stray answer", row=row, key=_short(key), status=outcome.status.value, code=outcome.code)
            case RateChanged(rate_per_s=rate_per_s, pause_s=pause_s):
                _log_event("pace changed", rate_per_s=rate_per_s and round(rate_per_s, 3), pause_s=round(pause_s, 3))
            case RateSet(rate_per_s=rate_per_s, concurrency=concurrency):
                _log_event("pace set", rate_per_s="none" if rate_per_s is None else rate_per_s, concurrency=concurrency)
            case Paused(in_flight=in_flight):
                _log_event("paused", in_flight=in_flight)
            case Resumed():
                _log_event("resumed")
            case Stopping(reason=reason):
                _log_event("stopping", reason=reason)
            case RunDiagnosed(finding=finding, message=message):
                _log_event("diagnosed", finding=finding, reason=message)
            case RunFinished(counts=counts):
                _log_event("run finished", **counts.as_dict())


def _short(key: bytes) -> str | None:
    """Name the profile of a row by the first digits of its keyed hash, by which runs can be compared."""
    return key.hex()[:_HASH_CHARS] or None


def _log_event(what: str, **fields: object) -> None:
    _log.info(what, extra={name: value for name, value in fields.items() if value is not None})


class RedactingFormatter(logging.Formatter):
    """Masks the token in every line, also in its JSON-escaped forms."""

    def __init__(self, lines: logging.Formatter, token: str) -> None:
        super().__init__()
        self._lines = lines
        self._forms = {token, json.dumps(token, ensure_ascii=False)[1:-1], json.dumps(token)[1:-1]}

    def format(self, record: logging.LogRecord) -> str:
        line = self._lines.format(record)
        for form in self._forms:
            line = line.replace(form, "***")
        return mask_secrets(line)


class _TextLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        from pythonjsonlogger.core import RESERVED_ATTRS, merge_record_extra

        own = {*RESERVED_ATTRS, "time", "run", "taskName"}
        fields = {"run": getattr(record, "run", None), **merge_record_extra(record, {}, reserved=own)}
        told = " ".join(f"{name}={_plain(value)}" for name, value in fields.items() if value is not None)
        line = f"{getattr(record, 'time', '')} {record.levelname} {record.getMessage()} {told}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _json_lines() -> logging.Formatter:
    from pythonjsonlogger.json import JsonFormatter

    return JsonFormatter(
        ["time", "levelname", "run", "message"],
        rename_fields={"levelname": "level", "message": "event"},
        json_ensure_ascii=False,
        json_default=str,
    )


def _plain(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if " " in text or not text else text
