"""From bytes to a reader: what the input is decides who reads it.

In: the input's private copy, and what a person says about it. Out: the reader for its kind, layers of archive and password
taken off. Never: an exception of a library; what it says about a damaged file is translated here.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile, ZipFile

from batch_enroll.errors import InputError
from batch_enroll.loading.archives import unpack
from batch_enroll.loading.delimited import DelimitedReader
from batch_enroll.loading.dialect import SAMPLE_CHARACTERS, find_dialect
from batch_enroll.loading.kinds import Kind, recognise
from batch_enroll.loading.ods import OdsSheet
from batch_enroll.loading.old_workbook import OldSheet
from batch_enroll.loading.password import unlock
from batch_enroll.loading.source import Source
from batch_enroll.loading.table import Reader
from batch_enroll.loading.text import find_encoding
from batch_enroll.loading.workbook import SheetReader
from batch_enroll.loading.xlsx import XlsxSheet
from batch_enroll.model import InputOptions

_MAX_LAYERS = 3  # a .csv.gz in a .zip has two


def open_reader(source: Source, options: InputOptions, *, wanted: Sequence[str]) -> Reader:
    """Recognise the input and open it.

    Raises:
        InputError: it is nothing that can be read, or several readings of it are possible.
    """
    path, name = source.path, source.name
    for layer in range(_MAX_LAYERS + 1):
        kind = recognise(path, name)
        inside = source.path.with_name(f"layer-{layer}")
        match kind:
            case Kind.GZIP | Kind.BZIP2 | Kind.XZ | Kind.ZIP:
                name = unpack(path, kind, name=name, to=inside)
            case Kind.LOCKED:
                unlock(path, options.password, name=name, to=inside)
            case Kind.TEXT:
                return _text(path, options, wanted=wanted)
            case _:
                return _workbook(path, kind, options, name=name)
        path = inside
    raise InputError(f"'{source.name}' is packed in more than {_MAX_LAYERS} layers.", hint="Unpack it first.")
