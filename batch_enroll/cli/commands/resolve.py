"""`batch-enroll resolve RUN`: list the unknown rows as CSV, and record a person's decisions on them."""

from __future__ import annotations

import argparse
import csv
import getpass
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from batch_enroll.cli import console
from batch_enroll.cli.options import add_ledger_flag, add_run_argument, ledger_from, run_of
from batch_enroll.cli.parser import CommandParser, FileArgument
from batch_enroll.errors import JobError
from batch_enroll.messages import Message, counted, message

if TYPE_CHECKING:
    from batch_enroll.ledger.interface import Ledger
    from batch_enroll.maintenance.resolve import RowVerdict

_COLUMNS = ("row", "verdict", "why", "identity", "sent_at", "code", "message", "http_status", "attempts")
_DECISIONS = ("enrolled", "not_enrolled", "resend")


def add_resolve(parser: CommandParser) -> None:
    """Declare the command."""
    add_run_argument(parser)
    add_ledger_flag(parser)
    parser.add_argument(
        "--verdicts",
        metavar="FILE",
        type=Path,
        action=FileArgument,
        help="CSV or Excel file with the columns row and verdict",
    )
    parser.add_argument("--rows", metavar="LIST", help="row numbers such as 5,7-9, or all; goes with --verdict")
    parser.add_argument("--verdict", choices=_DECISIONS, help="the decision on these rows")
    parser.add_argument("--why", metavar="TEXT", default="", help="what you saw; recorded with the decision")
    parser.add_argument(
        "--write-off",
        action="store_true",
        help="finish a run whose files are damaged, older than they were, or gone; what is not known becomes unknown",
    )
    parser.add_argument("--by", metavar="NAME", help="who decided (default: your login)")
    parser.description = (
        "Without decisions: list the rows whose outcome is unknown, as CSV on standard output. Look each up on the\n"
        "platform, fill in the column verdict, and give the file back with --verdicts:\n\n"
        "  enrolled      the profile was started: the row becomes success\n"
        "  not_enrolled  it was not, and must not be sent: the row becomes error\n"
        "  resend        it was not, and must be sent: the same run command sends it; if it was started after all, "
        "the customer gets the message twice\n"
    )
    parser.epilog = "Rows without a decision stay unknown. Each decision is recorded with who made it, when and why."
    parser.set_defaults(execute=_resolve)


