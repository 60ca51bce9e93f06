"""A short hunt with the tests; `python -m tests.fuzz.commands` hunts for as long as you like."""

from __future__ import annotations

import subprocess
import sys


def test_whatever_is_said_the_command_line_ends_with_an_exit_code_and_a_sentence():
    words = ("-m", "tests.fuzz.commands", "--most", "250", "--seconds", "100", "--seed", "25")
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
