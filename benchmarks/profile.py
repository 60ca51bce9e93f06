"""Draw a flame graph of a run with py-spy, a hundred samples a second."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.machine import CLIENT_CORES, SERVER_CORES, on_cores
from benchmarks.nginx_server import cheap_server
from benchmarks.processes import ENVIRONMENT, people, run_words

_MOST_S = 1_800.0


def record(out: Path, *, rows: int) -> None:
    """Run so many rows from start to end and draw where their time went, each thread apart.

    Raises:
        SystemExit: py-spy is missing, or may not look at processes here, or the run failed.
    """
    program = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if program is None:
        raise SystemExit("The profile needs py-spy: pip install py-spy, then again.")
    with (
        people(rows) as source,
        cheap_server(SERVER_CORES) as server,
        tempfile.TemporaryDirectory(prefix="batch-enroll-profile-") as folder,
        on_cores(CLIENT_CORES),
    ):
        words = run_words(source, server.url, in_flight=64, folder=Path(folder))
        recorder = [program, "record", "--rate", "100", "--threads", "--output", str(out)]
        process = subprocess.Popen(
            [*recorder, "--", sys.executable, *words],
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=_MOST_S)
        except subprocess.TimeoutExpired:
            raise SystemExit(f"The run took longer than {_MOST_S:.0f} s and was ended.") from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # py-spy and the run that it started
                process.wait()
    if process.returncode != 0 or not out.exists():
        raise SystemExit(f"py-spy did not record:\n{output.decode()[-2000:]}")
