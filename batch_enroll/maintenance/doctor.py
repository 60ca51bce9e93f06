"""Check everything that a run needs, in the order in which a run would need it; nothing is changed."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from anyio.to_thread import run_sync

from batch_enroll.clock import Clock
from batch_enroll.config.job import Job
from batch_enroll.config.secrets import TOKEN_VARIABLE, find_token, open_to_others
from batch_enroll.errors import JobError, LedgerError, PreflightError, RunStopped
from batch_enroll.installed_versions import libraries, missing_packages, tool_version
from batch_enroll.ledger.interface import Ledger
from batch_enroll.ledger.ledger_health import LedgerHealth
from batch_enroll.ledger.location import examine_ledger, open_ledger
from batch_enroll.ledger.records import RunState
from batch_enroll.loading.temp_copies import orphaned_copies
from batch_enroll.messages import Message, hint_of, message, verbatim
from batch_enroll.reporting.health_findings import HealthFinding, Level
from batch_enroll.run.run_identity import is_dry_run
from batch_enroll.run.unfinished_runs import is_of_job
from batch_enroll.sending import (
    Client,
    CodeTable,
    ErrorClass,
    check_scenario,
)
from batch_enroll.sending.httpx_transport import Certificates
from batch_enroll.sending.probe_transport import RecordingTransport, ServerObservation

SKEW_S = 5.0  #: more would falsify times in results, and a Retry-After that is a date
CERTIFICATE_DAYS = 14
_TIGHT_BYTES = 500 * 1024 * 1024
_LEAST_BYTES = 20 * 1024 * 1024
_SLOW_COMMIT_S = 0.1
_MAX_RUNS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorTarget:
    """What is checked."""

    job: Job | None  #: None: the platform is not asked
    job_trouble: str = ""  #: why the named job cannot be used
    environment: Mapping[str, str]
    token_file: Path | None = None  #: where the token may be when there is no job
    ledger: str | None = None  #: as `--ledger` takes it
    ask_platform: bool = True


async def examine(target: DoctorTarget, *, clock: Clock) -> list[HealthFinding]:
    """Check everything; returns at least one finding for each check, those of the machine first."""
    findings = [*_versions(), _job(target)]
    token, found = _token(target)
    findings += found
    findings += await _platform(target, token, clock)
    findings += await _ledger(target)
    return [*findings, _copies()]


def _versions() -> Iterator[HealthFinding]:
    known = libraries()
    yield _ok(
        "versions",
        message(
            "maintenance.versions",
            version=tool_version(),
            python=platform.python_version(),
            system=f"{platform.system()} {platform.release()} ({platform.machine()})",
        ),
    )
    missing = [one.name for one in known if not one.extra and not one.version]
    if missing:
        yield _problem(
            "libraries", message("maintenance.libraries_missing", names=missing, packages=missing_packages(""))
        )
    elif known:
        names = ", ".join(f"{one.name} {one.version}" for one in known if not one.extra)
        yield _ok("libraries", verbatim(names))
    extras = dict.fromkeys(one.extra for one in known if one.extra)
    lacking = {one.extra for one in known if one.extra and not one.version}
    if extras:
        states = [f"{extra}: {'not installed' if extra in lacking else 'installed'}" for extra in extras]
        id_ = "maintenance.extras_missing" if lacking else "maintenance.extras"
        yield _ok("extras", message(id_, extras=states, packages=missing_packages()))


def _job(target: DoctorTarget) -> HealthFinding:
    if target.job_trouble:
        return _problem("job", message("maintenance.job_unusable", problem=target.job_trouble))
    if target.job is None:
        return _skipped("job", message("maintenance.no_job"))
    job = target.job
    return _ok("job", message("maintenance.job", scenario=job.scenario, url=job.url, matching=str(job.matching)))


def _token(target: DoctorTarget) -> tuple[str, list[HealthFinding]]:
    job = target.job
    file = job.token_file if job else target.token_file
    try:
        token, origin = find_token(environment=target.environment, token_file=file, url=job.url if job else "")
    except JobError as error:
        if job is None and file is None:
            return "", [_skipped("token", message("maintenance.no_token", variable=TOKEN_VARIABLE))]
        return "", [_error("token", error)]
    findings = [_ok("token", message("maintenance.token", origin=origin))]
    if file is not None and origin.id == "job.token_in_file" and open_to_others(file):
        findings = [_warning("token", message("maintenance.token_readable", origin=origin, file=str(file)))]
    return token, findings


async def _platform(target: DoctorTarget, token: str, clock: Clock) -> list[HealthFinding]:
    job = target.job
    why = ""
    if job is None:
        why = "maintenance.why_no_job" if not target.job_trouble else "maintenance.why_job_unusable"
    elif not target.ask_platform:
        why = "maintenance.why_not_asked"
    elif not token:
        why = "maintenance.why_no_token"
    if job is None or why:
        content = message("maintenance.not_checked", why=message(why))
        return [_skipped(name, content) for name in ("platform", "scenario", "clock")]
    try:
        recorder = RecordingTransport(job.url, Certificates(job.ca_file, job.client_cert))
        client = Client(
            url=job.url,
            token=token,
            timeout_s=job.send.timeout,
            transport=recorder,
            user_agent=f"batch-enroll/{tool_version()}",
        )
    except JobError as error:
        return [_error("platform", error)]
    codes = CodeTable({code: ErrorClass(kind) for code, kind in job.codes})
    async with client:
        try:
            info = await check_scenario(client, job.scenario, codes=codes, clock=clock, suggest=True)
        except PreflightError as error:
            scenario = _error("scenario", error)
        else:
            name = f"{info.scenario} ({info.name})" if info.name else str(info.scenario)
            scenario = _ok("scenario", message("maintenance.scenario", name=name, repeated=info.repeated_start))
    seen = recorder.last
    if seen is None:  # then the scenario's finding is about the connection
        return [
            replace(scenario, name="platform"),
            _skipped("scenario", message("maintenance.not_checked", why=message("maintenance.why_no_answer"))),
            _skipped("clock", message("maintenance.not_compared", why=message("maintenance.why_no_answer"))),
        ]
    return [_reached(job, seen, clock), scenario, _clock(seen)]


def _reached(job: Job, seen: ServerObservation, clock: Clock) -> HealthFinding:
    seconds = f"{seen.took_s:.2f}"
    if not seen.tls:
        if job.insecure_http:
            return _warning("platform", message("maintenance.platform_no_tls", url=job.url, seconds=seconds))
        return _ok("platform", message("maintenance.platform_local", url=job.url, seconds=seconds))
    if seen.certificate_ends is None:
        return _ok("platform", message("maintenance.platform", url=job.url, seconds=seconds, tls=seen.tls))
    days = (seen.certificate_ends - clock.now()).days
    values = {"url": job.url, "seconds": seconds, "tls": seen.tls, "ends": f"{seen.certificate_ends:%Y-%m-%d}"}
    if days < CERTIFICATE_DAYS:
        return _warning("platform", message("maintenance.certificate_ends_soon", days=days, **values))
    return _ok("platform", message("maintenance.platform_certificate", **values))


def _clock(seen: ServerObservation) -> HealthFinding:
    if seen.skew_s is None:
        return _skipped("clock", message("maintenance.not_compared", why=message("maintenance.why_no_date")))
    if abs(seen.skew_s) <= SKEW_S:
        return _ok("clock", message("maintenance.clock"))
    id_ = "maintenance.clock_ahead" if seen.skew_s > 0 else "maintenance.clock_behind"
    return _warning("clock", message(id_, seconds=f"{abs(seen.skew_s):,.0f}"))


async def _ledger(target: DoctorTarget) -> list[HealthFinding]:
    where = target.ledger or (target.job.output.ledger if target.job else None)
    try:
        health = await run_sync(examine_ledger, where)
        findings = [_disk(health), _speed(health)]
        if health.faults:
            return [*findings, *(_problem("ledger", verbatim(str(fault))) for fault in health.faults)]
        if health.index_bytes is None:
            content = message("maintenance.ledger_new", path=str(health.path), sqlite=health.sqlite_version)
            return [*findings, _ok("ledger", content)]
        return [*findings, *await _runs(open_ledger(where), health, target.job)]
    except (LedgerError, JobError) as error:
        return [_error("ledger", error)]


def _disk(health: LedgerHealth) -> HealthFinding:
    if health.volatile is not None:
        return _finding("disk", Level.WARNING, str(health.volatile.message), health.volatile.hint)
    kind = f" ({health.file_system})" if health.file_system else ""
    values = {"free": f"{health.free_bytes / 1024**3:,.1f}", "place": f"{health.path}{kind}"}
    if health.free_bytes < _LEAST_BYTES:
        return _problem("disk", message("maintenance.disk_full", **values))
    if health.free_bytes < _TIGHT_BYTES:
        return _warning("disk", message("maintenance.disk_tight", **values))
    return _ok("disk", message("maintenance.disk", **values))


def _speed(health: LedgerHealth) -> HealthFinding:
    ms = f"{health.commit_s * 1000:.1f}"
    if health.commit_s > _SLOW_COMMIT_S:
        return _warning("fsync", message("maintenance.commit_slow", ms=ms))
    return _ok("fsync", message("maintenance.commit", ms=ms))


async def _runs(ledger: Ledger, health: LedgerHealth, job: Job | None) -> list[HealthFinding]:
    """Check that every run can be read, and list those that are unfinished or have unknown rows, the job's first."""
    records = [
        record for record in await ledger.runs() if record.state is not RunState.PLANNING and not is_dry_run(record)
    ]
    of_job: list[HealthFinding] = []
    others: list[HealthFinding] = []
    broken: list[HealthFinding] = []
    for record in records:
        try:
            run = await ledger.open(record.run_id, read_only=True)
            try:
                counts = await run.counts()
            finally:
                await run.close_unchanged()
        except LedgerError as error:
            broken.append(_error("ledger", error))
            continue
        is_jobs = job is not None and is_of_job(record, job)
        waiting = of_job if is_jobs else others
        values = {
            "run_id": record.run_id,
            "whose": message("maintenance.of_this_job") if is_jobs else "",
            "about": f"{record.input_name}, {record.created_at.astimezone():%Y-%m-%d}",
            "rows": counts.rows,
        }
        if record.state is RunState.OPEN and counts.not_sent:
            if await ledger.lock_owner(record.run_id):
                continue
            content = message("maintenance.run_unfinished", not_sent=counts.not_sent, **values)
            waiting.append(_warning("leftovers", content))
        elif counts.unknown:
            content = message("maintenance.run_unknown", unknown=counts.unknown, **values)
            waiting.append(_warning("leftovers", content))
    whole = message("maintenance.ledger", path=str(health.path), runs=len(records), sqlite=health.sqlite_version)
    findings = broken or [_ok("ledger", whole)]
    left = [*of_job, *others]
    if len(left) > _MAX_RUNS:
        more = _warning("leftovers", message("maintenance.more_runs", count=len(left) - _MAX_RUNS))
        left = [*left[:_MAX_RUNS], more]
    return [*findings, *(left or [_ok("leftovers", message("maintenance.no_leftovers"))])]


def _copies() -> HealthFinding:
    folders = orphaned_copies()
    if not folders:
        return _ok("copies", message("maintenance.no_copies"))
    id_ = "maintenance.copy" if len(folders) == 1 else "maintenance.copies"
    return _warning("copies", message(id_, count=len(folders), folder=str(folders[0].parent)))


def _ok(name: str, content: Message) -> HealthFinding:
    return _finding(name, Level.OK, str(content))


def _warning(name: str, content: Message) -> HealthFinding:
    return _finding(name, Level.WARNING, str(content), hint_of(content))


def _problem(name: str, content: Message) -> HealthFinding:
    return _finding(name, Level.PROBLEM, str(content), hint_of(content))


def _skipped(name: str, content: Message) -> HealthFinding:
    return _finding(name, Level.SKIPPED, str(content))


def _error(name: str, error: RunStopped) -> HealthFinding:
    return _finding(name, Level.PROBLEM, error.message, error.hint)


def _finding(name: str, level: Level, text: str, advice: str = "") -> HealthFinding:
    return HealthFinding(name=name, level=level, message=text, advice=advice)
