"""Every setting of a run, declared once; flags, variables, job-file keys and docs/settings.md are made of it.

This module is loaded for `--help`: it imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from types import EllipsisType
from typing import Any, Final, Literal, get_args

from batch_enroll.models import (
    RESULTS_SUFFIXES,
    Delivery,
    Duplicates,
    EnrolledBefore,
    FieldType,
    MatchingMode,
    Pick,
)

KeyPath = tuple[str, ...]
"""Where a setting stands in the job file, such as ("send", "rate")."""

LogFormat = Literal["text", "json"]
RunEnd = Literal["finish", "stop", "unknown"]
CodeClass = Literal["row", "fatal", "retry", "unknown", "suspect"]

GROUPS = PLATFORM, MATCHING, INPUT, SELECTION, GUARDS, SENDING, STOPPING, OUTPUT, MONITORING = (
    "the platform",
    "who is enrolled with what",
    "reading the input",
    "which inputs, and what becomes of them",
    "before anything is sent",
    "how it is sent",
    "when it stops before the end",
    "what is written and shown",
    "monitoring and notifications",
)
"""Titles of the help page's groups, in its order."""


_BY_KEY: Final = "by its key"
"""A flag or a variable that is named after the setting's key."""


@dataclass(frozen=True)
class Setting:
    """One setting, with everything that a flag, a variable, the job file or a page says of it."""

    key: str  #: `send.rate`
    metavar: str  #: "" = a switch
    help: str
    group: str
    _: KW_ONLY
    unit: str = ""  #: the unit, or the values that it takes; "" when the help says it
    default: Any = None  #: `...` = must be given; None = none
    default_text: str = ""  #: the default as people read it; "" = there is none to name
    flag: str = _BY_KEY  #: `--rate`; "" = none
    variable: str = _BY_KEY  #: `BATCH_ENROLL_RATE`; "" = none
    is_file: bool = False  #: a path: relative to the job file when it stands there, else to the working directory
    choices: Iterable[str] = ()  #: the only values that it takes; () = others too
    removed: str = ""  #: id of the message that refuses a setting of an earlier release; "" for all others

    def __post_init__(self) -> None:
        """Fill in what follows from the rest."""
        flag = f"--{self.path[-1].replace('_', '-')}" if self.flag == _BY_KEY else self.flag
        variable = f"BATCH_ENROLL_{flag[2:].replace('-', '_').upper()}" if flag else ""
        choices = tuple(map(str, self.choices))
        filled = {
            "flag": flag,
            "variable": variable if self.variable == _BY_KEY else self.variable,
            "choices": choices,
            "unit": self.unit or (one_of(choices) if choices else ""),
            "default_text": self.default_text or _default_text(self.default),
        }
        for name, value in filled.items():
            object.__setattr__(self, name, value)

    @property
    def path(self) -> KeyPath:
        """`("send", "rate")`."""
        return tuple(self.key.split("."))

    @property
    def name(self) -> str:
        """The attribute in argparse's namespace."""
        return self.flag.lstrip("-").replace("-", "_")

    @property
    def description(self) -> str:
        """The help with the unit."""
        return _with_notes(self.help, self.unit)

    @property
    def meaning(self) -> str:
        """The help with the unit and the default."""
        return _with_notes(self.help, self.unit, self.default_text and f"default {self.default_text}")


def one_of(values: Iterable[str]) -> str:
    """List the values that a setting takes: `skip, send or stop`."""
    *most, last = map(str, values)
    return f"{', '.join(most)} or {last}"


def _default_text(default: Any) -> str:
    match default:
        case None | bool() | EllipsisType() | "" | ():
            return ""
        case tuple():
            return ", ".join(default)
        case float():
            return f"{default:g}"
    return str(default)


def _with_notes(text: str, *notes: str) -> str:
    note = "; ".join(filter(None, notes))
    return f"{text} ({note})" if note else text


