"""Which encoding a text is in.

In: the bytes of a text file. Out: the encoding. Never: a guess that does not make sense.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path

from batch_enroll.errors import InputError

_CHUNK_BYTES = 1 << 20

_BOMS = {  # the longer before the shorter that begins alike
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How to open the text."""

    codec: str
    title: str
    errors: str = "strict"


def find_encoding(path: Path, *, encoding: str | None) -> Encoding:
    start = path.open("rb").read(4)
    codec = encoding or next((codec for bom, codec in _BOMS.items() if start.startswith(bom)), "utf-8")
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise InputError("The encoding of the file is not known.", hint="Name it with --encoding.") from error
    return Encoding(codec=codec, title=codec.upper())
