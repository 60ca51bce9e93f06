"""Messages as an id with values; their text is made where it is shown.

A module that finds something out makes a `Message`; a front end renders it in its own wording: the command line names a
setting `--rate`, a program `send.rate`. The English texts stand in the `*_texts` modules of this package.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from batch_enroll.clock import local_time
from batch_enroll.messages.catalogue import CATALOGUE, NOUNS

VERBATIM: Final = "verbatim"
"""Id of a text that comes from elsewhere (the platform, a library, an older release) and is shown as it is."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be said, without its words. `str()` gives the text in the current wording."""

    id: str  #: stable; a key of the catalogue
    values: Mapping[str, Any] = field(default_factory=dict)  #: by the names that the text uses

    def __str__(self) -> str:
        return render(self)

    def to_json(self) -> dict[str, Any]:
        """The message as JSON values, for files that outlive the process."""
        return {"id": self.id, "values": {name: _to_json(value) for name, value in self.values.items()}}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Message:
        """Read what `to_json` wrote."""
        return cls(content["id"], {name: _from_json(value) for name, value in content["values"].items()})


def message(id: str, /, **values: Any) -> Message:
    """Make a message: `message("input.missing", name="leads.csv")`."""
    return Message(id, values)


@lru_cache(maxsize=256)  # nearly all rows have one of a few texts
def verbatim(text: str) -> Message:
    """Make a message of a text that is shown as it is."""
    return Message(VERBATIM, {"text": text})


CELL: Final = "cell.text"
"""Id of what a cell of the input holds: personal data."""


def cell_text(text: str) -> Message:
    """Make the part of a message that quotes a cell of the input, see `without_cells`."""
    return Message(CELL, {"text": text})


def without_cells(what: Message) -> Message:
    """Replace the cells of the input that a message quotes by an ellipsis."""
    if what.id == CELL:
        return cell_text("…")
    return Message(what.id, {name: _no_cell(value) for name, value in what.values.items()})


def _no_cell(value: Any) -> Any:
    match value:
        case Message():
            return without_cells(value)
        case tuple() | list():
            return tuple(map(_no_cell, value))
    return value


NO_TEXT: Final = verbatim("")
"""The message of what needs no words, such as a row that was accepted."""


class Wording:
    """How one front end names settings and commands. This one is for programs: `send.rate`, `batch-enroll runs`."""

    def setting(self, path: str) -> str:
        """Name a setting by its place in the job file, such as `send.rate`."""
        return f"`{path}`"

    def command_line(self, words: str | Sequence[str]) -> str:
        """Give a whole command that can be pasted; `words` are its name and arguments, quoted if they are one text."""
        return f"batch-enroll {words if isinstance(words, str) else quoted(words)}"

    def command(self, words: str) -> str:
        """Give a command as it stands in a sentence."""
        return f"`{self.command_line(words)}`"

    def install(self, packages: str) -> str:
        """Give a whole command that installs packages for the Python that runs this; blanks separate them.

        No index has this program, so none of its extras can be named.
        """
        return quoted([sys.executable or "python", "-m", "pip", "install", *packages.split()])


def quoted(words: Iterable[str], *, windows: bool = os.name == "nt") -> str:
    """Join the words of a command for a shell: of POSIX, or both cmd and PowerShell.

    Args:
        windows: the words hold no double quote, which no file name there can.
    """
    return " ".join(map(_quoted_for_windows, words)) if windows else shlex.join(words)


def _quoted_for_windows(word: str) -> str:
    if _PLAIN.fullmatch(word):
        return word
    backslashes = len(word) - len(word.rstrip("\\"))  # before the closing quote they would escape it
    return f'"{word}{backslashes * chr(92)}"'


_PLAIN = re.compile(r"[\w.:\\/=+-]+")  # safe in cmd and in PowerShell
_current: ContextVar[Wording | None] = ContextVar("wording", default=None)
_default = Wording()


def set_default_wording(wording: Wording) -> None:
    """Choose the wording of this process, all its threads included."""
    global _default
    _default = wording


@contextmanager
def use_wording(wording: Wording) -> Iterator[None]:
    """Choose the wording of this task."""
    token = _current.set(wording)
    try:
        yield
    finally:
        _current.reset(token)


