"""Notifications and heartbeats through the command line."""

from __future__ import annotations

import json
import shlex
import signal
import sys
import time

import pytest

from tests.support.commands import people, write_csv
from tests.support.terminal import Terminal

SECRET = "f3e1-secret-path"
FLAGS = ("--scenario", "3", "--match", "email=email", "--rate", "none", "--concurrency", "1", "--name", "nightly")


@pytest.fixture
def job(cli, sandbox, receiver):
    """Runs a job that tells the receiver, in the sandbox with these faults; gives how it ended and what was told."""

    def run(*words, rows=(), faults="", on="finish,stop,unknown", **environment):
        server = sandbox(faults=faults)
        source = write_csv(cli.folder / "in.csv", *(rows or people(3)))
        ended = cli(
            "run",
            source,
            *("--url", server.url, *FLAGS, "--notify-on", on),
            *words,
            **{
                "BATCH_ENROLL_NOTIFY": f"json://{receiver.address}/{SECRET}",
                "BATCH_ENROLL_HEARTBEAT": f"http://{receiver.address}/ping/{SECRET}",
                **environment,
            },
        )
        messages = [told.json for told in receiver.requests if told.path == f"/{SECRET}"]
        beats = [told for told in receiver.requests if told.path.startswith("/ping/")]
        assert SECRET not in ended.out + ended.err
        for path in cli.folder.rglob("*"):
            assert path.is_dir() or SECRET.encode() not in path.read_bytes(), path
        return ended, messages, beats

    return run


def test_success_notification_has_the_counts(job):
    ended, (message,), beats = job("--json")
    assert ended.code == 0, ended.err
    assert message["title"] == "batch-enroll nightly: finished"
    assert message["type"] == "success"
    assert f"Scenario #3, run {ended.json['run']}, input in.csv" in message["message"]
    assert "3 success; 3 rows in" in message["message"]
    assert "Exit code 0: every row is success or skipped." in message["message"]
    assert [beat.path for beat in beats] == [f"/ping/{SECRET}/start", f"/ping/{SECRET}"]
    assert beats[1].body == message["message"]


def test_refused_rows_are_a_success_with_a_warning(job):
    ended, (message,), beats = job(rows=[*people(2), ("nobody@example.com", ""), ("Total: 41", "")])
    assert ended.code == 1
    assert message["title"] == "batch-enroll nightly: finished, 2 rows refused"
    assert message["type"] == "warning"
    assert beats[-1].path == f"/ping/{SECRET}"


def test_unknown_rows_notify_and_fail_the_heartbeat(job):
    ended, (message,), beats = job("--json", faults="drop_after_acting@1")
    assert ended.code == 4
    assert message["title"] == "batch-enroll nightly: finished, 1 row unknown"
    assert f"batch-enroll resolve {ended.json['run']}" in message["message"]
    assert beats[-1].path == f"/ping/{SECRET}/fail"


def test_stopped_run_notifies_its_reason(job):
    ended, (message,), beats = job(faults="token_revoked@2+", rows=people(9))
    assert ended.code == 3
    assert message["title"] == "batch-enroll nightly: stopped before the end"
    assert message["type"] == "failure"
    assert "The platform refused the token" in message["message"]
    assert "Next: this resumes the run with" in message["message"]
    assert beats[-1].path == f"/ping/{SECRET}/fail"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--scenario", "11"), "is not active"),
        (("--scenario", "4"), "There is no scenario 4"),
        (("--max-rows", "2"), "allows 2"),
        (("--match", "email=emial"), "emial"),
        (("--rate", "fast"), "'fast' is not a rate"),
        (("--job", "missing.toml"), "missing.toml cannot be read"),
        (("--deadline", "25:00"), "is not a deadline"),
    ],
)
def test_failure_before_sending_notifies(job, words, said):
    ended, (message,), beats = job(*words)
    assert ended.code == 2
    assert message["title"] == "batch-enroll nightly: failed, nothing was sent"
    assert said in message["message"]
    assert "Exit code 2" in message["message"]
    assert [beat.path for beat in beats] == [f"/ping/{SECRET}/start", f"/ping/{SECRET}/fail"]


