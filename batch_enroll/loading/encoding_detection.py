"""Detect the encoding of a text file; several that are equally plausible are an error."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from batch_enroll.column_lookup import visible
from batch_enroll.errors import InputError
from batch_enroll.loading.codepage_scoring import CODE_PAGES, CodepageCandidate, score_codepages
from batch_enroll.messages import Message, cell_text, message

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

_MARK = "\ufeff"
_SHOWN_CHARACTERS = 20
_PLAUSIBLE = 0.2  # largest badness of a plausible code page
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

    @contextmanager
    def open(self, path: Path) -> Iterator[TextIO]:
        """Open a text without the byte order marks at its begin; some programs write two.

        The line ends stay as they are: the csv module must see them, in quoted cells too.
        """
        with path.open(encoding=self.codec, errors=self.errors, newline="") as stream:
            begin = stream.tell()
            while stream.read(1) == _MARK:
                begin = stream.tell()
            stream.seek(begin)
            yield stream

    @property
    def title(self) -> str:
        """The usual name."""
        return _TITLES.get(codecs.lookup(self.codec).name.replace("-", "_"), "") or _TITLES.get(
            self.codec, self.codec.upper()
        )


def detect_encoding(path: Path, *, encoding: str | None) -> Encoding:
    """Detect the encoding, or check the one that the job names.

    Raises:
        InputError: no encoding fits the bytes, several do, or the named one does not.
    """
    with path.open("rb") as file:
        start = file.read(_SAMPLE_BYTES)
    by_mark = next((codec for bom, codec in _BOMS.items() if start.startswith(bom)), None)
    if encoding is not None:
        return _check_named(path, encoding, by_mark)
    if by_mark:
        return _check_utf(path, by_mark)
    if wide := _detect_wide(start):
        return _check_utf(path, wide)
    utf_8 = _detect_utf_8(path)
    return utf_8 or _detect_code_page(path)


def undecodable(text: str) -> bool:
    """Tell whether a text holds bytes that could not be decoded."""
    return bool(_UNDECODABLE.search(text))


def readable(text: str) -> str:
    """Put a mark for what could not be decoded."""
    return _UNDECODABLE.sub("\ufffd", text)


def _check_named(path: Path, name: str, by_mark: str | None) -> Encoding:
    try:
        io.TextIOWrapper(io.BytesIO(), encoding=name)  # refuses what is no encoding of text, such as base64
        codec = codecs.lookup(name).name
    except (LookupError, ValueError) as error:
        raise InputError(message("input.no_such_encoding", encoding=name)) from error
    utf_8 = None if codec.startswith("utf") or by_mark else _detect_utf_8(path)
    is_other = (by_mark or utf_8) and not codec.startswith("utf")
    if is_other and not _decodes(path, "ascii"):
        title = Encoding(codec=by_mark or "utf-8").title
        raise InputError(message("input.other_encoding", encoding=name, found=title))
    if by_mark and codec.startswith(by_mark.removesuffix("-sig")):
        codec = by_mark  # so that the mark is no part of the first column's name
    if not _decodes(path, codec):
        raise InputError(_wrong_encoding(path, name, codec))
    return Encoding(codec=codec)


def _check_utf(path: Path, codec: str) -> Encoding:
    """Trust a byte order mark, unless the bytes after it cannot be decoded."""
    if _decodes(path, codec):
        return Encoding(codec=codec)
    if codec == "utf-8-sig":
        return Encoding(codec=codec, errors="surrogateescape")
    if _decodes(path, codec, is_whole=False):
        return Encoding(codec=codec, errors="replace")
    raise InputError(message("input.damaged_text", encoding=codec.upper()))


def _detect_utf_8(path: Path) -> Encoding | None:
    if _decodes(path, "utf-8"):
        return Encoding(codec="utf-8")
    damaged = good = 0
    for text in _decoded(path, "utf-8", "surrogateescape"):
        bad = len(_ESCAPED.findall(text))
        damaged += bad
        good += len(text) - len(text.encode("ascii", "ignore")) - bad
    is_cut = _decodes(path, "utf-8", is_whole=False)
    return Encoding(codec="utf-8", errors="surrogateescape") if is_cut or good >= damaged else None


def _detect_wide(start: bytes) -> str | None:
    """Detect UTF-16 and UTF-32 without a byte order mark by their zero bytes."""
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


def _detect_code_page(path: Path) -> Encoding:
    found = [candidate for candidate in score_codepages(_sample(path)) if _decodes(path, candidate.codec)]
    likely = [candidate for candidate in found if candidate.badness <= _PLAUSIBLE]
    if likely:
        best = likely[0]
        margin = _CLEARLY_BETTER + _DOUBT_PER_CHARACTER / best.evidence
        rivals = [candidate for candidate in found if candidate.badness < best.badness + margin]
        if len(rivals) == 1:
            return Encoding(codec=best.codec)
        found = rivals
    if not found:
        raise InputError(message("input.unknown_encoding"))
    raise InputError(message("input.ambiguous_encoding", candidates=_examples(found[:4])))


def _examples(found: list[CodepageCandidate]) -> tuple[Message, ...]:
    """Show for each code page words that differ between them."""
    words = list(zip(*(candidate.words for candidate in found), strict=True))
    distinct = [place for place, variants in enumerate(words) if len(set(variants)) > 1] or [0]
    examples = []
    for candidate in found:
        shown = " ".join(f"'{visible(candidate.words[place])[:_SHOWN_CHARACTERS]}'" for place in distinct[:3])
        examples.append(message("input.encoding_reads", encoding=candidate.title, examples=cell_text(shown)))
    return tuple(examples)


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


def _wrong_encoding(path: Path, name: str, codec: str) -> Message:
    if not codec.startswith(("utf-16", "utf-32")):
        with path.open(encoding=codec, errors="surrogateescape") as lines:
            for number, line in enumerate(lines, start=1):
                if match := _ESCAPED.search(line):
                    byte = f"{ord(match[0]) & 0xFF:02X}"
                    return message("input.wrong_encoding_at", encoding=name, line=number, byte=byte)
    return message("input.wrong_encoding", encoding=name)
