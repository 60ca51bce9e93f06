"""Parse the command line, execute the command, and turn errors into a message and an exit code.

A command's module is imported only when that command is used, so that `--help` stays fast.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import importlib
import os
import re
import sys
import traceback
from collections.abc import Iterable, Sequence
from typing import NoReturn

from batch_enroll.cli import console
from batch_enroll.cli.exit_codes import exit_code_for_error, exit_codes_text
from batch_enroll.cli.help_formatter import HelpFormatter
from batch_enroll.cli.options import CliWording, add_help
from batch_enroll.cli.signal_handlers import exit_code_for_interrupt, interrupt_on_signals
from batch_enroll.errors import FileSystemError, RunStopped
from batch_enroll.installed_versions import tool_version
from batch_enroll.messages import set_default_wording
from batch_enroll.os_errors import translate_os_error

# Command -> module of this folder that holds `add_arguments` and `execute`, and its line in the help.
COMMAND_GROUPS: dict[str, dict[str, tuple[str, str]]] = {
    "try it": {
        "demo": ("demo", "see it work: sandbox, example spreadsheet and results"),
        "sandbox": ("sandbox", "serve a local mock server of the platform"),
    },
    "enroll": {
        "init": ("init", "propose a job file from a spreadsheet"),
        "check": ("check", "the dry run: show what would be sent; sends nothing"),
        "run": ("run", "enroll every row of a spreadsheet; the same command resumes it"),
    },
    "while a run is active, from another terminal": {
        "set": ("set", "change its rate or concurrency"),
        "pause": ("pause", "send nothing until it is resumed"),
        "resume": ("resume", "resume a paused run at its rate"),
        "stop": ("stop", "end it after the requests in flight; it can be resumed later"),
    },
    "afterwards": {
        "runs": ("runs", "list the runs with their totals"),
        "show": ("show", "show one run: totals, reasons and files"),
        "report": ("report", "write a run's files again, at any time, also while it is active"),
        "retry": ("retry", "send the refused or the unsent rows in a retry batch"),
        "resolve": ("resolve", "list the unknown rows, and record your decisions on them"),
    },
    "maintenance": {
        "doctor": ("doctor", "check that everything a run needs is available"),
        "support": ("support", "write a support bundle without personal data"),
        "prune": ("prune", "remove the stored rows of runs that finished long ago"),
    },
}
COMMANDS = {name: line for group in COMMAND_GROUPS.values() for name, line in group.items()}
_SENDING = {"run", "retry"}  # commands that may have sent something when the system refuses them a file
_CHOICE = re.compile(r"argument COMMAND: invalid choice: '(.*)' \(choose from")


class _Parser(argparse.ArgumentParser):
    """argparse with one sentence instead of a page of usage when something is wrong."""

    def error(self, message: str) -> NoReturn:
        if wrong := _CHOICE.match(message):
            message = f"there is no command '{wrong[1]}'{_nearest(wrong[1], COMMANDS) or '.'}"
        self.refuse(message if message.endswith((".", "?")) else f"{message}.")

    def refuse(self, sentence: str) -> NoReturn:
        """Print the sentence and the help page to read, and exit with 2."""
        console.print_error(f"{sentence[:1].upper()}{sentence[1:]}", hint=f"See `{self.prog} --help`.")
        raise SystemExit(2)

    def refuse_unknown_arguments(self, left: Sequence[str]) -> NoReturn:
        """Refuse arguments that this command does not have, with the nearest flag that it has."""
        flags = [word.partition("=")[0] for word in left if word.startswith("-")]
        if not flags:
            self.refuse(f"unexpected argument {' '.join(map(repr, left))}.")
        known = re.findall(r"--[a-z-]+", self.format_help())
        self.refuse(f"there is no flag {flags[0]}{_nearest(flags[0], known) or '.'}")


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """Build the parser of every command.

    Args:
        only: the one command whose flags are needed; the others are not imported; None = all.
    """
    parser = _Parser(
        prog="batch-enroll",
        usage="batch-enroll COMMAND ...",
        description="Start every profile of a spreadsheet in an Altcraft scenario: one request for each row,\n"
        "never twice, never lost, and a results file that says what became of each.\n\n" + _command_list(),
        epilog=f"`batch-enroll COMMAND --help` describes a command and its flags.\n\n{exit_codes_text()}",
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"batch-enroll {tool_version()}")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, prog="batch-enroll", help=argparse.SUPPRESS
    )
    for name, (module_name, line) in COMMANDS.items():
        command = commands.add_parser(
            name,
            description=f"{line[:1].upper()}{line[1:]}.",
            formatter_class=HelpFormatter,
            add_help=False,  # added below, after the command's own flags
            allow_abbrev=False,  # `--max` of a script must not change its meaning on the day when a flag is added
        )
        if only not in (None, name):
            continue
        module = importlib.import_module(f"batch_enroll.cli.commands.{module_name}")
        module.add_arguments(command)
        command.formatter_class = HelpFormatter  # the sandbox sets another one for its own program
        with contextlib.suppress(argparse.ArgumentError):  # a command with the job's flags has added it already
            add_help(command)
        command.set_defaults(execute=module.execute, refuse_unknown_arguments=command.refuse_unknown_arguments)
    return parser


def _find_command(argv: Sequence[str]) -> str:
    return next((word for word in argv if not word.startswith("-")), "")


def _command_list() -> str:
    return "\n\n".join(
        f"{title}:\n" + "\n".join(f"  {name:<9} {line}" for name, (_, line) in group.items())
        for title, group in COMMAND_GROUPS.items()
    )


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f". Did you mean {near[0]}?" if near else ""


def main(argv: Sequence[str]) -> int:
    """Run one command.

    Args:
        argv: the arguments after the program's name.
    Returns:
        The exit code, one of `EXIT_CODES`.
    """
    set_default_wording(CliWording())
    console.register_secrets_in(argv)
    try:
        args, left = build_parser(_find_command(argv)).parse_known_args(argv)
        if left:
            args.refuse_unknown_arguments(left)
    except SystemExit as stop:  # argparse has printed the error or the help
        return stop.code if isinstance(stop.code, int) else 2
    with interrupt_on_signals():
        return _execute(args)


def _execute(args: argparse.Namespace) -> int:
    try:
        return int(args.execute(args))
    except RunStopped as error:
        console.print_error(error.message, hint=error.hint)
        return exit_code_for_error(error)
    except KeyboardInterrupt:
        console.print_error("Interrupted; nothing was sent.")
        return exit_code_for_interrupt()
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - so that the interpreter's own flush stays quiet
        return 3
    except OSError as error:
        refused = translate_os_error(error, to=FileSystemError)
        console.print_error(refused.message, hint=refused.hint)
        return 3 if args.command in _SENDING else 2
    except Exception:  # a bug: print the traceback, and never exit with a code that means success
        console.print_error("This is a bug in batch-enroll, not an error in your file. Please report the text below.")
        console.print_message(traceback.format_exc())
        return 3
