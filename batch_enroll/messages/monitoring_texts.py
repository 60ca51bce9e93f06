"""English texts of messages about status, metrics, notifications and heartbeat."""

from __future__ import annotations

from typing import Final

from batch_enroll.messages.text import Text

MONITORING_TEXTS: Final[dict[str, Text]] = {}
