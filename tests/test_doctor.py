"""`batch-enroll doctor`: each question, answered well and badly."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import ssl
import subprocess
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.certificates import self_signed
from tests.support.commands import people, write_csv
from tests.support.sandbox import wait_until
from tests.support.small_platform import small_platform

JOB = ("--scenario", "3", "--match", "email=email")
NO_TOKEN = {"BATCH_ENROLL_TOKEN": ""}
LEDGER = Path("batch-enroll") / "ledger.sqlite"


@pytest.fixture
def doctor(cli):
    """Gives the exit code and the findings by name; of several with one name, the last."""

    def examine(*words, **environment):
        ended = cli("doctor", *words, "--json", **environment)
        told = json.loads(ended.out)
        assert told["exit_code"] == ended.code
        return ended.code, {one["name"]: (one["level"], one["message"], one["advice"]) for one in told["findings"]}

    return examine


def test_doctor_finds_no_problem_when_the_platform_answers(doctor, cli, sandbox):
    server = sandbox()
    code, found = doctor("--url", server.url, *JOB)

    assert code == 0
    assert {name for name, (level, *_) in found.items() if level != "ok"} == set()
    assert found["clock"] == ("ok", "this machine and the platform agree on the time", "")
    assert "found in the variable BATCH_ENROLL_TOKEN" in found["token"][1]
    assert "3 (Welcome) is active" in found["scenario"][1]
    assert "will be made by the first run" in found["ledger"][1]
    assert "on disk after" in found["fsync"][1]
    assert not (Path(os.environ["XDG_DATA_HOME"]) / LEDGER).exists(), "looking makes nothing"
    assert server.enrolments() == {}
    printed = cli("doctor", "--url", server.url, *JOB)
    assert printed.code == 0
    assert len(printed.out.splitlines()) == len(found) + 2, "one line each, a blank and the sum"
    assert "sandbox-token" not in printed.out + printed.err


def test_without_a_job_the_platform_check_is_skipped(doctor):
    code, found = doctor(**NO_TOKEN)

    assert code == 0
    assert {name for name, (level, *_) in found.items() if level == "skipped"} == {
        "job",
        "token",
        "platform",
        "scenario",
        "clock",
    }
    assert "--job FILE" in found["job"][1]
    assert found["versions"][0] == found["libraries"][0] == "ok"
    assert sqlite3.sqlite_version in found["ledger"][1]


def test_extras_are_listed_by_name(doctor):
    _, found = doctor(**NO_TOKEN)

    assert "password: installed" in found["extras"][1]


def test_missing_packages_are_named_with_the_command_that_installs_them(doctor, monkeypatch):
    """No index has the program: the packages themselves are named, for this very Python."""
    needed = ["anyio>=4", "gone>=1", 'fsspec[http,sftp]>=2025; extra == "remote"', "nowhere[x]>=1; extra == 'remote'"]
    needed.append("lost>=3 ; extra == 'notify'")
    monkeypatch.setattr("batch_enroll.installed_versions.distribution", lambda name: SimpleNamespace(requires=needed))
    monkeypatch.setattr("sys.executable", "/opt/my python/bin/python3")
    code, found = doctor(**NO_TOKEN)
    assert code == 2
    assert found["libraries"][:2] == ("problem", "Not installed: gone.")
    assert found["libraries"][2] == "Install them: '/opt/my python/bin/python3' -m pip install gone"
    assert found["extras"][1].endswith(": '/opt/my python/bin/python3' -m pip install 'nowhere[x]' lost")
    assert "remote: not installed" in found["extras"][1]


def test_invalid_job_file_does_not_stop_the_other_checks(doctor, cli):
    (cli.folder / "bad.toml").write_text('url = "https://example.com"\nscenario = "three"\n')

    code, found = doctor("--job", "bad.toml")

    assert code == 2
    level, message, _ = found["job"]
    assert level == "problem"
    assert "scenario" in message
    assert found["platform"][0] == "skipped"
    assert found["disk"][0] == "ok"


def test_missing_token_is_a_problem_with_a_job(doctor, sandbox):
    code, found = doctor("--url", sandbox().url, *JOB, **NO_TOKEN)

    assert code == 2
    assert found["token"][0] == "problem"
    assert "--token-file" in found["token"][2]
    assert found["platform"] == ("skipped", "Not checked: there is no token.", "")


@pytest.mark.skipif(os.name == "nt", reason="permissions are another thing there")
def test_token_file_readable_by_others_is_a_warning(doctor, cli, sandbox):
    file = cli.folder / "token.txt"
    file.write_text("sandbox-token\n")
    words = ("--url", sandbox().url, *JOB, "--token-file", file)

    file.chmod(0o600)
    assert doctor(*words, **NO_TOKEN)[1]["token"] == ("ok", f"found in the file {file}", "")
    file.chmod(0o644)
    code, found = doctor(*words, **NO_TOKEN)

    assert code == 0
    assert found["token"][0] == "warning"
    assert found["token"][2] == f"chmod 600 {file}"
    assert doctor(*words)[1]["token"][0] == "ok", "the variable goes first, so the file does not matter"


def test_refused_token_is_a_problem_and_is_not_shown(doctor, cli, sandbox):
    code, found = doctor("--url", sandbox().url, *JOB, BATCH_ENROLL_TOKEN="0123456789abcdef-wrong")

    assert code == 2
    assert found["platform"][0] == "ok", "it can be reached"
    assert found["scenario"][0] == "problem"
    assert "refused the token" in found["scenario"][1]
    assert "0123456789abcdef-wrong" not in json.dumps(found)


def test_missing_scenario_is_a_problem(doctor, sandbox):
    code, found = doctor("--url", sandbox().url, "--scenario", "4711", "--match", "email=email")

    assert code == 2
    assert "There is no scenario 4711" in found["scenario"][1]


def test_unreachable_address_is_a_problem(doctor):
    code, found = doctor("--url", "http://127.0.0.1:9", *JOB)

    assert code == 2
    assert found["platform"][0] == "problem"
    assert "connection_refused" in found["platform"][1]
    assert found["scenario"][0] == found["clock"][0] == "skipped"


@pytest.mark.parametrize(
    ("ahead", "level", "said"),
    [
        (timedelta(0), "ok", "agree on the time"),
        (timedelta(seconds=3), "ok", "agree on the time"),
        (timedelta(hours=1), "warning", "behind the platform"),
        (timedelta(seconds=-90), "warning", "ahead of the platform"),
    ],
)
def test_clock_is_compared_with_the_platform(doctor, ahead, level, said):
    with small_platform(ahead=ahead) as url:
        code, found = doctor("--url", url, *JOB)

    assert code == 0
    assert found["clock"][0] == level
    assert said in found["clock"][1]


@pytest.mark.parametrize(("days", "level"), [(365, "ok"), (3, "warning")])
def test_certificate_is_checked(doctor, tmp_path, days, level):
    certificate = self_signed(tmp_path / "certificate.pem", days=days)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)

    with small_platform(tls=tls) as url:
        code, found = doctor("--url", url, *JOB, SSL_CERT_FILE=str(certificate))
        untrusted = doctor("--url", url, *JOB)

    assert code == 0
    assert found["platform"][0] == level
    assert "by TLSv1." in found["platform"][1]
    assert untrusted[0] == 2
    assert "certificate_untrusted" in untrusted[1]["platform"][1]


def test_unfinished_runs_of_the_job_come_first(cli, sandbox):
    """Also when more others are unfinished than are listed."""
    server = sandbox(faults="token_revoked@1+")
    for job in ("own", *map(str, range(6))):
        (cli.folder / f"{job}.toml").write_text(
            f'url = "{server.url}"\nscenario = 3\n[match]\nmode = "email"\ncolumn = "email"\n'
        )
        source = write_csv(cli.folder / f"{job}.csv", *people(3, domain=f"{job}.example.org"))
        stopped = cli("run", source, "--job", f"{job}.toml", "--skip-preflight", "--concurrency", "1", "--yes")
        assert stopped.code == 3, stopped.err
    lines = [line for line in cli("doctor", "--job", "own.toml").out.splitlines() if "leftovers" in line]
    ((run, about),) = re.findall(r"run (\w+) of this job \((.*?),", lines[0])
    assert about == "own.csv"
    assert not any("of this job" in line for line in lines[1:])
    findings = cli("doctor", "--job", "own.toml", "--json").json
    advice = [one["advice"] for one in findings["findings"] if f"run {run} of this job" in one["message"]]
    assert advice == [f"Resume it with `batch-enroll resume {run} --job {cli.folder / 'own.toml'}`."]


def test_active_run_is_no_leftover(cli, sandbox):
    server = sandbox()
    source = write_csv(cli.folder / "a.csv", *people(30))
    process = cli.start("run", source, "--url", server.url, *JOB, "--rate", "2", "--yes")
    wait_until(server.enrolments, timeout_s=60)
    assert "no unfinished run, no unknown row" in cli("doctor").out
    process.kill()
    process.wait()
    assert "is unfinished: " in cli("doctor").out


def test_leftover_files_are_listed_with_advice(doctor, cli, sandbox):
    server = sandbox(faults="drop_after_acting@1")
    words = ("--url", server.url, *JOB, "--rate", "none")
    doubtful = cli("run", write_csv(cli.folder / "a.csv", *people(3)), *words, "--json")
    assert doubtful.code == 4
    stopped = cli(
        *("run", write_csv(cli.folder / "b.csv", *people(4, domain="example.org")), *words),
        *("--rate", "0.5", "--concurrency", "1", "--deadline", "1s", "--json"),
    )
    assert stopped.code == 3

    ended = cli("doctor", **NO_TOKEN)

    assert ended.code == 0
    lines = [line for line in ended.out.splitlines() if "leftovers" in line]
    assert len(lines) == 2
    assert f"batch-enroll resolve {doubtful.json['run']}" in lines[1]
    assert f"run {stopped.json['run']} (b.csv" in lines[0]
    assert "2 runs" in ended.out


@pytest.mark.slow
@pytest.mark.parametrize(("at", "many"), [(0, 4096), (8, 2)], ids=["a page", "a pointer"])
def test_damaged_index_is_a_problem(doctor, cli, sandbox, at, many):
    cli("run", write_csv(cli.folder / "a.csv", *people(3000)), "--url", sandbox().url, *JOB, "--rate", "none")
    ledger = Path(os.environ["XDG_DATA_HOME"]) / LEDGER
    assert doctor(**NO_TOKEN)[1]["ledger"][0] == "ok"
    whole = ledger.read_bytes()
    begin = len(whole) // 2 // 4096 * 4096 + at
    ledger.write_bytes(whole[:begin] + b"\x01" * many + whole[begin + many :])

    code, found = doctor(**NO_TOKEN)

    assert code == 2
    assert found["ledger"][0] == "problem"
    assert "is damaged" in found["ledger"][1]


def test_missing_salt_and_missing_run_are_problems(doctor, cli, sandbox):
    cli("run", write_csv(cli.folder / "a.csv", *people(3)), "--url", sandbox().url, *JOB, "--rate", "none")
    ledger = Path(os.environ["XDG_DATA_HOME"]) / LEDGER
    salt = ledger.with_suffix(".salt")
    kept = salt.read_bytes()

    salt.unlink()
    code, found = doctor(**NO_TOKEN)
    assert code == 2
    assert "would not be recognised" in found["ledger"][1]
    salt.write_bytes(kept)
    shutil.rmtree(ledger.with_name(ledger.name + ".runs"))
    code, found = doctor(**NO_TOKEN)
    assert code == 2
    assert "are gone" in found["ledger"][1]


def test_restored_older_ledger_is_a_problem(doctor, cli, sandbox):
    url = sandbox().url
    cli("run", write_csv(cli.folder / "a.csv", *people(3)), "--url", url, *JOB, "--rate", "none")
    ledger = Path(os.environ["XDG_DATA_HOME"]) / LEDGER
    backup = ledger.read_bytes()
    cli("run", write_csv(cli.folder / "b.csv", *people(4)), "--url", url, *JOB, "--rate", "none")
    ledger.write_bytes(backup)

    code, found = doctor(**NO_TOKEN)

    assert code == 2
    assert "is older than the one that was used here last" in found["ledger"][1]


def test_unwritable_ledger_location_is_a_problem(doctor, cli):
    (cli.folder / "file").write_text("no folder")

    code, found = doctor("--ledger", "file/ledger.sqlite", **NO_TOKEN)

    assert code == 2
    assert found["ledger"][0] == "problem"
    assert found["ledger"][2]


def test_in_memory_ledger_is_a_warning(doctor):
    memory = Path("/dev/shm")
    kind = subprocess.run(
        ["stat", "-f", "-c", "%T", memory], capture_output=True, text=True, check=False
    ).stdout.strip()
    if kind != "tmpfs":
        pytest.skip("there is no file system in memory here")

    code, found = doctor("--ledger", memory / "nobody" / "ledger.sqlite", **NO_TOKEN)

    assert code == 0
    assert found["disk"][0] == "warning"
    assert "a restart loses it" in found["disk"][1]
    assert not (memory / "nobody").exists()
