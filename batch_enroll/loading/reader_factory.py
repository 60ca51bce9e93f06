"""Choose and open the reader for an input after unpacking and decrypting it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path
from zipfile import ZipFile

from batch_enroll.errors import InputError, NoSuchSheet
from batch_enroll.loading.csv_dialect import SAMPLE_CHARACTERS, find_dialect
from batch_enroll.loading.csv_reader import DelimitedReader
from batch_enroll.loading.encoding_detection import detect_encoding
from batch_enroll.loading.file_type import FileType, detect_file_type
from batch_enroll.loading.header_detection import HEAD_ROWS
from batch_enroll.loading.input_copy import InputCopy
from batch_enroll.loading.ods_reader import OdsSheet
from batch_enroll.loading.sheet_rows import OpenSheet, SheetReader, translate_damage
from batch_enroll.loading.unpacking import decrypt, unpack
from batch_enroll.loading.xls_xlsb_reader import XlsXlsbSheet
from batch_enroll.loading.xlsx_reader import XlsxSheet
from batch_enroll.messages import message
from batch_enroll.models import InputOptions
from batch_enroll.result_columns import is_results_header

_MAX_LAYERS = 3  # a .csv.gz in a .zip has two


def open_reader(
    source: InputCopy, options: InputOptions, *, wanted: Sequence[str], closing: ExitStack
) -> DelimitedReader | SheetReader:
    """Detect the type of the input and open it.

    Args:
        closing: closes the opened files when the reader is no longer needed.
    Raises:
        InputError: it cannot be read, or it can be read in several ways.
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
                return _open_text(path, options, wanted=wanted)
            case _:
                return _open_workbook(path, kind, options, name=name, closing=closing)
        path = inside
    raise InputError(message("input.too_many_layers", name=source.name, count=_MAX_LAYERS))


def _open_text(path: Path, options: InputOptions, *, wanted: Sequence[str]) -> DelimitedReader:
    encoding = detect_encoding(path, encoding=options.encoding)
    with encoding.open(path) as stream:
        sample = stream.read(SAMPLE_CHARACTERS)
        if stream.read(1):  # whole lines only
            sample = sample[: max(sample.rfind("\n"), sample.rfind("\r")) + 1] or sample
    dialect = find_dialect(sample, delimiter=options.delimiter, wanted=wanted)
    return DelimitedReader(path, encoding=encoding, dialect=dialect)


def _open_workbook(path: Path, kind: FileType, options: InputOptions, *, name: str, closing: ExitStack) -> SheetReader:
    def open_sheet(named: str | None) -> OpenSheet:
        match kind:
            case FileType.XLSX:
                return XlsxSheet(closing.enter_context(ZipFile(path)), sheet=named)
            case FileType.ODS:
                return OdsSheet(closing.enter_context(ZipFile(path)), sheet=named)
            case _:
                return XlsXlsbSheet(path, kind, sheet=named, name=name, folder=path.parent)

    with translate_damage(name):
        try:
            sheet = open_sheet(options.sheet)
        except NoSuchSheet as missing:
            # The job names the sheet of its workbook; a failed file that was made of it has another one.
            with suppress(InputError):
                sheet = open_sheet(None)
                if any(is_results_header(row.cells) for row in islice(sheet.rows(), HEAD_ROWS)):
                    return SheetReader(sheet, kind=kind, name=name)
            raise missing
    return SheetReader(sheet, kind=kind, name=name)
