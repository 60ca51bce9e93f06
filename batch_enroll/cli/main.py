"""argv in, exit code out: finds the command, runs it, and turns whatever ended it into one sentence and a number.

Never: work of a run; an import of something heavy before a command needs it.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn

from batch_enroll.cli import screen
from batch_enroll.cli.exit_codes import EXIT_CODES, exit_code_of
from batch_enroll.errors import RunStopped

# Command -> module of this folder that holds `add_arguments` and `execute`, and its line in the help.
COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("run_command", "enroll every row of a spreadsheet; the same command carries on an unfinished run"),
    "check": ("check_command", "the dry run: read, check and show what would be sent; sends nothing"),
    "init": ("init_command", "propose a job file from the headers and values of a spreadsheet"),
    "runs": ("runs_command", "list earlier runs with their totals"),
    "show": ("show_command", "show one run: totals, reasons and files"),
    "report": ("report_command", "write a run's files again, at any time, also while it goes"),
    "retry": ("retry_command", "send the refused or the unsent rows of a run in a new wave"),
    "resolve": ("resolve_command", "list the unknown rows of a run, and take back what you found out about them"),
    "doctor": ("doctor_command", "look whether everything is there that a run needs"),
    "support": ("support_command", "put together what somebody needs who helps with a run, without personal data"),
    "prune": ("prune_command", "remove what is kept of runs that finished long ago"),
    "set": ("set_command", "change how fast a run sends while it goes"),
    "pause": ("pause_command", "let a run send nothing more until it is resumed; answers in flight come in"),
    "resume": ("resume_command", "let a paused run go on, without making up for the pause"),
    "stop": ("stop_command", "let a run take no more rows, await the answers in flight and end; it can be carried on"),
    "sandbox": ("sandbox_command", "serve a local stand-in of the platform to try things on"),
    "demo": ("demo_command", "see it work: sandbox, example spreadsheet and results in one command"),
}


class _Parser(argparse.ArgumentParser):
    """argparse with one sentence instead of a page of usage when something is wrong."""

    def error(self, message: str) -> NoReturn:
        screen.complain(f"{message[:1].upper()}{message[1:]}.", hint=f"See `{self.prog} --help`.")
        raise SystemExit(2)


def build_parser() -> argparse.ArgumentParser:
    """Make the parser of every command."""
    codes = "\n".join(f"  {code:<4} {meaning}" for code, meaning in EXIT_CODES.items())
    parser = _Parser(
        prog="batch-enroll",
        description="Start every profile of a spreadsheet in an Altcraft scenario: one request for each row,\n"
        "never twice, never lost, and a results file that says what became of each.",
        epilog=f"Try `batch-enroll demo` first: it needs no platform and no set-up.\n\nexit codes:\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"batch-enroll {_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", required=True)
    for name, (module_name, line) in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=line,
            description=f"{line[:1].upper()}{line[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module = importlib.import_module(f"batch_enroll.cli.{module_name}")
        module.add_arguments(command)
        command.set_defaults(execute=module.execute)
    return parser


def main(argv: Sequence[str]) -> int:
    """Run one command.

    Args:
        argv: the words after the program's name.
    Returns:
        The exit code, one of `EXIT_CODES`.
    """
    screen.keep_secrets_of(argv)
    try:
        args = build_parser().parse_args(argv)
    except SystemExit as stop:  # argparse has said what is wrong, or has shown the help
        return stop.code if isinstance(stop.code, int) else 2
    try:
        return int(args.execute(args))
    except RunStopped as error:
        screen.complain(error.message, hint=error.hint)
        return exit_code_of(error)
    except KeyboardInterrupt:
        screen.complain("Interrupted; nothing was sent.")
        return 130
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - so that the interpreter's own flush stays quiet
        return 3
    except Exception:  # a bug of ours: say so, with what is needed to find it, and never with a code that means success
        screen.complain("This is a fault of batch-enroll itself, not of your file. Please report what follows.")
        screen.say(traceback.format_exc())
        return 3


def _version() -> str:
    try:
        return version("batch-enroll")
    except PackageNotFoundError:
        return "from a source tree"
