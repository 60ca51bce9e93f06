"""Fuzz the command line with arguments, job files and spreadsheets: each command ends with an exit code and a message.

    python -m tests.fuzz.command_line --seconds 300 --seed 1

Commands run in this process, against a sandbox of their own, in a folder that is recreated at times. An internal error,
an undocumented exit code or an exception ends the fuzzing, with the input that caused it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from batch_enroll.cli.exit_codes import EXIT_CODES
from batch_enroll.cli.main import COMMANDS, main
from batch_enroll.config.settings import SETTINGS, flagged_settings
from batch_enroll.sandbox import SandboxSettings, sandbox_process

SEEDS = Path(__file__).parents[1] / "spreadsheets"
_NO_S3 = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1"}
PATIENCE_S = 5.0  #: then the command is ended as by a person who has waited enough
NEVER = {"sandbox", "demo"}  # they serve until somebody stops them
_ODD = """
0 -1 1 3 5% 200% 1e9 nan inf -inf 1.5h 7d 1ns 0s 09:00 none true null [] é - -- = a=b
. folder nowhere/at/all in.csv job.toml *.csv last email email=email phone=phone profile_id= custom:=x
http://127.0.0.1:1 https:// ftp://127.0.0.1:1/x http://[::1 s3://bucket sftp://127.0.0.1:1/y
utf-8 utf-17 comma ;; RU ru int
skip newest new send stop json text at-least-once finish,stop
"""
_ODDER = ("", " ", "\t", "\u202e", "ß" * 300, "9" * 40, "two words", "custom:A B=email", "10 years")
_HOURS = ("09:00-20:00 Europe/Moscow", "25:00-26:00", "20:00-09:00 Mars/Base")
ODD = (*_ODD.split(), *_ODDER, *_HOURS)
"""No absolute path, none that leads up (whoever runs this as root would lose what is there), no other machine."""


def odd_value(chance: random.Random) -> str:
    if chance.random() < 0.9:
        return chance.choice(ODD)
    return "".join(chance.choices("abZ0 .,=:%-éß\"'\\", k=chance.randrange(20))).replace("..", ".")


def toml_value(chance: random.Random) -> str:
    kinds: tuple[Callable[[], object], ...] = (
        lambda: json.dumps(odd_value(chance)),
        lambda: chance.choice(
            ["0", "-1", "3", "1.5", "1e400", "nan", "inf", "true", "false", "2026-11-25", "09:00:00"]
        ),
        lambda: f"[{json.dumps(odd_value(chance))}, 1]",
        lambda: "{a = 1}",
        lambda: "[]",
    )
    return str(chance.choice(kinds)())


def job_file(chance: random.Random, url: str) -> str:
    lines = [f'url = "{url}"', "scenario = 3"] if chance.random() < 0.95 else []
    sections: dict[str, list[str]] = {"match": ['mode = "email"', 'column = "email"']} if chance.random() < 0.95 else {}
    for _ in range(chance.choice([0, 0, 1, 2, 4])):
        path = chance.choice(SETTINGS).path
        keys = lines if len(path) == 1 else sections.setdefault(".".join(path[:-1]), [])
        if not any(line.startswith(f"{path[-1]} =") for line in keys):
            keys.append(f"{path[-1]} = {toml_value(chance)}")
    if chance.random() < 0.2:
        sections[chance.choice(["codes", "content", "profile.p", "profile.p.send", "notify", "nonsense"])] = [
            f"{chance.choice(['404', 'x', 'urls', 'rate', 'a-b'])} = {toml_value(chance)}"
        ]
    if chance.random() < 0.05:
        lines.append(odd_value(chance))
    return "\n".join([*lines, *(line for name, keys in sections.items() for line in (f"[{name}]", *keys))]) + "\n"


def spreadsheet(chance: random.Random) -> bytes:
    if chance.random() < 0.15:
        path = chance.choice([path for path in SEEDS.iterdir() if path.is_file() and path.stat().st_size < 100_000])
        return path.read_bytes()
    rows = [
        f"p{chance.randrange(50)}@example.com{chance.choice(['', '', ',x', ' '])}" for _ in range(chance.randrange(9))
    ]
    text = "\n".join([chance.choice(["email", "email", "email,name", "e-mail", ""]), *rows])
    return text.encode(chance.choice(["utf-8", "utf-16", "utf-8-sig"]))


def words(chance: random.Random, url: str, runs: list[str]) -> list[str]:
    command = chance.choice(["run", "run", "check", *(name for name in COMMANDS if name not in NEVER)])
    line = [command]
    if command in ("run", "check", "init"):
        line.append(chance.choice(["in.csv"] * 6 + ["folder", "*.csv", "nowhere.csv", odd_value(chance)]))
    elif command not in ("runs", "doctor", "prune", "scenarios"):
        line.append(chance.choice([*runs, "last", odd_value(chance)]))
    if command in ("run", "check", "doctor") and chance.random() < 0.7:
        line += ["--job", "job.toml"]
    elif command == "scenarios":
        line += ["--url", chance.choice([url, odd_value(chance)])]
    elif command in ("run", "check"):
        line += ["--url", url, "--scenario", "3", "--match", "email=email"]
    if command in ("run", "check", "retry"):
        for setting in chance.sample(list(flagged_settings()), chance.choice([0, 0, 1, 1, 2, 4])):
            line += [setting.flag] if not setting.metavar else [setting.flag, odd_value(chance)]
    more = {
        "run": ["--plan"],
        "check": ["--save", "--problems"],
        "init": ["--sheet", "--output", "--header-row", "--encoding"],
        "report": ["--results"],
        "retry": ["--errors", "--not-sent"],
        "resolve": ["--verdicts", "--rows", "--verdict", "--why"],
        "prune": ["--older-than", "--yes", "--dry-run", "--forget"],
        "set": ["--rate", "--concurrency"],
        "support": ["--out", "--log-file"],
    }
    for flag in more.get(command, []):
        if chance.random() < 0.3:
            line += (
                [flag]
                if flag in ("--errors", "--not-sent", "--yes", "--dry-run", "--forget")
                else [flag, odd_value(chance)]
            )
    return line


def hunt(*, seconds: float, most: int, seed: int) -> int:
    """Give commands until one of them misbehaves, the time is over or there were as many; gives the exit code."""
    began, nth, codes = time.monotonic(), 0, Counter[str]()
    home = Path(tempfile.mkdtemp(prefix="fuzz-commands-"))
    os.environ.update(HOME=str(home), XDG_DATA_HOME=str(home / "data"), BATCH_ENROLL_TOKEN="sandbox-token", **_NO_S3)
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGTERM))
    with sandbox_process(SandboxSettings()) as server:
        while time.monotonic() - began < seconds and nth < most:
            nth += 1
            chance = random.Random(f"{seed}:{nth}")
            place = home / str(nth // 40)
            place.mkdir(exist_ok=True)
            (place / "folder").mkdir(exist_ok=True)
            os.chdir(place)
            if chance.random() < 0.5 or not Path("in.csv").exists():
                Path("in.csv").write_bytes(spreadsheet(chance))
            Path("job.toml").write_text(job_file(chance, server.url), encoding="utf-8")
            ledger = place / "ledger.sqlite"
            runs = [path.name for path in Path(f"{ledger}.runs").glob("*")] if Path(f"{ledger}.runs").exists() else []
            os.environ["BATCH_ENROLL_LEDGER"] = str(ledger)
            line = words(chance, server.url, runs)
            out, err = io.StringIO(), io.StringIO()
            stdin, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(spreadsheet(chance)))
            signal.setitimer(signal.ITIMER_REAL, PATIENCE_S, 2)
            try:
                with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                    code = main(line)
            except BaseException as error:
                _show(f"\n{seed}:{nth} raised {error!r}\n{line}\n{Path('job.toml').read_text()}\n{err.getvalue()}")
                raise
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
                sys.stdin = stdin
            errors = err.getvalue()
            codes[f"{line[0]} {code}"] += 1
            if "a bug in batch-enroll" in errors or code not in EXIT_CODES or "Traceback" in errors:
                _show(f"\n{seed}:{nth} exit code {code}\n{line}\n{Path('job.toml').read_text()}\n{errors}")
                return 1
            if code == 2 and not errors.strip() and not out.getvalue().strip():
                _show(f"\n{seed}:{nth} exit code 2 without a word\n{line}\n{Path('job.toml').read_text()}")
                return 1
    _show(f"{nth} commands: {dict(sorted(codes.items()))}")
    os.chdir("/")
    shutil.rmtree(home, ignore_errors=True)
    return 0


def _show(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--most", type=int, default=sys.maxsize, help="commands")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    sys.exit(hunt(seconds=given.seconds, most=given.most, seed=given.seed))
