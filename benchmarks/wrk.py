"""wrk, a load generator in C: one thread that repeats a prepared request."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

from benchmarks.processes import TOKEN, measure_program

_BODY = {"token": TOKEN, "id": 3, "matching": "email", "email": "user@example.com", "content": {"first_name": "Anna"}}
_SCRIPT = """\
wrk.method = "POST"
wrk.body = [[{body}]]
wrk.headers["Content-Type"] = "application/json"
"""


def wrk_per_s(url: str, *, in_flight: int, seconds: int) -> float:
    """Say how many requests it had answered in a second.

    Raises:
        SystemExit: some failed, or it printed no rate.
    """
    with tempfile.TemporaryDirectory(prefix="batch-enroll-wrk-") as name:
        script = Path(name) / "post.lua"
        script.write_text(_SCRIPT.format(body=json.dumps(_BODY)), encoding="ascii")
        words = ["wrk", "-t1", f"-c{in_flight}", f"-d{seconds}s", "-s", str(script), f"{url}/api/v1.1/workflows/start"]
        output = measure_program(*words).out
    rate = re.search(r"^Requests/sec:\s+([0-9.]+)", output, re.MULTILINE)
    if rate is None or "Non-2xx" in output or "Socket errors" in output:
        raise SystemExit(f"wrk did not measure:\n{output}")
    return float(rate[1])
