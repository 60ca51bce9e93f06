"""English texts of messages about job file, flags, variables and secrets (config, cli)."""

from __future__ import annotations

from typing import Final

from batch_enroll.messages.text import Text

JOB_TEXTS: Final[dict[str, Text]] = {}