def render(what: Message, wording: Wording | None = None) -> str:
    """Give the text of a message. Never fails: a message that the catalogue does not know is shown by its id."""
    if what.id == VERBATIM:  # each row of the results has one
        return str(what.values["text"])
    return _format(what, CATALOGUE[what.id].text, wording) if what.id in CATALOGUE else _unknown(what)


def hint_of(what: Message, wording: Wording | None = None) -> str:
    """Give the sentence that says what the reader can do about a message; "" when there is none."""
    entry = CATALOGUE.get(what.id)
    return _format(what, entry.hint, wording) if entry is not None and entry.hint else ""


def command_line(words: str | Sequence[str]) -> str:
    """Give a whole command that can be pasted, for a line of its own; `words` as `Wording.command_line` takes them."""
    return (_current.get() or _default).command_line(words)


def title_for(code: str) -> str:
    """Say what a row's code means, without any row's value; the code itself when it is not listed.

    Args:
        code: the platform's (`401`) or one of ours (`connection_refused`).
    """
    key = f"reason.{code}"
    return CATALOGUE[key].text if key in CATALOGUE else code


def advice_message(code: str) -> Message | None:
    """Give what can be done about a row's code; None when there is nothing to say."""
    return Message(f"advice.{code}") if f"advice.{code}" in CATALOGUE else None


def advice_for(code: str) -> str:
    """Say in one sentence what can be done about a row's code; "" when there is nothing to say."""
    return _advice_for(code, _current.get() or _default)


@lru_cache(maxsize=1024)  # called for each row of the results
def _advice_for(code: str, wording: Wording) -> str:
    advice = advice_message(code)
    return render(advice, wording) if advice else ""


def _format(what: Message, template: str, wording: Wording | None) -> str:
    chosen = wording or _current.get() or _default
    values = {name: _shown(value, chosen) for name, value in what.values.items()}
    names = {name: _Names(getattr(chosen, name)) for name in ("setting", "command", "install")}
    try:
        return template.format(**{**names, **values})
    except (LookupError, ValueError, TypeError):
        return _unknown(what)


def _unknown(what: Message) -> str:
    return f"{what.id} {json.dumps(what.to_json()['values'], ensure_ascii=False)}" if what.values else what.id


class _Names:
    """Lets a template write `{setting:send.rate}`, `{command:show {run_id}}` and `{install:{packages}}`."""

    def __init__(self, name: Any) -> None:
        self._name = name

    def __format__(self, spec: str) -> str:
        return str(self._name(spec))


class _Number(int):
    """A whole number in a template: `{count}` gives 1,000, `{count:row}` 1,000 rows, `{count:d}` 1000."""

    def __format__(self, spec: str) -> str:
        if spec in NOUNS:
            one, many = NOUNS[spec]
            return f"{int(self):,} {one if self == 1 else many}"
        return format(int(self), spec or ",")


def counted(count: int, noun: str) -> str:
    """Give a number with its noun, one of `NOUNS`: `1 row`, `1,842 rows`."""
    return format(_Number(count), noun)


class _Sentence(str):
    """A text in a template: `{text:clause}` gives it without its full stop, to stand inside another sentence."""

    def __format__(self, spec: str) -> str:
        return self.rstrip(".") if spec == "clause" else format(str(self), spec)


def _shown(value: Any, wording: Wording) -> Any:
    match value:
        case Message():
            return _Sentence(render(value, wording))
        case str():
            return _Sentence(value)
        case bool() | None:
            return str(value)
        case int():
            return _Number(value)
        case tuple() | list():
            return ", ".join(str(_shown(item, wording)) for item in value)
        case datetime():
            return local_time(value)
    return value


def _to_json(value: Any) -> Any:
    match value:
        case Message():
            return {"message": value.to_json()}
        case datetime():
            return value.isoformat()
        case tuple() | list():
            return [_to_json(item) for item in value]
    return value


def _from_json(value: Any) -> Any:
    match value:
        case {"message": content}:
            return Message.from_json(content)
        case list():
            return tuple(_from_json(item) for item in value)
    return value
