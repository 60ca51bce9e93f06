"""English texts of messages about the mock server."""

from __future__ import annotations

from typing import Final

from batch_enroll.messages.text import Text

SANDBOX_TEXTS: Final[dict[str, Text]] = {}
