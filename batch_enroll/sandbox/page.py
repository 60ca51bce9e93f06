"""The page at `/stats.html`: the totals, for people.

In: the totals and the settings. Out: HTML. Never: a profile by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="2"><title>Sandbox</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; width: 100%; margin-bottom: 1.5rem }
td, th { text-align: left; padding: .25rem .5rem; border-bottom: 1px solid #ddd; font-weight: normal }
td { text-align: right; font-variant-numeric: tabular-nums }
.bad { color: #b00020; font-weight: bold }
</style></head><body>
"""


def render(totals: Mapping[str, Any]) -> bytes:
    """Show the totals; a profile that was enrolled more than once is red."""
    twice = totals["enrolled_more_than_once"]
    parts = [
        HEAD,
        "<h1>Sandbox</h1><p>A stand-in of the platform. Nobody gets a message. The page renews itself.</p>",
        "<h2>Enrolments that really happened</h2><table>",
        _line("Enrolments", totals["enrolled_total"]),
        _line("Profiles", totals["enrolled_profiles"]),
        _line("Profiles enrolled more than once", twice, mark="bad" if twice else ""),
        _line("Enrolled after the client had gone", totals["late_acts"]),
        "</table><h2>Requests</h2><table>",
        *(_line(method, times) for method, times in totals["requests"].items()),
        _line("Most starts in one second", totals["peak_per_s"]),
        _line("Answered with 429 by the rate limit", totals["throttled"]),
        "</table><h2>Answers</h2><table>",
        *(_line(f"HTTP {status}" if status.isdigit() else status, n) for status, n in totals["answers"].items()),
        *(_line(f"error {code}", times) for code, times in totals["codes"].items()),
        "</table><h2>Faults</h2><table>",
        *(_line(fault, times) for fault, times in totals["faults"].items()),
        _line("Of these, a client could not know what happened", totals["ambiguous"]),
        "</table></body></html>",
    ]
    return "".join(parts).encode()


def _line(name: str, value: int, *, mark: str = "") -> str:
    return f'<tr><th>{escape(name)}</th><td class="{mark}">{value:,}</td></tr>'
