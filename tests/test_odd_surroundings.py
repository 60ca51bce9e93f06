"""Whatever a person types, names, sets or nests ends in one sentence with the place and what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch_enroll.cli.exit_codes import EXIT_CODES
from batch_enroll.config.settings import SETTINGS, flagged_settings
from tests.fuzz.command_line import ODD
from tests.support.commands import people, write_csv
from tests.support.examples import examples

CYRILLIC = os.fsdecode(b"\xea\xeb\xe8")  # cp1251
NOT_UTF8 = "the bytes of "
FLAGS = ("--url", "http://127.0.0.1:1", "--scenario", "3", "--match", "email=email", "--skip-preflight")
LEDGER = ("--ledger", "ledger.sqlite")


def refusal(ended):
    """Give the text of a refusal, which is a sentence with a hint below it."""
    assert ended.code == 2, ended
    told, *hint = ended.err.splitlines()
    assert told.startswith("batch-enroll: ")
    assert told.endswith((".", "?"))
    assert hint
    return ended.err


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(
    ("words", "place"),
    [
        ((f"{CYRILLIC}.csv",), "An argument"),
        ((f"{CYRILLIC}/in.csv",), "An argument"),
        (("in.csv", "--results", f"{CYRILLIC}.csv"), "An argument"),
        (("in.csv", "--name", CYRILLIC), "An argument"),
        (("files", "--pick", "newest"), "The input's folder"),
        (("files/*", "--pick", "newest"), "The input's folder"),
    ],
)
def test_name_that_is_not_utf8_is_refused(cli, command, words, place):
    write_csv(cli.folder / "in.csv", *people(1))
    (cli.folder / "files").mkdir()
    write_csv(cli.folder / "files" / f"{CYRILLIC}.csv", *people(1))
    assert f"{place}: {NOT_UTF8}" in refusal(cli(command, *words, *FLAGS, *LEDGER))


def test_working_directory_that_is_not_utf8_is_refused(cli):
    cli.folder /= CYRILLIC
    cli.folder.mkdir()
    write_csv(cli.folder / "in.csv", *people(1))
    assert f"The working directory: {NOT_UTF8}" in refusal(cli("check", "in.csv", *FLAGS, *LEDGER))


@pytest.mark.parametrize("name", ["BATCH_ENROLL_RESULTS", "XDG_STATE_HOME"])
def test_variable_that_is_not_utf8_is_refused(cli, name):
    assert f"{name}: {NOT_UTF8}" in refusal(cli("runs", *LEDGER, **{name: CYRILLIC}))


def test_name_beyond_the_locale_is_told(cli):
    write_csv(cli.folder / "лиды.csv", *people(1))
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert "LC_ALL=C.UTF-8" in refusal(cli("check", "лиды.csv", *FLAGS, *LEDGER, **ascii_only))


@pytest.mark.parametrize("key", ["a = ", "scenario = ", "[profile.p]\nscenario = "])
@pytest.mark.parametrize("nested", ["[" * 3000 + "]" * 3000, "[" * 50 + "]" * 50, "{a=" * 3000 + "1" + "}" * 3000])
def test_nested_job_file_is_refused(cli, key, nested):
    (cli.folder / "job.toml").write_text(key + nested)
    assert "job.toml nests its values too deeply" in refusal(cli("check", "in.csv", "--job", "job.toml", *LEDGER))


def test_job_file_with_a_key_of_many_parts_is_refused(cli):
    (cli.folder / "job.toml").write_text(".".join(["a"] * 3000) + " = 1")
    assert "job.toml nests its values too deeply" in refusal(cli("runs", "--job", "job.toml"))


@pytest.mark.parametrize("scenario", ["12345678901234567890", "9" * 5000])
def test_long_scenario_number_is_refused(cli, scenario):
    write_csv(cli.folder / "in.csv", *people(1))
    ended = cli("check", "in.csv", *FLAGS, "--scenario", scenario, *LEDGER)
    assert (ended.code, "--scenario: " in ended.err, "Traceback" in ended.err) == (2, True, False), ended


@pytest.mark.parametrize("zone", ["UTC-99", "AAA-99", "UTC+167"])
def test_time_zone_of_days_is_refused(cli, zone):
    assert f"TZ: {zone} is no time zone of this machine." in refusal(cli("runs", *LEDGER, TZ=zone))


@pytest.mark.parametrize("zone", ["", "Mars/Base", "../../etc/passwd", "UTC-14"])
def test_unknown_time_zone_breaks_nothing(cli, zone):
    assert cli("runs", *LEDGER, TZ=zone).code == 0


@pytest.mark.parametrize("flag", ["--results", "--log-file", "--ledger"])
def test_home_of_nobody_is_refused(cli, flag):
    write_csv(cli.folder / "in.csv", *people(1))
    told = refusal(cli("check", "in.csv", *FLAGS, flag, "~nobody-here/x.csv"))
    assert "there is no home folder for ~nobody-here/x" in told


def test_pattern_in_the_home_of_nobody_is_refused(cli):
    refusal(cli("check", "~nobody-here/*.csv", "--pick", "newest", *FLAGS, *LEDGER))


BECOME_NOBODY = """
import os, sys
import anyio._backends._asyncio, batch_enroll.cli.main, batch_enroll.ledger.sqlite, batch_enroll.run.api
from batch_enroll.cli import entry_point
os.setgroups([])
os.setgid(54321)
os.setuid(54321)
entry_point()
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may become another user")
@pytest.mark.parametrize("words", [("check", "in.csv", *FLAGS), ("runs", *LEDGER)])
@pytest.mark.parametrize("home", [None, "locked"])
def test_user_without_a_usable_home_is_told(tmp_path, words, home):
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    write_csv(tmp_path / "in.csv", *people(1))
    (tmp_path / "locked").mkdir(mode=0o700)
    environment = {**os.environ, "BATCH_ENROLL_TOKEN": "sandbox-token", "HOME": str(tmp_path / "locked")}
    for name in ("XDG_DATA_HOME", "XDG_STATE_HOME", *(() if home else ("HOME",))):
        environment.pop(name, None)
    for name in [name for name in environment if name.startswith("COV")]:  # that user could not write what is measured
        del environment[name]
    done = subprocess.run(
        [sys.executable, "-c", BECOME_NOBODY, *words],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    if home is None:
        assert (done.returncode, "has no home folder" in done.stderr) == (2, True), done
    else:
        assert done.returncode in (0, 2), done
        assert words[0] == "runs" or "locked/.local/share/batch-enroll/ledger.sqlite: Permission" in done.stderr


def test_decision_of_a_user_without_a_name_asks_for_one(cli, sandbox, monkeypatch):
    server = sandbox(faults="drop_after_acting@1")
    write_csv(cli.folder / "in.csv", *people(2))
    assert cli("run", "in.csv", *FLAGS, "--url", server.url, *LEDGER, "--yes").code == 4
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    run_id = cli("runs", "--json", *LEDGER).json[0]["run"]
    decide = ("resolve", run_id, *LEDGER, "--rows", "all", "--verdict", "enrolled")
    assert "Say with --by NAME who decided." in refusal(cli(*decide))
    assert cli(*decide, "--by", "Anna").code == 0
    assert cli("support", run_id, *LEDGER).code == 0


def inside(text):
    """Leave out what would lead out of the folder."""
    return text.replace("/", "").replace("..", "").replace("\0", "")


VALUES = st.one_of(
    st.sampled_from(ODD),
    st.integers(-(10**25), 10**25).map(str),
    st.text(st.characters(codec="utf-8"), max_size=20).map(inside),
    st.binary(min_size=1, max_size=6).map(os.fsdecode).map(inside),
)
NESTED = st.recursive(
    st.one_of(st.booleans(), st.integers(-(10**25), 10**25), st.floats(-1e300, 1e300), st.sampled_from(ODD)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "value"]), inner, max_size=2),
    max_leaves=6,
)
FLAGGED = [setting for setting in flagged_settings() if setting.metavar]
VARIABLES = [setting.variable for setting in SETTINGS if setting.variable]
KEYS = [setting.key for setting in SETTINGS]
TRIED = settings(
    max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(inner)}" for key, inner in value.items()) + "}"
    return f"[{', '.join(map(toml, value))}]" if isinstance(value, list) else json.dumps(value)


