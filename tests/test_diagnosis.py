"""A run that stops by itself says why, by cause, and what the platform said when it was asked again."""

from __future__ import annotations

import signal
import time

import pytest

from batch_enroll.sandbox import SandboxSettings, sandbox_process
from tests.support.commands import people, write_csv
from tests.support.terminal import Terminal

COMMON = ("--scenario", "3", "--match", "email=email", "--rate", "none", "--concurrency", "2")


def flags(server):
    return ("--url", server.url, *COMMON)


def asked(server):
    """How often the platform was asked about its scenarios."""
    return server.totals()["requests"].get("workflows/list", 0)


@pytest.fixture
def stopped(cli, sandbox):
    """`stopped(faults=…)` runs sixty people into trouble; gives the sandbox and how it ended."""

    def run(*more, source=None, **changes):
        server = sandbox(**changes)
        source = source or write_csv(cli.folder / "in.csv", *people(60))
        ended = cli("run", source, *flags(server), "--json", "--log-file", "run.log", *more)
        assert ended.code == 3, ended
        assert "Traceback" not in ended.err
        return server, ended

    return run


def test_revoked_token_stops_the_run_at_once(cli, stopped):
    server, ended = stopped(faults="token_revoked@21+")
    assert ended.json["finding"] == "token"
    assert ended.json["counts"]["error"] == 0
    first, again = ended.json["stop_reason"].split("The platform was asked again: ")
    assert first.startswith("The platform refused the token (code 401")
    assert "The platform refused the token" in again
    assert "Put the token right, then give the same command again." in again
    assert "The platform was asked again" in ended.err
    assert "diagnosed" in (cli.folder / "run.log").read_text()
    assert server.token not in ended.out + ended.err + (cli.folder / "run.log").read_text()
    server.control(faults="", token_revoked=False)
    assert cli("run", "in.csv", *flags(server)).code == 0
    assert set(server.enrolments().values()) == {1}


def test_switched_off_scenario_costs_no_row(cli, stopped):
    server, ended = stopped(faults="scenario_off@21+")
    assert ended.json["finding"] == "scenario_off"
    first, again = ended.json["stop_reason"].split("The platform was asked again: ")
    assert first.strip() == "The platform takes no more rows (code 423: Scenario is not active)."
    assert again.startswith("Scenario 3 (Welcome) is not active. Activate it in the platform, then give the same")
    counts = ended.json["counts"]
    assert (counts["success"], counts["error"], counts["not_sent"]) == (20, 0, 40)
    assert asked(server) == 2  # before the run, and when the first row was refused
    server.control(faults="", scenarios={"3": True})
    assert cli("run", "in.csv", *flags(server)).code == 0
    assert len(server.enrolments()) == 60
    assert set(server.enrolments().values()) == {1}


def test_new_row_error_stops_the_run_after_five_rows(cli, sandbox):
    """The platform says that the scenario is fine, so each refusal is its row's own; five running are one too many."""
    server = sandbox(reentry="refuse")
    assert cli("run", write_csv(cli.folder / "inside.csv", *people(30)), *flags(server)).code == 0
    mixed = write_csv(cli.folder / "mixed.csv", *people(9, domain="example.org"), *people(30))
    ended = cli("run", mixed, *flags(server), "--enrolled-before", "send", "--json")
    assert (ended.code, ended.json["finding"]) == (3, "rows")
    assert ended.json["stop_reason"].startswith("A new error came 5 times running: code 409, which no row had before.")
    assert 5 <= ended.json["counts"]["error"] <= 6
    assert ended.json["counts"]["success"] == 9


def test_diagnosis_names_the_rows_if_token_and_scenario_are_valid(cli, stopped):
    strangers = [(f"nobody{number}@example.com", "") for number in range(40)]
    source = write_csv(cli.folder / "in.csv", *people(9), *strangers)
    _, ended = stopped(source=source)
    assert ended.json["finding"] == "rows"
    assert ended.json["stop_reason"].startswith("20 rows were refused without a success between.")
    assert "scenario #3 Welcome is active, so the rows are the matter." in ended.json["stop_reason"]
    assert "Most often: Profile not found (404), 2" in ended.json["stop_reason"]
    assert "nobody" not in ended.json["stop_reason"]


