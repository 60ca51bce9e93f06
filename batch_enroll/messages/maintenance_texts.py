"""English texts of messages about history, resolving, pruning, doctor, support bundle."""

from __future__ import annotations

from typing import Final

from batch_enroll.messages.text import Text

MAINTENANCE_TEXTS: Final[dict[str, Text]] = {}
