"""The argument parser of every command: the layout of help pages, errors in one sentence, values for completion."""

from __future__ import annotations

import argparse
import difflib
import re
import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NoReturn

from batch_enroll.cli import console

_WIDEST = 100  #: columns
_FLAG_COLUMNS = 30  #: width of the flags' column


class CommandParser(argparse.ArgumentParser):
    """argparse without abbreviations, with one sentence instead of a page of usage when something is wrong.

    On help pages paragraphs are filled and indented lines stay lines.
    """

    def __init__(self, prog: str | None = None, **settings: Any) -> None:
        # `--max` of a script must not change its meaning on the day when a flag is added: no abbreviations
        super().__init__(prog, formatter_class=_help_formatter, add_help=False, allow_abbrev=False, **settings)
        self._has_help = False

    def add_help_flag(self, *, group: str = "") -> None:
        """Add `--help` unless it is there, in a group of its own when one is named; it comes last on the page."""
        if self._has_help:
            return
        self._has_help = True
        holder = self.add_argument_group(group) if group else self
        holder.add_argument("-h", "--help", action="help", help="show this page")

    def format_help(self) -> str:
        """Lay out the page."""
        self.description, self.epilog = _fill(self.description), _fill(self.epilog)
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """Refuse arguments that argparse cannot read."""
        self.refuse(message if message.endswith((".", "?")) else f"{message}.")

    def refuse(self, sentence: str) -> NoReturn:
        """Print the sentence and the help page to read, and exit with 2."""
        console.print_error(f"{sentence[:1].upper()}{sentence[1:]}", hint=f"See `{self.prog} --help`.")
        raise SystemExit(2)

    def refuse_unknown_command(self, word: str, known: Iterable[str]) -> NoReturn:
        """Refuse a command that there is not, with the nearest that there is."""
        self.refuse(f"there is no command '{word}'{_nearest(word, known)}")

    def refuse_unknown_arguments(self, left: Sequence[str]) -> NoReturn:
        """Refuse arguments that this command does not have, with the nearest flag that it has."""
        flags = [word.partition("=")[0] for word in left if word.startswith("-")]
        if not flags:
            self.refuse(f"unexpected argument {' '.join(map(repr, left))}.")
        known = re.findall(r"--[a-z-]+", self.format_help())
        self.refuse(f"there is no flag {flags[0]}{_nearest(flags[0], known)}")


class FileArgument(argparse.Action):
    """An argument that names a file, so that shells complete file names."""

    @property
    def complete(self) -> Mapping[str, object]:
        """The functions of each shell that complete file names; shtab looks for this name."""
        import shtab

        files: Mapping[str, object] = shtab.FILE
        return files

    def __call__(self, parser: object, namespace: argparse.Namespace, values: object, _flag: str | None = None) -> None:
        setattr(namespace, self.dest, values)


class Suggested(tuple[str, ...]):
    """Choices that shells complete and argparse does not check: the job does, with a better sentence."""

    __slots__ = ()

    def __contains__(self, value: object) -> bool:
        return True


def _help_formatter(prog: str) -> argparse.HelpFormatter:
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=_FLAG_COLUMNS, width=_width())


def _width() -> int:
    return min(shutil.get_terminal_size().columns, _WIDEST) - 2


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f". Did you mean {near[0]}?" if near else "."


def _fill(text: str | None) -> str:
    """Fill paragraphs; an indented line that is too long continues below its own text."""
    filled: list[str] = []
    for kind, lines in groupby((text or "").splitlines(), key=_kind):
        match kind:
            case "prose":
                filled += textwrap.wrap(" ".join(lines), _width())
            case "table":
                filled += [part for line in lines for part in _wrapped(line)]
            case _:
                filled += lines
    return "\n".join(filled)


def _kind(line: str) -> str:
    if not line.strip():
        return "gap"
    return "table" if line.startswith(" ") else "prose"


def _wrapped(line: str) -> list[str]:
    """Break a line that is too long; the rest is indented to its last column."""
    if len(line) <= _width():
        return [line]
    columns = [column.end() for column in re.finditer(r"(?:^|\S) {2,}", line)]
    below = " " * (columns[-1] if columns and columns[-1] < _width() // 2 else 4)
    return textwrap.wrap(line, _width(), subsequent_indent=below, break_on_hyphens=False)
