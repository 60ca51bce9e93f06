"""The command line of batch_enroll."""

from __future__ import annotations

import gc
import signal
import sys

_COLLECT_AFTER = (20_000, 20, 50)  #: rows are many small values that die at once; looking for circles finds none


def entry_point() -> None:
    """Run the command that the shell gave and exit with its code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # while it only starts up or goes, Ctrl-C ends it without a word

    from batch_enroll.cli.console import open_standard_streams
    from batch_enroll.cli.main import main

    open_standard_streams()
    gc.set_threshold(*_COLLECT_AFTER)
    sys.exit(main(sys.argv[1:]))
