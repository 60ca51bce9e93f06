"""English texts of messages about job file, flags, variables and secrets (config, cli)."""

from __future__ import annotations

from typing import Final

from batch_enroll.messages.text import Text

JOB_TEXTS: Final[dict[str, Text]] = {
    # Flags and variables. `place` is where the person wrote the value: `--match`, `BATCH_ENROLL_MATCH`.
    "job.not_yes_or_no": Text("{place}: '{text}' is neither yes nor no."),
    "job.match_without_column": Text(
        "{place}: '{text}' has no column.", "Write MODE=COLUMN, for example email=E-mail."
    ),
    "job.content_without_column": Text(
        "{place}: '{text}' is not NAME=COLUMN.", "For example {setting:content} first_name='First name'."
    ),
}
