"""The files that a job reads and those that it writes, so that none of the second takes the place of the first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from batch_enroll.config.job import Job
from batch_enroll.ledger.location import locate_ledger
from batch_enroll.messages import Message, message
from batch_enroll.overwrite_guard import Output, ReadFiles
from batch_enroll.reporting.result_paths import STDIN, result_paths

_READ = (
    (message("report.read_token"), "token_file"),
    (message("report.read_ca"), "ca_file"),
    (message("report.read_client_cert"), "client_cert"),
    (message("report.read_password"), "input.password_file"),
    (message("report.read_addresses"), "notify.urls_file"),
    (message("report.read_heartbeat"), "notify.heartbeat_file"),
)
# How the files begin that a run writes for other programs, in text or JSON; a test compares them with what it writes.
_STATUS = re.compile(rb'\{\s*"run": ')
_METRICS = re.compile(rb"# HELP batch_enroll_")
_LOG = re.compile(rb'\d{4}-\d\d-\d\dT[\d:.]+Z [A-Z]+ |\{"time": "\d{4}-\d\d-\d\dT[\d:.]+Z", "level": ')


def files_read(
    settings: Mapping[str, Any],
    *,
    source: object = None,
    job_file: Path | None = None,
    approved: Path | None = None,
    ledger: tuple[Path, Path] | None = None,
) -> ReadFiles:
    """List what a run reads.

    Args:
        settings: of the job, by section, also of a job that is otherwise invalid.
        source: the input; only a path is a file of this machine that an output could replace.
        job_file: None when the job has none, or the caller cannot know it.
        approved: the file of the approved plan.
        ledger: its `place`, None when it is the one that the job names.
    Raises:
        JobError: as `open_ledger`.
    """
    named: list[tuple[Message, object]] = [
        (message("report.read_input"), source),
        (message("report.read_job"), job_file),
        (message("report.read_plan"), approved),
        *((what, setting_in(settings, key)) for what, key in _READ),
    ]
    place = setting_in(settings, "output.ledger")
    index, state = ledger or locate_ledger(place if isinstance(place, str) else None)
    files = tuple((what, Path(path)) for what, path in named if isinstance(path, str | Path) and str(path))
    overwrite = setting_in(settings, "output.overwrite") is True
    return ReadFiles(files=files, ledger=index, ledger_state=state, overwrite=overwrite)


def setting_in(settings: Mapping[str, Any], key: str) -> object:
    """Give the value of `output.ledger` in settings by section; None when there is none."""
    section, _, name = key.rpartition(".")
    values = settings.get(section) if section else settings
    return values.get(name) if isinstance(values, Mapping) else None


def job_outputs(job: Job) -> Iterator[Output]:
    """Yield the files that the job names; the results beside the input have no name before there is a run."""
    if job.output.results is not None:
        yield from result_paths(STDIN, run_id="new", results=job.output.results).outputs()
    if job.input.archive is not None:
        archive, elsewhere = message("report.the_archive"), message("report.other_archive")
        yield Output(job.input.archive, archive, elsewhere, is_live=True)
    if job.output.log_file is not None:
        log, elsewhere = message("report.the_log"), message("report.other_log")
        yield Output(job.output.log_file, log, elsewhere, begins=_LOG, is_live=True)
    yield from monitoring_outputs(job.output.status_file, job.output.metrics_file)


def monitoring_outputs(status_file: Path | None, metrics_file: Path | None) -> Iterator[Output]:
    """Yield the files that other programs read while a run goes on."""
    if status_file is not None:
        status, elsewhere = message("report.the_status"), message("report.other_status")
        yield Output(status_file, status, elsewhere, begins=_STATUS, is_live=True)
    if metrics_file is not None:
        metrics, elsewhere = message("report.the_metrics"), message("report.other_metrics")
        yield Output(metrics_file, metrics, elsewhere, begins=_METRICS, is_live=True)
