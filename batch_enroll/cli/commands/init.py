"""`batch-enroll init`: propose a job file from the headers and values of a spreadsheet."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from batch_enroll.cli import console
from batch_enroll.cli.options import add_setting_flags, output_path
from batch_enroll.cli.parser import CommandParser, FileArgument
from batch_enroll.config.settings import get_setting
from batch_enroll.errors import InputError, JobError
from batch_enroll.messages import message, quoted
from batch_enroll.overwrite_guard import NEVER_OURS, ReadFiles, flag_output

_SAMPLE_ROWS = 500
_DEFAULT_URL = "https://ru.altkraft.com"


def add_init(parser: CommandParser) -> None:
    """Declare the command."""
    parser.add_argument(
        "input", metavar="INPUT", nargs="?", action=FileArgument, help="CSV or Excel file, or its address"
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        action=FileArgument,
        help="the job file to write, or a folder for it (default: INPUT's name, .toml)",
    )
    add_setting_flags(parser, "url", "scenario", "input.sheet", "input.header_row", "input.encoding", "input.delimiter")
    parser.add_argument(
        "--schema", action="store_true", help="print the JSON Schema of the job file and do nothing else"
    )
    parser.set_defaults(execute=_init)


def _init(args: argparse.Namespace) -> int:
    """Write the proposal; refuses to overwrite."""
    import anyio

    from batch_enroll.config.value_parsers import is_loopback
    from batch_enroll.loading.remote_address import is_remote, remote_input

    if args.schema:
        from batch_enroll.config.job_profiles import job_schema

        console.print_json(job_schema(), indent=2)
        return 0
    if args.input is None:
        raise JobError(message("job.init_without_input"))
    remote = remote_input(args.input, plain_allowed=is_loopback) if is_remote(args.input) else None
    shown = remote.shown if remote else str(args.input)
    target = output_path(args.output, Path(remote.file_name if remote else args.input).stem + ".toml")
    output = flag_output(target, message("report.the_job"), "--output", begins=NEVER_OURS, may_overwrite=False)
    ReadFiles(files=() if remote else ((message("report.read_input"), Path(args.input)),)).check(output)
    scenario = None if args.scenario is None else _parse_scenario(args.scenario)
    from batch_enroll.atomic_file import open_shared
    from batch_enroll.mapping.column_suggestions import suggest
    from batch_enroll.mapping.job_template import fit_text, job_file_text
    from batch_enroll.os_errors import translate_os_errors

    columns, rows, sheet = anyio.run(_read_sample, args)
    proposal = suggest(columns, rows)
    if proposal is None:
        raise InputError(message("job.no_matching_column", name=shown), hint=message("job.columns_are", names=columns))
    command = f"batch-enroll check {quoted([shown, '--job', str(target)])}"
    numbers = f"batch-enroll scenarios {quoted(['--job', str(target)])}"
    text = job_file_text(
        proposal,
        input_name=shown,
        command=command,
        numbers=numbers,
        url=args.url or _DEFAULT_URL,
        scenario=scenario,
        sheet=args.sheet and sheet,
        meaning=lambda key: get_setting(key).description,
    )
    with translate_os_errors(target, to=JobError), open(target, "x", encoding="utf-8", opener=open_shared) as file:
        file.write(text)
    lines = [f"Wrote {target}: profiles are matched by {fit_text(proposal)}."]
    if proposal.others:
        lines.append(f"Also possible: {', '.join(map(fit_text, proposal.others))}.")
    if proposal.country:
        lines.append(f"Phones without a plus are taken for numbers of {proposal.country}: see country in {target}.")
    if scenario is None:
        lines.append(f"The scenario's number is still open; this lists them: {numbers}")
    missing = " and ".join(name for name in ("url", "scenario") if getattr(args, name) is None)
    then = f"Fill in {missing}, then" if missing else "Then"
    console.print_message("\n".join([*lines, f"{then}: {command}"]))
    return 0


def _parse_scenario(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        problem = message("job.not_an_integer", value=f"'{text}'")
        raise JobError(message("job.problem_at", place="--scenario", problem=problem)) from None


async def _read_sample(args: argparse.Namespace) -> tuple[tuple[str, ...], list[tuple[str, ...]], str | None]:
    """Read the first rows: the columns, the rows, the sheet."""
    from batch_enroll.config.load import build_input_section
    from batch_enroll.daemon_threads import open_in_thread
    from batch_enroll.loading import open_table
    from batch_enroll.loading.temp_copies import private_temp_dir

    named = ("sheet", "header_row", "encoding", "delimiter")
    section = build_input_section({**{name: getattr(args, name) for name in named}, "limit": _SAMPLE_ROWS})

    def read(stack: ExitStack) -> tuple[tuple[str, ...], list[tuple[str, ...]], str | None]:
        spool = stack.enter_context(private_temp_dir())
        source = _open_source(args.input, spool)
        table = stack.enter_context(open_table(source, section.options(password=None), spool=spool))
        return table.columns, [row.cells for block in table.blocks() for row in block], table.sheet

    async with open_in_thread(read) as found:
        return found


def _open_source(name: str, folder: Path) -> Path | BinaryIO:
    from batch_enroll.cli.job_options import source_of
    from batch_enroll.config.value_parsers import is_loopback
    from batch_enroll.loading.download import download
    from batch_enroll.loading.remote_address import is_remote, remote_input

    if not is_remote(name):
        return source_of(name)
    remote = remote_input(name, plain_allowed=is_loopback)
    return download(remote, folder, salt=b"", stop_reason=lambda: "").path
