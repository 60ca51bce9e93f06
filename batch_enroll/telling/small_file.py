"""A small file that other programs look at: whole at every moment.

In: a path and what shall stand there. Out: the system's complaint, if it has one. Never: an exception, half a file.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def put_whole(path: Path, content: bytes, *, mode: int | None = None) -> OSError | None:
    """Put a small file in place of the older one; not synced, since the next one comes in a second.

    Args:
        mode: its permissions, whatever the process's mask is; None = as the mask says.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(content)
        if mode is not None:
            partial.chmod(mode)
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        return error
    return None
