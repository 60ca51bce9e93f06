"""Write the JSON of `workflows/start`, and redact texts that quote it.

Source: reference of the platform, `workflows/start`, table of parameters.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from urllib.parse import unquote

from batch_enroll.messages import Message, message
from batch_enroll.models import MatchingMode, StartRequest

IDENTITY = "{identity}"
"""Stands in the ledger's messages where the platform's text named the profile."""

MASK = "***"

_MAX_MESSAGE_CHARS = 300
_SHORT_IDENTITY_CHARS = 4  #: shorter values are replaced as whole words only: "12" is not in "2012"
_TOKEN_CHARS = 32  #: at least
_LOOKS_LIKE_TOKEN = re.compile(rf"(?<![0-9A-Za-z])[0-9A-Fa-f]{{{_TOKEN_CHARS},}}(?![0-9A-Za-z])")
_DIGIT = re.compile(r"\d")
# Each begins where what it looks for can begin, or is bounded: the text is not ours, and must not be searched for long.
_LOOKS_LIKE_EMAIL = re.compile(r"(?<![^\s@<>\"'(),;:])[^\s@<>\"'(),;:]+@[^\s@<>\"'(),;:]+")
_LOOKS_LIKE_PHONE = re.compile(r"(?<![\w+])(?<!profile_id )\+?\d[\d \u00a0()-]{7,60}\d(?!\w)")
_JSON_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|([^\w\s]))")
_DECODER = json.JSONDecoder()  # json.loads looks for white space around the text too
_text = json.encoder.encode_basestring  # one string as JSON, in C: a whole encoder costs four times as much a row


class UnsendableValue(ValueError):
    """A value that no JSON text can hold.

    Attributes:
        content: why, without the value.
    """

    def __init__(self, content: Message) -> None:
        super().__init__(content)
        self.content = content


class BodyWriter:
    """Writes the requests of one scenario and matching as compact JSON, without the token.

    What all of them have in common is put together once.
    """

    def __init__(
        self, *, scenario: int, mode: MatchingMode, field_name: str | None = None, resource_id: int | None = None
    ) -> None:
        """Raises ValueError when a custom field has no name."""
        if mode is MatchingMode.CUSTOM:
            if not field_name:
                raise ValueError("matching by a custom field needs the field's name")
            before = f'"field_name":{_text(field_name)},"field_value":'
        else:
            before = f'"{mode.value}":'
        self._before = f'{{"id":{scenario},"matching":"{mode.value}",{before}'
        self._after = "" if resource_id is None else f',"resource_id":{resource_id}'

    def body(self, request: StartRequest) -> str:
        """Write one.

        Returns:
            `{"id":12,"matching":"email","email":"..."}`, then `resource_id` and `content` when there are any.
        Raises:
            UnsendableValue: a value holds half a character (a lone surrogate).
        """
        identity = request.identity
        value = _text(identity) if isinstance(identity, str) else str(identity)
        if request.content:
            pairs = ",".join([f"{_text(name)}:{_text(text)}" for name, text in request.content])
            text = f'{self._before}{value}{self._after},"content":{{{pairs}}}}}'
        else:
            text = f"{self._before}{value}{self._after}}}"
        try:
            text.encode()
        except UnicodeEncodeError as error:
            half = ord(text[error.start])
            # Not chained: the cause holds the whole text.
            raise UnsendableValue(message("sending.value_unsendable", code=f"U+{half:04X}")) from None
        return text


def with_token(body: str, token: str) -> bytes:
    """Put the token in front of a body made by a `BodyWriter`; the rest stays as it is, to the byte."""
    rest = body[1:]
    return f'{{"token":{_text(token)}{"" if rest == "}" else ","}{rest}'.encode()


def identity_of(body: str) -> str:
    """Give back the value that the platform is asked to match, as text."""
    return personal_values(body)[0]


def personal_values(body: str) -> tuple[str, Iterable[str]]:
    """Give back what a request says about its person: the value to match, as text, and the values of the content."""
    fields, _ = _DECODER.raw_decode(body)
    identity = fields["field_value" if fields["matching"] == MatchingMode.CUSTOM else fields["matching"]]
    return str(identity), fields["content"].values() if "content" in fields else ()


def redact(text: str, identity: str, content: Iterable[str] = ()) -> str:
    """Remove personal data and secrets from a text that will be kept; at most 300 characters stay.

    The identity becomes `{identity}`, so that equal reasons are counted together and a report can put it back. The
    values of the content, other e-mail addresses, phone numbers and what looks like a token become `***`. A text that
    quotes one of them in the spelling of an address, of HTML or of JSON is kept decoded.
    """
    text = _without_values(text, identity, content)
    if "%" in text or "\\" in text or "&" in text:
        decoded = _decoded(text)
        masked = _without_values(decoded, identity, content)
        text = text if masked == decoded else masked
    return text if len(text) <= _MAX_MESSAGE_CHARS else text[: _MAX_MESSAGE_CHARS - 1] + "…"


def _without_values(text: str, identity: str, content: Iterable[str]) -> str:
    folded = text.casefold()
    if identity and identity.removeprefix("+").casefold() in folded:  # a pattern for each row is expensive
        text = _pattern_of(identity).sub(IDENTITY, text)
    for value in content:
        if "  " in value or not value.isprintable():  # a message is one line with single spaces
            value = " ".join(value.split())
        if value.casefold() in folded and len(value) > 1:
            text = _pattern_of(value).sub(MASK, text)
    if "@" in text:
        text = _LOOKS_LIKE_EMAIL.sub(MASK, text)
    if len(text) >= _TOKEN_CHARS:
        text = _LOOKS_LIKE_TOKEN.sub(MASK, text)
    if _DIGIT.search(text):
        text = _LOOKS_LIKE_PHONE.sub(MASK, text)
    return text


def _decoded(text: str) -> str:
    """Undo one level of percent-encoding, of HTML's and of JSON's escapes."""
    text = html.unescape(unquote(text))
    text = _JSON_ESCAPE.sub(lambda escape: chr(int(escape[1], 16)) if escape[1] else escape[2], text)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # two halves of a character, or one


def restore(text: str, identity: str) -> str:
    """Put the identity back where `redact` took it out, for the row's own line in a report."""
    return text.replace(IDENTITY, identity)


def _pattern_of(identity: str) -> re.Pattern[str]:
    """Match a value as the platform may repeat it: in other case, and a phone without its plus."""
    text = re.escape(identity.removeprefix("+"))
    if identity.startswith("+"):
        text = r"\+?" + text
    if len(identity) < _SHORT_IDENTITY_CHARS:
        text = rf"(?<!\w){text}(?!\w)"
    return re.compile(text, re.IGNORECASE)
