"""The flags that commands share, made of the declared settings, and the values that flags and variables give."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch_enroll.cli import console
from batch_enroll.cli.parser import CommandParser, FileArgument, Suggested
from batch_enroll.config.settings import (
    GROUPS,
    JOB_VARIABLE,
    ONLY_FLAGS,
    PLATFORM,
    PROFILE_VARIABLE,
    REMOVED,
    SETTINGS,
    VARIABLE_PREFIX,
    KeyPath,
    Setting,
    flagged_settings,
    get_setting,
)
from batch_enroll.errors import JobError
from batch_enroll.messages import Message, message

if TYPE_CHECKING:
    from batch_enroll.config.load import SettingValue
    from batch_enroll.ledger.interface import Ledger

_LEDGER = get_setting("output.ledger")

_OF_KUBERNETES = re.compile(
    rf"{VARIABLE_PREFIX}(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)\Z"
)  # set in each container for each service whose name begins with batch-enroll
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")


def add_job_flags(parser: CommandParser) -> None:
    """Add `--job`, `--profile` and every setting to a command's parser, in groups; `--help` comes last."""
    job = parser.add_argument_group("the job")
    _add_job_file_flags(job.add_argument, f"job file in TOML (or {JOB_VARIABLE}); flags go before it")
    groups = {name: parser.add_argument_group(name) for name in GROUPS}
    for removed in REMOVED:
        parser.add_argument(removed.flag, help=argparse.SUPPRESS)
    for setting in flagged_settings():
        _add_flag(groups[setting.group].add_argument, setting, setting.meaning)
    parser.add_help_flag(group="help")


def add_setting_flags(parser: CommandParser, *keys: str) -> None:
    """Add the flags of some settings to a command that takes no whole job; their values stay text."""
    for setting in map(get_setting, keys):
        _add_flag(parser.add_argument, setting, setting.description)


def _add_flag(add_argument: Callable[..., object], setting: Setting, text: str) -> None:
    how: dict[str, Any] = {"metavar": setting.metavar}
    if not setting.metavar:
        how = {"action": "store_true", "default": None}
    elif setting.key == "content":
        how["action"] = "append"
    elif setting.metavar == "FILE":
        how["action"] = FileArgument
    elif setting.choices:
        how["choices"] = Suggested(setting.choices)
    add_argument(setting.flag, help=text.replace("%", "%%"), **how)


def add_run_argument(parser: CommandParser, *, active: bool = False) -> None:
    """Add RUN; for commands about an active run it may be left out."""
    named = "the run: its id as `batch-enroll runs` lists it, a beginning of it, or last (the newest)"
    if active:
        named += "; on a terminal it may be left out while only one run goes"
    parser.add_argument("run", metavar="RUN", nargs="?" if active else None, help=named)


def _add_job_file_flags(add_argument: Callable[..., object], text: str) -> None:
    add_argument("--job", metavar="FILE", action=FileArgument, help=text)
    add_argument(
        "--profile", metavar="NAME", help=f"use [profile.NAME] of the job file as well (or {PROFILE_VARIABLE})"
    )


def add_ledger_flag(parser: CommandParser) -> None:
    """Add `--ledger`, and `--job` with `--profile`, whose ledger is looked at without it."""
    _add_job_file_flags(parser.add_argument, f"look at the ledger of this job file (or {JOB_VARIABLE})")
    _add_flag(parser.add_argument, _LEDGER, f"{_LEDGER.description} (or {_LEDGER.variable})")


def add_platform_flags(parser: CommandParser) -> None:
    """Add `--job`, `--profile` and the flags that lead to the platform, without those of a scenario."""
    _add_job_file_flags(parser.add_argument, f"job file in TOML (or {JOB_VARIABLE}); flags go before it")
    for setting in flagged_settings():
        if setting.group == PLATFORM and setting.key not in ("scenario", "send.skip_preflight"):
            _add_flag(parser.add_argument, setting, setting.meaning)


def add_json_flag(parser: CommandParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="print JSON on standard output")


async def run_of(
    args: argparse.Namespace, ledger: Ledger, *, active: bool = False, why_not_last: Message | None = None
) -> str:
    """Give the id of the run that RUN means; arguments and errors as `resolve_run_id`."""
    from batch_enroll.maintenance.run_lookup import resolve_run_id

    return await resolve_run_id(ledger, args.run, active=active, why_not_last=why_not_last)


def unless_seen() -> Message | None:
    """Say why a command that changes something must name its run; None on a terminal: a person sees which it is."""
    return None if console.is_terminal() else message("job.run_must_be_named")


def ledger_from(args: argparse.Namespace) -> Ledger:
    """Open the ledger that the flag, the variable or the job file names, or the default one."""
    from batch_enroll.ledger.location import open_ledger

    return open_ledger(ledger_place(args))


