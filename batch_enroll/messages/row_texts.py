"""English texts of messages about problems of single rows (loading, mapping)."""

from __future__ import annotations

from typing import Final

from batch_enroll.messages.text import Text

ROW_TEXTS: Final[dict[str, Text]] = {}