def assert_told(ended):
    assert ended.code in EXIT_CODES, ended
    assert "This is a bug" not in ended.err, ended.err
    assert ended.code != 2 or "batch-enroll: " in ended.err, ended


@TRIED
@given(flags=st.lists(st.tuples(st.sampled_from(FLAGGED), VALUES), min_size=1, max_size=3))
def test_any_flag_value_ends_in_a_sentence(cli, flags):
    write_csv(cli.folder / "in.csv", *people(2))
    assert_told(cli("check", "in.csv", *FLAGS, *LEDGER, *(f"{setting.flag}={value}" for setting, value in flags)))


@TRIED
@given(variables=st.dictionaries(st.sampled_from(VARIABLES), VALUES, min_size=1, max_size=3))
def test_any_variable_ends_in_a_sentence(cli, variables):
    write_csv(cli.folder / "in.csv", *people(2))
    assert_told(cli("check", "in.csv", *FLAGS, *LEDGER, **variables))


@TRIED
@given(values=st.dictionaries(st.sampled_from(KEYS), NESTED, min_size=1, max_size=3))
def test_any_job_file_value_ends_in_a_sentence(cli, values):
    write_csv(cli.folder / "in.csv", *people(2))
    lines = [f"{key} = {toml(value)}\n" for key, value in values.items()]
    (cli.folder / "job.toml").write_text("".join(lines), encoding="utf-8")
    assert_told(cli("check", "in.csv", "--job", "job.toml", *FLAGS, *LEDGER))