def ledger_place(args: argparse.Namespace) -> str | None:
    """Give what the flag, the variable or the job file says; None when none of them says anything.

    Raises:
        JobError: the job file cannot be read, or has no such profile.
    """
    if place := args.ledger or os.environ.get(_LEDGER.variable):
        return str(place)
    if not (args.job or args.profile or os.environ.get(JOB_VARIABLE)):
        return None
    from batch_enroll.cli.job_options import job_file_of

    section = job_file_of(args).settings.get("output")
    place = section.get("ledger") if isinstance(section, dict) else None
    return place if isinstance(place, str) and place else None


def output_path(text: str | None, default: str) -> Path:
    """Give the file that a flag names: the default name in the folder that it names, which is made when it is new.

    Raises:
        JobError: the folder cannot be made.
    """
    from batch_enroll.atomic_file import SHARED_FOLDER
    from batch_enroll.config.value_parsers import named_folder
    from batch_enroll.os_errors import translate_os_errors

    folder = named_folder(text) if text else None
    if folder is None:
        return Path(text or default)
    with translate_os_errors(folder, to=JobError):
        folder.mkdir(mode=SHARED_FOLDER, exist_ok=True)
    return folder / default


def settings_help(key: str) -> str:
    """Say where each setting may stand besides the command line, with one as the example."""
    setting = get_setting(key)
    section, name = setting.path
    return (
        f"Each flag can also\nstand in it, or in a variable: {setting.flag} is {name} of [{section}], or\n"
        f"{setting.variable}. A flag takes precedence over the variable, the variable over\n"
        "the file. The token is never a flag: it comes from BATCH_ENROLL_TOKEN,\n"
        "--token-file or the keyring."
    )


def given_settings(args: argparse.Namespace, environment: Mapping[str, str]) -> tuple[SettingValue, ...]:
    """Collect the values of variables and flags, the variables first so that flags win.

    Raises:
        JobError: `--match` or `--content` has no `=`, a variable for a switch is neither yes nor no.
    """
    given: list[SettingValue] = []
    settings = (*SETTINGS, *REMOVED)
    for setting in settings:
        if setting.variable and (text := environment.get(setting.variable, "")).strip():
            if setting.key in ONLY_FLAGS:
                raise JobError(message(ONLY_FLAGS[setting.key], place=setting.variable))
            given += _parse_text(setting, text, place=setting.variable)
    for setting in settings:
        value = getattr(args, setting.name, None) if setting.flag else None
        if isinstance(value, list):
            given += [item for text in value for item in _parse_text(setting, text, place=setting.flag)]
        elif isinstance(value, bool):
            given += _value_at(setting.path, value, setting.flag)
        elif value is not None:
            given += _parse_text(setting, value, place=setting.flag)
    return tuple(given)


def refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    """Refuse variables that look like settings and are none; a misspelt limit would be no limit.

    Raises:
        JobError: lists each with the nearest known name.
    """
    from batch_enroll.config.secrets import TOKEN_VARIABLE
    from batch_enroll.config.validation_messages import join_messages, unknown_variable

    known = {setting.variable for setting in (*SETTINGS, *REMOVED)}
    known |= {TOKEN_VARIABLE, JOB_VARIABLE, PROFILE_VARIABLE}
    unknown = [
        name
        for name in sorted(environment)
        if name.startswith(VARIABLE_PREFIX) and name not in known and not _OF_KUBERNETES.match(name)
    ]
    if unknown:
        raise JobError(join_messages(unknown_variable(name, known - {""}) for name in unknown))


def _parse_text(setting: Setting, text: str, *, place: str) -> list[SettingValue]:
    if setting.key == "match":
        return _parse_match(text, place)
    if setting.key == "content":
        return [item for line in text.splitlines() if line.strip() for item in _parse_content(line, place)]
    if not setting.metavar:
        word = text.strip().lower()
        if word not in (*_TRUE, *_FALSE):
            raise JobError(message("job.not_yes_or_no", place=place, text=text))
        return _value_at(setting.path, word in _TRUE, place)
    if setting.is_file:
        from batch_enroll.config.value_parsers import with_slash_of

        try:
            path = Path(text).expanduser().absolute()
        except RuntimeError:  # ~user of a user that does not exist
            raise JobError(message("job.no_home_of", place=place, text=text)) from None
        return _value_at(setting.path, with_slash_of(text, path), place)
    value = text if setting.flag else text.strip()
    return _value_at(setting.path, value, place)


def _parse_match(text: str, place: str) -> list[SettingValue]:
    how, equals, column = text.partition("=")
    if not equals or not column.strip():
        raise JobError(message("job.match_without_column", place=place, text=text))
    mode, colon, field_name = how.strip().partition(":")
    return [
        *_value_at(("match", "mode"), mode.strip().lower(), place),
        *_value_at(("match", "column"), column, place),
        *_value_at(("match", "field_name"), field_name.strip() if colon else None, place),
    ]


def _parse_content(text: str, place: str) -> list[SettingValue]:
    name, equals, column = text.partition("=")
    if not equals or not name.strip() or not column.strip():
        raise JobError(message("job.content_without_column", place=place, text=text))
    return _value_at(("content", name.strip()), column, place)


def _value_at(path: KeyPath, value: Any, place: str) -> list[SettingValue]:
    from batch_enroll.config.load import SettingValue

    return [SettingValue(path, value, place)]
