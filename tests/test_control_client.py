"""The files through which a run is asked: taken once, answered once, withdrawn when nobody answers."""

from __future__ import annotations

import json
import os
import stat
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from batch_enroll.clock import SystemClock
from batch_enroll.control.control_client import send_control_command, wait_until_released
from batch_enroll.control.control_commands import handle_command
from batch_enroll.control.control_files import ControlCommand, ControlInbox, ControlRequestFile
from batch_enroll.control.run_control import Control, ControlStatus
from batch_enroll.errors import (
    JobError,
    NoSuchRun,
    RunLocked,
    RunNotActive,
)
from batch_enroll.ledger.records import PlanRules, RunRecord
from batch_enroll.models import Duplicates
from tests.support.ledgers import sqlite_ledger

NOW = datetime(2026, 11, 25, tzinfo=UTC)
CLOCK = SystemClock()


class Later(SystemClock):
    """The machine's clock, some seconds ahead."""

    def __init__(self, seconds):
        self._ahead = timedelta(seconds=seconds)

    def now(self):
        return super().now() + self._ahead


class Steered:
    """Remembers what was wished."""

    def __init__(self):
        self.is_paused, self.rate_per_s, self.concurrency, self.in_flight, self.told = False, 10.0, 8, 3, []

    def standing(self):
        return ControlStatus(
            is_paused=self.is_paused,
            rate_per_s=self.rate_per_s,
            concurrency=self.concurrency,
            in_flight=self.in_flight,
        )

    def pause(self):
        self.is_paused = True

    def resume(self):
        self.is_paused = False

    def set_pace(self, *, rate_per_s, concurrency):
        self.rate_per_s, self.concurrency = rate_per_s, concurrency

    def stopping(self, reason):
        self.told.append(reason)


def post(folder, wish=ControlCommand.PAUSE, clock=CLOCK, **pace):
    return ControlRequestFile.post(folder, wish, pace, clock=clock, patience_s=10.0)


def answered(folder, control):
    """Look once as the running process does; gives what was said."""
    inbox, said = ControlInbox(folder, clock=CLOCK), []
    for request in inbox.poll():
        answer = handle_command(request, control, run_id="a906cc51")
        inbox.send_reply(request, answer)
        said.append(answer.said)
    return said


async def steering(act):
    """Run something while a `Control` steers; gives what was steered."""
    control, steered = Control(), Steered()
    await control.over(steered, lambda: act(control))
    return steered


async def test_each_command_is_applied_and_confirmed(tmp_path):
    script: list[tuple[ControlCommand, dict[str, Any], str]] = [
        (ControlCommand.SET, {"rate": "5"}, "Run a906cc51 now sends 5 a second, 8 at once."),
        (
            ControlCommand.SET,
            {"rate": "none", "concurrency": "2"},
            "Run a906cc51 now sends without a limit, 2 at once.",
        ),
        (ControlCommand.SET, {"concurrency": 3}, "Run a906cc51 now sends without a limit, 3 at once."),
        (ControlCommand.RESUME, {}, "Run a906cc51 was not paused; it sends without a limit, 3 at once."),
        (ControlCommand.PAUSE, {}, "Run a906cc51 is paused; 3 requests are still in flight."),
        (ControlCommand.PAUSE, {}, "Run a906cc51 is paused already; 3 requests are still in flight."),
        (
            ControlCommand.SET,
            {"rate": 0.5},
            "Run a906cc51 is paused; when it resumes it sends 0.5 a second, 3 at once.",
        ),
        (ControlCommand.RESUME, {}, "Run a906cc51 resumes: 0.5 a second, 3 at once."),
        (
            ControlCommand.SET,
            {"rate": 0},
            "Run a906cc51 was not changed: --rate: a rate of 0 cannot be kept; write 0.001 to",
        ),
        (ControlCommand.SET, {"rate": 7, "concurrency": 0}, "Run a906cc51 was not changed: --concurrency: "),
        (ControlCommand.STOP, {}, "Run a906cc51 takes no more rows; 3 requests are still in flight."),
        (ControlCommand.STOP, {}, "Run a906cc51 takes no more rows already; 3 requests are still in flight."),
        (ControlCommand.PAUSE, {}, "Run a906cc51 takes no more rows already; 3 requests are still in flight."),
    ]

    async def act(control):
        for wish, pace, sentence in script:
            letter = post(tmp_path, wish, **pace)
            (said,) = answered(tmp_path, control)
            assert said.startswith(sentence)
            answer = letter.reply()
            assert answer
            assert answer.said == said
            is_refused = "was not changed" in said or (
                "already" in said and wish is ControlCommand.PAUSE and control.reason
            )
            assert answer.done is not bool(is_refused)
        assert control.reason == "Stopped by `stop`."
        assert control.exit_code is None

    steered = await steering(act)
    assert (steered.rate_per_s, steered.concurrency, steered.told) == (0.5, 3, ["Stopped by `stop`."])


