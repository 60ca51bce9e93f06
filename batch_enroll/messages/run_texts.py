"""English texts of messages about plan, limits, approval, canary and stop reasons."""

from __future__ import annotations

from typing import Final

from batch_enroll.messages.text import Text

RUN_TEXTS: Final[dict[str, Text]] = {}
