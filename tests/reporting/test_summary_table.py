"""The summary table on a terminal and in a log."""

import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from batch_enroll.errors import LedgerError
from batch_enroll.models import Counts, RowStatus
from batch_enroll.reporting.reason_counts import ReasonLine
from batch_enroll.reporting.summary import RunEnd, RunSummary
from batch_enroll.reporting.summary_table import next_step, print_summary

LONG = Path("/home/maria/Рассылки") / ("очень длинное имя " * 6 + "x.results.csv")
RUN = RunSummary(
    run_id="7f3a",
    end=RunEnd.FINISHED,
    exit_code=4,
    counts=Counts(success=1_819, error=7, unknown=3, skipped=13),
    planned_rows=1_842,
    requests=1_835,
    started_at=datetime(2026, 11, 25, 9, 30, tzinfo=UTC),
    duration_s=184.2,
    url="https://ru.altkraft.com",
    scenario=3,
    input_name="customers.csv",
    reasons=(
        ReasonLine(
            status=RowStatus.ERROR,
            code="404",
            message="Profile not found",
            count=7,
            first_rows=(120, 340, 341, 342, 390),
            advice="Import the profile into the platform first, or correct the address; then load the failed rows.",
        ),
        ReasonLine(status=RowStatus.UNKNOWN, code="read_timeout", message="No answer came.", count=3),
    ),
    results=LONG,
    failed=Path("/home/maria/x.failed.csv"),
)
GOLDEN = f"""\
Run 7f3a finished: 1,842 rows in 3 min 4 s, 9.96 requests a second.

  success  1,819
  error        7
  unknown      3
  skipped     13
  rows     1,842

Why
  7  error    Profile not found (404): rows 120, 340, 341, 342, 390 and 2 more
              → Import the profile into the platform first, or correct the
              address; then load the failed rows.
  3  unknown  No answer came (read_timeout)

Files
  results  {LONG}
  failed   /home/maria/x.failed.csv

Next: 3 rows are unknown and may have been enrolled; look them up on the
platform, then record your decisions:
  batch-enroll resolve 7f3a
"""


class Ascii(io.StringIO):
    encoding = "ascii"


def printed(run: RunSummary, *, width: int | None = None, stream: io.StringIO | None = None) -> str:
    stream = stream or io.StringIO()
    print_summary(run, stream, width=width)
    return stream.getvalue()


def test_table_fits_80_columns():
    assert printed(RUN, width=80) == GOLDEN


def test_lines_are_not_wrapped_off_a_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    lines = printed(RUN).splitlines()
    assert f"  results  {LONG}" in lines
    assert any(line.endswith("then load the failed rows.") and "→ Import" in line for line in lines)
    assert any(line.startswith("Next: ") and line.endswith("your decisions:") for line in lines)


def test_no_colour_or_trailing_blanks_off_a_terminal():
    text = printed(RUN)
    assert "\x1b" not in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_terminal_without_unicode_gets_ascii_arrows():
    assert "-> Import" in printed(RUN, stream=Ascii())


def test_platform_text_is_escaped():
    reason = ReasonLine(status=RowStatus.ERROR, code="1", message="[red]\x1b[2J\ud83d :smile:", count=1)
    assert r"[red]\u001b[2J\ud83d :smile: (1)" in printed(replace(RUN, reasons=(reason,)))


def test_reasons_beyond_the_first_ten_are_counted():
    reasons = tuple(ReasonLine(status=RowStatus.ERROR, code=str(n), message="m", count=2) for n in range(12))
    assert "\n  and 4 rows for 2 more reasons\n" in printed(replace(RUN, reasons=reasons))


def test_stopped_run_shows_its_reason():
    run = replace(RUN, end=RunEnd.STOPPED, stop_reason="The platform refused the token.")
    assert "Run 7f3a stopped: " in printed(run)
    assert "\nThe platform refused the token.\n" in printed(run)


def test_totals_that_do_not_add_up_are_not_shown():
    with pytest.raises(LedgerError):
        printed(replace(RUN, planned_rows=1))


@pytest.mark.parametrize(
    ("counts", "sentence", "command"),
    [
        (Counts(success=2), "Nothing is left to do", ""),
        (Counts(success=2, unknown=1, error=1), "1 row is unknown", "batch-enroll resolve 7f3a"),
        (
            Counts(error=1, invalid=2),
            "correct the 3 rows in the failed file",
            "batch-enroll run /home/maria/x.failed.csv",
        ),
        (
            Counts(not_sent=5, unknown=2),
            "resumes the run with 5 rows, and 2 rows of unknown outcome stay held",
            "batch-enroll resume 7f3a",
        ),
    ],
)
def test_next_step_is_one_sentence(counts, sentence, command):
    said, spoken_of = next_step(replace(RUN, counts=counts))
    assert sentence in said
    assert spoken_of == command


def test_next_step_without_a_failed_file():
    assert next_step(replace(RUN, counts=Counts(error=1), failed=None))[1] == "batch-enroll report 7f3a"
