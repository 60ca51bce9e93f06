"""English texts of messages about results and other output files."""

from __future__ import annotations

from typing import Final

from batch_enroll.messages.text import Text

REPORT_TEXTS: Final[dict[str, Text]] = {}
