"""`batch-enroll scenarios`: list the platform's scenarios."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from batch_enroll.cli import console
from batch_enroll.cli.options import add_json_flag, add_platform_flags
from batch_enroll.cli.parser import CommandParser

if TYPE_CHECKING:
    from batch_enroll.sending import ScenarioInfo

_YES_OR_NO = {True: "yes", False: "no", None: "-"}
_REENTRY = {"skip_in_any_case": "once ever", "skip": "again after leaving"}


def add_scenarios(parser: CommandParser) -> None:
    """Declare the command."""
    add_platform_flags(parser)
    add_json_flag(parser)
    parser.epilog = (
        "Lists what the token may see. Re-entry is what the platform does with a profile that was in the scenario\n"
        "before.\n\nexit codes: 0 done; 2 the platform cannot be asked, or refuses"
    )
    parser.set_defaults(execute=_scenarios)


async def _scenarios(args: argparse.Namespace) -> int:
    """Ask the platform and print the list."""
    from batch_enroll.cli.job_options import build_job_from_args, token_of
    from batch_enroll.clock import SystemClock
    from batch_enroll.run.preflight import scenarios_of_platform

    job = build_job_from_args(args, only_platform=True)
    found = await scenarios_of_platform(job, token_of(job), SystemClock())
    if args.json:
        console.print_json([_to_json(one) for one in found])
    elif not found:
        console.print_message("The platform lists no scenario for this token.")
    else:
        from batch_enroll.reporting.rich_console import TextScreen

        head = ("number", "name", "active", "database", "re-entry")
        TextScreen(console.data_stream()).columns([head, *map(_line, found)], right={0, 3})
    return 0


def _line(one: ScenarioInfo) -> tuple[str, ...]:
    database = "-" if one.database is None else str(one.database)
    reentry = _REENTRY.get(one.mode) or one.mode or "-"
    return str(one.scenario), one.name, _YES_OR_NO[one.is_active], database, reentry


def _to_json(one: ScenarioInfo) -> dict[str, object]:
    return {
        "id": one.scenario,
        "name": one.name,
        "active": one.is_active,
        "database": one.database,
        "mode": one.mode or None,
    }
