"""`batch-enroll completion`: print the script with which a shell completes commands, flags and values."""

from __future__ import annotations

import argparse

from batch_enroll.cli import console
from batch_enroll.cli.parser import CommandParser

SHELLS = ("bash", "zsh", "fish")

_DESCRIPTION = """\
Print the script with which a shell completes commands, flags, values and file names.

to use it, add one line to a file:
  ~/.bashrc                   eval "$(batch-enroll completion bash)"
  ~/.zshrc, after compinit    eval "$(batch-enroll completion zsh)"
  ~/.config/fish/config.fish  batch-enroll completion fish | source"""


def add_completion(parser: CommandParser) -> None:
    """Declare the command."""
    parser.description = _DESCRIPTION
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))
    parser.set_defaults(execute=_print_script)


def _print_script(args: argparse.Namespace) -> int:
    import shtab

    from batch_enroll.cli.main import build_parser

    console.print_output(shtab.complete(build_parser(for_completion=True), args.shell))
    return 0