def test_ambiguous_rows_stop_the_run_much_earlier(stopped):
    _, ended = stopped(faults="drop_after_acting@11+")
    assert ended.json["finding"] == "fine"
    assert ended.json["stop_reason"].startswith("5 rows in a row got no clear answer.")
    assert "only the starts get no clear answer" in ended.json["stop_reason"]
    assert 5 <= ended.json["counts"]["unknown"] <= 6


def test_silent_platform_is_probed_for_a_few_seconds_only(stopped):
    faults = [
        {"fault": "drop_after_acting", "from_nth": 11},
        {"fault": "silence_before_acting", "method": "workflows/list", "from_nth": 2},
    ]
    began = time.monotonic()
    _, ended = stopped("--timeout", "300", faults=faults)
    assert time.monotonic() - began < 60
    assert ended.json["finding"] == "out_of_reach"
    assert ended.json["stop_reason"].startswith("5 rows in a row got no clear answer.")
    assert "it did not answer within 5 s" in ended.json["stop_reason"]


def test_platform_that_cannot_be_asked_again_is_named_once(stopped):
    faults = [
        {"fault": "drop_after_acting", "from_nth": 11},
        {"fault": "drop_after_acting", "method": "workflows/list", "from_nth": 2},
    ]
    _, ended = stopped(faults=faults)
    assert ended.json["finding"] == "out_of_reach"
    _, again = ended.json["stop_reason"].split("The platform was asked again: ")
    assert again.startswith("it gave no answer: ")
    assert "could not be asked" not in again


def test_wrong_server_at_the_address_is_reported(stopped):
    faults = [
        {"fault": "html_200_before_acting"},
        {"fault": "html_200_before_acting", "method": "workflows/list", "from_nth": 2},
    ]
    _, ended = stopped(faults=faults)
    assert ended.json["finding"] == "not_the_platform"
    assert "Check the address." in ended.json["stop_reason"]


def test_deleted_scenario_is_reported(cli):
    with sandbox_process(SandboxSettings()) as server:
        (cli.folder / "world.toml").write_text('[[scenarios]]\nid = 9\nname = "Other"\nlist_id = 1\nmode = "skip"\n')
        source = write_csv(cli.folder / "in.csv", *people(30))
        server.control(latency_s=(0.1, 0.1))
        going = cli.start("run", source, *flags(server), "--json")
        give_up = time.monotonic() + 60
        while server.totals()["enrolled_total"] < 3:
            assert time.monotonic() < give_up
            time.sleep(0.02)
        server.control(world_file=str(cli.folder / "world.toml"))
        out, err = going.communicate(timeout=60)
    assert going.returncode == 3, err
    assert '"finding": "scenario_gone"' in out
    assert "There is no scenario 3" in out


def test_no_diagnosis_when_disabled_or_stopped_otherwise(cli, stopped):
    server, ended = stopped("--skip-preflight", faults="token_revoked@11+")
    assert (asked(server), ended.json["finding"]) == (0, None)
    assert "asked again" not in ended.json["stop_reason"]
    others = write_csv(cli.folder / "others.csv", *people(60, domain="example.org"))
    server, ended = stopped("--canary", "3", source=others, faults="drop_before_acting@2")
    assert (asked(server), ended.json["finding"]) == (1, None)


def test_second_ctrl_c_drops_answers_of_a_stopping_run(cli, sandbox):
    """The breaker stopped it; the first Ctrl-C must not be taken for granted, nor the second be lost."""
    faults = [{"fault": "silence_after_acting", "nth": (1,)}, {"fault": "token_revoked", "from_nth": 4}]
    server = sandbox(faults=faults)
    source = write_csv(cli.folder / "in.csv", *people(20))
    going = cli.start("run", source, *flags(server), "--timeout", "300", "--log-file", "run.log")
    log, give_up = cli.folder / "run.log", time.monotonic() + 60
    try:
        while not log.exists() or "stopping" not in log.read_text():
            assert time.monotonic() < give_up
            time.sleep(0.02)
    except BaseException:
        going.kill()
        going.communicate()
        raise
    going.send_signal(signal.SIGINT)
    said = ""
    while "Repeat it to stop at once" not in said:
        said += going.stderr.readline()
    going.send_signal(signal.SIGINT)
    _, err = going.communicate(timeout=60)
    assert going.returncode == 3, err
    assert "1" in err.partition("unknown")[2].split()[0]


