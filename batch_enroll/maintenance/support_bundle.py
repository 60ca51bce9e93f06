"""Build the support bundle of a run: a zip of settings, counts, reasons and log lines without personal data or secrets.

Texts from outside are included only while the run's rows are still kept: every cell must be searched for in them.
"""

from __future__ import annotations

import io
import json
import locale
import platform
import re
import sys
import zipfile
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from batch_enroll.atomic_file import OWNER_ONLY, write_atomic
from batch_enroll.clock import iso_utc
from batch_enroll.errors import LedgerError
from batch_enroll.installed_versions import libraries, tool_version
from batch_enroll.ledger.interface import Ledger, RunLedger
from batch_enroll.ledger.records import Reason
from batch_enroll.models import Outcome, RowStatus
from batch_enroll.os_errors import translate_os_errors
from batch_enroll.reporting.health_findings import HealthFinding, findings_to_json
from batch_enroll.reporting.reason_counts import ReasonLine, reason_to_json
from batch_enroll.run.result_files import reason_lines

LOG_LINES = 300
BUNDLE_NAME = "batch-enroll-support-"
"""Begins the name of a bundle and of the folder in it; the run's id follows."""
BUNDLE_BEGINS = re.compile(rb"PK\x03\x04.{26}" + BUNDLE_NAME.encode(), re.DOTALL)
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
    "statistics.json": "rows by status, code and number of attempts; rows a minute in short",
    "doctor.json": "what `batch-enroll doctor` found on this machine (the platform was not asked)",
    "log.txt": f"the last lines of the log about this run, at most {LOG_LINES}",
}

_MASK = "***"
_WORD = re.compile(r"[^\W_]+")
_CUT_OFF = re.compile(r"[^\W_]+…")  #: a long text is cut in the middle of a word, which may be half a name
_MAX_WORDS = 8  #: of a cell that is looked for; a longer one is found by its beginning
_LEAST_CHARS = 2  #: a cell of one character is in every text
_LOOKS_PERSONAL = (
    re.compile(r"[^\s@<>\"'(),;:=]+@[^\s@<>\"'(),;:]+"),  # an e-mail address
    re.compile(r"\"[^\"]*\"|'[^']*'(?!\w)|«[^»]*»|“[^”]*”|‘[^’]*’|`[^`]*`"),  # a quoted value
    re.compile(r"(?<![\w+])\+?\d[\d\s()\u00a0-]{4,}\d(?!\w)"),  # a phone, a long number
    re.compile(r"\d{5,}"),
    re.compile(r"(?<!\w)[0-9A-Za-z_-]{24,}(?!\w)"),  # a token
)
_HOME = re.compile(r"(?:/home|/Users|[A-Za-z]:\\Users)[/\\][^/\\\s\"']+|/root(?=[/\s\"']|$)")
_SECRET_NAME = re.compile(r"token|password|secret|key|auth|credential|notify|heartbeat", re.IGNORECASE)

_SAFE_FIELDS = {
    *("time", "level", "run", "row", "rows", "attempt", "attempts", "code", "status", "http_status", "wait_s", "key"),
    *("throttled", "rate_per_s", "pause_s", "to_send", "resumed", "input", "concurrency", "in_flight", "finding"),
    *(status.value for status in RowStatus),
}
"""Log fields that hold numbers, codes and hashes; any other field is a text that may repeat somebody's words."""

_FIELD = re.compile(r"(?<!\S)(\w+)=(\"(?:[^\"\\]|\\.)*\"|\S+)")
_HEAD = re.compile(r"(\d{4}-\d\d-\d\dT[\d:.]+Z [A-Z]+) ")