def test_missing_file_and_missing_token_notify(cli, job, receiver):
    ended, (message,), _ = job(BATCH_ENROLL_TOKEN="")
    assert ended.code == 2
    assert "No API token was given" in message["message"]
    receiver.requests.clear()
    ended = cli(
        "run",
        "gone.csv",
        *("--url", "https://x.example", *FLAGS),
        BATCH_ENROLL_NOTIFY=f"json://{receiver.address}/{SECRET}",
    )
    assert ended.code == 2
    assert "There is no file gone.csv" in receiver.requests[0].json["message"]


def test_invalid_job_file_still_notifies_its_addresses(cli, receiver):
    write_csv(cli.folder / "in.csv", *people(1))
    (cli.folder / "night.toml").write_text(
        f'url = "https://x.example"\nscenaro = 3\n[notify]\nurls = ["json://{receiver.address}/{SECRET}"]\n'
    )
    ended = cli("run", "in.csv", "--job", "night.toml")
    assert ended.code == 2
    assert receiver.requests[0].json["title"] == "batch-enroll night: failed, nothing was sent"
    assert "scenaro is not a known key" in receiver.requests[0].json["message"]


def test_second_start_notifies_and_the_first_continues(cli, job, sandbox, receiver):
    server = sandbox(latency_s=(0.3, 0.3))
    source = write_csv(cli.folder / "in.csv", *people(60))
    flags = ("run", source, "--url", server.url, *FLAGS)
    first = cli.start(*flags)
    try:
        wait_for_starts(server)
        second = cli(*flags, BATCH_ENROLL_NOTIFY=f"json://{receiver.address}/{SECRET}")
        assert second.code == 5, second.err
    finally:
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=60)
    (told,) = receiver.requests
    assert told.json["title"] == "batch-enroll nightly: not started, another process is at work"
    assert first.returncode == 143


@pytest.mark.parametrize(
    ("on", "faults", "heard"),
    [
        ("finish", "", 1),
        ("stop,unknown", "", 0),
        ("stop", "drop_after_acting@1", 0),
        ("unknown", "drop_after_acting@1", 1),
        ("stop", "token_revoked@2+", 1),
        ("finish,unknown", "token_revoked@2+", 0),
    ],
)
def test_only_the_selected_results_notify(job, on, faults, heard):
    _, messages, beats = job(on=on, faults=faults)
    assert len(messages) == heard
    assert len(beats) == 2


def test_notification_has_no_personal_data(job, receiver):
    job(rows=[("anna.karenina@example.com", "Anna"), ("nobody@example.com", "Vronsky"), ("+7 916 123-45-67", "Levin")])
    text = "".join(told.body for told in receiver.requests)
    for personal in ("anna", "@", "Vronsky", "123-45", "Levin"):
        assert personal not in text


def test_notification_omits_quoted_cells(cli, job, receiver):
    """A file without a header: the complaint shows its first row, on the screen and nowhere else."""
    (cli.folder / "raw.csv").write_text("anna.karenina@example.com,Anna\nlevin@example.com,Levin\n")
    environment = {"BATCH_ENROLL_NOTIFY": f"json://{receiver.address}/{SECRET}"}
    words = ("run", "raw.csv", "--url", "https://x.example", *FLAGS, "--status-file", "s.json")
    with Terminal(*words, folder=cli.folder, **environment) as terminal:
        assert terminal.end() == 2
    assert "anna.karenina@example.com" in terminal.seen
    told = receiver.requests[0].body + (cli.folder / "s.json").read_text()
    assert "looks like data" in told
    assert "karenina" not in told
    assert "Anna" not in told


def test_hints_with_cells_are_shown_only_on_the_screen(cli, receiver):
    (cli.folder / "in.csv").write_text("email,name\nanna@example.com,Karenina\n,\n")
    environment = {"BATCH_ENROLL_NOTIFY": f"json://{receiver.address}/{SECRET}"}
    words = ("run", "in.csv", "--url", "https://x.example", *FLAGS, "--header-row", "3")
    with Terminal(*words, folder=cli.folder, **environment) as terminal:
        assert terminal.end() == 2
    assert "Karenina" in terminal.seen
    (told,) = receiver.requests
    assert "named as the header, is empty" in told.json["message"]
    assert "Karenina" not in told.body


