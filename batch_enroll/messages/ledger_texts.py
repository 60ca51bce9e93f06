"""English texts of messages about the ledger and kept rows."""

from __future__ import annotations

from typing import Final

from batch_enroll.messages.message_text import Text

LEDGER_TEXTS: Final[dict[str, Text]] = {}
