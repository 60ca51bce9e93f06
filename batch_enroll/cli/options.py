"""The flags of `run` and `check`, each with its variable and its place in the job file: one table, three faces.

In: argv and the environment. Out: `SettingValue` values for `job.build_job`, the environment first and the flags last.
Never: a check of a value (the job does that, with the place in its message), a library beyond the standard one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch_enroll.errors import JobError

if TYPE_CHECKING:
    from batch_enroll.config.load import SettingValue


def _text(value: str) -> str:
    return value


def _absolute(value: str) -> str:
    return str(Path(value).expanduser().absolute())


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One thing that can be set: by flag, by variable, in the job file."""

    flag: str  #: `--rate`
    path: tuple[str, ...]  #: ("send", "rate"): the key in the job file
    metavar: str = ""  #: "" = a switch
    help: str
    group: str
    convert: Callable[[str], Any] = _text

    @property
    def variable(self) -> str:
        """`BATCH_ENROLL_MAX_ERRORS` for `--max-errors`."""
        return "BATCH_ENROLL_" + self.flag.lstrip("-").replace("-", "_").upper()

    @property
    def name(self) -> str:
        """The attribute in argparse's namespace."""
        return self.flag.lstrip("-").replace("-", "_")


def _s(flag: str, path: str, metavar: str, text: str, group: str, convert: Callable[[str], Any] = _text) -> Setting:
    return Setting(flag=flag, path=tuple(path.split(".")), metavar=metavar, help=text, group=group, convert=convert)


GROUPS = WHERE, WHAT, INPUT, MANY, GUARD, PACE, STOP, OUTPUT, TOLD = (
    "the platform",
    "who is enrolled with what",
    "reading the input",
    "which inputs, and what becomes of them",
    "before anything is sent",
    "how it is sent",
    "when it stops before the end",
    "what is written and shown",
    "who is told",
)

