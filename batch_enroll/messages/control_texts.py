"""English texts of messages about runtime control of a run."""

from __future__ import annotations

from typing import Final

from batch_enroll.messages.text import Text

CONTROL_TEXTS: Final[dict[str, Text]] = {}
