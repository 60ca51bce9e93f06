"""Paths of a run's result files; none of them may be the input."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from batch_enroll.atomic_file import SHARED_FOLDER, require_writable
from batch_enroll.errors import JobError
from batch_enroll.messages import message
from batch_enroll.models import DEFAULT_RESULTS
from batch_enroll.os_errors import translate_os_errors
from batch_enroll.overwrite_guard import Output, ReadFiles

STDIN = "-"
XLSX_ROWS = 1_048_576
"""Lines of one Excel sheet, the header included. Source: Microsoft, "Excel specifications and limits"."""

_INPUT_SUFFIX = re.compile(r"(?:\.(?:csv|tsv|tab|txt|dat|xlsx|xlsm|xlsb|xls|ods))?(?:\.(?:gz|bz2|xz|zst|zip))?\Z", re.I)
_COMPANION = re.compile(r"\.(?:failed|unknown)\.(?:csv|xlsx)\Z", re.I)
_RESULTS_SUFFIX = re.compile(r"(?:\.results)?\.(?:csv|xlsx)\Z", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultPaths:
    """A run's files; whether `failed` and `unknown` exist depends on what happened."""

    results: Path
    failed: Path
    unknown: Path
    summary: Path

    @property
    def is_xlsx(self) -> bool:
        """Whether the results are a workbook; the other files never are."""
        return self.results.suffix.lower() == ".xlsx"

    def outputs(self) -> tuple[Output, ...]:
        """The four, for the check that they overwrite nothing."""
        what, elsewhere = message("report.the_results"), message("report.other_results")
        return tuple(Output(path, what, elsewhere) for path in self.all())

    def by_kind(self) -> tuple[tuple[str, Path], ...]:
        """The four with their kind, as `files` of the summary names it."""
        return tuple(zip(("results", "failed", "unknown", "summary"), self.all(), strict=True))

    def all(self) -> tuple[Path, ...]:
        """The four, results first."""
        return self.results, self.failed, self.unknown, self.summary


def result_paths(input_path: str, *, run_id: str, results: Path | None = None) -> ResultPaths:
    """Name a run's files: beside the input (in the current folder for `-` and for an address), or after `results`.

    `customers.csv.gz` -> `customers.RUN.results.csv`, `customers.RUN.failed.csv`, ..., also when `results` is
    `DEFAULT_RESULTS` in a folder; `X.results.csv`, `X.csv` or `X.xlsx` -> `X.failed.csv`, ...
    """
    source = _source(input_path)
    if results is None:
        results = source.with_name(DEFAULT_RESULTS)
    if results.name == DEFAULT_RESULTS:
        stem = _INPUT_SUFFIX.sub("", source.name) or source.name
        results = results.with_name(f"{stem}.{run_id}.results.csv")
    return companion_paths(results)


def companion_paths(results: Path) -> ResultPaths:
    """Name the other files after the results."""
    stem = _RESULTS_SUFFIX.sub("", results.name) or results.name
    return ResultPaths(
        results=results,
        failed=results.with_name(f"{stem}.failed.csv"),
        unknown=results.with_name(f"{stem}.unknown.csv"),
        summary=results.with_name(f"{stem}.summary.json"),
    )


def is_failed_file(name: str) -> bool:
    """Tell whether a file is named as the failed or unknown rows of a run are, which say nothing of a usual file."""
    return _COMPANION.search(name) is not None


def names_folder(results: Path | None) -> bool:
    """Tell whether a setting or a flag names a folder for the results, not the file itself."""
    return results is not None and results.name == DEFAULT_RESULTS


def is_address(input_path: str) -> bool:
    """Tell whether an input lies elsewhere; no absolute path holds two slashes in a row."""
    return "://" in input_path


def check_writable(
    paths: ResultPaths, *, rows: int = 0, reads: ReadFiles | None = None, makes_folder: bool = False
) -> None:
    """Make sure, before anything is sent, that the files can be written at the end.

    Args:
        paths: where they go; a temporary file is created there and removed.
        rows: data rows of the input, as far as known.
        reads: the files that the run reads, which must not be among them.
        makes_folder: a person named the folder alone, which may be new.
    Raises:
        JobError: a file that the run reads would be overwritten, a path is no file, a sheet cannot hold so many rows,
            or the folder is not there or cannot be written.
    """
    if paths.is_xlsx and rows >= XLSX_ROWS:
        raise JobError(message("report.sheet_too_short", rows=rows, path=str(paths.results), most=XLSX_ROWS))
    if reads is not None:
        reads.check(*paths.outputs())
    if makes_folder:
        with translate_os_errors(paths.results.parent, to=JobError, writes=paths.results.parent):
            paths.results.parent.mkdir(mode=SHARED_FOLDER, exist_ok=True)
    for path in paths.all():
        if path.exists() and not path.is_file():
            raise JobError(message("report.not_a_file", path=str(path)))
    require_writable(paths.results, hint=message("report.other_results"))


def _source(input_path: str) -> Path:
    if input_path == STDIN:
        return Path("stdin")
    if is_address(input_path):
        name = unquote(urlsplit(input_path).path).rpartition("/")[2]
        return Path(re.sub(r"[^\w.() +-]", "_", name)[:100] or "input")
    return Path(input_path)