SETTINGS: tuple[Setting, ...] = (
    _s("--url", "url", "URL", "address of the platform, for example https://ru.altkraft.com", WHERE),
    _s("--scenario", "scenario", "ID", "number of the scenario (after # beside its name)", WHERE),
    _s("--token-file", "token_file", "FILE", "file with the API token (or set BATCH_ENROLL_TOKEN)", WHERE, _absolute),
    _s("--insecure-http", "insecure_http", "", "allow http:// to other machines than this one", WHERE),
    _s("--skip-preflight", "send.skip_preflight", "", "do not ask the platform about the scenario first", WHERE),
    _s("--match", "match", "MODE=COLUMN", "email=E-mail, phone=Phone, profile_id=ID or custom:FIELD=COLUMN", WHAT),
    _s(
        "--field-type", "match.field_type", "TYPE", "JSON type of a custom field's value: string (default) or int", WHAT
    ),
    _s("--resource-id", "match.resource_id", "N", "look for the email or phone in this resource only", WHAT),
    _s("--country", "match.country", "CC", "phones without + are numbers of this country, for example RU", WHAT),
    _s("--content", "content", "NAME=COLUMN", "send a column along as {apicontent.NAME}; may be repeated", WHAT),
    _s("--sheet", "input.sheet", "NAME", "sheet of the workbook", INPUT),
    _s("--header-row", "input.header_row", "N", "row that holds the column names; the first is 1", INPUT),
    _s("--encoding", "input.encoding", "E", "for example utf-8 or windows-1251", INPUT),
    _s("--delimiter", "input.delimiter", "D", "one character, or tab, comma, semicolon, pipe", INPUT),
    _s("--password-file", "input.password_file", "FILE", "file with the workbook's password", INPUT, _absolute),
    _s("--start-row", "input.start_row", "N", "first row to take, by its number in the file", INPUT),
    _s("--limit", "input.limit", "N", "take at most so many rows", INPUT),
    _s("--pick", "input.pick", "WHICH", "of several files: newest, or new (each that was not enrolled before)", MANY),
    _s("--settle", "input.settle", "10s", "leave a file in a folder alone until it was still for so long", MANY),
    _s("--if-changed", "input.if_changed", "", "nothing new to enroll is no mistake: exit code 0 and a line", MANY),
    _s(
        "--archive",
        "input.archive",
        "FOLDER",
        "move the input there when no row of it is left to send",
        MANY,
        _absolute,
    ),
    _s("--max-rows", "stop.max_rows", "N", "refuse an input with more rows to send than this", GUARD),
    _s("--max-change", "stop.max_change", "P%", "refuse a number to send this far from what the last runs sent", GUARD),
    _s("--max-invalid", "stop.max_invalid", "N|P%", "refuse an input with more invalid rows than this", GUARD),
    _s(
        "--allowed-hours",
        "stop.allowed_hours",
        "HOURS",
        "send within these hours only, for example '09:00-20:00 Europe/Moscow'",
        GUARD,
    ),
    _s(
        "--confirm-above",
        "stop.confirm_above",
        "N",
        "on a terminal, have the number of profiles typed when it is above this (default 1000)",
        GUARD,
    ),
    _s("--yes", "output.yes", "", "do not ask before sending", GUARD),
    _s("--rate", "send.rate", "N", "requests per second, decimals allowed, or none (default 10)", PACE),
    _s("--concurrency", "send.concurrency", "N", "requests in flight at once (default 8)", PACE),
    _s("--timeout", "send.timeout", "S", "seconds for one whole request (default 30)", PACE),
    _s(
        "--duplicates",
        "send.duplicates",
        "WHAT",
        "a profile that stands twice in the file: skip (default), send, stop",
        PACE,
    ),
    _s("--window", "send.window", "7d", "skip profiles that any earlier run enrolled so recently", PACE),
    _s("--again", "send.again", "", "send what an earlier run of this input enrolled once more", PACE),
    _s("--delivery", "send.delivery", "HOW", "at-most-once (default) or at-least-once (may enroll twice)", PACE),
    _s(
        "--canary",
        "send.canary",
        "N",
        "send N rows first, then look and go on, or stop when one of them failed (0 = no such look)",
        PACE,
    ),
    _s("--max-errors", "stop.max_errors", "N|P%", "stop when more rows than this are refused", STOP),
    _s("--max-unknown", "stop.max_unknown", "N|P%", "stop when more rows than this are unknown", STOP),
    _s("--deadline", "stop.deadline", "HH:MM|DURATION", "take no more rows after this time", STOP),
    _s(
        "--results",
        "output.results",
        "FILE",
        "results file, .csv or .xlsx (default: beside the input)",
        OUTPUT,
        _absolute,
    ),
    _s("--ledger", "output.ledger", "FILE", "the file that remembers what was sent", OUTPUT),
    _s("--keep", "output.keep", "DAYS", "keep a run's rows for so long, 0 = not after it ends (default 30)", OUTPUT),
    _s("--json", "output.json", "", "print one JSON object about the run on standard output", OUTPUT),
    _s("--quiet", "output.quiet", "", "say nothing but what went wrong", OUTPUT),
    _s("--verbose", "output.verbose", "", "say more: each failed attempt, each change of pace", OUTPUT),
    _s("--log-file", "output.log_file", "FILE", "write a log there", OUTPUT, _absolute),
    _s("--log-format", "output.log_format", "FORM", "form of the log: text (default) or json", OUTPUT),
    _s("--name", "name", "NAME", "what the job is called in metrics and messages (default: the job file's name)", TOLD),
    _s("--status-file", "output.status_file", "FILE", "JSON file that always says how the run stands", TOLD, _absolute),
    _s("--metrics-file", "output.metrics_file", "FILE", "metrics for Prometheus' textfile collector", TOLD, _absolute),
    _s(
        "--notify-file",
        "notify.urls_file",
        "FILE",
        "addresses to notify, one a line, as apprise writes them",
        TOLD,
        _absolute,
    ),
    _s("--notify-on", "notify.on", "ENDS", "tell of these ends: finish,stop,unknown (default: all three)", TOLD),
    _s(
        "--heartbeat-file",
        "notify.heartbeat_file",
        "FILE",
        "address of a check that waits for this job",
        TOLD,
        _absolute,
    ),
)

# Still taken, so that the job can say that they were removed; in no help and no table.
REMOVED: tuple[Setting, ...] = (_s("--processes", "send.processes", "N", argparse.SUPPRESS, PACE),)

# Secrets: a variable, a file or the job file, never a flag, which every user of the machine can see.
SECRET_VARIABLES: dict[str, tuple[str, ...]] = {
    "BATCH_ENROLL_NOTIFY": ("notify", "urls"),
    "BATCH_ENROLL_HEARTBEAT": ("notify", "heartbeat"),
}

JOB_VARIABLE = "BATCH_ENROLL_JOB"
PROFILE_VARIABLE = "BATCH_ENROLL_PROFILE"
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")


