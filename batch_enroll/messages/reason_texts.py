"""English texts of messages about codes of rows: why, and what to do."""

from __future__ import annotations

from typing import Final

from batch_enroll.messages.text import Text

REASON_TEXTS: Final[dict[str, Text]] = {}
