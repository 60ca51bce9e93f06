"""Read an input file as rows of text; every value is exactly what the file stores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from batch_enroll.column_lookup import find_column
from batch_enroll.loading.input_copy import copy_input, sha256_of
from batch_enroll.loading.input_table import InputTable
from batch_enroll.loading.reader_factory import open_reader
from batch_enroll.models import InputOptions

__all__ = ["InputTable", "find_column", "open_table", "sha256_of"]


@contextmanager
def open_table(
    source: Path | BinaryIO,
    options: InputOptions,
    *,
    wanted: Sequence[str] = (),
    matching: str | None = None,
    spool: Path,
) -> Iterator[InputTable]:
    """Open the input as one table.

    Args:
        source: a file, or a stream that need not be seekable.
        options: settings of the job; what is not set is detected, or an error asks for it.
        wanted: names of the columns that the job uses; they help to find the header, and each must be there.
        matching: the one of them that profiles are matched by; its cells are checked more closely.
        spool: a folder that only its owner can read, for copies, which are removed at the end.
    Raises:
        InputError: the input cannot be read as one table, or it can be read in two ways.
    """
    with TemporaryDirectory(dir=spool, prefix="input-") as folder, ExitStack() as closing:
        copied = copy_input(source, Path(folder))
        reader = open_reader(copied, options, wanted=wanted, closing=closing)
        yield InputTable(reader, options=options, wanted=wanted, matching=matching, sha256=copied.sha256)
