"""What `set`, `pause`, `resume` and `stop` have in common: ask the process that works on the run, say what it said.

In: RUN, the ledger and a wish. Out: one sentence on standard error, or one JSON object on standard output; the exit
code. Never: a row, a change of the ledger.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from batch_enroll.cli import screen
from batch_enroll.cli.ledger_flags import add_json_flag, add_ledger_flags, ledger_from

if TYPE_CHECKING:
    from batch_enroll.steering.letters import Answer, Wish

EPILOG = "exit codes: 0 done, 2 no process works on the run or the value is wrong, 5 the process did not answer"


def add_steering_flags(parser: argparse.ArgumentParser) -> None:
    """Add RUN, the ledger and the form."""
    add_ledger_flags(parser)
    add_json_flag(parser)
    parser.epilog = EPILOG


def ask_and_tell(args: argparse.Namespace, wish: str, *, pace: Mapping[str, Any] | None = None) -> int:
    """Ask, wait for the answer, tell it.

    Raises:
        RunStopped: nobody works on the run, or nobody answered; the message says so.
    """
    import anyio

    from batch_enroll.steering.letters import Wish

    answer = anyio.run(_asked, args, Wish(wish), pace)
    tell(answer, as_json=args.json)
    return 0 if answer.done else 2


async def _asked(args: argparse.Namespace, wish: Wish, pace: Mapping[str, Any] | None) -> Answer:
    from batch_enroll.clock import SystemClock
    from batch_enroll.steering.asks import ask_run

    return await ask_run(ledger_from(args), args.run, wish, clock=SystemClock(), pace=pace)


def tell(answer: Answer, *, as_json: bool, **more: object) -> None:
    """Say what came of it."""
    from dataclasses import asdict

    if as_json:
        screen.put(json.dumps({**asdict(answer), **more}, ensure_ascii=False))
    else:
        screen.say(answer.said)