@pytest.mark.parametrize(("number", "code", "name"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGHUP, 143, "SIGHUP")])
def test_signal_at_the_canary_stops_the_run_and_it_resumes(cli, sandbox, number, code, name):
    server = sandbox()
    words = ("run", write_csv(cli.folder / "in.csv", *people(9)), *flags(server), "--canary", "4")
    with Terminal(*words, folder=cli.folder) as terminal:
        terminal.wait_for("[y/N]")
        terminal.type("y")
        terminal.wait_for("Send the remaining rows? [y/N]")
        terminal.send_signal(number)
        assert terminal.end() == code, terminal.seen
    assert f"Stopped by {name}." in terminal.seen
    assert server.totals()["requests"]["workflows/start"] == 4
    with Terminal(*words, "--yes", folder=cli.folder) as terminal:
        assert terminal.end() == 0, terminal.seen
    assert server.enrolments() == {f"email:{email}": 1 for email, _ in people(9)}


@pytest.mark.parametrize(("answer", "code", "sent"), [("y", 1, 20), ("n", 3, 4)])
def test_canary_asks_on_a_terminal(cli, sandbox, answer, code, sent):
    server = sandbox()
    source = write_csv(cli.folder / "in.csv", ("nobody@example.com", ""), *people(19))
    with Terminal("run", source, *flags(server), "--canary", "4", folder=cli.folder) as terminal:
        terminal.wait_for("[y/N]")
        terminal.type("y")
        terminal.wait_for("The canary rows are finished: 3 success, 1 error")
        terminal.wait_for("[y/N]")
        assert server.totals()["requests"]["workflows/start"] == 4
        terminal.type(answer)
        assert terminal.end() == code, terminal.seen
    assert server.totals()["requests"]["workflows/start"] == sent
    if answer == "n":
        assert "Stopped after the first 4 rows, as you said." in terminal.seen
        with Terminal("run", source, *flags(server), "--canary", "4", folder=cli.folder) as terminal:
            terminal.wait_for("[y/N]")
            terminal.type("y")
            terminal.wait_for("The canary rows are finished")
            assert server.totals()["requests"]["workflows/start"] == 4, "nothing is sent before the question"
            terminal.type("y")
            assert terminal.end() == 1, terminal.seen
        assert server.totals()["requests"]["workflows/start"] == 20


def test_canary_uses_its_rule_off_a_terminal(cli, sandbox):
    server = sandbox(faults="drop_after_acting@2")
    source = write_csv(cli.folder / "in.csv", *people(20))
    ended = cli("run", source, *flags(server), "--canary", "4", "--json")
    assert ended.code == 3
    assert ended.json["stop_reason"].startswith("Stopped after the first 4 rows, the canary: 1 unknown.")
    assert server.totals()["requests"]["workflows/start"] == 4
    ended = cli("run", source, *flags(server), "--canary", "4", "--json")
    assert (ended.code, ended.json["counts"]["success"]) == (4, 19), "four clean rows more, and the rest followed"
    assert set(server.enrolments().values()) == {1}


def test_what_was_typed_before_the_question_answers_nothing(cli, sandbox):
    server = sandbox(latency_s=1.0)  # the preflight comes before the question
    words = ("run", write_csv(cli.folder / "in.csv", *people(3)), *flags(server))
    with Terminal(*words, folder=cli.folder) as terminal:
        terminal.type("y")
        terminal.wait_for("[y/N]")
        terminal.type("n")
        assert terminal.end() == 2, terminal.seen
    assert server.totals()["requests"].get("workflows/start", 0) == 0
