"""Two starts at once through the command line: of one job, and to one scenario."""

from __future__ import annotations

import signal

from tests.support.input_files import enrolled, flags, group, lay
from tests.support.sandbox import wait_until


def test_active_job_is_not_started_again_with_another_input(cli, sandbox):
    server = sandbox(latency_s=(0.3, 0.3))
    lay(cli.folder / "a.csv", *group("a", 30))
    lay(cli.folder / "b.csv", *group("b"))
    (cli.folder / "nightly.toml").write_text("")
    first = cli.start("run", "a.csv", "--job", "nightly.toml", *flags(server), "--concurrency", "1")
    try:
        wait_until(lambda: bool(server.enrolments()))
        second = cli("run", "b.csv", "--job", cli.folder / "nightly.toml", *flags(server))
        assert second.code == 5
        assert f"Job nightly.toml is being worked on by process {first.pid}" in second.err
        other = cli("run", "b.csv", *flags(server), "--scenario", "5")
        assert other.code == 0, other.err
    finally:
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=60)
    assert cli("run", "a.csv", "--job", "nightly.toml", *flags(server), "--limit", "1").code == 0


def test_two_runs_to_one_scenario_are_sequential(cli, sandbox):
    server = sandbox(latency_s=(0.3, 0.3))
    lay(cli.folder / "a.csv", *group("a", 20))
    lay(cli.folder / "b.csv", *group("a", 20)[::-1], ("more@example.com", ""))
    command = (*flags(server), "--concurrency", "1")
    first = cli.start("run", "a.csv", *command)
    try:
        wait_until(lambda: bool(server.enrolments()))
        second = cli("run", "b.csv", *command)
        assert second.code == 5
        assert str(first.pid) in second.err
    finally:
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=60)
    server.control(latency_s=(0.0, 0.0))
    assert cli("run", "b.csv", *command).code == 0
    rest = cli("run", "a.csv", *command, "--json")
    assert rest.code == 0
    assert rest.json["counts"]["skipped"] > 0
    assert len(enrolled(server)) == 21
