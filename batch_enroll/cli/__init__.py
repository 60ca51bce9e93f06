"""The command line: a thin face of the same run."""

from __future__ import annotations

import sys


def entry_point() -> None:
    """Run the command that the shell gave and exit with its code."""
    from batch_enroll.cli.main import main

    sys.exit(main(sys.argv[1:]))
