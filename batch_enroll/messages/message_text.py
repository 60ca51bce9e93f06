"""The words of one message."""

from __future__ import annotations

from typing import NamedTuple


class Text(NamedTuple):
    """Two `str.format` templates over the message's values.

    `{count:row}` gives a number with its noun, `{setting:send.rate}` the reader's name of a setting,
    `{command:show {run_id}}` and `{install:{packages}}` a command that can be pasted.
    """

    text: str  #: one sentence: what is so, with the place
    hint: str = ""  #: one sentence: what the reader can do; "" when the text says all
