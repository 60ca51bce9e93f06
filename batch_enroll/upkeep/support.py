"""Support: all that somebody needs who helps with a run, and nothing about the people in it.

In: a run in the ledger, its log, what the doctor found. Out: texts by file name, for a bundle. Never: a row, an
identity, the content of a cell, the token. What the platform said is shown only while the run's rows are still kept,
since only then can every cell be looked for in it.
"""

from __future__ import annotations

import json
import locale
import platform
import sys
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from batch_enroll.clock import iso_utc
from batch_enroll.errors import LedgerError
from batch_enroll.installed import libraries, tool_version
from batch_enroll.ledger.interface import Ledger, Reason, RunLedger
from batch_enroll.ledger.staging import staged_rows
from batch_enroll.model import Outcome, RowStatus
from batch_enroll.reporting.findings import Finding, findings_as_dict
from batch_enroll.reporting.log_lines import about_run, cleaned
from batch_enroll.reporting.reasons import ReasonLine, reason_as_dict
from batch_enroll.reporting.redaction import Redaction
from batch_enroll.running.report import reason_lines

LOG_LINES = 300
_PAGE_ROWS = 10_000
_LEFT_OUT = "(left out: the run's rows are no longer kept, so it could not be searched for personal data)"

README = """\
What batch-enroll's `support` command put together about one run, for somebody who helps with it.

{files}

Not in here: the API token, the rows, any identity, the content of any cell. In texts that came from outside (answers
of the platform, reasons in the log) every cell of the input that they repeat was replaced by ***, and so was whatever
looks like an e-mail address, a phone number, a long number, a quoted value or a secret. Home folders are written as ~.
Names of columns, of the input file and of the platform's host are shown: look through the files before you send them.
"""

_ABOUT = {
    "versions.json": "program, Python, libraries and system",
    "run.json": "settings, times and counts of the run",
    "reasons.json": "why rows were no success, by frequency, with codes",
    "statistics.json": "rows by status, code and number of attempts; the pace, minute by minute in short",
    "doctor.json": "what `batch-enroll doctor` found on this machine (the platform was not asked)",
    "log.txt": f"the last lines of the log about this run, at most {LOG_LINES}",
}


