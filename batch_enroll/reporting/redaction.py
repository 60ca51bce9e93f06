"""Take personal data and secrets out of texts that somebody else will read.

In: texts, and the cells of the input that they may repeat. Out: the texts with `***` in the place of each such cell and
of whatever looks like an address, a phone, a number of a person, a quoted value or a secret; homes become `~`. Never:
I/O; a promise about a name that stands unquoted in a text and in no cell: such a text should be left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

MASK = "***"
_WORD = re.compile(r"[^\W_]+")
_CUT_OFF = re.compile(r"[^\W_]+…")  #: a long text is cut in the middle of a word, which may be half a name
_MAX_WORDS = 8  #: of a cell that is looked for; a longer one is found by its beginning
_LEAST_CHARS = 2  #: a cell of one character is in every text
_LOOKS_PERSONAL = (
    re.compile(r"[^\s@<>\"'(),;:=]+@[^\s@<>\"'(),;:]+"),  # an e-mail address
    re.compile(r"\"[^\"]*\"|'[^']*'(?!\w)|«[^»]*»|“[^”]*”|‘[^’]*’|`[^`]*`"),  # a quoted value
    re.compile(r"(?<![\w+])\+?\d[\d\s()\u00a0-]{4,}\d(?!\w)"),  # a phone, a long number
    re.compile(r"\d{5,}"),
    re.compile(r"(?<!\w)[0-9A-Za-z_-]{24,}(?!\w)"),  # a token
)
_HOME = re.compile(r"(?:/home|/Users|[A-Za-z]:\\Users)[/\\][^/\\\s\"']+|/root(?=[/\s\"']|$)")
_SECRET_NAME = re.compile(r"token|password|secret|key|auth|credential|notify|heartbeat", re.IGNORECASE)


class Redaction:
    """Knows which cells to look for in which texts.

    Args:
        texts: everything that will be shown; a cell is only remembered when one of these repeats it.
        home: of this user, shown as `~`.
    """

    def __init__(self, texts: Iterable[str], *, home: Path) -> None:
        self._home = str(home)
        self._said = {piece for text in texts for piece in _pieces(text)}
        self._found: set[str] = set()

    def learn(self, cells: Iterable[str]) -> None:
        """Remember those cells that stand in one of the texts."""
        if not self._said:
            return
        for cell in cells:
            words = _WORD.findall(cell.casefold())[:_MAX_WORDS]
            piece = " ".join(words)
            if len(piece) >= _LEAST_CHARS and piece in self._said:
                self._found.add(piece)

    def text(self, text: str) -> str:
        """Give a text as others may read it."""
        text = _CUT_OFF.sub("…", text)
        for piece in sorted(self._found, key=len, reverse=True):
            words = r"[\W_]+".join(map(re.escape, piece.split(" ")))
            text = re.sub(rf"(?<![^\W_]){words}(?![^\W_])", MASK, text, flags=re.IGNORECASE)
        for pattern in _LOOKS_PERSONAL:
            text = pattern.sub(MASK, text)
        return self.path(text)

    def path(self, text: str) -> str:
        """Give a path, or a text of our own with paths in it: homes become `~`."""
        if len(self._home) > 1:
            text = text.replace(self._home, "~")
        return _HOME.sub("~", text)

    def settings(self, settings: Mapping[str, object]) -> dict[str, object]:
        """Give settings as others may read them: addresses without what may be secret in them, homes as `~`."""
        return {name: self._setting(name, value) for name, value in settings.items()}

    def _setting(self, name: str, value: object) -> object:
        match value:
            case Mapping():
                return self.settings(value)
            case list():
                return [self._setting(name, item) for item in value]
            case str() if _SECRET_NAME.search(name) and not name.endswith("_file"):
                return MASK
            case str() if "://" in value:
                parts = urlsplit(value)
                return f"{parts.scheme}://{parts.hostname or MASK}{f':{parts.port}' if parts.port else ''}"
            case str():
                return self.path(value)
        return value


def _pieces(text: str) -> Iterable[str]:
    """Every run of at most `_MAX_WORDS` words, in small letters."""
    words = _WORD.findall(text.casefold())
    for first in range(len(words)):
        for last in range(first + 1, min(first + _MAX_WORDS, len(words)) + 1):
            yield " ".join(words[first:last])
