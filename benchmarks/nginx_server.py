"""An nginx on 127.0.0.1 that accepts every request and costs much less CPU than any client."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import on_cores

_PORTS = range(20_000, 32_768)  #: below those that the system gives to clients
_START_S = 5.0
_END_S = 5.0
_CONFIG = """\
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    log_format moment '$msec';
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    default_type application/json;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ return 200 '{{"error":0,"error_text":"ok"}}'; }}
        location /timed/ {{ access_log moments.log moment; return 200 '{{"error":0,"error_text":"ok"}}'; }}
    }}
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListeningServer:
    """A server that listens."""

    url: str
    timed_url: str  #: the same, but the moment of each request is written down
    moments: Path  #: there: seconds since 1970, a line for each request


@contextmanager
def cheap_server(cores: set[int]) -> Iterator[ListeningServer]:
    """Start nginx on these cores, wait until it listens, and end it with the block."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise SystemExit("The benchmarks need nginx as a cheap server: apt-get install nginx-light, then again.")
    with tempfile.TemporaryDirectory(prefix="batch-enroll-nginx-") as name:
        folder, port = Path(name), _free_port()
        (folder / "nginx.conf").write_text(_CONFIG.format(port=port), encoding="ascii")
        with on_cores(cores):
            process = subprocess.Popen([program, "-p", name, "-c", "nginx.conf", "-e", "stderr"])
        try:
            _wait_for(process, port)
            url = f"http://127.0.0.1:{port}"
            yield ListeningServer(url=url, timed_url=f"{url}/timed", moments=folder / "moments.log")
        finally:
            process.terminate()
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    for port in random.sample(_PORTS, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise SystemExit("No free port was found for the server.")


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise SystemExit("nginx did not start; its output stands above.")
