"""A command that is printed as the next step works when it is pasted into a shell."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from batch_enroll.cli.main import COMMANDS, build_parser
from batch_enroll.cli.wording import CliWording
from batch_enroll.messages import quoted
from tests.support.commands import people, write_csv
from tests.support.input_files import enrolled

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
ROWS = 9
FLAGS = ("--job", "my job's.toml", "--profile", "the test", "--ledger", "a ledger/my ledger.sqlite")
SAFE = ("--rate", "none", "--concurrency", "1", "--yes")


@pytest.fixture
def stopped(cli, sandbox):
    """A run whose job, profile and ledger hold spaces and a quote, stopped by the platform after three rows."""
    server = sandbox(faults="token_revoked@4+")
    (cli.folder / "my job's.toml").write_text(
        f'url = "{server.url}"\nscenario = 3\n[match]\nmode = "email"\ncolumn = "email"\n'
        '[profile."the test"]\nsend.rate = 100\n'
    )
    write_csv(cli.folder / "in.csv", *people(ROWS))
    ended = cli("run", "in.csv", *FLAGS, *SAFE)
    assert ended.code == 3, ended.err
    server.control(faults="", token_revoked=False)
    (run,) = re.findall(r"Run (\w+) stopped", ended.err)
    return run, ended.err, server


def printed(text, command):
    """The one command of this name in a text, alone on its line or between backticks."""
    found = re.findall(
        rf"^\s*(batch-enroll {command} .*)$|`(batch-enroll {command} [^`]*)`|: (batch-enroll {command} .*)$", text, re.M
    )
    (line,) = {next(filter(None, groups)) for groups in found}
    return line


def check_resumes(cli, server, line):
    ended = cli.paste(line + " --rate none")
    assert ended.code == 0, ended.err
    assert len(enrolled(server)) == ROWS


def test_next_step_of_a_stopped_run(cli, stopped):
    run, err, server = stopped
    line = printed(err, "resume")
    assert line.startswith(f"batch-enroll resume {run} --job ")
    check_resumes(cli, server, line)


@pytest.mark.parametrize(
    "words",
    [("pause",), ("show",), ("doctor", None), ("prune", None, "--older-than", "0d"), ("check", None, "in.csv", *SAFE)],
    ids=lambda words: words[0],
)
def test_every_command_that_looks_at_a_stopped_run(cli, stopped, words):
    run, _, server = stopped
    name, *more = words
    if name == "check":  # the file was replaced
        write_csv(cli.folder / "in.csv", *people(2, domain="example.org"))
    ended = cli(name, *([run] if not more else more[1:]), *FLAGS)
    (cli.folder / "elsewhere").mkdir()
    cli.folder = cli.folder / "elsewhere"  # a command is pasted anywhere
    check_resumes(cli, server, printed(ended.err + ended.out, "resume"))


def test_job_and_ledger_of_variables_are_printed(cli, stopped, monkeypatch):
    run, _, server = stopped
    names = ("BATCH_ENROLL_JOB", "BATCH_ENROLL_PROFILE", "BATCH_ENROLL_LEDGER")
    told = cli("pause", run, **dict(zip(names, FLAGS[1::2], strict=True)))
    check_resumes(cli, server, printed(told.err, "resume"))


def test_token_file_is_printed(cli, stopped):
    run, _, server = stopped
    (cli.folder / "my token.txt").write_text("sandbox-token")
    server.control(faults="token_revoked@2+")
    ended = cli("resume", run, *FLAGS, *SAFE, "--token-file", "my token.txt", BATCH_ENROLL_TOKEN="")
    assert f"--token-file '{cli.folder / 'my token.txt'}'" in printed(ended.err, "resume")


def test_commands_in_other_texts(cli, stopped):
    missing = cli("show", "ffffffff", *FLAGS)
    assert cli.paste(printed(missing.err, "runs")).code == 0
    with_input = cli("run", "in.csv", *FLAGS, *SAFE, "--plan", "in.csv")
    assert printed(with_input.err, "check").startswith(f"batch-enroll check {cli.folder / 'in.csv'} --save FILE --job ")


def test_a_password_is_not_printed(cli):
    told = cli("show", "ffffffff", "--ledger", "postgresql://anna:pass-word@db/x")
    assert (told.code, "pass-word" in told.err) == (2, False)


def test_a_printed_command_has_only_flags_that_it_takes():
    parser = build_parser()
    (commands,) = [action.choices for action in parser._actions if isinstance(action.choices, dict)]
    args = parser.parse_args(["run", "in.csv", "--ledger", "l", "--token-file", "t"])
    for name in COMMANDS:
        page, line = commands[name].format_help(), CliWording(args).command_line(name)
        assert ("--ledger FILE" in page) is (f"--ledger {Path('l').absolute()}" in line), name
        assert ("--token-file FILE" in page) is (f"--token-file {Path('t').absolute()}" in line), name


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("leads.csv", "leads.csv"),
        ("C:\\leads\\in.csv", "C:\\leads\\in.csv"),
        ("C:\\my leads\\", '"C:\\my leads\\\\"'),
        ("it's.csv", '"it\'s.csv"'),
        ("a,b.csv", '"a,b.csv"'),
        ("a&b.csv", '"a&b.csv"'),
    ],
)
def test_quotes_for_windows(word, expected):
    assert quoted(["run", word], windows=True) == f"run {expected}"


def test_failed_file_is_run_again_by_the_printed_command(cli, sandbox):
    server = sandbox()
    write_csv(cli.folder / "my leads.csv", *people(2), ("no address", "Nobody"))
    words = ("--url", server.url, "--scenario", "3", "--match", "email=email", "--content", "first_name=first_name")
    ended = cli("run", "my leads.csv", *words, "--yes", "--rate", "none", "--results", "my out.csv")
    line = printed(ended.err, "run")
    failed = cli.folder / "my out.failed.csv"
    failed.write_text(failed.read_text(encoding="utf-8-sig").replace("no address", "nadia@example.com"))
    again = cli.paste(f"{line} --yes --rate none")
    assert again.code == 0, again.err
    assert server.enrolments()["email:nadia@example.com"] == 1
