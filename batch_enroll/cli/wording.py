"""How the command line names settings, and prints commands that can be pasted."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from batch_enroll.cli import console
from batch_enroll.config.settings import JOB_VARIABLE, PROFILE_VARIABLE, SETTINGS, get_setting
from batch_enroll.messages import Wording, quoted

_WITHOUT_LEDGER = {"completion", "demo", "init", "sandbox"}  # commands that take none of the flags below
_ASKS_PLATFORM = "scenarios"  # has no ledger, and needs the address where no job file holds it
_ABOUT_A_JOB = ("url", "scenario", "match", "content", "resource_id")  # flags without which no other input can be run
_WITH_TOKEN = {"check", "doctor", "resume", "retry", "run", _ASKS_PLATFORM}
_VARIABLES = {"job": JOB_VARIABLE, "profile": PROFILE_VARIABLE, "ledger": get_setting("output.ledger").variable}


class CliWording(Wording):
    """Name settings by their flags, and print commands with the job, profile, ledger and token file of this command.

    Args:
        args: those of this command; None while they are not known.
    """

    def __init__(self, args: argparse.Namespace | None = None) -> None:
        self._input = _absolute(getattr(args, "input", None) or "")
        self._given: dict[str, str] = {}
        for name, variable in _VARIABLES.items():
            value = getattr(args, name, None) or os.environ.get(variable, "").strip()
            if value and args is not None:
                self._given[f"--{name}"] = value if name == "profile" else _absolute(value)
        if value := getattr(args, "token_file", None):
            self._given["--token-file"] = _absolute(value)
        if value := getattr(args, "url", None):
            self._given["--url"] = value
        typed = ((name, value) for name in _ABOUT_A_JOB for value in _as_list(getattr(args, name, None)))
        self._about_job = [word for name, value in typed for word in (f"--{name.replace('_', '-')}", value)]

    def setting(self, path: str) -> str:
        """Give the flag of `send.rate`; without one, the variable or the key of the job file."""
        if path in ("job", "profile"):  # of the command line only
            return f"--{path}"
        keys = path.split(".")
        nearest = [".".join(keys[:n]) for n in range(len(keys), 0, -1)]  # `match.column` belongs to --match
        declared = [setting for key in nearest for setting in SETTINGS if setting.key == key]
        flag = next((setting.flag for setting in declared if setting.flag), "")
        variable = next((setting.variable for setting in declared), "")
        in_file = f"{keys[-1]} of [{'.'.join(keys[:-1])}]" if keys[1:] else f"[{path}] of the job file"
        return flag or variable or in_file

    def command_line(self, words: str | Sequence[str]) -> str:
        """Give the command with this command's input, job, profile and ledger; a shell takes it as it stands."""
        name, *rest = words.split() if isinstance(words, str) else words
        arguments = [self._input if word == "INPUT" and self._input else word for word in rest]
        if name == "run":
            arguments += self._about_job
        for flag, value in self._given.items():
            if flag not in rest and _takes(name, flag):
                arguments += [flag, value]
        return console.mask_secrets(super().command_line(quoted([name, *arguments])))


def _as_list(value: object) -> list[str]:
    return [] if value is None else [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _absolute(place: str) -> str:
    """Give the path of a file so that it means the same in another folder; an address and standard input stay."""
    from batch_enroll.config.value_parsers import with_slash_of
    from batch_enroll.reporting.result_paths import STDIN, is_address

    if place in ("", STDIN) or is_address(place):
        return place
    try:
        return with_slash_of(place, Path(place).expanduser().absolute())
    except RuntimeError:  # ~user of nobody, or a user without a home: whoever opens it says so
        return place


def _takes(command: str, flag: str) -> bool:
    match flag:
        case "--token-file":
            return command in _WITH_TOKEN
        case "--url":
            return command == _ASKS_PLATFORM
        case "--ledger":
            return command not in _WITHOUT_LEDGER and command != _ASKS_PLATFORM
    return command not in _WITHOUT_LEDGER
