"""Parse the command line, execute the command, and turn errors into a message and an exit code.

A command's module is imported only when that command is used, so that `--help` stays fast.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from batch_enroll.cli import console
from batch_enroll.cli.exit_codes import exit_code_for_error, exit_codes_text
from batch_enroll.cli.parser import CommandParser
from batch_enroll.cli.signal_handlers import exit_code_for_interrupt, interrupt_on_signals
from batch_enroll.cli.wording import CliWording
from batch_enroll.clock import SystemClock, has_local_zone
from batch_enroll.config.settings import VARIABLE_PREFIX
from batch_enroll.errors import FileSystemError, JobError, RunStopped
from batch_enroll.installed_versions import tool_version
from batch_enroll.messages import message, set_default_wording, verbatim
from batch_enroll.os_errors import require_utf8, translate_os_error

# Command -> module of `commands/` whose function `add_COMMAND` declares it, and its line in the help.
COMMAND_GROUPS: dict[str, dict[str, tuple[str, str]]] = {
    "try it": {
        "demo": ("sandbox", "see it work: sandbox, example spreadsheet and results"),
        "sandbox": ("sandbox", "serve a local mock server of the platform"),
    },
    "enroll": {
        "scenarios": ("scenarios", "list the platform's scenarios with their numbers"),
        "init": ("init", "propose a job file from a spreadsheet"),
        "check": ("enroll", "the dry run: show what would be sent; sends nothing"),
        "run": ("enroll", "enroll every row of a spreadsheet; the same command resumes it"),
    },
    "while a run is active, from another terminal": {
        "set": ("control", "change its rate or concurrency"),
        "pause": ("control", "send nothing until it is resumed"),
        "resume": ("resume", "let a paused run go on, or continue one that stopped or crashed"),
        "stop": ("control", "end it after the requests in flight; it can be resumed later"),
    },
    "afterwards": {
        "runs": ("history", "list the runs with their totals"),
        "show": ("history", "show one run: totals, reasons and files"),
        "report": ("history", "write a run's files again, at any time, also while it is active"),
        "retry": ("resume", "send the refused or the unsent rows in a retry batch"),
        "resolve": ("resolve", "list the unknown rows, and record your decisions on them"),
    },
    "maintenance": {
        "doctor": ("maintenance", "check that everything a run needs is available"),
        "support": ("maintenance", "write a support bundle without personal data"),
        "prune": ("maintenance", "remove the stored rows of runs that finished long ago"),
        "completion": ("completion", "print the completion script for bash, zsh or fish"),
    },
}
COMMANDS = {name: line for group in COMMAND_GROUPS.values() for name, line in group.items()}
_FOLDER_VARIABLES = ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "TMPDIR")
_SENDING = {"run", "resume", "retry"}  # commands that may have sent something when the system refuses them a file


def build_parser(only: str | None = None, *, for_completion: bool = False) -> CommandParser:
    """Build the parser of every command.

    Args:
        only: the one command whose flags are needed; the others are not imported; None = all.
        for_completion: list the commands as arguments too, where shtab looks for them.
    """
    parser = CommandParser(
        prog="batch-enroll",
        usage="batch-enroll COMMAND ...",
        description="Start every profile of a spreadsheet in an Altcraft scenario: one request for each row,\n"
        "never twice, never lost, and a results file that says what became of each.\n\n" + _command_list(),
        epilog=f"`batch-enroll COMMAND --help` describes a command and its flags.\n\n{exit_codes_text()}",
    )
    parser.set_defaults(refuse_unknown_arguments=parser.refuse_unknown_arguments)
    parser.add_argument("-V", "--version", action="version", version=f"batch-enroll {tool_version()}")
    parser.add_help_flag()
    commands = parser.add_subparsers(
        dest="command",
        metavar="COMMAND",
        prog="batch-enroll",
        help=None if for_completion else argparse.SUPPRESS,
    )
    for name, (module_name, line) in COMMANDS.items():
        command = commands.add_parser(name, help=line, description=f"{line[:1].upper()}{line[1:]}.")
        command.set_defaults(refuse_unknown_arguments=command.refuse_unknown_arguments)
        if only in (None, name):
            module = importlib.import_module(f"batch_enroll.cli.commands.{module_name}")
            getattr(module, f"add_{name}")(command)
            command.add_help_flag()
    return parser


def _command_list() -> str:
    return "\n\n".join(
        f"{title}:\n" + "\n".join(f"  {name:<11} {line}" for name, (_, line) in group.items())
        for title, group in COMMAND_GROUPS.items()
    )


def main(argv: Sequence[str]) -> int:
    """Run one command.

    Args:
        argv: the arguments after the program's name.
    Returns:
        The exit code, one of `EXIT_CODES`.
    """
    named = next((word for word in argv if not word.startswith("-")), "")
    with interrupt_on_signals():
        code = _execute(named, argv)
    is_failure = console.report_lost_output()
    return code if named in _SENDING else code or 2 * is_failure


def _execute(named: str, argv: Sequence[str]) -> int:
    try:
        args = _parse(named, argv)
        if not inspect.iscoroutinefunction(args.execute):
            return int(args.execute(args))
        import anyio  # `--help` does without it

        return int(anyio.run(args.execute, args))
    except SystemExit as stop:  # the error or the help was printed
        return stop.code if isinstance(stop.code, int) else 2
    except RunStopped as error:
        console.print_refusal(error)
        return exit_code_for_error(error)
    except UnicodeEncodeError as error:
        if error.encoding == "utf-8":
            return _report_bug()
        console.print_refusal(JobError(message("job.locale", encoding=error.encoding)))
        return 3 if named in _SENDING else 2
    except KeyboardInterrupt:
        console.print_error("Interrupted; nothing was sent.")
        return exit_code_for_interrupt()
    except OSError as error:
        refused = translate_os_error(error, to=FileSystemError)
        console.print_error(refused.message, hint=refused.hint)
        return 3 if named in _SENDING else 2
    except BaseException:
        return _report_bug()


def _report_bug() -> int:
    """Print the traceback; the exit code is none that means success."""
    console.print_error("This is a bug in batch-enroll, not an error in your file. Please report the text below.")
    console.print_message(traceback.format_exc())
    return 3


def _refuse_surroundings(argv: Sequence[str]) -> None:
    """Refuse names that are no text and a time zone that has no times, whichever command they are given to.

    Raises:
        JobError: names the argument, the variable or the working directory.
    """
    for word in argv:
        require_utf8(word, message("job.place_argument"))
    for name, value in os.environ.items():
        if name.startswith(VARIABLE_PREFIX) or name in _FOLDER_VARIABLES:
            require_utf8(value, verbatim(name))
    with suppress(OSError):  # it was removed: a command that needs it says so
        require_utf8(str(Path.cwd()), message("job.place_folder"))
    if not has_local_zone(SystemClock().now().year):
        raise JobError(message("job.time_zone", text=os.environ.get("TZ", "")))


def _parse(named: str, argv: Sequence[str]) -> argparse.Namespace:
    """Read the arguments.

    Raises:
        SystemExit: after the help, or with a mistake; each was printed.
    """
    set_default_wording(CliWording())
    console.register_secrets_in(argv)
    _refuse_surroundings(argv)
    parser = build_parser(named)
    if named and named not in COMMANDS:
        parser.refuse_unknown_command(named, COMMANDS)
    args, left = parser.parse_known_args(argv)
    if left:
        args.refuse_unknown_arguments(left)
    if args.command is None:
        console.print_output(parser.format_help().rstrip())
        raise SystemExit(2)  # a script whose words got lost must not look successful
    set_default_wording(CliWording(args))
    return args
