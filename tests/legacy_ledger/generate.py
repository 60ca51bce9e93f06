"""Make the files beside this script with an earlier release of the program; README.md says how it is called.

Everything happens in a folder that is made for it and removed afterwards, since the ledger records absolute paths. The
platform is a server of this process, to which HTTP_PROXY leads: so the recorded address is no port of this machine.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import batch_enroll
from batch_enroll.job import SendSection  # type: ignore[import-not-found]  # a module of the release that is run
from tests.support.scripted_platform import OK
from tests.support.small_platform import small_platform

FOLDER = Path("/srv/leads")
FILES = Path(__file__).with_name("files")
CONCURRENCY = 4
HALF = 12
NOT_KEPT = (
    "*.results.csv",
    "*.failed.csv",
    "*.unknown.csv",
    "*.summary.json",
    "ballast",
    "*-shm",
    "*.owner",
    "status.json",
)

JOB = f"""\
url = "http://platform.example"
insecure_http = true
scenario = 3

[match]
mode = "email"
column = "E-mail"

[content]
first_name = "First name"

[send]
rate = "none"
concurrency = {CONCURRENCY}
processes = 2

[output]
ledger = "ledger/ledger.sqlite"
yes = true
"""

PEOPLE = {
    "stopped": [f"stopped{number:02d}@leads.example" for number in range(1, 25)],
    "killed": [f"killed{number:02d}@leads.example" for number in range(1, 25)],
    "finished": [
        *(f"fine{number:02d}@leads.example" for number in range(1, 7)),
        "refused01@leads.example",
        "no address",
        "unclear01@leads.example",
        "fine01@leads.example",  # twice in the file: skipped
        "worker01@leads.example",
        "refused02@leads.example",
        *(f"fine{number:02d}@leads.example" for number in range(7, 13)),
        "",
    ],
    "approved": [f"approved{number:02d}@leads.example" for number in range(1, 6)],
}


class Platform:
    """Answers starts by the address, and interrupts the run that sends them."""

    def __init__(self) -> None:
        self.asked: list[str] = []  #: the addresses, as they came
        self.process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._held = 0

    def reply(self, body: dict[str, Any]) -> dict[str, Any]:
        """Answer one start."""
        email = body.get("email") or body["phone"]
        with self._lock:
            self.asked.append(email)
            count = len(self.asked)
        kind = email.partition("@")[0].rstrip("0123456789")
        if kind == "stopped" and count == HALF:
            self._process().send_signal(signal.SIGINT)
            time.sleep(0.5)
        if kind == "killed" and count > HALF:
            self._kill_when_all_are_held()
        if kind == "worker":
            for pid in self._workers():
                os.kill(pid, signal.SIGKILL)
        if kind == "refused":
            return {"error": 404, "error_text": "Profile not found"}
        if kind == "unclear":
            return {"error": 500, "error_text": "Internal error"}
        return OK

    def _kill_when_all_are_held(self) -> None:
        """Answer nobody any more: when all that can be in flight is here, the outcomes of the others are on disk."""
        with self._lock:
            self._held += 1
            if self._held == CONCURRENCY:
                self._process().kill()
        self._process().wait()

    def _process(self) -> subprocess.Popen[bytes]:
        assert self.process is not None
        return self.process

    def _workers(self) -> list[int]:
        tasks = Path(f"/proc/{self._process().pid}/task").iterdir()
        return [int(pid) for task in tasks for pid in (task / "children").read_text(encoding="ascii").split()]


def main() -> None:
    """Make everything anew."""
    if "processes" not in SendSection.model_fields:
        sys.exit("This release has no --processes; README.md names the one that is meant.")
    FOLDER.mkdir()  # fails when it is there: it is removed below
    try:
        (FOLDER / "ledger").mkdir()
        (FOLDER / "job.toml").write_text(JOB, encoding="utf-8")
        for name, emails in PEOPLE.items():
            with (FOLDER / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["E-mail", "First name"])
                writer.writerows([email, f"Name {number}"] for number, email in enumerate(emails, start=1))
        asked = {
            "stopped": command("run", "stopped.csv", code=130),
            "finished": command("run", "finished.csv", "--concurrency", "1", code=4),
        }
        command("check", "approved.csv", "--save", "approved.plan.json", code=0)
        asked["killed"] = command("run", "killed.csv", code=-signal.SIGKILL)  # last: the next command would tidy up
        (FOLDER / "asked.json").write_text(json.dumps(asked, indent=1) + "\n", encoding="utf-8")
        shutil.rmtree(FILES, ignore_errors=True)
        shutil.copytree(FOLDER, FILES, ignore=shutil.ignore_patterns(*NOT_KEPT))
    finally:
        shutil.rmtree(FOLDER)


def command(*words: str, code: int) -> list[str]:
    """Run a command to its end; give the addresses that the platform was asked to start."""
    platform = Platform()
    with small_platform(reply=platform.reply) as address, tempfile.TemporaryDirectory() as home:
        platform.process = subprocess.Popen(
            [sys.executable, "-m", "batch_enroll", *words, "--job", "job.toml"],
            cwd=FOLDER,
            env={**os.environ, **surroundings(address, home)},
        )
        ended = platform.process.wait()
    if ended != code:
        sys.exit(f"{words} ended with {ended}, not with {code}.")
    return sorted(platform.asked)


def surroundings(address: str, home: str) -> dict[str, str]:
    """The variables of a command: nothing of this user's is read or written."""
    return {
        "PYTHONPATH": str(Path(batch_enroll.__path__[0]).parent.resolve()),
        "http_proxy": address,
        "no_proxy": "",
        "BATCH_ENROLL_TOKEN": "legacy-token",
        "XDG_STATE_HOME": str(FOLDER / "state"),
        "XDG_DATA_HOME": home,
        "XDG_CONFIG_HOME": home,
    }


if __name__ == "__main__":
    main()
