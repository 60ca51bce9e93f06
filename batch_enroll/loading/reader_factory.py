"""From bytes to a reader: what the input is decides who reads it.

In: the input's private copy, and what a person says about it. Out: the reader for its kind, layers of archive and
password taken off. Never: a reading that the bytes do not support.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from zipfile import ZipFile

from batch_enroll.errors import InputError
from batch_enroll.loading.csv_dialect import SAMPLE_CHARACTERS, find_dialect
from batch_enroll.loading.csv_reader import DelimitedReader
from batch_enroll.loading.decompression import unpack
from batch_enroll.loading.decryption import decrypt
from batch_enroll.loading.encoding_detection import detect_encoding
from batch_enroll.loading.file_type import FileType, detect_file_type
from batch_enroll.loading.input_copy import InputCopy
from batch_enroll.loading.ods_reader import OdsSheet
from batch_enroll.loading.workbook import OpenSheet, SheetReader, damage_reported
from batch_enroll.loading.xls_xlsb_reader import XlsXlsbSheet
from batch_enroll.loading.xlsx_reader import XlsxSheet
from batch_enroll.models import InputOptions

_MAX_LAYERS = 3  # a .csv.gz in a .zip has two


def open_reader(
    source: InputCopy, options: InputOptions, *, wanted: Sequence[str], closing: ExitStack
) -> DelimitedReader | SheetReader:
    """Recognise the input and open it.

    Args:
        closing: takes what has to be closed when the reader is no longer needed.

    Raises:
        InputError: it is nothing that can be read, or several readings of it are possible.
    """
    path, name = source.path, source.name
    for layer in range(_MAX_LAYERS + 1):
        kind = detect_file_type(path, name)
        inside = source.path.with_name(f"layer-{layer}")
        match kind:
            case FileType.GZIP | FileType.BZIP2 | FileType.XZ | FileType.ZIP:
                name = unpack(path, kind, name=name, to=inside)
            case FileType.LOCKED:
                decrypt(path, options.password, name=name, to=inside)
            case FileType.TEXT:
                return _text(path, options, wanted=wanted)
            case _:
                return _workbook(path, kind, options, name=name, closing=closing)
        path = inside
    raise InputError(f"'{source.name}' is packed in more than {_MAX_LAYERS} layers.", hint="Unpack it first.")


def _text(path: Path, options: InputOptions, *, wanted: Sequence[str]) -> DelimitedReader:
    encoding = detect_encoding(path, encoding=options.encoding)
    with path.open(encoding=encoding.codec, errors=encoding.errors, newline="") as stream:
        sample = stream.read(SAMPLE_CHARACTERS)
        if stream.read(1):  # whole lines only
            sample = sample[: max(sample.rfind("\n"), sample.rfind("\r")) + 1] or sample
    dialect = find_dialect(sample, delimiter=options.delimiter, wanted=wanted)
    return DelimitedReader(path, encoding=encoding, dialect=dialect)


def _workbook(path: Path, kind: FileType, options: InputOptions, *, name: str, closing: ExitStack) -> SheetReader:
    with damage_reported(name):
        match kind:
            case FileType.XLSX:
                sheet: OpenSheet = XlsxSheet(closing.enter_context(ZipFile(path)), sheet=options.sheet)
            case FileType.ODS:
                sheet = OdsSheet(closing.enter_context(ZipFile(path)), sheet=options.sheet)
            case _:
                sheet = XlsXlsbSheet(path, kind, sheet=options.sheet, name=name, folder=path.parent)
    return SheetReader(sheet, kind=kind, name=name)
