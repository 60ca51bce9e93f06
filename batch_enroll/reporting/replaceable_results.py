"""Choose names for results that replace only files which a run wrote and nobody has changed since."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Collection, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from batch_enroll.overwrite_guard import not_ours
from batch_enroll.reporting.result_paths import ResultPaths, companion_paths
from batch_enroll.reporting.summary import summary_bytes
from batch_enroll.result_columns import ADDED_COLUMNS

WRITTEN_NAME = "written.sha256"
"""In the folder of a run: what it wrote, a digest a line."""

_HEAD_BYTES = 1 << 20  #: a header of ours ends before that
_MAX_SUMMARY_BYTES = 1 << 24


def check_replaceable(paths: ResultPaths) -> None:
    """Make sure that what lies under the names of the results are result files, whoever changed them since.

    Raises:
        JobError: another kind of file is there, which a person did not mean to lose.
    """
    summary = _read_summary(paths.summary)
    for (kind, path), output in zip(paths.by_kind(), paths.outputs(), strict=True):
        if not _is_free(path) and not _is_result(path, kind, summary):
            raise not_ours(output)


def replaceable_paths(paths: ResultPaths, default: Path, *, written: Path) -> ResultPaths:
    """Choose names that replace only result files which nobody has changed: the wanted ones, or others beside them.

    Args:
        paths: the wanted ones.
        default: name of the results when the wanted ones are taken; with a number when it is taken too.
        written: the run's list of what it wrote, see `ResultsWriter`.
    """
    own = _read_digests(written)
    for candidate in _candidates(paths, default.name):
        summary = _read_summary(candidate.summary)
        if all(_is_free(path) or _is_unchanged(path, kind, summary, own) for kind, path in candidate.by_kind()):
            return candidate
    raise AssertionError("names never end")


def _candidates(paths: ResultPaths, default: str) -> Iterator[ResultPaths]:
    yield paths
    stem, suffix = default.removesuffix(".results.csv"), paths.results.suffix
    for number in count(1):
        name = f"{stem}.results{suffix}" if number == 1 else f"{stem}.{number}.results{suffix}"
        yield companion_paths(paths.results.with_name(name))


def _is_free(path: Path) -> bool:
    """Tell whether nothing would be lost: no file, or an empty one."""
    try:
        return path.is_file() and path.stat().st_size == 0 if os.path.lexists(path) else True
    except OSError:
        return False


def _is_unchanged(path: Path, kind: str, summary: dict[str, Any], own: Collection[str]) -> bool:
    recorded = summary.get("sha256")
    recorded = recorded if isinstance(recorded, dict) else {}
    if kind == "summary":
        others = {name: value for name, value in recorded.items() if name != kind}
        digest = hashlib.sha256(summary_bytes({**summary, "sha256": others})).hexdigest()
        return bool(recorded and digest == recorded.get(kind))
    with contextlib.suppress(OSError), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return digest in own or bool(_names(summary, kind, path) and digest == recorded.get(kind))
    return False


def _read_digests(written: Path) -> frozenset[str]:
    try:
        return frozenset(written.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return frozenset()


def _is_result(path: Path, kind: str, summary: dict[str, Any]) -> bool:
    """Tell whether a file is, or was, one that this program wrote: the summary names it, or its header says so."""
    if kind == "summary":
        return bool(summary)
    return _names(summary, kind, path) or has_added_columns(path)


def has_added_columns(path: Path) -> bool:
    """Tell whether a file is a table with the columns that a run adds."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        return all(column.encode() in head for column in ADDED_COLUMNS)
    return False


def _names(summary: dict[str, Any], kind: str, path: Path) -> bool:
    files = summary.get("files")
    named = files.get(kind) if isinstance(files, dict) else None
    return isinstance(named, str) and Path(named).name == path.name


def _read_summary(path: Path) -> dict[str, Any]:
    """Read a summary file; empty when it is none."""
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_MAX_SUMMARY_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) and {"run", "counts", "files"} <= content.keys() else {}