async def test_commands_before_sending_apply_from_the_first_row():
    control, steered = Control(), Steered()
    control.set_rate(2.0)
    control.set_concurrency(5)
    control.pause()
    assert control.standing() is None

    async def act():
        assert control.standing() == ControlStatus(is_paused=True, rate_per_s=2.0, concurrency=5, in_flight=3)

    await control.over(steered, act)
    assert control.standing() == ControlStatus(is_paused=True, rate_per_s=2.0, concurrency=5, in_flight=0, is_over=True)


async def test_answers_before_sending_describe_the_future_state(tmp_path):
    control, steered = Control(), Steered()
    control.expect(rate_per_s=10.0, concurrency=8)
    for wish, pace, said in (
        (ControlCommand.RESUME, {}, "was not paused; it does not send yet; it will by itself: 10 a second, 8 at once."),
        (ControlCommand.SET, {"rate": "5"}, "does not send yet; it will send 5 a second, 8 at once."),
        (ControlCommand.PAUSE, {}, "does not send yet, and will not before it is resumed."),
        (
            ControlCommand.SET,
            {"concurrency": 3},
            "does not send yet; it will send 5 a second, 3 at once once it is resumed.",
        ),
        (ControlCommand.RESUME, {}, "does not send yet; it will by itself: 5 a second, 3 at once."),
        (ControlCommand.PAUSE, {}, "does not send yet, and will not before it is resumed."),
        (ControlCommand.STOP, {}, "ends before it sends."),
        (ControlCommand.PAUSE, {}, "takes no more rows already; no request is in flight."),
    ):
        post(tmp_path, wish, **pace)
        assert answered(tmp_path, control) == [f"Run a906cc51 {said}"]
    assert (steered.rate_per_s, steered.is_paused) == (10.0, False)

    async def act():
        assert control.standing() == ControlStatus(is_paused=True, rate_per_s=5.0, concurrency=3, in_flight=3)

    await control.over(steered, act)
    assert steered.rate_per_s == 5.0


async def test_without_commands_sending_starts_as_configured():
    control, steered = Control(), Steered()
    control.expect(rate_per_s=1.0, concurrency=1)

    async def act():
        assert control.standing() == ControlStatus(is_paused=False, rate_per_s=10.0, concurrency=8, in_flight=3)

    await control.over(steered, act)


@pytest.mark.parametrize("wrong", [0, -1, float("inf"), float("nan")])
async def test_invalid_rate_is_refused_in_python(wrong):
    with pytest.raises(ValueError, match="above 0"):
        Control().set_rate(wrong)
    if wrong in (0, -1):
        with pytest.raises(ValueError, match="at least one"):
            Control().set_concurrency(wrong)


async def test_concurrent_requests_are_answered_in_order(tmp_path):
    first, second = post(tmp_path, ControlCommand.PAUSE), post(tmp_path, ControlCommand.SET, rate=5)

    async def act(control):
        assert len(answered(tmp_path, control)) == 2

    await steering(act)
    assert [answer.asked for letter in (first, second) if (answer := letter.reply())] == ["pause", "set"]
    assert not list(tmp_path.rglob("*.*"))


async def test_withdrawn_request_is_not_executed(tmp_path):
    letter = post(tmp_path)
    assert letter.withdraw()
    assert not letter.withdraw()
    assert ControlInbox(tmp_path, clock=CLOCK).poll() == []


async def test_accepted_request_cannot_be_withdrawn(tmp_path):
    letter = post(tmp_path)
    assert len(ControlInbox(tmp_path, clock=CLOCK).poll()) == 1
    assert not letter.withdraw()


async def test_request_of_a_dead_client_is_not_executed_later(tmp_path):
    post(tmp_path, ControlCommand.STOP)
    assert ControlInbox(tmp_path, clock=Later(9)).poll()
    post(tmp_path, ControlCommand.STOP)
    assert ControlInbox(tmp_path, clock=Later(11)).poll() == []
    assert not list(tmp_path.rglob("*.request"))