SETTINGS: Final[tuple[Setting, ...]] = (
    Setting("url", "URL", "address of the platform, for example https://ru.altkraft.com", PLATFORM, default=...),
    Setting("scenario", "ID", "number of the scenario, after # beside its name", PLATFORM, default=...),
    Setting("token_file", "FILE", "file with the API token, or set BATCH_ENROLL_TOKEN", PLATFORM, is_file=True),
    Setting(
        "ca_file",
        "FILE",
        "trust the certificates in this PEM file too, such as your company's own",
        PLATFORM,
        is_file=True,
    ),
    Setting(
        "client_cert", "FILE", "PEM file with the certificate and key to show to the platform", PLATFORM, is_file=True
    ),
    Setting("insecure_http", "", "allow http:// to other machines than this one", PLATFORM, default=False),
    Setting("send.skip_preflight", "", "do not ask the platform about the scenario first", PLATFORM, default=False),
    Setting(
        "match",
        "MODE=COLUMN",
        "email=E-mail, phone=Phone, profile_id=ID or custom:FIELD=COLUMN",
        MATCHING,
        default=...,
    ),
    Setting(
        "match.mode",
        "MODE",
        "how the platform finds the profile",
        MATCHING,
        choices=MatchingMode,
        default=...,
        flag="",
    ),
    Setting("match.column", "COLUMN", "column that holds the value to match", MATCHING, default=..., flag=""),
    Setting("match.field_name", "FIELD", "name of the database field, for mode custom only", MATCHING, flag=""),
    Setting(
        "match.field_type",
        "TYPE",
        "JSON type of a custom field's value",
        MATCHING,
        choices=FieldType,
        default=FieldType.STRING,
    ),
    Setting("match.resource_id", "N", "look for the email or phone in this resource only", MATCHING),
    Setting("match.country", "CC", "phones without + are numbers of this country, for example RU", MATCHING),
    Setting(
        "content", "NAME=COLUMN", "send a column along as {apicontent.NAME}; may be repeated", MATCHING, default=()
    ),
    Setting("input.sheet", "NAME", "sheet of the workbook", INPUT),
    Setting("input.header_row", "N", "row that holds the column names; the first is 1", INPUT),
    Setting("input.encoding", "E", "for example utf-8 or windows-1251", INPUT),
    Setting("input.delimiter", "D", "one character, or tab, comma, semicolon, pipe", INPUT),
    Setting("input.password_file", "FILE", "file with the workbook's password", INPUT, is_file=True),
    Setting("input.start_row", "N", "first row to take, by its number in the file", INPUT),
    Setting("input.limit", "N", "take at most this many rows", INPUT),
    Setting(
        "input.pick",
        "WHICH",
        "of several files, the one changed last, or each that was not enrolled before",
        SELECTION,
        choices=Pick,
    ),
    Setting(
        "input.settle",
        "10s",
        "take a file from a folder only when it has not changed for this long",
        SELECTION,
        unit="duration",
        default=10.0,
        default_text="10s",
    ),
    Setting(
        "input.if_changed", "", "nothing new to enroll is not an error: one line, exit code 0", SELECTION, default=False
    ),
    Setting(
        "input.archive", "FOLDER", "move the input there when no row of it is left to send", SELECTION, is_file=True
    ),
    Setting("stop.max_rows", "N", "refuse an input with more rows to send than this", GUARDS),
    Setting("stop.max_change", "P%", "refuse a number to send this far from the median of the last runs", GUARDS),
    Setting("stop.max_invalid", "N|P%", "refuse an input with more invalid rows than this", GUARDS),
    Setting(
        "stop.allowed_hours", "HOURS", "send within these hours only, for example '09:00-20:00 Europe/Moscow'", GUARDS
    ),
    Setting(
        "stop.confirm_above",
        "N",
        "on a terminal, have the number of profiles typed when it is above this",
        GUARDS,
        default=1_000,
    ),
    Setting("output.yes", "", "do not ask before sending", GUARDS, default=False),
    Setting(
        "send.rate",
        "N",
        "highest rate, decimals allowed; none = no limit",
        SENDING,
        unit="requests per second",
        default=10.0,
    ),
    Setting("send.concurrency", "N", "requests in flight at once", SENDING, default=8),
    Setting("send.timeout", "S", "time limit of one whole request", SENDING, unit="seconds", default=30.0),
    Setting(
        "send.duplicates",
        "WHAT",
        "a profile that stands twice in the file",
        SENDING,
        choices=Duplicates,
        default=Duplicates.SKIP,
    ),
    Setting(
        "send.enrolled_before",
        "WHAT",
        "a profile that any file enrolled in this scenario before",
        SENDING,
        choices=EnrolledBefore,
        default=EnrolledBefore.SKIP,
    ),
    Setting(
        "send.window",
        "7d",
        "how long a profile counts as enrolled before; without it for ever",
        SENDING,
        unit="duration",
    ),
    Setting(
        "send.again",
        "",
        "send everybody of this input once more, also rows held as unknown; the window is set aside",
        SENDING,
        default=False,
    ),
    Setting(
        "send.wait",
        "30m",
        "when another run sends to the scenario, wait this long for its end",
        SENDING,
        unit="duration",
    ),
    Setting(
        "send.delivery",
        "HOW",
        "whether a row without a clear answer is sent again, which may enroll twice",
        SENDING,
        choices=Delivery,
        default=Delivery.AT_MOST_ONCE,
    ),
    Setting(
        "send.canary",
        "N",
        "send N rows first, then continue only when none of them failed; 0 = no such check",
        SENDING,
    ),
    Setting("stop.max_errors", "N|P%", "stop when more rows than this are refused", STOPPING),
    Setting("stop.max_unknown", "N|P%", "stop when more rows than this are unknown", STOPPING),
    Setting("stop.deadline", "HH:MM|DURATION", "take no more rows after this time", STOPPING),
    Setting(
        "output.results",
        "FILE",
        f"results file, {one_of(RESULTS_SUFFIXES)}, or a folder for it, such as out/",
        OUTPUT,
        default_text="beside the input",
        is_file=True,
    ),
    Setting(
        "output.overwrite",
        "",
        "let outputs replace files that this program did not write; never the ledger",
        OUTPUT,
        default=False,
    ),
    Setting("output.ledger", "FILE", "the file that remembers what was sent", OUTPUT),
    Setting(
        "output.keep", "DAYS", "keep a run's rows this long; 0 = not after it ends", OUTPUT, unit="days", default=30
    ),
    Setting("output.json", "", "print one JSON object about the run on standard output", OUTPUT, default=False),
    Setting("output.quiet", "", "print only what went wrong", OUTPUT, default=False),
    Setting("output.verbose", "", "print more: each failed attempt, each change of the rate", OUTPUT, default=False),
    Setting("output.log_file", "FILE", "write a log there", OUTPUT, is_file=True),
    Setting("output.log_format", "FORM", "form of the log", OUTPUT, choices=get_args(LogFormat), default="text"),
    Setting(
        "name",
        "NAME",
        "the job's name in metrics and messages",
        MONITORING,
        default="",
        default_text="the job file's name",
    ),
    Setting("output.status_file", "FILE", "JSON file with the run's current state", MONITORING, is_file=True),
    Setting("output.metrics_file", "FILE", "metrics for Prometheus' textfile collector", MONITORING, is_file=True),
    # Secrets come from a variable, a file or the job file, never from a flag, which every user of the machine can see.
    Setting(
        "notify.urls",
        "URLS",
        "addresses to notify, as apprise writes them; better in urls_file",
        MONITORING,
        default=(),
        flag="",
        variable="BATCH_ENROLL_NOTIFY",
    ),
    Setting(
        "notify.urls_file",
        "FILE",
        "addresses to notify, one a line, as apprise writes them",
        MONITORING,
        flag="--notify-file",
        is_file=True,
    ),
    Setting(
        "notify.on",
        "ENDS",
        "notify of these ends of a run",
        MONITORING,
        default=get_args(RunEnd),
        flag="--notify-on",
    ),
    Setting(
        "notify.heartbeat",
        "URL",
        "address of a check that waits for this job; better in heartbeat_file",
        MONITORING,
        flag="",
        variable="BATCH_ENROLL_HEARTBEAT",
    ),
    Setting(
        "notify.heartbeat_file",
        "FILE",
        "file with the address of a check that waits for this job",
        MONITORING,
        is_file=True,
    ),
    Setting("notify.timeout", "S", "time limit of one message", MONITORING, unit="seconds", default=10.0, flag=""),
    Setting(
        "codes",
        "CODE=CLASS",
        "what an error code of the platform means",
        SENDING,
        unit=one_of(get_args(CodeClass)),
        default=(),
        flag="",
    ),
)

REMOVED: Final[tuple[Setting, ...]] = (Setting("send.processes", "N", "", SENDING, removed="job.processes_removed"),)
"""Settings of earlier releases: refused with what to do; in the kept settings of an older run they are ignored."""

ONLY_FLAGS: Final = {"send.again": "job.again_only_flag"}
"""Settings that a person gives for one run, never a job file or a variable; the id of the message that refuses them."""

VARIABLE_PREFIX: Final = "BATCH_ENROLL_"
JOB_VARIABLE: Final = "BATCH_ENROLL_JOB"
PROFILE_VARIABLE: Final = "BATCH_ENROLL_PROFILE"

_SETTINGS_BY_KEY = {setting.key: setting for setting in SETTINGS}


def get_setting(key: str) -> Setting:
    """Give the declaration of `send.rate`.

    Raises:
        KeyError: there is no such setting.
    """
    return _SETTINGS_BY_KEY[key]


def flagged_settings() -> Iterable[Setting]:
    """Give the settings that have a flag, in the order of the help page."""
    return (setting for setting in SETTINGS if setting.flag)