def add_job_flags(parser: argparse.ArgumentParser) -> None:
    """Add `--job`, `--profile` and every setting to a command's parser, in groups; `--help` comes last."""
    job = parser.add_argument_group("the job")
    job.add_argument("--job", metavar="FILE", help=f"job file in TOML (or {JOB_VARIABLE}); flags go before it")
    job.add_argument(
        "--profile", metavar="NAME", help=f"use [profile.NAME] of the job file as well (or {PROFILE_VARIABLE})"
    )
    groups = {name: parser.add_argument_group(name) for name in GROUPS}
    for setting in REMOVED:
        parser.add_argument(setting.flag, help=setting.help)
    for setting in SETTINGS:
        text = setting.help.replace("%", "%%")
        if setting.flag == "--content":
            groups[setting.group].add_argument(setting.flag, action="append", metavar=setting.metavar, help=text)
        elif setting.metavar:
            groups[setting.group].add_argument(setting.flag, metavar=setting.metavar, help=text)
        else:
            groups[setting.group].add_argument(setting.flag, action="store_true", default=None, help=text)
    add_help(parser.add_argument_group("help"))


def add_help(group: argparse._ActionsContainer) -> None:
    """Add `--help`, where the command wants it."""
    group.add_argument("-h", "--help", action="help", help="show this page")


def settings_help(flag: str) -> str:
    """Go on from a sentence about the job file: where each setting may stand besides the command line."""
    setting = next(setting for setting in SETTINGS if setting.flag == flag)
    section, key = setting.path
    return (
        f"Each flag can also\nstand in it, or in a variable: {flag} is {key} of [{section}], or\n"
        f"{setting.variable}. A flag goes before the variable, the variable before\n"
        "the file. The token is never a flag: it comes from BATCH_ENROLL_TOKEN,\n"
        "--token-file or the keyring."
    )


def given_settings(args: argparse.Namespace, environment: Mapping[str, str]) -> tuple[SettingValue, ...]:
    """Collect what the environment and the flags say, the environment first so that flags win.

    Raises:
        JobError: `--match` or `--content` has no `=`, a variable for a switch is neither yes nor no.
    """
    given: list[SettingValue] = []
    for setting in (*SETTINGS, *REMOVED):
        text = environment.get(setting.variable)
        if text is not None and text.strip():
            given += _from_text(setting, text, place=setting.variable)
    for variable, path in SECRET_VARIABLES.items():
        if text := environment.get(variable, "").strip():
            given += _given(path, text, variable)
    for setting in (*SETTINGS, *REMOVED):
        value = getattr(args, setting.name, None)
        if isinstance(value, list):
            given += [item for text in value for item in _from_text(setting, text, place=setting.flag)]
        elif isinstance(value, bool):
            given += _given(setting.path, value, setting.flag)
        elif value is not None:
            given += _from_text(setting, value, place=setting.flag)
    return tuple(given)


def _from_text(setting: Setting, text: str, *, place: str) -> list[SettingValue]:
    if setting.flag == "--match":
        return _match(text, place)
    if setting.flag == "--content":
        return [item for line in text.splitlines() if line.strip() for item in _content(line, place)]
    if not setting.metavar:
        word = text.strip().lower()
        if word not in (*_TRUE, *_FALSE):
            raise JobError(f"{place}: '{text}' is neither yes nor no.")
        return _given(setting.path, word in _TRUE, place)
    return _given(setting.path, setting.convert(text), place)


def _match(text: str, place: str) -> list[SettingValue]:
    how, equals, column = text.partition("=")
    if not equals or not column.strip():
        raise JobError(f"{place}: '{text}' has no column.", hint="Write MODE=COLUMN, for example email=E-mail.")
    mode, colon, field_name = how.strip().partition(":")
    return [
        *_given(("match", "mode"), mode.strip().lower(), place),
        *_given(("match", "column"), column, place),
        *_given(("match", "field_name"), field_name.strip() if colon else None, place),
    ]


def _content(text: str, place: str) -> list[SettingValue]:
    name, equals, column = text.partition("=")
    if not equals or not name.strip() or not column.strip():
        raise JobError(f"{place}: '{text}' is not NAME=COLUMN.", hint="For example --content first_name='First name'.")
    return _given(("content", name.strip()), column, place)


def _given(path: tuple[str, ...], value: Any, place: str) -> list[SettingValue]:
    from batch_enroll.config.load import SettingValue

    return [SettingValue(path, value, place)]