async def test_unread_answer_is_removed_after_a_while(tmp_path):
    post(tmp_path)

    async def act(control):
        answered(tmp_path, control)

    await steering(act)
    ControlInbox(tmp_path, clock=Later(50))
    assert list(tmp_path.rglob("*.answer"))
    ControlInbox(tmp_path, clock=Later(70))
    assert not list(tmp_path.rglob("*.answer"))


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[]", b"3", b'{"wish": "stop"}', b'{"wish": "fly", "pace": {}, "until": 9e9}']
)
def test_invalid_request_file_is_deleted(tmp_path, content):
    folder = tmp_path / "asks"
    folder.mkdir()
    (folder / "1-x.request").write_bytes(content)
    assert ControlInbox(tmp_path, clock=CLOCK).poll() == []
    assert not list(folder.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are another thing there")
async def test_files_are_private_to_the_owner(tmp_path):
    before = os.umask(0)
    try:
        letter = post(tmp_path)
        (request,) = tmp_path.rglob("*.request")
        assert stat.S_IMODE(request.stat().st_mode) == 0o600
        assert stat.S_IMODE(request.parent.stat().st_mode) == 0o700
        assert set(json.loads(request.read_text())) == {"wish", "pace", "until"}

        async def act(control):
            answered(tmp_path, control)

        await steering(act)
        (answer,) = tmp_path.rglob("*.answer")
        assert stat.S_IMODE(answer.stat().st_mode) == 0o600
        assert letter.reply()
    finally:
        os.umask(before)


@pytest.fixture
def ledger(tmp_path):
    return sqlite_ledger(tmp_path)


def record():
    return RunRecord(
        run_id="a906cc51",
        identity="i",
        input_name="in.csv",
        input_path="/in.csv",
        input_sha256="s",
        url="https://platform.example",
        scenario=3,
        matching="email=email",
        settings_json="{}",
        tool_version="1",
        created_at=NOW,
    )


async def planned(ledger):
    """A run without rows that this process works on."""
    run = await ledger.create(record())
    await run.mark_duplicates(PlanRules(duplicates=Duplicates.SKIP))
    await run.finish_planning(rows=0)
    return run


async def test_timeout_means_that_nothing_was_executed(ledger, tmp_path):
    run = await planned(ledger)
    with pytest.raises(RunLocked, match=r"did not answer within 0.5 s. Nothing was changed.") as caught:
        await send_control_command(ledger, "a906cc51", ControlCommand.STOP, clock=CLOCK, patience_s=0.5)
    assert "waiting at its own terminal" in caught.value.hint
    assert not list(tmp_path.rglob("*.request"))
    await run.close_unchanged()


async def test_process_exit_means_that_nothing_was_executed(ledger, tmp_path):
    run = await planned(ledger)
    async with anyio.create_task_group() as tasks:

        async def end():
            await anyio.sleep(0.3)
            await run.close_unchanged()

        tasks.start_soon(end)
        with pytest.raises(RunNotActive, match="No process works on run a906cc51"):
            await send_control_command(ledger, "a906cc51", ControlCommand.PAUSE, clock=CLOCK)
    assert not list(tmp_path.rglob("*.request"))


async def test_accepted_request_gets_a_longer_timeout(ledger, tmp_path):
    run = await planned(ledger)

    async def slow_process(control):
        inbox = ControlInbox(run.folder, clock=CLOCK)
        taken = inbox.poll()
        while not taken:
            await CLOCK.sleep(0.01)
            taken = inbox.poll()
        await anyio.sleep(1.5)
        inbox.send_reply(taken[0], handle_command(taken[0], control, run_id="a906cc51"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(steering, slow_process)
        answer = await send_control_command(ledger, "a906cc51", ControlCommand.PAUSE, clock=CLOCK, patience_s=0.5)
    assert answer.done
    await run.close_unchanged()


async def test_timed_out_client_withdraws_its_request(ledger, tmp_path):
    run = await planned(ledger)
    with anyio.move_on_after(0.2):
        await send_control_command(ledger, "a906cc51", ControlCommand.STOP, clock=CLOCK)
    assert not list(tmp_path.rglob("*.request"))
    await run.close_unchanged()


async def test_inactive_or_missing_run_gets_no_request(ledger, tmp_path):
    with pytest.raises(NoSuchRun):
        await send_control_command(ledger, "a906cc51", ControlCommand.STOP, clock=CLOCK)
    await (await planned(ledger)).close_unchanged()
    with pytest.raises(RunNotActive):
        await send_control_command(ledger, "a906cc51", ControlCommand.STOP, clock=CLOCK)
    with pytest.raises(JobError, match="--rate"):
        await send_control_command(ledger, "a906cc51", ControlCommand.SET, clock=CLOCK, pace={"rate": "fast"})
    assert not list(tmp_path.rglob("*.request"))


async def test_discarded_plan_counts_as_ended(ledger, tmp_path):
    for wish in (ControlCommand.STOP, ControlCommand.PAUSE):
        run = await ledger.create(record())
        async with anyio.create_task_group() as tasks:

            async def end(run=run):
                await anyio.sleep(0.2)
                assert list(tmp_path.rglob("*.request"))
                await run.discard()

            tasks.start_soon(end)
            if wish is ControlCommand.STOP:
                answer = await send_control_command(ledger, "a906cc51", wish, clock=CLOCK)
                assert (answer.done, answer.said) == (True, "Run a906cc51 ends before it sends.")
            else:
                with pytest.raises(RunNotActive):
                    await send_control_command(ledger, "a906cc51", wish, clock=CLOCK)


async def test_wait_for_the_end_gives_the_counts(ledger):
    run = await planned(ledger)
    async with anyio.create_task_group() as tasks:

        async def end():
            await anyio.sleep(0.2)
            assert await ledger.lock_owner("a906cc51")
            await run.close_unchanged()

        tasks.start_soon(end)
        counts = await wait_until_released(ledger, "a906cc51", clock=CLOCK)
    assert counts
    assert counts.rows == 0
    assert await ledger.lock_owner("a906cc51") == ""


async def test_wait_for_a_discarded_plan_gives_nothing(ledger):
    run = await ledger.create(record())
    async with anyio.create_task_group() as tasks:

        async def end():
            await anyio.sleep(0.2)
            await run.discard()

        tasks.start_soon(end)
        assert await wait_until_released(ledger, "a906cc51", clock=CLOCK) is None
