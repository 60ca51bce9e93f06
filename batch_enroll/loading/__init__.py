"""Stage 1, the LOADER: a file becomes rows of text, exactly as stored.

In: a file or a stream, of whatever kind its bytes say, and what a person says about it. Out: a `Table` whose rows
come in blocks. Never: a value that was guessed, trimmed or changed; a row or a column that was dropped in silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from batch_enroll.columns import find_column
from batch_enroll.loading.input_copy import copy_input, sha256_of
from batch_enroll.loading.input_table import Table
from batch_enroll.loading.reader_factory import open_reader
from batch_enroll.models import InputOptions

__all__ = ["Table", "find_column", "open_table", "sha256_of"]


@contextmanager
def open_table(
    source: Path | BinaryIO, options: InputOptions, *, wanted: Sequence[str] = (), spool: Path
) -> Iterator[Table]:
    """Open the input as one table.

    Args:
        source: a file, or a stream that need not be seekable.
        options: what a person says about it; what they do not say is found out, or asked for by an error.
        wanted: names of the columns that the job uses; they help to find the header, and each must be there.
        spool: a folder that its owner alone can read, for copies; they are removed in the end.
    Raises:
        InputError: the input cannot be read as one table, or two readings of it are possible.
    """
    with TemporaryDirectory(dir=spool, prefix="input-") as folder, ExitStack() as closing:
        taken = copy_input(source, Path(folder))
        reader = open_reader(taken, options, wanted=wanted, closing=closing)
        yield Table(reader, options=options, wanted=wanted, sha256=taken.sha256)