def test_addresses_are_read_from_job_file_and_files(cli, sandbox, receiver):
    server = sandbox()
    write_csv(cli.folder / "in.csv", *people(1))
    (cli.folder / "who.txt").write_text(
        f"# the team\njson://{receiver.address}/team\n\njson://{receiver.address}/boss\n"
    )
    (cli.folder / "beat.txt").write_text(f"http://{receiver.address}/beat?key=1\n")
    job = cli.folder / "night.toml"
    job.write_text(
        f'url = "{server.url}"\nscenario = 3\n[match]\nmode = "email"\ncolumn = "email"\n[notify]\n'
        f'urls = ["json://{receiver.address}/me"]\nurls_file = "who.txt"\nheartbeat_file = "beat.txt"\non = "finish"\n'
    )
    for path in cli.folder.iterdir():
        path.chmod(0o600)
    ended = cli("run", "in.csv", "--job", job, "--quiet")
    assert (ended.code, ended.err) == (0, "")
    assert receiver.paths[:2] == ["/beat/start?key=1", "/beat?key=1"]
    assert sorted(receiver.paths[2:]) == ["/boss", "/me", "/team"]
    assert receiver.requests[-1].json["title"].startswith("batch-enroll night: ")
    job.chmod(0o644)
    (cli.folder / "who.txt").chmod(0o640)
    err = cli("run", "in.csv", "--job", job, "--quiet", "--again").err
    assert err.count("Other users of this machine can read") == 2


@pytest.mark.parametrize("how", ["refused", "silent", "gone"])
def test_undelivered_notification_is_one_line(cli, job, receiver, how):
    (cli.folder / "job.toml").write_text("[notify]\ntimeout = 1\n")
    if how == "refused":
        receiver.answer = 500
    elif how == "silent":
        receiver.silent.set()
    else:
        receiver.close()
    ended, _, _ = job("--job", cli.folder / "job.toml", "--quiet", "--json")
    assert ended.code == 0
    assert ended.json["exit_code"] == 0
    lines = ended.err.splitlines()
    assert "The notification over json:// was not delivered" in lines[-1]
    assert all("heartbeat did not reach 127.0.0.1" in line for line in lines[:-1])
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"BATCH_ENROLL_NOTIFY": f"nosuch://{SECRET}"}, "[notify] address 1 (nosuch://…) is not one that apprise"),
        ({"BATCH_ENROLL_NOTIFY": SECRET}, "[notify] address 1 (…://…)"),
        ({"BATCH_ENROLL_HEARTBEAT": SECRET}, "BATCH_ENROLL_HEARTBEAT: this is not an http:// or https:// address"),
        ({"BATCH_ENROLL_NOTIFY_ON": "end"}, "BATCH_ENROLL_NOTIFY_ON"),
        ({"BATCH_ENROLL_NOTIFY_FILE": "gone.txt"}, "gone.txt cannot be read"),
    ],
)
def test_exit_2_for_an_invalid_address(cli, sandbox, environment, said):
    server = sandbox()
    source = write_csv(cli.folder / "in.csv", *people(1))
    for command in ("check", "run"):
        ended = cli(command, source, "--url", server.url, *FLAGS, **environment)
        assert ended.code == 2
        assert said in ended.err
        assert SECRET not in ended.err
    assert not server.totals()["requests"].get("workflows/start")


def test_doctor_checks_addresses_without_sending(cli, sandbox, receiver):
    flags = ("doctor", "--url", sandbox().url, *FLAGS, "--json")
    ended = cli(*flags, BATCH_ENROLL_NOTIFY=f"nosuch://{SECRET}")
    assert ended.code == 2
    assert "address 1 (nosuch://…) is not one that apprise" in ended.out
    assert SECRET not in ended.out + ended.err
    assert cli(*flags, BATCH_ENROLL_NOTIFY=f"json://{receiver.address}/{SECRET}").code == 0
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("library", "words", "said"),
    [
        ("apprise", (), "apprise"),
        ("prometheus_client", ("--metrics-file", "m.prom"), "prometheus-client"),
    ],
)
def test_exit_2_names_the_missing_package(cli, sandbox, library, words, said):
    server = sandbox()
    (cli.folder / f"{library}.py").write_text("raise ImportError('not installed')\n")
    source = write_csv(cli.folder / "in.csv", *people(1))
    # The folder of a script goes before the installed packages, as PYTHONPATH does.
    path = f"{cli.folder}:{__file__.partition('/tests/')[0]}"
    environment = {"BATCH_ENROLL_NOTIFY": "json://127.0.0.1:1/"} if library == "apprise" else {}
    ended = cli("run", source, "--url", server.url, *FLAGS, *words, PYTHONPATH=path, **environment)
    assert ended.code == 2
    assert f"Install it: {shlex.quote(sys.executable)} -m pip install {said}\n" in ended.err
    assert not server.totals()["enrolled_total"]


