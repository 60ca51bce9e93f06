"""The words of one message, and text from outside as it may be shown."""

from __future__ import annotations

from typing import NamedTuple

_BLANKS = "\n\u00a0\u202f"  # harmless, and common in well-set text


class Text(NamedTuple):
    """Two `str.format` templates over the message's values.

    `{count:row}` gives a number with its noun, `{setting:send.rate}` the reader's name of a setting,
    `{command:show {run_id}}` and `{install:{packages}}` a command that can be pasted.
    """

    text: str  #: one sentence: what is so, with the place
    hint: str = ""  #: one sentence: what the reader can do; "" when the text says all


def printable(text: str) -> str:
    """Escape invisible and control characters, which could steer a terminal: `\\u200b`."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in _BLANKS else f"\\u{ord(char):04x}" for char in text)
