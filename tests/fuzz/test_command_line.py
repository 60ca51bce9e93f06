"""A short fuzzing run; `python -m tests.fuzz.command_line` runs longer ones."""

from __future__ import annotations

import subprocess
import sys


def test_random_commands_end_with_an_exit_code():
    words = ("-m", "tests.fuzz.command_line", "--most", "250", "--seconds", "100", "--seed", "25")
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