async def _resolve(args: argparse.Namespace) -> int:
    """List the unknown rows, or record decisions."""
    from batch_enroll.clock import SystemClock
    from batch_enroll.daemon_threads import open_in_thread
    from batch_enroll.maintenance.resolve import (
        ResolveVerdict,
        RowVerdict,
        resolve_rows,
        unknown_rows,
    )

    ledger = ledger_from(args)
    if bool(args.rows) != bool(args.verdict):
        raise JobError(message("maintenance.rows_and_verdict", run=args.run))
    if args.write_off:
        return await _write_off(args, ledger)
    is_list = args.verdicts is None and not args.rows
    run_id = await run_of(args, ledger, why_not_last=None if is_list else message("maintenance.decision_is_final"))
    unknown = await unknown_rows(ledger, run_id)
    if is_list:
        writer = csv.writer(console.data_stream(), lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows(_csv_line(row) for row in unknown)
        console.print_message(f"{counted(len(unknown), 'row_is')} unknown in run {run_id}.")
        if unknown:
            console.print_message(str(message("maintenance.then_decide", run_id=run_id, words=_DECISIONS)))
        return 0
    if args.verdicts is not None:
        async with open_in_thread(partial(_read_verdicts, args.verdicts)) as decisions:
            pass
    else:
        numbers = [row.number for row in unknown] if args.rows == "all" else _parse_row_numbers(args.rows)
        decisions = [
            RowVerdict(number=number, verdict=ResolveVerdict(args.verdict), why=args.why) for number in numbers
        ]
    if not decisions:
        raise JobError(message("maintenance.no_decision", words=_DECISIONS))
    counts = await resolve_rows(ledger, run_id, decisions, by=args.by or _login(), at=SystemClock().now())
    totals = ", ".join(f"{count:,} {name}" for name, count in counts.as_dict().items() if count and name != "rows")
    console.print_message(f"Recorded {counted(len(decisions), 'decision')}. Run {run_id} now: {totals}.")
    if any(decision.verdict is ResolveVerdict.RESEND for decision in decisions):
        console.print_message(str(message("maintenance.resend", run_id=run_id)))
    return 0


async def _write_off(args: argparse.Namespace, ledger: Ledger) -> int:
    """Write off a run that cannot be trusted, and write what results can be written."""
    from batch_enroll.errors import JobError, RunStopped
    from batch_enroll.maintenance.write_off import write_off
    from batch_enroll.run.result_files import report_again

    if args.verdicts is not None or args.rows:
        raise JobError(message("maintenance.write_off_alone"))
    run_id = await run_of(args, ledger, why_not_last=message("maintenance.decision_is_final"))
    done = await write_off(ledger, run_id)
    if done.unknown is None:
        console.print_message(str(message("ledger.written_off_blind", run_id=run_id, rows=done.rows)))
        return 0
    try:
        run = await ledger.open(run_id, read_only=True)
        try:
            summary = await report_again(run, None, ledger=ledger.place)
        finally:
            await run.close_unchanged()
        for path in summary.files.values():
            console.print_output(str(path))
    except RunStopped as error:  # such as rows that are no longer kept
        console.print_message(str(error))
    written_off = message("ledger.written_off_rows", run_id=run_id, unknown=done.unknown, rows=done.rows)
    console.print_message(str(written_off))
    return 0


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the user's id has no entry; KeyError before Python 3.13
        raise JobError(message("maintenance.no_login")) from None


def _csv_line(row: object) -> list[str]:
    from batch_enroll.clock import iso_utc
    from batch_enroll.maintenance.resolve import UnknownRow
    from batch_enroll.result_columns import guard

    assert isinstance(row, UnknownRow)
    outcome = row.outcome
    return [
        str(row.number),
        "",
        "",
        guard(row.identity),
        iso_utc(outcome.sent_at) if outcome.sent_at else "",
        guard(outcome.code),
        guard(str(outcome.message)),
        "" if outcome.http_status is None else str(outcome.http_status),
        str(outcome.attempts),
    ]


def _read_verdicts(path: Path, stack: ExitStack) -> list[RowVerdict]:
    """Read a file of decisions, CSV or workbook."""
    from batch_enroll.cli.job_options import source_of
    from batch_enroll.column_lookup import find_column
    from batch_enroll.errors import JobError
    from batch_enroll.loading import open_table
    from batch_enroll.loading.temp_copies import private_temp_dir
    from batch_enroll.models import InputOptions

    decisions = []
    spool, source = stack.enter_context(private_temp_dir()), source_of(str(path))
    table = stack.enter_context(open_table(source, InputOptions(), wanted=("verdict",), spool=spool))
    word_at = find_column(table.columns, "verdict")
    row_at = None if table.is_results else find_column(table.columns, "row")  # the file of unknown rows has its own
    why_at = find_column(table.columns, "why") if "why" in table.columns else None
    for block in table.blocks():
        for line in block:
            place = message("maintenance.verdicts_place", path=str(path), row=line.number)
            word = line.cells[word_at].strip().lower().replace(" ", "_").replace("-", "_")
            if not word:
                continue
            number = line.cells[row_at].strip() if row_at is not None else line.earlier.row if line.earlier else ""
            if not number.isdecimal():
                raise JobError(message("maintenance.not_a_row", place=place, text=number))
            why = line.cells[why_at] if why_at is not None else ""
            decisions.append(_parse_decision(int(number), word, why, place=place))
    return decisions


def _parse_decision(number: int, word: str, why: str, *, place: Message) -> RowVerdict:
    from batch_enroll.errors import JobError
    from batch_enroll.maintenance.resolve import ResolveVerdict, RowVerdict

    try:
        return RowVerdict(number=number, verdict=ResolveVerdict(word), why=why)
    except ValueError:
        raise JobError(message("maintenance.not_a_decision", place=place, text=word, words=_DECISIONS)) from None


def _parse_row_numbers(text: str) -> list[int]:
    from batch_enroll.errors import JobError

    numbers: list[int] = []
    for part in text.replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise JobError(
                message("maintenance.not_a_row", place="--rows", text=part), hint=message("maintenance.rows_example")
            )
        numbers += range(int(first), int(last or first) + 1)
    return numbers
