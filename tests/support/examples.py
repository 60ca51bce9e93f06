"""How many examples a property test tries: few in the fast tests, all with `--hypothesis-profile thorough`."""

from __future__ import annotations

from hypothesis import settings


def examples(full: int) -> int:
    """Give the share of `full` that the profile in use tries."""
    return max(1, full * settings().max_examples // 100)
