"""Doctor: is everything there that a run needs? Each question becomes one finding.

In: a job, or the word that there is none; where the token may be; a ledger's place. Out: findings in the order in which
a run would meet them. Never: a change on the platform or in the ledger, the token in a finding.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from anyio.to_thread import run_sync

from batch_enroll.clock import Clock
from batch_enroll.config.job import Job
from batch_enroll.config.secrets import TOKEN_VARIABLE, find_token, open_to_others
from batch_enroll.errors import JobError, LedgerError, PreflightError
from batch_enroll.ledger.interface import Ledger, RunState
from batch_enroll.ledger.ledger_health import LedgerHealth
from batch_enroll.ledger.location import examine_ledger, open_ledger
from batch_enroll.loading.temp_copies import orphaned_copies
from batch_enroll.reporting.health_findings import HealthFinding, Level
from batch_enroll.run.run_identity import is_dry_run
from batch_enroll.sending import (
    Client,
    CodeTable,
    ErrorClass,
    check_scenario,
)
from batch_enroll.sending.recording_transport import RecordingTransport, ServerObservation
from batch_enroll.versions import libraries, tool_version

SKEW_S = 5.0  #: above it times in results would mislead, and a Retry-After that is a date would be misread
CERTIFICATE_DAYS = 14
_TIGHT_BYTES = 500 * 1024 * 1024
_LEAST_BYTES = 20 * 1024 * 1024
_SLOW_COMMIT_S = 0.1
_MAX_RUNS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorTarget:
    """What is examined."""

    job: Job | None  #: None: there is none, and the platform is not asked
    job_trouble: str = ""  #: why the job that was named cannot be used
    environment: Mapping[str, str]
    token_file: Path | None = None  #: where the token may be when there is no job
    ledger: str | None = None  #: as `--ledger` takes it
    ask_platform: bool = True


async def examine(patient: DoctorTarget, *, clock: Clock) -> list[HealthFinding]:
    """Look at everything.

    Args:
        patient: what is looked at.
        clock: for records and waits.
    Returns:
        One finding for each question, those of the machine first.
    """
    findings = [*_versions(), _job(patient)]
    token, found = _token(patient)
    findings += found
    findings += await _platform(patient, token, clock)
    findings += await _ledger(patient)
    return [*findings, _copies()]


def _versions() -> Iterator[HealthFinding]:
    known = libraries()
    yield _ok(
        "versions",
        f"batch-enroll {tool_version()}, Python {platform.python_version()}, {platform.system()} {platform.release()} "
        f"({platform.machine()})",
    )
    missing = [one.name for one in known if not one.extra and not one.version]
    if missing:
        advice = "Install the package again: pip install --force-reinstall batch-enroll"
        yield _problem("libraries", f"Not installed: {', '.join(missing)}.", advice)
    elif known:
        yield _ok("libraries", ", ".join(f"{one.name} {one.version}" for one in known if not one.extra))
    extras = dict.fromkeys(one.extra for one in known if one.extra)
    lacking = {one.extra for one in known if one.extra and not one.version}
    if extras:
        told = [f"{extra}: {'not installed' if extra in lacking else 'installed'}" for extra in extras]
        wanted = f"; pip install 'batch-enroll[{','.join(sorted(lacking))}]' adds what is missing" if lacking else ""
        yield _ok("extras", ", ".join(told) + wanted)


def _job(patient: DoctorTarget) -> HealthFinding:
    if patient.job_trouble:
        return _problem("job", patient.job_trouble, "Correct that; until then the platform is not asked.")
    if patient.job is None:
        return _skipped("job", "No job was named; --job FILE has the platform looked at too.")
    return _ok("job", f"scenario {patient.job.scenario} at {patient.job.url}, matched by {patient.job.matching}")


def _token(patient: DoctorTarget) -> tuple[str, list[HealthFinding]]:
    job = patient.job
    file = job.token_file if job else patient.token_file
    try:
        token, origin = find_token(environment=patient.environment, token_file=file, url=job.url if job else "")
    except JobError as error:
        if job is None and file is None:
            return "", [_skipped("token", f"None was named; set {TOKEN_VARIABLE} or give --token-file FILE.")]
        return "", [_problem("token", error.message, error.hint)]
    findings = [_ok("token", f"found in {origin}")]
    if file is not None and origin.id == "job.token_in_file" and open_to_others(file):
        findings = [
            _warning("token", f"found in {origin}, which other users of this machine can read", f"chmod 600 {file}")
        ]
    return token, findings


async def _platform(patient: DoctorTarget, token: str, clock: Clock) -> list[HealthFinding]:
    job = patient.job
    why = ""
    if job is None:
        why = "no job was named" if not patient.job_trouble else "the job cannot be used"
    elif not patient.ask_platform:
        why = "it was not to be asked"
    elif not token:
        why = "there is no token"
    if job is None or why:
        return [_skipped(name, f"Not looked at: {why}.") for name in ("platform", "scenario", "clock")]
    try:
        ear = RecordingTransport(job.url)
        client = Client(
            url=job.url,
            token=token,
            timeout_s=job.send.timeout,
            transport=ear,
            user_agent=f"batch-enroll/{tool_version()}",
        )
    except JobError as error:
        return [_problem("platform", error.message, error.hint)]
    codes = CodeTable({code: ErrorClass(kind) for code, kind in job.codes})
    async with client:
        try:
            info = await check_scenario(client, job.scenario, codes=codes, clock=clock)
        except PreflightError as error:
            scenario = _problem("scenario", error.message, error.hint)
        else:
            name = f" ({info.name})" if info.name else ""
            scenario = _ok("scenario", f"the token is accepted; {info.scenario}{name} is active. {info.repeated_start}")
    heard = ear.last
    if heard is None:  # then the scenario's finding is about the way there
        return [
            _problem("platform", scenario.message, scenario.advice),
            _skipped("scenario", "Not looked at: the platform did not answer."),
            _skipped("clock", "Not compared: the platform did not answer."),
        ]
    return [_reached(job, heard, clock), scenario, _clock(heard)]


def _reached(job: Job, heard: ServerObservation, clock: Clock) -> HealthFinding:
    told = f"{job.url} answers in {heard.took_s:.2f} s"
    if not heard.tls:
        if job.insecure_http:
            return _warning("platform", f"{told}, without encryption", "Use an https:// address.")
        return _ok("platform", f"{told}, without encryption (this machine itself)")
    told = f"{told} by {heard.tls}"
    if heard.certificate_ends is None:
        return _ok("platform", told)
    days = (heard.certificate_ends - clock.now()).days
    told = f"{told}; its certificate is good until {heard.certificate_ends:%Y-%m-%d}"
    if days < CERTIFICATE_DAYS:
        return _warning("platform", f"{told}, for {days} more days", "Tell whoever runs the platform's address.")
    return _ok("platform", told)


def _clock(heard: ServerObservation) -> HealthFinding:
    if heard.skew_s is None:
        return _skipped("clock", "Not compared: the platform's answer has no date.")
    if abs(heard.skew_s) <= SKEW_S:
        return _ok("clock", "this machine and the platform agree on the time")
    side = "ahead of" if heard.skew_s > 0 else "behind"
    return _warning(
        "clock",
        f"this machine is {abs(heard.skew_s):,.0f} s {side} the platform",
        "Set the clock (timedatectl set-ntp true): times in results would be wrong, and so would waits that the "
        "platform asks for by date.",
    )


async def _ledger(patient: DoctorTarget) -> list[HealthFinding]:
    where = patient.ledger or (patient.job.output.ledger if patient.job else None)
    try:
        health = await run_sync(examine_ledger, where)
        findings = [_disk(health), _speed(health)]
        if health.faults:
            return [*findings, *(_problem("ledger", fault) for fault in health.faults)]
        if health.index_bytes is None:
            told = f"{health.path} will be made by the first run (SQLite {health.sqlite_version})"
            return [*findings, _ok("ledger", told)]
        return [*findings, *await _runs(open_ledger(where), health)]
    except (LedgerError, JobError) as error:
        return [_problem("ledger", error.message, error.hint)]


def _disk(health: LedgerHealth) -> HealthFinding:
    kind = f" ({health.file_system})" if health.file_system else ""
    free = f"{health.free_bytes / 1024**3:,.1f} GiB free"
    if health.volatile is not None:
        return _warning("disk", str(health.volatile.message), health.volatile.hint)
    if health.free_bytes < _LEAST_BYTES:
        return _problem("disk", f"only {free} at {health.path}{kind}", "Make room, or choose another place: --ledger")
    if health.free_bytes < _TIGHT_BYTES:
        advice = "A million rows take about 400 MB there."
        return _warning("disk", f"only {free} at {health.path}{kind}", advice)
    return _ok("disk", f"{free} at {health.path}{kind}")


def _speed(health: LedgerHealth) -> HealthFinding:
    told = f"a step is on disk after {health.commit_s * 1000:.1f} ms"
    if health.commit_s > _SLOW_COMMIT_S:
        advice = "Slow for a disk: a run will not be fast here. A local SSD takes 1 to 10 ms."
        return _warning("fsync", told, advice)
    return _ok("fsync", told)


async def _runs(ledger: Ledger, health: LedgerHealth) -> list[HealthFinding]:
    """Say that the ledger is whole, and which runs wait for somebody."""
    records = [
        record for record in await ledger.runs() if record.state is not RunState.PLANNING and not is_dry_run(record)
    ]
    waiting: list[HealthFinding] = []
    broken: list[HealthFinding] = []
    for record in records:
        try:
            run = await ledger.open(record.run_id, read_only=True)
            try:
                counts = await run.counts()
            finally:
                await run.close_unchanged()
        except LedgerError as error:
            broken.append(_problem("ledger", error.message, error.hint))
            continue
        about = f"run {record.run_id} ({record.input_name}, {record.created_at.astimezone():%Y-%m-%d})"
        if record.state is RunState.OPEN and counts.not_sent:
            told = f"{about} is unfinished: {counts.not_sent:,} of {counts.rows:,} rows were not sent"
            advice = "Unless it is being sent right now, give its run command again."
            waiting.append(_warning("leftovers", told, advice))
        elif counts.unknown:
            told = f"{about}: what became of {counts.unknown:,} of {counts.rows:,} rows is unknown"
            advice = f"Look them up and say it: batch-enroll resolve {record.run_id}"
            waiting.append(_warning("leftovers", told, advice))
    many = "1 run" if len(records) == 1 else f"{len(records):,} runs"
    whole = f"{health.path} is whole: {many} (SQLite {health.sqlite_version})"
    findings = broken or [_ok("ledger", whole)]
    if len(waiting) > _MAX_RUNS:
        more = _warning("leftovers", f"{len(waiting) - _MAX_RUNS:,} more such runs", "batch-enroll runs lists them.")
        waiting = [*waiting[:_MAX_RUNS], more]
    return [*findings, *(waiting or [_ok("leftovers", "no unfinished run, no unknown row")])]


def _copies() -> HealthFinding:
    folders = orphaned_copies()
    if not folders:
        return _ok("copies", "no copy of an input was left behind by a process that was killed")
    many = "1 copy of an input" if len(folders) == 1 else f"{len(folders):,} copies of inputs"
    told = f"{many}, with personal data, left in {folders[0].parent} by a process that was killed"
    return _warning("copies", told, "The next `check` or `run` removes it.")


def _ok(name: str, message: str) -> HealthFinding:
    return HealthFinding(name=name, level=Level.OK, message=message)


def _warning(name: str, message: str, advice: str) -> HealthFinding:
    return HealthFinding(name=name, level=Level.WARNING, message=message, advice=advice)


def _problem(name: str, message: str, advice: str = "") -> HealthFinding:
    return HealthFinding(name=name, level=Level.PROBLEM, message=message, advice=advice)


def _skipped(name: str, message: str) -> HealthFinding:
    return HealthFinding(name=name, level=Level.SKIPPED, message=message)