def test_retry_uses_monitoring_files_and_ledger_holds_no_address(cli, job, sandbox, receiver):
    ended, _, _ = job("--json", faults='[{"fault": "http_429", "identity": "x"}]', rows=[("nobody@example.com", "")])
    run_id = ended.json["run"]
    receiver.requests.clear()
    assert cli("retry", run_id, "--errors").code == 1
    assert receiver.requests == []  # the address was in a variable that is no longer there
    (cli.folder / "who.txt").write_text(f"json://{receiver.address}/{SECRET}\n")
    assert cli("retry", run_id, "--errors", BATCH_ENROLL_NOTIFY_FILE=str(cli.folder / "who.txt")).code == 1
    assert receiver.requests[0].json["title"] == "batch-enroll nightly: finished, 1 row refused"


def wait_for_starts(server):
    give_up = time.monotonic() + 60
    while not server.totals()["requests"].get("workflows/start", 0):
        assert time.monotonic() < give_up, "no request came"
        time.sleep(0.02)


def test_several_inputs_give_one_message_with_a_line_each(cli, sandbox, receiver):
    server = sandbox()
    (cli.folder / "in").mkdir()
    write_csv(cli.folder / "in" / "a.csv", *people(2))
    write_csv(cli.folder / "in" / "b.csv", *people(3, domain="example.org"), ("nobody@example.com", ""))
    (cli.folder / "in" / "c.csv").write_text("anna.karenina@example.com,Anna\n")
    environment = {
        "BATCH_ENROLL_NOTIFY": f"json://{receiver.address}/{SECRET}",
        "BATCH_ENROLL_HEARTBEAT": f"http://{receiver.address}/ping",
    }
    flags = (
        "--url",
        server.url,
        *FLAGS,
        "--ledger",
        "book/ledger.sqlite",
        "--pick",
        "new",
        "--settle",
        "0s",
        "--status-file",
        "s.json",
    )
    ended = cli("run", "in", *flags, "--quiet", **environment)
    assert ended.code == 2, ended.err
    assert receiver.paths == ["/ping/start", "/ping/fail", f"/{SECRET}"]
    message = receiver.requests[-1].json
    assert message["title"] == "batch-enroll nightly: not every input finished, 1 row refused"
    lines = message["message"].splitlines()
    assert lines[0].startswith("Scenario #3, 3 inputs on ")
    assert lines[1].startswith("5 success, 1 error; 6 rows in")
    assert [line.partition(";")[0] for line in lines if line.startswith("- ")] == [
        "- a.csv: exit code 0",
        "- b.csv: exit code 1",
        "- c.csv: exit code 2",
    ]
    assert "karenina" not in message["message"]
    told = json.loads((cli.folder / "s.json").read_text())
    assert (told["exit_code"], told["counts"]["success"], told["counts"]["rows"]) == (2, 5, 6)
    own = [json.loads(path.read_text()) for path in (cli.folder / "book").rglob("status.json")]
    assert sorted((each["input"], each["exit_code"], each["counts"]["rows"]) for each in own) == [
        ("a.csv", 0, 2),
        ("b.csv", 1, 4),
    ]


def test_nothing_new_is_a_success(cli, job):
    assert job()[0].code == 0
    ended, messages, beats = job("--if-changed")
    assert ended.code == 0
    assert messages[-1]["title"] == "batch-enroll nightly: nothing to do"
    assert messages[-1]["type"] == "success"
    assert beats[-1].path == f"/ping/{SECRET}"
