"""The English text of every message, by its id."""

from __future__ import annotations

from typing import Final

from batch_enroll.messages.control_texts import CONTROL_TEXTS
from batch_enroll.messages.input_texts import INPUT_TEXTS
from batch_enroll.messages.job_texts import JOB_TEXTS
from batch_enroll.messages.ledger_texts import LEDGER_TEXTS
from batch_enroll.messages.maintenance_texts import MAINTENANCE_TEXTS
from batch_enroll.messages.message_text import Text
from batch_enroll.messages.monitoring_texts import MONITORING_TEXTS
from batch_enroll.messages.reason_texts import REASON_TEXTS
from batch_enroll.messages.report_texts import REPORT_TEXTS
from batch_enroll.messages.row_texts import ROW_TEXTS
from batch_enroll.messages.run_texts import RUN_TEXTS
from batch_enroll.messages.sandbox_texts import SANDBOX_TEXTS
from batch_enroll.messages.sending_texts import SENDING_TEXTS

NOUNS: Final = {
    "row": ("row", "rows"),
    "row_is": ("row is", "rows are"),
    "is_left": ("is left", "are left"),
    "file": ("file", "files"),
    "input": ("input", "inputs"),
    "request": ("request", "requests"),
    "profile": ("profile", "profiles"),
    "run": ("run", "runs"),
    "character": ("character", "characters"),
    "column": ("column", "columns"),
    "sheet": ("sheet", "sheets"),
    "day": ("day", "days"),
    "hour": ("hour", "hours"),
    "minute": ("minute", "minutes"),
    "second": ("second", "seconds"),
    "byte": ("byte", "bytes"),
    "cell": ("cell", "cells"),
    "more_reason": ("more reason", "more reasons"),
    "such_run": ("more such run", "more such runs"),
    "decision": ("decision", "decisions"),
    "time": ("time", "times"),
    "layer": ("layer", "layers"),
    "line": ("line", "lines"),
    "copy": ("copy", "copies"),
    "commit": ("commit", "commits"),
    "digit": ("digit", "digits"),
}
"""Nouns that a number in a template may carry: one, many."""

CATALOGUE: Final[dict[str, Text]] = {
    "verbatim": Text("{text}"),
    **INPUT_TEXTS,
    **ROW_TEXTS,
    **JOB_TEXTS,
    **LEDGER_TEXTS,
    **SENDING_TEXTS,
    **RUN_TEXTS,
    **CONTROL_TEXTS,
    **REPORT_TEXTS,
    **MONITORING_TEXTS,
    **MAINTENANCE_TEXTS,
    **SANDBOX_TEXTS,
    **REASON_TEXTS,
}
