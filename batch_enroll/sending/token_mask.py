"""Take the token out of an answer: some servers repeat the request that they refuse, escaped in some way."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from functools import cached_property

from batch_enroll.sending.request_body import MASK

_MIN_MASKED_BYTES = 8  #: masking a shorter token would tear answers apart
_MASK = MASK.encode()
_NUL, _BACKSLASH, _PERCENT, _AMPERSAND = b"\0\\%&"  #: numbers: a search for bytes costs several times as much


class TokenMask:
    """Masks one token as it is, and with any of its characters escaped as JSON, addresses or HTML do, also twice."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._plain = token.encode()
        odd = {f"\\{sign}" for sign in token if not sign.isalnum()}
        wide = {json.dumps(sign)[1:5] for sign in token if ord(sign) > 0xFF}
        # What an escaped form has in it: looking for the form itself would cost each answer too much.
        self._signs = re.compile(b"|".join(re.escape(sign.encode()) for sign in {"%", "&", "\\u00", *odd, *wide}))

    def __repr__(self) -> str:
        return "TokenMask()"

    def mask(self, text: bytes) -> bytes:
        """Give the text, or the body of an answer, without the token."""
        if len(self._plain) < _MIN_MASKED_BYTES:
            return text
        if _NUL in text and not (encoding := json.detect_encoding(text)).startswith("utf-8"):
            text = text.decode(encoding, "replace").encode()
        text = text.replace(self._plain, _MASK)
        if (_BACKSLASH in text or _PERCENT in text or _AMPERSAND in text) and self._signs.search(text):
            text = self._escaped.sub(_MASK, text)
        return text

    @cached_property
    def _escaped(self) -> re.Pattern[bytes]:
        return re.compile(b"".join(b"(?:%b)" % b"|".join(_forms(sign)) for sign in self._token), re.IGNORECASE)


def _forms(sign: str) -> Iterator[bytes]:
    """Give patterns for a character as it is and escaped; no part of one is unbounded."""
    yield rb"\\{0,8}" + re.escape(sign.encode())
    yield b"".join(b"%%(?:25){0,3}%02x" % byte for byte in sign.encode())
    units = sign.encode("utf-16-be")
    yield b"".join(rb"\\{1,8}u" + units[at : at + 2].hex().encode() for at in range(0, len(units), 2))
    yield b"&(?:amp;){0,3}(?:#0{0,4}%d|#x0{0,4}%x);" % (ord(sign), ord(sign))
    yield re.escape(html.escape(sign).encode())
