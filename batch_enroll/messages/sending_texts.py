"""English texts of messages about requests, answers and the platform."""

from __future__ import annotations

from typing import Final

from batch_enroll.messages.text import Text

SENDING_TEXTS: Final[dict[str, Text]] = {}
