"""One sandbox from its start to its end, for the command.

In: `SandboxSettings`. Out: a return when it was told to end, by Ctrl-C or by the end of standard input. Never: talk.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable

from batch_enroll.sandbox.sandbox_settings import SandboxSettings
from batch_enroll.sandbox.server import serve


def run_until_interrupt(settings: SandboxSettings, *, started: Callable[[str], None]) -> None:
    """Serve until Ctrl-C. Arguments and errors: `serve`."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(settings, started=started))


def run_until_stdin_closes(settings: SandboxSettings, *, started: Callable[[str], None]) -> None:
    """Serve for the process at the other end of standard input, and through a Ctrl-C that is meant for that one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_serve_until_stdin_closes(settings, started))


async def _serve_until_stdin_closes(settings: SandboxSettings, started: Callable[[str], None]) -> None:
    loop, serving = asyncio.get_running_loop(), asyncio.current_task()
    assert serving is not None

    def watch() -> None:
        while os.read(0, 1024):  # not sys.stdin: a thread that waits inside it would trip the interpreter's end
            pass
        loop.call_soon_threadsafe(serving.cancel)

    threading.Thread(target=watch, daemon=True).start()
    await serve(settings, started=started)