@dataclass(slots=True)
class _Tally:
    """What the outcomes add up to."""

    attempts: Counter[int] = field(default_factory=Counter)
    codes: Counter[tuple[str, str]] = field(default_factory=Counter)
    http: Counter[str] = field(default_factory=Counter)
    minutes: Counter[int] = field(default_factory=Counter)
    first: datetime | None = None
    last: datetime | None = None

    def take(self, outcome: Outcome) -> None:
        self.attempts[outcome.attempts] += 1
        self.codes[outcome.status.value, outcome.code] += 1
        if outcome.sent_at is None:
            return
        self.http[str(outcome.http_status or "no answer, or none needed")] += outcome.status is not RowStatus.SUCCESS
        self.minutes[int(outcome.sent_at.timestamp()) // 60] += 1
        self.first = min(self.first or outcome.sent_at, outcome.sent_at)
        self.last = max(self.last or outcome.sent_at, outcome.sent_at)

    def as_dict(self) -> dict[str, object]:
        in_order = sorted(self.minutes.values())
        return {
            "rows_by_attempts": {str(attempts): rows for attempts, rows in sorted(self.attempts.items())},
            "rows_by_status_and_code": [
                {"status": status, "code": code, "rows": rows} for (status, code), rows in self.codes.most_common()
            ],
            "http_status_of_what_was_no_success": {status: rows for status, rows in self.http.items() if rows},
            "last_attempts": {
                "first": iso_utc(self.first) if self.first else None,
                "last": iso_utc(self.last) if self.last else None,
                "minutes_with_any": len(in_order),
                "rows_in_a_minute": {
                    "least": in_order[0],
                    "median": in_order[len(in_order) // 2],
                    "most": in_order[-1],
                }
                if in_order
                else None,
            },
        }


async def collect(
    ledger: Ledger, run_id: str, *, findings: Sequence[Finding], log_file: Path | None, token: str, home: Path
) -> dict[str, str]:
    """Put the texts of a bundle together.

    Args:
        ledger: where the run is kept.
        run_id: as `runs` lists it.
        findings: the doctor's.
        log_file: the log, None for the one that the run's settings name.
        token: taken out of every text if it should stand in one; "" when nobody knows it.
        home: of this user.
    Raises:
        LedgerError: there is no such run.
    """
    run = await ledger.open(run_id, read_only=True)
    try:
        record, counts = run.record, await run.counts()
        reasons = await reason_lines(run)
        tally = await _tally(run)
        settings = json.loads(record.settings_json)
        named = log_file or settings.get("output", {}).get("log_file")
        lines = _log_of(Path(named), run_id) if named else []
        redaction = Redaction([record.stop_reason, *(one.message for one in reasons), *lines], home=home)
        searched = _learn(redaction, run)
    finally:
        await run.leave()

    def outside(text: str) -> str:
        """A text from outside, as others may read it."""
        return redaction.text(text) if searched or not text else _LEFT_OUT

    texts = {
        "versions.json": _json(_versions()),
        "run.json": _json(
            {
                "run": record.run_id,
                "state": record.state.value,
                "tool_version": record.tool_version,
                "created_at": iso_utc(record.created_at),
                "ended_at": iso_utc(record.finished_at) if record.finished_at else None,
                "stop_reason": outside(record.stop_reason),
                "input": redaction.path(record.input_path),
                "input_sha256": record.input_sha256,
                "results": redaction.path(record.results_path),
                "rows_still_kept": searched,
                "counts": counts.as_dict(),
                "settings": redaction.settings(settings),
            }
        ),
        "reasons.json": _json([reason_as_dict(one) for one in _told_alike(reasons, outside)]),
        "statistics.json": _json(tally.as_dict()),
        "doctor.json": redaction.path(_json(findings_as_dict(findings))),
    }
    if lines and searched:
        texts["log.txt"] = "".join(f"{cleaned(line, redaction.text)}\n" for line in lines)
    files = "\n".join(f"  {name:<16} {_ABOUT[name]}" for name in texts)
    texts = {"README.txt": README.format(files=files), **texts}
    return {name: text.replace(token, "***") if token else text for name, text in texts.items()}


def _told_alike(reasons: Sequence[ReasonLine], outside: Callable[[str], str]) -> list[ReasonLine]:
    """Put the reasons that differed by a person alone together. Why a row is invalid is told in words of our own."""
    alike: dict[tuple[str, str, str], ReasonLine] = {}
    for one in reasons:
        message = one.message if one.status is RowStatus.INVALID else outside(one.message)
        key = (one.status.value, one.code, message)
        if same := alike.get(key):
            rows = (*same.first_rows, *one.first_rows)[: Reason.FIRST_ROWS]
            alike[key] = replace(same, count=same.count + one.count, first_rows=rows)
        else:
            alike[key] = replace(one, message=message)
    return list(alike.values())


async def _tally(run: RunLedger) -> _Tally:
    tally, after_seq = _Tally(), 0
    while outcomes := await run.outcomes(after_seq=after_seq, limit=_PAGE_ROWS):
        for outcome in outcomes:
            tally.take(outcome)
        after_seq = outcomes[-1].seq
    return tally


def _learn(redaction: Redaction, run: RunLedger) -> bool:
    """Show the redaction every cell of the run's rows; False when they are no longer kept."""
    try:
        for block in staged_rows(run.folder):
            for staged in block:
                redaction.learn(staged.row.cells)
    except LedgerError:
        return False
    return True


def _log_of(path: Path, run_id: str) -> list[str]:
    """The last lines about a run; none when there is no such file any more."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return list(deque(about_run((line.rstrip("\n") for line in file), run_id), maxlen=LOG_LINES))
    except OSError:
        return []


def _versions() -> dict[str, object]:
    return {
        "batch_enroll": tool_version(),
        "python": sys.version,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "encoding": locale.getencoding(),
        "libraries": {one.name: one.version or "not installed" for one in libraries()},
    }


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