async def collect(
    ledger: Ledger, run_id: str, *, findings: Sequence[HealthFinding], log_file: Path | None, token: str, home: Path
) -> dict[str, str]:
    """Collect the texts of a bundle, by file name.

    Args:
        ledger: where the run is kept.
        run_id: as `runs` lists it.
        findings: the doctor's.
        log_file: the log, None for the one that the run's settings name.
        token: masked wherever it stands; "" when it is not known.
        home: of this user.
    Raises:
        LedgerError: there is no such run.
    """
    run = await ledger.open(run_id, read_only=True)
    try:
        record, counts = run.record, await run.counts()
        reasons = await reason_lines(run, active=bool(await ledger.lock_owner(run_id)))
        statistics = await _statistics(run)
        settings = json.loads(record.settings_json)
        named = log_file or settings.get("output", {}).get("log_file")
        lines = _log_of(Path(named), run_id) if named else []
        redaction = Redaction([record.stop_reason, *(one.message for one in reasons), *lines], home=home)
        searched = _learn(redaction, run)
    finally:
        await run.close_unchanged()

    def outside(text: str) -> str:
        """Redact a text from outside, or leave it out when the rows are gone."""
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
        "reasons.json": _json([reason_to_json(one) for one in _merge_alike(reasons, outside)]),
        "statistics.json": _json(statistics.as_dict()),
        "doctor.json": redaction.path(_json(findings_to_json(findings))),
    }
    if lines and searched:
        texts["log.txt"] = "".join(f"{redaction.log_line(line)}\n" for line in lines)
    files = "\n".join(f"  {name:<16} {_ABOUT[name]}" for name in texts)
    texts = {"README.txt": README.format(files=files), **texts}
    return {name: text.replace(token, _MASK) if token else text for name, text in texts.items()}


def write_bundle(path: Path, texts: Mapping[str, str], *, folder: str) -> None:
    """Write every text as a file in one folder of a zip that its owner alone can read.

    Raises:
        RunStopped: the disk does not take it.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, text in texts.items():
            bundle.writestr(f"{folder}/{name}", text)
    with translate_os_errors(path):
        write_atomic(path, content.getvalue(), mode=OWNER_ONLY)


class Redaction:
    """Replaces personal data and secrets in texts by `***`, and homes by `~`.

    It finds cells of the input, and whatever looks like an address, a phone, a long number, a quoted value or a token.
    A name that stands unquoted in a text and in no cell is not found: such a text should be left out.

    Args:
        texts: everything that will be shown; `learn` keeps only the cells that one of these repeats.
        home: of this user, shown as `~`.
    """

    def __init__(self, texts: Iterable[str], *, home: Path) -> None:
        self._home = str(home)
        self._said = {piece for text in texts for piece in _pieces(text)}
        self._found: set[str] = set()

    def learn(self, cells: Iterable[str]) -> None:
        """Remember the cells that stand in one of the texts."""
        if not self._said:
            return
        for cell in cells:
            words = _WORD.findall(cell.casefold())[:_MAX_WORDS]
            piece = " ".join(words)
            if len(piece) >= _LEAST_CHARS and piece in self._said:
                self._found.add(piece)

    def text(self, text: str) -> str:
        """Redact a text."""
        text = _CUT_OFF.sub("…", text)
        for piece in sorted(self._found, key=len, reverse=True):
            words = r"[\W_]+".join(map(re.escape, piece.split(" ")))
            text = re.sub(rf"(?<![^\W_]){words}(?![^\W_])", _MASK, text, flags=re.IGNORECASE)
        for pattern in _LOOKS_PERSONAL:
            text = pattern.sub(_MASK, text)
        return self.path(text)

    def path(self, text: str) -> str:
        """Write homes as `~` in a path, or in a text of our own with paths in it."""
        if len(self._home) > 1:
            text = text.replace(self._home, "~")
        return _HOME.sub("~", text)

    def settings(self, settings: Mapping[str, object]) -> dict[str, object]:
        """Redact settings: secrets are masked, addresses keep scheme, host and port, homes become `~`."""
        return {name: self._setting(name, value) for name, value in settings.items()}

    def log_line(self, line: str) -> str:
        """Redact every field of a log line, text or JSON, that may hold somebody's words."""
        if line[:1] == "{":
            try:
                fields = json.loads(line)
            except ValueError:
                return self.text(line)
            return json.dumps({name: self._field(name, value) for name, value in fields.items()}, ensure_ascii=False)
        head = _HEAD.match(line)
        parts, at = [head[0] if head else ""], head.end() if head else 0
        for found in _FIELD.finditer(line, at):
            parts.append(self.text(line[at : found.start()]))
            parts.append(found[0] if found[1] in _SAFE_FIELDS else f"{found[1]}={self._text_value(found[2])}")
            at = found.end()
        return "".join([*parts, self.text(line[at:])])

    def _field(self, name: str, value: object) -> object:
        if name in _SAFE_FIELDS or value is None or isinstance(value, bool):
            return value
        return self.text(str(value))

    def _text_value(self, value: str) -> str:
        """Redact a value of a text line: a text with blanks is written in quotes, which do not mark a quotation."""
        if value[:1] != '"':
            return self.text(value)
        try:
            return json.dumps(self.text(json.loads(value)), ensure_ascii=False)
        except ValueError:
            return self.text(value)

    def _setting(self, name: str, value: object) -> object:
        match value:
            case Mapping():
                return self.settings(value)
            case list():
                return [self._setting(name, item) for item in value]
            case str() if _SECRET_NAME.search(name) and not name.endswith("_file"):
                return _MASK
            case str() if "://" in value:
                parts = urlsplit(value)
                return f"{parts.scheme}://{parts.hostname or _MASK}{f':{parts.port}' if parts.port else ''}"
            case str():
                return self.path(value)
        return value


