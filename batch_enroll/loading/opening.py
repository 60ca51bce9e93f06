"""From bytes to a reader: what the input is decides who reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from zipfile import ZipFile

from batch_enroll.errors import InputError
from batch_enroll.loading.delimited import DelimitedReader
from batch_enroll.loading.dialect import SAMPLE_CHARACTERS, find_dialect
from batch_enroll.loading.source import Source
from batch_enroll.loading.table import Reader
from batch_enroll.loading.text import find_encoding
from batch_enroll.loading.workbook import SheetReader
from batch_enroll.loading.xlsx import XlsxSheet
from batch_enroll.model import InputOptions


@contextmanager
def open_reader(source: Source, options: InputOptions, *, wanted: Sequence[str]) -> Iterator[Reader]:
    """Recognise the input and open it."""
    if not source.size:
        raise InputError(f"{source.name} is empty (0 bytes).", hint="Check that the right file was chosen.")
    with source.path.open("rb") as file:
        start = file.read(8)
    if start.startswith(b"PK"):
        with ZipFile(source.path) as archive:
            yield SheetReader(XlsxSheet(archive, sheet=options.sheet), kind="Excel workbook (.xlsx)")
    else:
        yield _text(source, options, wanted=wanted)


def _text(source: Source, options: InputOptions, *, wanted: Sequence[str]) -> DelimitedReader:
    encoding = find_encoding(source.path, encoding=options.encoding)
    with source.path.open(encoding=encoding.codec, errors=encoding.errors, newline="") as stream:
        sample = stream.read(SAMPLE_CHARACTERS)
        if stream.read(1):
            sample = sample[: max(sample.rfind("\n"), sample.rfind("\r")) + 1] or sample
    dialect = find_dialect(sample, delimiter=options.delimiter, wanted=wanted)
    return DelimitedReader(source.path, encoding=encoding, dialect=dialect)
