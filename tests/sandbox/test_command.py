"""The command line and the child process of the mock server."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from batch_enroll.errors import JobError
from batch_enroll.sandbox import SandboxSettings, command_line, sandbox_process, serve
from tests.support.sandbox import RawClient, wait_until

SERVE = [sys.executable, "-m", "batch_enroll.sandbox"]


def execute(*flags: str) -> int:
    parser = argparse.ArgumentParser()
    command_line.add_arguments(parser)
    return command_line.execute(parser.parse_args(flags))


def first_line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def listens(url: str) -> bool:
    address = urlsplit(url)
    try:
        socket.create_connection((address.hostname, address.port), timeout=1).close()
    except OSError:
        return False
    return True


def test_command_prints_url_and_ends_on_ctrl_c():
    with subprocess.Popen([*SERVE, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        url = first_line(server)
        assert url.startswith("http://127.0.0.1:")
        assert listens(url)
        server.send_signal(signal.SIGINT)
        rest, talk = server.communicate(timeout=10)
    assert (server.returncode, rest) == (0, "")
    assert "Traceback" not in talk
    for word in (url, "sandbox-token", "#3 ", "Welcome", "skip_in_any_case", "/stats?totals", "batch-enroll run"):
        assert word in talk


@pytest.mark.parametrize(
    "flags",
    [
        ["--faults", "dorp"],
        ["--world", "nowhere.toml"],
        ["--rate", "-1"],
        ["--latency-ms", "20-10"],
        ["--port", "70000"],
    ],
)
def test_invalid_settings_exit_with_2(capsys, flags):
    assert execute(*flags) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1


def test_busy_port_exits_with_2(sandbox_server, capsys):
    assert execute("--port", str(urlsplit(sandbox_server.url).port)) == 2
    assert "is in use. Choose another with --port" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [["--rate", "fast"], ["--latency-ms", "x"], ["--retry-after", "soon"]])
def test_malformed_flag_is_a_usage_error(capsys, flags):
    with pytest.raises(SystemExit) as ending:
        execute(*flags)
    assert ending.value.code == 2
    assert flags[0] in capsys.readouterr().err


def test_child_ends_with_its_block():
    with sandbox_process() as server:
        assert listens(server.url)
    assert not listens(server.url)


def test_child_that_cannot_start_raises(tmp_path):
    with pytest.raises(JobError), sandbox_process(SandboxSettings(world_file=tmp_path / "nowhere.toml")):
        pass


def test_child_outlives_ctrl_c():
    with sandbox_process() as server:
        os.kill(server.pid, signal.SIGINT)
        with RawClient(server) as client:
            assert client.start().json["error"] == 0


def test_child_ends_when_its_parent_is_killed():
    script = (
        "import time\nfrom batch_enroll.sandbox import sandbox_process\n"
        "with sandbox_process() as server:\n    print(server.url, flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        url = first_line(parent)
        assert listens(url)
        parent.kill()
    wait_until(lambda: not listens(url))


def test_serve_in_this_process_ends_when_cancelled():
    async def serve_until_started() -> str:
        started: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(serve(SandboxSettings(), started=started.set_result))
        url = await started
        assert await asyncio.to_thread(listens, url)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        return url

    assert not listens(asyncio.run(serve_until_started()))