def _pieces(text: str) -> Iterable[str]:
    """Yield every sequence of at most `_MAX_WORDS` words, in small letters."""
    words = _WORD.findall(text.casefold())
    for first in range(len(words)):
        for last in range(first + 1, min(first + _MAX_WORDS, len(words)) + 1):
            yield " ".join(words[first:last])


def lines_about_run(lines: Iterable[str], run_id: str) -> Iterator[str]:
    """Select the log lines that name the run; a line that names none may be about other people."""
    for line in lines:
        if line[:1] == "{" and run_id in line:
            try:
                named = json.loads(line).get("run")
            except ValueError:
                continue
            if named == run_id:
                yield line
        elif f" run={run_id} " in f"{line} ":
            yield line


@dataclass(slots=True)
class _Statistics:
    """Sums over the outcomes of a run."""

    attempts: Counter[int] = field(default_factory=Counter)
    codes: Counter[tuple[str, str]] = field(default_factory=Counter)
    http: Counter[str] = field(default_factory=Counter)
    minutes: Counter[int] = field(default_factory=Counter)
    first: datetime | None = None
    last: datetime | None = None

    def add(self, outcome: Outcome) -> None:
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


def _merge_alike(reasons: Sequence[ReasonLine], outside: Callable[[str], str]) -> list[ReasonLine]:
    """Merge reasons that are equal once redacted. The message of an invalid row is our own and needs no redaction."""
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


async def _statistics(run: RunLedger) -> _Statistics:
    statistics, after_seq = _Statistics(), 0
    while outcomes := await run.outcomes(after_seq=after_seq, limit=_PAGE_ROWS):
        for outcome in outcomes:
            statistics.add(outcome)
        after_seq = outcomes[-1].seq
    return statistics


def _learn(redaction: Redaction, run: RunLedger) -> bool:
    """Pass every cell of the run to the redaction; False when the rows are no longer kept."""
    try:
        for block in run.stage.blocks():
            for staged in block:
                redaction.learn(staged.row.cells)
    except LedgerError:
        return False
    return True


def _log_of(path: Path, run_id: str) -> list[str]:
    """Read the last lines about a run; none when the file is gone."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return list(deque(lines_about_run((line.rstrip("\n") for line in file), run_id), maxlen=LOG_LINES))
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
