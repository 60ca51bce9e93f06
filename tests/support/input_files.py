"""Input files of unattended jobs, and who was enrolled from them."""

from __future__ import annotations

import os
import time

from tests.support.commands import people, write_csv

COMMON = ("--scenario", "3", "--match", "email=email", "--rate", "none")
OLD_S = 3_600


def flags(server):
    return ("--url", server.url, *COMMON, "--ledger", "ledger/ledger.sqlite")


def lay(path, *rows, age_s=OLD_S):
    """Write an input with an age in seconds."""
    path.parent.mkdir(exist_ok=True)
    return aged(write_csv(path, *rows), age_s)


def aged(path, age_s=OLD_S):
    moment = time.time() - age_s
    os.utime(path, (moment, moment))
    return path


def group(name, count=3):
    return people(count, domain=f"{name}.example.com")


def enrolled(server, scenario=3):
    """Get the emails enrolled in the scenario, and check that each was enrolled once."""
    assert set(server.enrolments(scenario).values()) <= {1}
    return {key.removeprefix("email:") for key in server.enrolments(scenario)}


def emails(*names):
    return {email for name in names for email, _ in group(name)}
