"""Write the tables of docs/settings.md: `python -m batch_enroll.config.settings_reference docs/settings.md`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from batch_enroll.config.settings import SETTINGS, flagged_settings

_END = "<!-- end of table -->"


def with_tables(page: str) -> str:
    """Give the page with the tables of all settings behind its `<!-- table of ... -->` marks."""
    flags = [
        (_code(f"{one.flag} {one.metavar}".strip()), _code(one.key), one.help, one.unit, one.default_text)
        for one in flagged_settings()
    ]
    keys = [
        (_code(one.key), _code(one.variable), one.help, one.unit, one.default_text) for one in SETTINGS if not one.flag
    ]
    page = _replace(page, "<!-- table of flags -->", ("flag", "in the job file"), flags)
    return _replace(page, "<!-- table of keys without a flag -->", ("in the job file", "variable"), keys)


def _replace(page: str, mark: str, first: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    before, _, rest = page.partition(mark)
    titles = (*first, "meaning", "unit or values", "default")
    cells = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    lines = [titles, ("---",) * len(titles), *cells]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{before}{mark}\n{table}\n{_END}{rest.partition(_END)[2]}"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(with_tables(file.read_text(encoding="utf-8")), encoding="utf-8")
