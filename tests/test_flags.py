"""Slips in flags, commands and job files: each is one sentence with the nearest right word, and nothing is sent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from batch_enroll.cli.main import COMMANDS, build_parser
from batch_enroll.config.settings import GROUPS, flagged_settings
from batch_enroll.installed_versions import tool_version
from tests.support.commands import people, write_csv

FLAGS = ("--scenario", "3", "--match", "email=email")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("rnu", "in.csv"), "There is no command 'rnu'. Did you mean run?\n              See `batch-enroll --help`"),
        (("frobnicate",), "There is no command 'frobnicate'.\n"),
        (("--rate",), "There is no flag --rate.\n"),
        (("set", "--rate"), "Argument --rate: expected one argument.\n"),
        (
            ("run", "in.csv", "--ratee", "5"),
            "no flag --ratee. Did you mean --rate?\n              See `batch-enroll run",
        ),
        (("show", "x", "--jsn"), "There is no flag --jsn. Did you mean --json?"),
        (("run", "in.csv", "--limit=3", "--xyzzy=1"), "There is no flag --xyzzy.\n"),
        (("run", "in.csv", "b.csv", "c.csv"), "Unexpected argument 'b.csv' 'c.csv'."),
        (("run", "in.csv", "--max-inv", "3"), "There is no flag --max-inv. Did you mean --max-invalid?"),
    ],
)
def test_unknown_word_suggests_the_nearest_known_one(cli, words, said):
    ended = cli(*words)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_version_is_one_line(cli, flag):
    ended = cli(flag)
    assert (ended.code, ended.out, ended.err) == (0, f"batch-enroll {tool_version()}\n", "")


def test_without_a_command_help_is_shown_and_it_is_no_success(cli):
    ended = cli()
    assert (ended.code, ended.err) == (2, "")
    assert ended.out == cli("--help").out


def test_no_flag_may_be_shortened(cli):
    ended = cli("runs", "--jso")
    assert (ended.code, ended.out) == (2, "")
    assert "There is no flag --jso. Did you mean --json?" in ended.err


@pytest.mark.parametrize("value", [("--scenario", "x"), ("--scenario=1.5",)])
def test_init_refuses_a_scenario_that_is_no_number(cli, value):
    write_csv(cli.folder / "in.csv", *people(3))
    ended = cli("init", "in.csv", *value)
    assert (ended.code, ended.out) == (2, "")
    assert "--scenario: '" in ended.err
    assert "is not a whole number.\n" in ended.err
    assert not (cli.folder / "in.toml").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--max-rows", "many"), "--max-rows: 'many' is not a whole number.\n"),
        (("--concurrency", "5000"), "--concurrency: '5000' is too large; the maximum is 1024.\n"),
        (("--concurrency", "0"), "--concurrency: '0' is too small; the minimum is 1.\n"),
        (("--timeout", "0"), "--timeout: '0' is too small; it must be more than 0.\n"),
        (("--timeout", "soon"), "--timeout: 'soon' is not a number.\n"),
        (("--pick", "oldest"), "--pick: 'oldest' is not known; write 'newest' or 'new'.\n"),
        (("--notify-on", "stop,never"), "--notify-on: 'never' is not known; write 'finish', 'stop' or 'unknown'.\n"),
        (("--country", "ru", "--match", "phone=p"), "--country: 'ru' is not a country code; write two capital letters"),
        (("--again", "--if-changed"), "batch-enroll: --again sends what was enrolled before once more, --if-changed"),
        (("--results", "r.csv", "--pick", "new"), "batch-enroll: --results names one file, but --pick new may find"),
    ],
)
def test_wrong_value_is_shown_with_the_expected_form(cli, sandbox, words, said):
    server = sandbox()
    write_csv(cli.folder / "in.csv", *people(3))
    ended = cli("run", "in.csv", "--url", server.url, *FLAGS, *words)
    assert (ended.code, said in ended.err) == (2, True), ended.err
    assert not server.totals()["requests"].get("workflows/start")


@pytest.mark.parametrize("value", ["1", "2", "many"])
@pytest.mark.parametrize("command", ["run", "check"])
def test_processes_is_refused_with_advice(cli, command, value):
    """`--processes` was removed; tests/legacy_ledger has the runs that were made with it."""
    said = "was removed, because one process is faster; delete it."
    write_csv(cli.folder / "in.csv", *people(1))
    job, profile = cli.folder / "job.toml", cli.folder / "profile.toml"
    job.write_text(f"[send]\nprocesses = '{value}'\n", encoding="utf-8")
    profile.write_text(f"[profile.prod.send]\nprocesses = '{value}'\n", encoding="utf-8")
    words = (command, "in.csv", "--url", "http://127.0.0.1:9", *FLAGS)
    for ended, place in (
        (cli(*words, "--processes", value), "--processes"),
        (cli(*words, BATCH_ENROLL_PROCESSES=value), "BATCH_ENROLL_PROCESSES"),
        (cli(*words, "--job", job), f"{job}: [send] processes"),
        (cli(*words, "--job", profile), f"{profile}: [profile.prod.send] processes"),
    ):
        assert (ended.code, ended.out, ended.err) == (2, "", f"batch-enroll: {place} {said}\n")


def test_processes_is_in_no_help_page(cli):
    assert "--processes" not in cli("run", "--help").out


WRONG = """
url = 5
nonsens = 1
input = 3
[match]
mode = "mail"
columm = "E-mail"
[content]
first = "First name"
last = 5
[send]
concurrency = 1.5
[output]
yes = "perhaps"
[notify]
urls = "mailto://u:pa-ss-word@x"
heartbeat = "pa-ss-word"
on = 3
[codes]
404 = "row"
405 = "perhaps"
abc = "row"
"""


def test_each_job_file_error_is_a_line_without_secrets(cli):
    write_csv(cli.folder / "in.csv", *people(1))
    (cli.folder / "job.toml").write_text(WRONG, encoding="utf-8")
    ended = cli("run", "in.csv", "--job", "job.toml")
    assert ended.code == 2
    for said in (
        "job.toml: url: '5' is not the address of a platform",
        "job.toml: nonsens is not a known key. Known: name, url,",
        "job.toml: input: 3 is not a table; its keys stand below [input].",
        "job.toml: [match] mode: 'mail' is not known; write 'email', 'phone',",
        "job.toml: [match] columm is not a known key. Did you mean 'column'?",
        "The matching column is missing",
        "The scenario's number is missing",
        "job.toml: [content] last: 5 is not text; text stands in quotes.",
        "job.toml: [send] concurrency: 1.5 is not a whole number.",
        "job.toml: [output] yes: 'perhaps' is neither true nor false.",
        "job.toml: [notify] heartbeat: this is not an http:// or https:// address.",
        'job.toml: [notify] on: 3 is not a list; write for example ["one", "two"].',
        "job.toml: [codes] 405: 'perhaps' is not known; write 'row', 'fatal',",
        "job.toml: [codes] abc: 'abc' is not a whole number.",
    ):
        assert said in ended.err
    assert "pa-ss-word" not in ended.err
    assert "pydantic" not in ended.err.lower()


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("BATCH_ENROLL_MAXROWS", "BATCH_ENROLL_MAXROWS is not a known variable. Did you mean BATCH_ENROLL_MAX_ROWS?"),
        ("BATCH_ENROLL_TOKN", "BATCH_ENROLL_TOKN is not a known variable. Did you mean BATCH_ENROLL_TOKEN?"),
        ("BATCH_ENROLL_IMAGE_Q", "BATCH_ENROLL_IMAGE_Q is not a known variable. Unset it, or give it another name."),
        ("BATCH_ENROLL_SERVICE_HOSTS", "BATCH_ENROLL_SERVICE_HOSTS is not a known variable."),
    ],
)
def test_unknown_variable_is_refused(cli, sandbox, command, name, said):
    server = sandbox()
    write_csv(cli.folder / "in.csv", *people(3))
    ended = cli(command, "in.csv", "--url", server.url, *FLAGS, **{name: "2"})
    assert (ended.code, ended.out, said in ended.err) == (2, "", True), ended.err
    assert not server.totals()["requests"].get("workflows/start")


def test_unknown_variable_is_refused_by_retry_not_by_runs(cli, sandbox):
    server = sandbox()
    write_csv(cli.folder / "in.csv", *people(3))
    run = cli("run", "in.csv", "--url", server.url, *FLAGS, "--json", "--yes").json["run"]
    ended = cli("retry", run, "--not-sent", "--yes", BATCH_ENROLL_MAXROWS="2")
    assert (ended.code, "Did you mean BATCH_ENROLL_MAX_ROWS?" in ended.err) == (2, True), ended.err
    assert cli("runs", BATCH_ENROLL_MAXROWS="2").code == 0
    assert cli("show", run, BATCH_ENROLL_MAXROWS="2").code == 0


@pytest.mark.parametrize(
    "name",
    [
        "SERVICE_HOST",
        "SERVICE_PORT",
        "SERVICE_PORT_METRICS",
        "PORT",
        "PORT_8080_TCP",
        "PORT_8080_TCP_ADDR",
        "METRICS_SERVICE_HOST",
        "METRICS_PORT_53_UDP_PROTO",
    ],
)
def test_variables_of_kubernetes_are_left_alone(cli, sandbox, name):
    write_csv(cli.folder / "in.csv", *people(3))
    ended = cli("check", "in.csv", "--url", sandbox().url, *FLAGS, **{f"BATCH_ENROLL_{name}": "tcp://10.0.0.1:80"})
    assert ended.code == 0, ended.err


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("scenario = true", "scenario: true is not a whole number."),
        ("[input]\nlimit = true", "[input] limit: true is not a whole number."),
        ("[input]\nsettle = false", "[input] settle: false is not a number."),
        ("[send]\nrate = true", "[send] rate: true is not a number."),
        ("[send]\ntimeout = true", "[send] timeout: true is not a number."),
        ("[send]\nconcurrency = true", "[send] concurrency: true is not a whole number."),
        ("[send]\ncanary = true", "[send] canary: true is not a whole number."),
        ("[stop]\nmax_rows = true", "[stop] max_rows: true is not a whole number."),
        ("[stop]\nmax_errors = true", "[stop] max_errors: 'True' is neither a number of rows"),
        ("[output]\nkeep = true", "[output] keep: true is not a whole number."),
    ],
)
def test_boolean_is_no_number(cli, sandbox, key, said):
    server = sandbox()
    write_csv(cli.folder / "in.csv", *people(3))
    scenario = "" if key.startswith("scenario") else "scenario = 3\n"
    match = '[match]\nmode = "email"\ncolumn = "email"\n'
    text = f'url = "{server.url}"\n{scenario}{key}\n{match}'
    (cli.folder / "job.toml").write_text(text, encoding="utf-8")
    ended = cli("run", "in.csv", "--job", "job.toml", "--yes")
    assert (ended.code, f"job.toml: {said}" in ended.err) == (2, True), ended.err
    assert not server.totals()["requests"].get("workflows/start")


def test_secret_of_the_wrong_type_is_not_shown(cli):
    write_csv(cli.folder / "in.csv", *people(1))
    (cli.folder / "job.toml").write_text("[notify]\nurls = {a = 'pa-ss-word'}\n", encoding="utf-8")
    ended = cli("run", "in.csv", "--job", "job.toml")
    assert "job.toml: [notify] urls: the value is not a list" in ended.err
    assert "pa-ss-word" not in ended.err


def test_too_long_file_name_is_one_error(cli):
    write_csv(cli.folder / "in.csv", *people(1))
    ended = cli("init", "in.csv", "--output", "long" * 100)
    assert (ended.code, ended.out) == (2, "")
    assert "longlong cannot be written: File name too long.\n" in ended.err
    assert "Traceback" not in ended.err


ENDLESS = "/dev/zero"


@pytest.mark.skipif(not Path(ENDLESS).exists(), reason="this system has no endless file")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--token-file", ENDLESS), "The token file /dev/zero is far too long to be one."),
        (("--job", ENDLESS), "/dev/zero is far too long for a job file."),
        (("--password-file", ENDLESS), "The password file /dev/zero is far too long to be one."),
        (("--heartbeat-file", ENDLESS), "/dev/zero is far too long to be one."),
    ],
    ids=lambda words: words[0],
)
def test_endless_file_is_refused(cli, words, said):
    write_csv(cli.folder / "in.csv", *people(1))
    token = "" if words[0] == "--token-file" else "sandbox-token"
    ended = cli("run", "in.csv", "--url", "http://127.0.0.1:1", *FLAGS, *words, BATCH_ENROLL_TOKEN=token)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


@pytest.mark.skipif(not Path(ENDLESS).exists(), reason="this system has no endless file")
def test_device_is_not_an_input(cli):
    ended = cli("check", ENDLESS, "--url", "http://127.0.0.1:1", *FLAGS, "--skip-preflight")
    assert (ended.code, ended.out) == (2, "")
    assert "'/dev/zero' is a device, not a file." in ended.err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with a name")
@pytest.mark.parametrize("command", [("check", "--problems"), ("check", "--save"), ("run", "--results")], ids=" ".join)
@pytest.mark.parametrize(("kind", "said"), [("pipe", "is a device or a pipe, not a file"), ("folder", "is a folder")])
def test_output_replaces_only_regular_files(cli, sandbox, command, kind, said):
    name, flag = command
    if flag == "--results":
        if kind == "folder":
            pytest.skip("the results get their default name in it")
        kind = "pipe.csv"
    pipe = cli.folder / "pipe.csv"
    os.mkfifo(pipe)
    (cli.folder / "pipe").symlink_to(pipe)
    (cli.folder / "folder").mkdir()
    write_csv(cli.folder / "in.csv", *people(1), ("nobody", ""))
    server = sandbox()
    ended = cli(name, "in.csv", "--url", server.url, *FLAGS, flag, kind)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err or f"{kind} is not a file" in ended.err
    assert pipe.is_fifo()
    assert not server.enrolments()
    if name == "run":
        finished = cli(name, "in.csv", "--url", server.url, *FLAGS, "--json")
        again = cli("report", finished.json["run"], flag, kind)
        assert again.code == 2
        assert said in again.err or f"{kind} is not a file" in again.err
        assert pipe.is_fifo()


def test_unwritable_problems_file_is_found_before_reading(cli, sandbox):
    source = write_csv(cli.folder / "in.csv", *people(1))
    ended = cli("check", source, "--url", sandbox().url, *FLAGS, "--problems", "nowhere/problems.csv")
    assert ended.code == 2
    assert "nowhere is not there" in ended.err
    assert "Plan of run" not in ended.err


def test_help_lists_commands_and_groups_in_order(capsys):
    text = build_parser().format_help()
    assert [line.split()[0] for line in text.splitlines() if line[2:].startswith(tuple(COMMANDS))] == list(COMMANDS)
    groups = [setting.group for setting in flagged_settings()]
    assert set(groups) == set(GROUPS)
    assert groups == sorted(groups, key=GROUPS.index), "groups stand apart"
    assert max(map(len, text.partition("exit codes")[0].splitlines())) <= 88
