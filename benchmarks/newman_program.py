"""Find or download newman, the runner of Postman, and run it over a CSV with the same request and check."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.processes import TOKEN, ProcessResult, measure_program

_INSTALL_S = 300.0
_BODY = {
    "token": TOKEN,
    "id": 3,
    "matching": "email",
    "email": "{{email}}",
    "content": {"first_name": "{{first_name}}"},
}
_LOOK = 'pm.test("accepted", () => pm.expect(pm.response.json().error).to.eql(0));'


class NoNewman(Exception):
    """It is not here and cannot be had; the text says why."""


@contextmanager
def newman_program() -> Iterator[str]:
    """Find newman, or have npm fetch it into a folder that is removed with the block.

    Raises:
        NoNewman: neither is there.
    """
    if found := shutil.which("newman"):
        yield found
        return
    npm = shutil.which("npm")
    if npm is None:
        raise NoNewman("newman is not installed")
    with tempfile.TemporaryDirectory(prefix="batch-enroll-newman-") as name:
        sys.stderr.write("newman: not installed; npm fetches it into a temporary folder.\n")
        words = [npm, "install", "--prefix", name, "--no-audit", "--no-fund", "--loglevel", "error", "newman"]
        try:
            subprocess.run(words, check=True, capture_output=True, timeout=_INSTALL_S)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            raise NoNewman("newman is not installed, and npm could not fetch it") from None
        yield str(Path(name) / "node_modules" / ".bin" / "newman")


def newman_run(program: str, source: Path, url: str) -> ProcessResult:
    """Send every row of a CSV, one after the other.

    Raises:
        SystemExit: a row was not accepted.
    """
    with tempfile.TemporaryDirectory(prefix="batch-enroll-collection-") as name:
        collection = Path(name) / "collection.json"
        collection.write_text(json.dumps(_collection(url)), encoding="utf-8")
        return measure_program(program, "run", str(collection), "--iteration-data", str(source), "--silent")


def _collection(url: str) -> dict[str, object]:
    return {
        "info": {
            "name": "start a scenario",
            "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json",
        },
        "item": [
            {
                "name": "start",
                "event": [{"listen": "test", "script": {"type": "text/javascript", "exec": [_LOOK]}}],
                "request": {
                    "method": "POST",
                    "header": [{"key": "Content-Type", "value": "application/json"}],
                    "body": {"mode": "raw", "raw": json.dumps(_BODY)},
                    "url": f"{url}/api/v1.1/workflows/start",
                },
            }
        ],
    }
