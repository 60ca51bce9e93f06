"""Which encoding a text is in.

In: the bytes of a text file, and what a person says it is. Out: how to decode it. Never: a guess that does not make
sense, or one of two that make as much sense; those are asked for.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from batch_enroll.columns import visible
from batch_enroll.errors import InputError
from batch_enroll.loading.codepage_scoring import CODE_PAGES, CodepageCandidate, score_codepages

_CHUNK_BYTES = 1 << 20
_SAMPLE_BYTES = 1 << 16

_BOMS = {  # of two that begin alike the longer comes first
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_WIDE = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
_TITLES = {"utf-8-sig": "UTF-8", "utf-8": "UTF-8", "ascii": "ASCII"} | CODE_PAGES

_BEYOND_ASCII = re.compile(rb"[^\n\r]*[\x80-\xff][^\n\r]*")
_ESCAPED = re.compile("[\udc80-\udcff]")
_UNDECODABLE = re.compile("[\udc80-\udcff\ufffd]")
_EUROPEAN = re.compile(r"[\t\n\r -\x7e\xa0-\u052f\u2000-\u206f\u20a0-\u20bf\u2116]")
_EUROPEAN_SHARE = 0.9
_WIDE_NULS = 0.04  # share of zero bytes: even a Cyrillic UTF-16 has them in blanks, digits and line ends

_SHOWN_CHARACTERS = 20
_SENSE = 0.2  # badness up to which a reading makes sense
_CLEARLY_BETTER = 0.07
_DOUBT_PER_CHARACTER = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How to open the text.

    Attributes:
        errors: `strict`; another when some of the bytes are damaged: U+DC80 to U+DCFF and U+FFFD in the decoded text
            are what could not be read.
    """

    codec: str
    errors: str = "strict"

    @property
    def title(self) -> str:
        """As people call it."""
        return _TITLES.get(codecs.lookup(self.codec).name.replace("-", "_"), "") or _TITLES.get(
            self.codec, self.codec.upper()
        )


def detect_encoding(path: Path, *, encoding: str | None) -> Encoding:
    """Find out the encoding, or check the one that a person named.

    Raises:
        InputError: no encoding makes sense of the bytes, several do, or not the one that was named.
    """
    with path.open("rb") as file:
        start = file.read(_SAMPLE_BYTES)
    by_mark = next((codec for bom, codec in _BOMS.items() if start.startswith(bom)), None)
    if encoding is not None:
        return _named(path, encoding, by_mark)
    if by_mark:
        return _utf(path, by_mark)
    if wide := _without_mark(start):
        return _utf(path, wide)
    utf_8 = _utf_8(path)
    return utf_8 or _code_page(path)


def undecodable(text: str) -> bool:
    """Tell whether a text holds bytes that could not be decoded."""
    return bool(_UNDECODABLE.search(text))


def readable(text: str) -> str:
    """Put a mark for what could not be decoded."""
    return _UNDECODABLE.sub("\ufffd", text)


def _named(path: Path, name: str, by_mark: str | None) -> Encoding:
    try:
        io.TextIOWrapper(io.BytesIO(), encoding=name)  # refuses what is no encoding of text, such as base64
        codec = codecs.lookup(name).name
    except (LookupError, ValueError) as error:
        raise InputError(
            f"There is no encoding '{name}'.", hint="Usual ones are utf-8, utf-16, windows-1251, windows-1252, cp866."
        ) from error
    utf_8 = None if codec.startswith("utf") or by_mark else _utf_8(path)
    is_other = (by_mark or utf_8) and not codec.startswith("utf")
    if is_other and not _decodes(path, "ascii"):
        title = Encoding(codec=by_mark or "utf-8").title
        raise InputError(
            f"The encoding was given as {name}, but the file is in {title}.",
            hint="Leave out --encoding, or correct it.",
        )
    if by_mark and codec.startswith(by_mark.removesuffix("-sig")):
        codec = by_mark  # so that the mark is no part of the first column's name
    if not _decodes(path, codec):
        raise InputError(
            f"The file is not in {name}: {_first_damage(path, codec)}.", hint="Correct --encoding, or leave it out."
        )
    return Encoding(codec=codec)


