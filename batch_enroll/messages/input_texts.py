"""English texts of messages about reading the input (loading)."""

from __future__ import annotations

from typing import Final

from batch_enroll.messages.text import Text

INPUT_TEXTS: Final[dict[str, Text]] = {}
