"""Findings of `doctor`, as a table and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import IO

from batch_enroll.messages import message


class Level(StrEnum):
    """Severity of a finding."""

    OK = "ok"
    WARNING = "warning"  #: it works, but should be checked
    PROBLEM = "problem"  #: a run would fail, or could not keep its promise
    SKIPPED = "skipped"  #: not checked; the message says why


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthFinding:
    """The result of one check."""

    name: str  #: what was checked
    level: Level
    message: str
    advice: str = ""  #: "" when nothing needs to be done


_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "red", Level.SKIPPED: "blue"}


def exit_code_for_findings(findings: Sequence[HealthFinding]) -> int:
    """Return 0 without a problem, else 2."""
    return 2 if any(finding.level is Level.PROBLEM for finding in findings) else 0


def print_findings(findings: Sequence[HealthFinding], stream: IO[str]) -> None:
    """Print findings in order, and the number of problems and warnings."""
    from batch_enroll.reporting.rich_console import TextScreen

    screen = TextScreen(stream)
    screen.columns(
        [
            (
                finding.level.value,
                finding.name,
                f"{finding.message} {screen.arrow} {finding.advice}" if finding.advice else finding.message,
            )
            for finding in findings
        ],
        styles={level.value: style for level, style in _STYLES.items()},
    )
    many = Counter(finding.level for finding in findings)
    counted = [
        f"{many[level]} {level.value}{'s' if many[level] > 1 else ''}"
        for level in (Level.PROBLEM, Level.WARNING)
        if many[level]
    ]
    if not counted:
        counted = [str(message("report.not_all_checked" if many[Level.SKIPPED] else "report.all_in_order"))]
    screen.line(f"\n{', '.join(counted)}.")


def findings_to_json(findings: Sequence[HealthFinding]) -> dict[str, object]:
    """Return JSON: `findings` (`name`, `level`, `message`, `advice`), `problems`, `warnings`, `exit_code`."""
    many = Counter(finding.level for finding in findings)
    return {
        "findings": [
            {
                "name": finding.name,
                "level": finding.level.value,
                "message": finding.message,
                "advice": finding.advice,
            }
            for finding in findings
        ],
        "problems": many[Level.PROBLEM],
        "warnings": many[Level.WARNING],
        "exit_code": exit_code_for_findings(findings),
    }
