"""`batch-enroll sandbox` and `demo`: the local mock server of the platform, and a whole run against it."""

from __future__ import annotations

import argparse
import csv
import io
import os
import re
from pathlib import Path

from batch_enroll.cli import console
from batch_enroll.cli.parser import CommandParser

DEMO_ROWS = 200
_FOLDER = "batch-enroll-demo"
_LEDGER = "ledger.sqlite"


def add_sandbox(parser: CommandParser) -> None:
    """Declare the command."""
    from batch_enroll.sandbox.command_line import add_arguments, execute

    add_arguments(parser)
    parser.set_defaults(execute=execute)


def add_demo(parser: CommandParser) -> None:
    """Declare the command."""
    parser.add_argument("--folder", type=Path, default=Path(_FOLDER), help="where the files go (default %(default)s)")
    parser.add_argument(
        "--rows", type=int, default=DEMO_ROWS, metavar="N", help="people to invent (default %(default)s)"
    )
    parser.add_argument("--rate", default="40", metavar="N", help="requests per second, or none (default %(default)s)")
    parser.set_defaults(execute=_demo)


def _demo(args: argparse.Namespace) -> int:
    """Do a whole run; 0 when nobody was enrolled twice, whatever became of the rows that are wrong on purpose."""
    from batch_enroll.atomic_file import SHARED_FOLDER, write_atomic
    from batch_enroll.cli.main import main
    from batch_enroll.errors import JobError
    from batch_enroll.messages import message, quoted
    from batch_enroll.os_errors import translate_os_errors
    from batch_enroll.overwrite_guard import ReadFiles, flag_output
    from batch_enroll.sandbox import SandboxSettings, sandbox_process

    args.folder.mkdir(mode=SHARED_FOLDER, parents=True, exist_ok=True)
    leads, content = args.folder / "leads.csv", _leads(max(args.rows, 10))
    begins = re.compile(re.escape(b"".join(content.splitlines(keepends=True)[:3])))
    list_ = flag_output(leads, message("report.the_demo_list"), "--folder", begins=begins, may_overwrite=False)
    ReadFiles(ledger=args.folder / _LEDGER).check(list_)
    with translate_os_errors(leads, to=JobError):
        write_atomic(leads, content)
    console.print_message(
        f"The demo invents {args.rows} people in {leads}, starts a mock server of the platform on this machine\n"
        "and enrolls them in its scenario #3. No message is sent to anybody.\n"
    )
    with sandbox_process(SandboxSettings()) as sandbox:
        os.environ["BATCH_ENROLL_TOKEN"] = sandbox.token
        command = ["run", str(leads), "--url", sandbox.url, "--scenario", "3", "--match", "email=E-mail"]
        command += ["--content", "first_name=First name", "--rate", str(args.rate), "--yes"]
        command += ["--ledger", str(args.folder / _LEDGER), "--results", str(args.folder / "leads.results.csv")]
        command += ["--again"]
        console.print_message(f"$ batch-enroll {quoted(command)}\n")
        code = main(command)
        enrolled = sandbox.enrolments(scenario=3)
        twice = sum(times > 1 for times in enrolled.values())
    console.print_message(
        f"\nThe mock server counted {len(enrolled):,} profiles enrolled, {twice} of them twice. "
        f"Open {args.folder / 'leads.results.csv'} to see every row's result."
    )
    return 0 if code in (0, 1) and not twice else code


def _leads(count: int) -> bytes:
    """Make the list as a CSV; the same people come first however many there are."""
    from batch_enroll.sandbox.fake_profiles import HEADER, fake_profiles

    people = fake_profiles(count)
    people[3] = ("Total: 3", *people[3][1:])  # a total row that somebody left in
    people[5] = ("", *people[5][1:])
    people[7] = people[2]  # the same person twice
    people[8] = ("nobody@example.com", *people[8][1:])  # the sandbox knows no such profile
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=";")
    writer.writerow(HEADER)
    writer.writerows(people)
    return text.getvalue().encode("utf-8-sig")
