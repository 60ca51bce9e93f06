"""The command line of the mock server: flags, introduction, exit code."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
from pathlib import Path

from batch_enroll.errors import JobError
from batch_enroll.sandbox import serve
from batch_enroll.sandbox.faults import FAULT_NAMES, parse_faults
from batch_enroll.sandbox.platform_data import (
    NOBODY,
    NOBODY_ENDING,
    Dataset,
    load_dataset,
)
from batch_enroll.sandbox.sandbox_settings import (
    DEFAULT_PORT,
    DEFAULT_TOKEN,
    ErrorStatus,
    ReEntry,
    RetryAfter,
    SandboxSettings,
)

EPILOG = f"""\
Every well-formed identity is a profile, unless it contains "{NOBODY}" or ends in {NOBODY_ENDING}.

Faults are separated by commas: NAME=SHARE of the starts, NAME@NTH start, NAME@NTH+ for that one and all later ones,
NAME for every start; or a JSON list of rules. After acting means that the profile was enrolled although the answer does
not say so. The names:
  {f"{chr(10)}  ".join(FAULT_NAMES)}
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the sandbox."""
    parser.description = "Start a local mock server of the Altcraft platform on 127.0.0.1. No message is sent."
    parser.epilog = EPILOG
    add = parser.add_argument
    add("--port", type=int, default=DEFAULT_PORT, metavar="N", help="default %(default)s; 0 = a free one")
    add("--token", default=DEFAULT_TOKEN, metavar="TEXT", help="the token to accept (default %(default)s)")
    add("--world", type=Path, metavar="FILE", help="scenarios, databases, profiles as TOML or JSON (default: examples)")
    add("--rate", type=_rate, metavar="N", help="answer 429 above N starts in a sliding second (default none)")
    add("--retry-after", choices=[*map(str, RetryAfter)], default="seconds", help="form of Retry-After in 429 and 503")
    add("--latency-ms", type=_latency_s, default=(0.0, 0.0), metavar="A[-B]", help="answer after A to B milliseconds")
    add("--faults", default="", metavar="LIST", help="which requests fail, and how: see below")
    add("--seed", type=int, default=0, metavar="N", help="selects the rows of faults with a share (default 0)")
    add("--idle-timeout", type=float, metavar="S", help="close connections that were idle for S seconds")
    add("--error-status", choices=[*map(str, ErrorStatus)], default="200", help="HTTP status of answers with an error")
    add(
        "--reentry",
        choices=[*map(str, ReEntry)],
        default="count",
        help="what a scenario with mode skip does to repeats",
    )
    add(
        "--settings-from-stdin",
        action="store_true",
        help="for programs: a line of JSON replaces the flags; the sandbox ends when its input closes, not on Ctrl-C",
    )


def execute(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C and return 0; return 2 for a port or a file that cannot be used."""
    try:
        if args.settings_from_stdin:
            settings = SandboxSettings.from_json(sys.stdin.readline())
            _serve_until_stdin_closes(settings)
            return 0
        settings = _build_settings(args)
        dataset = load_dataset(settings.world_file)

        def introduce(url: str) -> None:
            _print_url(url)
            sys.stderr.write(build_introduction(url, settings, dataset))

        import asyncio  # not needed for `--help`

        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(settings, started=introduce))
        return 0
    except JobError as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _serve_until_stdin_closes(settings: SandboxSettings) -> None:
    """Serve for the process at the other end of standard input, and ignore a Ctrl-C meant for that one."""
    import asyncio  # not needed for `--help`

    async def serve_until_closed() -> None:
        loop, serving = asyncio.get_running_loop(), asyncio.current_task()
        assert serving is not None

        def wait_for_end() -> None:
            while os.read(0, 1024):  # not sys.stdin: a thread that reads it would block the interpreter's exit
                pass
            loop.call_soon_threadsafe(serving.cancel)

        threading.Thread(target=wait_for_end, daemon=True).start()
        await serve(settings, started=_print_url)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(serve_until_closed())


def build_introduction(url: str, settings: SandboxSettings, dataset: Dataset) -> str:
    """Build the text that explains how to use the mock server."""
    scenarios = "\n".join(
        f"  #{scenario.id:<3} {scenario.name:<24} {scenario.mode:<17}"
        f"{'' if scenario.is_active else ' inactive'}{'' if scenario.start_node else ' no start node'}".rstrip()
        for scenario in dataset.scenarios.values()
    )
    people = (
        f'Every well-formed identity is a profile, unless it contains "{NOBODY}" or ends in {NOBODY_ENDING}.'
        if dataset.is_open
        else f"Only the profiles in {settings.world_file} exist."
    )
    return f"""\
A mock server of the platform is listening on {url}. No message is sent to anybody.

Token: {settings.token}
Scenarios, with their re-entry modes:
{scenarios}
{people}

Try it from another terminal:
  BATCH_ENROLL_TOKEN={settings.token} batch-enroll run people.csv --url {url} --scenario 3 --match email=Email

The counts as JSON: {url}/stats?totals (with every profile: /stats, the requests: /requests). Ctrl-C ends it.
"""


def _build_settings(args: argparse.Namespace) -> SandboxSettings:
    return SandboxSettings(
        port=args.port,
        token=args.token,
        world_file=args.world,
        rate_per_s=args.rate,
        retry_after=RetryAfter(args.retry_after),
        latency_s=args.latency_ms,
        faults=parse_faults(args.faults),
        seed=args.seed,
        idle_timeout_s=args.idle_timeout,
        error_status=ErrorStatus(args.error_status),
        reentry=ReEntry(args.reentry),
    )


def _print_url(url: str) -> None:
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()


def _rate(text: str) -> float | None:
    return None if text == "none" else float(text)


def _latency_s(text: str) -> tuple[float, float]:
    low, _, high = text.partition("-")
    return float(low) / 1000, float(high or low) / 1000


_rate.__name__, _latency_s.__name__ = "rate", "latency"  # argparse says "invalid rate value"
