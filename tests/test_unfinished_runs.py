"""An unfinished run of a job is named by every later start, also with `--quiet` and when that start sends nothing."""

from __future__ import annotations

import json
import signal

import pytest

from tests.support.commands import people, write_csv
from tests.support.input_files import enrolled, flags, group, lay
from tests.support.sandbox import wait_until

LAST_RESORT_S = 60.0


class Outage:
    """A folder job whose last file was replaced after the platform had refused the token in the middle of it."""

    def __init__(self, cli, server):
        self.cli, self.server, self.folder = cli, server, cli.folder / "in"
        (cli.folder / "nightly.toml").write_text('[input]\npick = "new"\nif_changed = true\n')
        self.words = (*flags(server), "--job", "nightly.toml", "--concurrency", "1", "--status-file", "status.json")
        lay(self.folder / "done.csv", *group("done", 2))
        assert self.start().code == 0
        server.control(faults="drop_after_acting@2,token_revoked@3+")
        self.path = lay(self.folder / "q.csv", *group("a", 9))
        stopped = self.start("--json")
        assert stopped.code == 3, stopped.err
        self.run, self.left = stopped.json["run"], stopped.json["counts"]["not_sent"]
        assert stopped.json["counts"]["unknown"] == 1
        server.control(faults="", token_revoked=False)

    def start(self, *more, source="in", quiet=True):
        return self.cli("run", source, *self.words, "--yes", *(["--quiet"] if quiet else []), *more)

    @property
    def told(self):
        return f"Run {self.run} of q.csv left {self.left} rows unsent and 1 unknown."

    def assert_told(self, ended):
        assert self.told in ended.err
        assert f"batch-enroll resume {self.run} " in ended.err
        status = json.loads((self.cli.folder / "status.json").read_text())
        for notices in (ended.json["notices"], status["notices"]):
            (notice,) = [one for one in notices if one["code"] == "unfinished_run"]
            assert (notice["message"], notice["count"]) == (self.told, self.left + 1)


@pytest.fixture
def outage(cli, sandbox):
    return Outage(cli, sandbox())


def test_quiet_start_names_the_unfinished_run(outage):
    lay(outage.path, *group("b", 2))
    ended = outage.start("--json")
    assert ended.code == 0
    outage.assert_told(ended)
    assert outage.start().out == ""


def nothing_new(outage):
    outage.path.unlink()
    return "in"


def unchanged(outage):
    return lay(outage.path, *group("done", 2))


def no_file(outage):
    return outage.folder / "gone.csv"


def no_rows(outage):
    return lay(outage.path)


def refused(outage):
    outage.path.write_text("no such column\n1\n")
    return outage.path


def no_token(outage):
    outage.server.control(token_revoked=True)
    return lay(outage.path, *group("b", 2))


@pytest.mark.parametrize("quiet", [True, False])
@pytest.mark.parametrize("way", [nothing_new, unchanged, no_file, no_rows, refused, no_token])
def test_start_that_sends_nothing_names_it(outage, way, quiet):
    ended = outage.start("--json", source=way(outage), quiet=quiet)
    assert ended.code == (2 if way in (refused, no_token) else 0), ended.err
    outage.assert_told(ended)


def test_each_of_several_inputs_names_it(outage):
    outage.path.unlink()
    for name in "bc":
        lay(outage.folder / f"{name}.csv", *group(name, 2))
    ended = outage.start("--json")
    assert [run["notices"][0]["count"] for run in ended.json["runs"]] == [outage.left + 1] * 2
    assert outage.told in ended.err
    status = json.loads((outage.cli.folder / "status.json").read_text())
    assert [notice["message"] for notice in status["notices"]] == [outage.told]


def test_resumed_run_names_the_others_and_not_itself(outage):
    outage.server.control(faults="token_revoked@1+")
    other = outage.start("--json", source=lay(outage.folder / "r.csv", *group("b", 4)))
    assert other.code == 3
    outage.assert_told(other)
    outage.server.control(faults="", token_revoked=False)
    ended = outage.start("--json", source=outage.folder / "r.csv")
    assert (ended.code, ended.json["run"]) == (0, other.json["run"])
    outage.assert_told(ended)
    assert f"resume {other.json['run']}" not in ended.err


def test_it_is_not_named_once_it_is_resumed(outage):
    lay(outage.path, *group("b", 2))
    assert outage.cli("resume", outage.run, "--job", "nightly.toml", "--ledger", "ledger/ledger.sqlite").code == 4
    ended = outage.start("--json")
    assert (ended.code, ended.err, ended.json["notices"]) == (0, "", [])


def test_end_says_what_an_earlier_run_left(outage):
    lay(outage.path, *group("b", 2))
    ended = outage.start(quiet=False)
    assert ended.code == 0
    assert "Nothing is left to do" not in ended.err
    end = ended.err.partition("Every row of this run is enrolled or was skipped")[2]
    assert f"{outage.told} Resume it, without its input: `batch-enroll resume {outage.run} " in end


def test_resumed_plan_names_the_unknown_rows(outage):
    """They have no outcome that a person could rely on."""
    ended = outage.cli("resume", outage.run, "--job", "nightly.toml", "--ledger", "ledger/ledger.sqlite")
    plan = [" ".join(line.split()) for line in ended.err.splitlines()]
    assert "done before 1 have their outcome already" in plan
    assert "held 1 unknown: not sent again until resolved" in plan
    assert f"will be sent {outage.left}" in plan


def test_finished_run_is_told_in_the_past_and_one_row_in_the_singular(outage):
    words = ("resume", outage.run, "--job", "nightly.toml", "--ledger", "ledger/ledger.sqlite")
    ended = outage.cli(*words)
    assert "Next: 1 row is unknown and may have been enrolled; look it up on the platform" in ended.err
    assert f"Run {outage.run} was finished on " in outage.cli(*words).err


@pytest.mark.slow
def test_killed_run_is_named_with_what_was_in_flight(cli, sandbox):
    server = sandbox(latency_s=(0.2, 0.2))
    words = (*flags(server), "--rate", "none", "--concurrency", "1", "--yes", "--quiet")
    process = cli.start("run", write_csv(cli.folder / "q.csv", *people(60)), *words)
    wait_until(lambda: len(server.enrolments()) > 2, timeout_s=LAST_RESORT_S)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=LAST_RESORT_S)
    server.control(faults="")
    (cli.folder / "linked").symlink_to(cli.folder)
    write_csv(cli.folder / "q.csv", *group("b", 2))
    ended = cli("run", "linked/q.csv", *words)
    assert ended.code == 0
    assert "rows unsent and 1 unknown." in ended.err
    assert len(enrolled(server)) > 2
    ledger = ("--ledger", "ledger/ledger.sqlite")
    (run,) = [one["run"] for one in cli("runs", "--json", *ledger).json if one["counts"]["not_sent"]]
    shown = cli("show", run, *ledger)
    assert "This row is being sent" not in shown.out
    assert "no answer is known, so it is unknown and held (interrupted)" in " ".join(shown.out.split())
    assert cli("report", run, *ledger, "--results", "again.csv").code == 0
    assert "in_flight" not in (cli.folder / "again.csv").read_text()