def _utf(path: Path, codec: str) -> Encoding:
    """Trust a byte order mark, unless the bytes behind it make no sense."""
    if _decodes(path, codec):
        return Encoding(codec=codec)
    if codec == "utf-8-sig":
        return Encoding(codec=codec, errors="surrogateescape")
    if _decodes(path, codec, is_whole=False):
        return Encoding(codec=codec, errors="replace")
    raise InputError(
        f"The file begins like a text in {codec.upper()} but cannot be read as one.",
        hint="Save it again as CSV UTF-8; it may be damaged.",
    )


def _utf_8(path: Path) -> Encoding | None:
    if _decodes(path, "utf-8"):
        return Encoding(codec="utf-8")
    damaged = good = 0
    for text in _decoded(path, "utf-8", "surrogateescape"):
        bad = len(_ESCAPED.findall(text))
        damaged += bad
        good += len(text) - len(text.encode("ascii", "ignore")) - bad
    is_cut = _decodes(path, "utf-8", is_whole=False)
    return Encoding(codec="utf-8", errors="surrogateescape") if is_cut or good >= damaged else None


def _without_mark(start: bytes) -> str | None:
    """Recognise UTF-16 and UTF-32 without a byte order mark by their zero bytes."""
    if start.count(0) < _WIDE_NULS * len(start):
        return None
    for codec in _WIDE:
        width = 4 if "32" in codec else 2
        try:
            text = start[: len(start) // width * width].decode(codec)
        except UnicodeDecodeError:
            continue
        if len(_EUROPEAN.findall(text)) >= _EUROPEAN_SHARE * len(text):
            return codec
    return None


def _code_page(path: Path) -> Encoding:
    found = [reading for reading in score_codepages(_sample(path)) if _decodes(path, reading.codec)]
    likely = [reading for reading in found if reading.badness <= _SENSE]
    if likely:
        best = likely[0]
        margin = _CLEARLY_BETTER + _DOUBT_PER_CHARACTER / best.evidence
        rivals = [reading for reading in found if reading.badness < best.badness + margin]
        if len(rivals) == 1:
            return Encoding(codec=best.codec)
        found = rivals
    raise InputError("The file is not UTF-8, and its encoding cannot be told for sure.", hint=_choices(found[:4]))


def _choices(found: list[CodepageCandidate]) -> str:
    """Show words by which a person can tell the readings apart."""
    if not found:
        return "Save the file as CSV UTF-8."
    words = list(zip(*(reading.words for reading in found), strict=True))
    telling = [place for place, variants in enumerate(words) if len(set(variants)) > 1] or [0]
    ways = []
    for reading in found:
        shown = ", ".join(f"'{visible(reading.words[place])[:_SHOWN_CHARACTERS]}'" for place in telling[:3])
        ways.append(f"{reading.title} reads {shown}")
    return f"Say which with --encoding: {'; '.join(ways)}. Or save the file as CSV UTF-8."


def _sample(path: Path) -> bytes:
    """Gather lines with bytes beyond ASCII from the whole file."""
    sample: list[bytes] = []
    with path.open("rb") as file:
        while (chunk := file.read(_CHUNK_BYTES)) and sum(map(len, sample)) < _SAMPLE_BYTES:
            sample += _BEYOND_ASCII.findall(chunk)
    return b"\n".join(sample)


def _decodes(path: Path, codec: str, *, is_whole: bool = True) -> bool:
    """Tell whether all bytes can be decoded; without `is_whole` the last character may be incomplete."""
    try:
        for _ in _decoded(path, codec, "strict", is_whole=is_whole):
            pass
    except UnicodeError:
        return False
    return True


def _decoded(path: Path, codec: str, errors: str, *, is_whole: bool = True) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(codec)(errors)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield decoder.decode(chunk)
        yield decoder.decode(b"", final=is_whole)


def _first_damage(path: Path, codec: str) -> str:
    if codec.startswith(("utf-16", "utf-32")):
        return "its bytes do not fit"
    with path.open(encoding=codec, errors="surrogateescape") as lines:
        for number, line in enumerate(lines, start=1):
            if match := _ESCAPED.search(line):
                return f"line {number} has the byte {ord(match[0]) & 0xFF:02X}, which it does not know"
    return "its bytes do not fit"
