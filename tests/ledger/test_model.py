"""Any sequence of moves leaves every ledger where a simple model says."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from batch_enroll.errors import LedgerError, RowTaken
from batch_enroll.ledger.interface import Ledger, RunLedger
from batch_enroll.ledger.records import STATUS_OF, Resolution, RowState, RunState
from batch_enroll.ledger.transitions import STATE_AFTER_DECISION
from batch_enroll.messages import verbatim
from batch_enroll.models import Counts, Outcome, RowStatus
from tests.ledger.building import NOON, die, doubt_answer, open_run, record_intent, record_outcome, release_row
from tests.support.examples import examples
from tests.support.ledgers import quick_folder, sqlite_ledger

PEOPLE = ["ann", "bob", None, "ann", "cid", "dan"]
LONG = "LONG_TESTS" in os.environ
seqs = st.integers(min_value=0, max_value=len(PEOPLE) + 1)
REFUSED = "refused"


class Model:
    """What the rows should be, in the plainest words."""

    def __init__(self) -> None:
        planned = {1: RowState.PLANNED, 2: RowState.PLANNED, 5: RowState.PLANNED, 6: RowState.PLANNED}
        self.state = {**planned, 3: RowState.INVALID, 4: RowState.SKIPPED}
        self.attempts = dict.fromkeys(self.state, 0)
        self.run = RunState.OPEN

    def move(self, seq: int, origin: RowState, to: RowState) -> bool:
        legal = self.run is RunState.OPEN and self.state.get(seq) is origin
        if legal:
            self.state[seq] = to
        return legal

    def move_all(self, origin: RowState, to: RowState) -> int:
        moved = [seq for seq, state in self.state.items() if state is origin]
        self.state.update(dict.fromkeys(moved, to))
        return len(moved)

    def counts(self) -> Counts:
        statuses = [STATUS_OF[state] for state in self.state.values()]
        return Counts.of({status: statuses.count(status) for status in RowStatus})


class LedgersAgree(RuleBasedStateMachine):
    """Each rule does the same to the model and to every ledger, and compares what they answer."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.clean_up = ExitStack()
        folder = self.clean_up.enter_context(quick_folder())
        self.portal = self.clean_up.enter_context(start_blocking_portal())
        self.ledgers: list[Ledger] = [
            sqlite_ledger(folder / "threads"),
            sqlite_ledger(folder / "inline", inline=True),
        ]
        self.runs: list[RunLedger] = []

    def teardown(self) -> None:
        for run in self.runs:
            self.portal.call(run.close_unchanged)
        self.clean_up.close()

    def ask(self, question: Callable[[RunLedger], Awaitable[Any]]) -> Any:
        """Put a question to every ledger; they answer alike, and give that answer."""

        async def answer(run: RunLedger) -> Any:
            try:
                return await question(run)
            except (LedgerError, RowTaken):
                return REFUSED

        first, *others = [self.portal.call(answer, run) for run in self.runs]
        assert all(other == first for other in others)
        return first

    @initialize()
    def plan(self) -> None:
        self.runs = [self.portal.call(open_run, ledger, PEOPLE) for ledger in self.ledgers]

    @rule(seq=seqs)
    def intend(self, seq: int) -> None:
        answer = self.ask(lambda run: record_intent(run, seq, at=NOON))
        if self.model.move(seq, RowState.PLANNED, RowState.INTENT):
            self.model.attempts[seq] += 1
            assert answer == self.model.attempts[seq]
        else:
            assert answer == REFUSED

    @rule(seq=seqs, text=st.text(max_size=5))
    def release(self, seq: int, text: str) -> None:
        answer = self.ask(lambda run: release_row(run, seq, code="why", message=verbatim(text)))
        assert (answer is None) == self.model.move(seq, RowState.INTENT, RowState.PLANNED)

    @rule(
        seq=seqs, state=st.sampled_from([RowState.SUCCESS, RowState.ERROR, RowState.UNKNOWN]), text=st.text(max_size=5)
    )
    def settle(self, seq: int, state: RowState, text: str) -> None:
        outcome = Outcome(seq=seq, status=STATUS_OF[state], code=text, message=verbatim(text), http_status=200)
        answer = self.ask(lambda run: record_outcome(run, outcome))
        assert (answer is None) == self.model.move(seq, RowState.INTENT, state)

    @rule(seq=st.sampled_from([1, 2, 3, 4, 5, 6]))
    def doubt(self, seq: int) -> None:
        row = self.ask(lambda run: doubt_answer(run, seq))
        if self.model.run is not RunState.OPEN:
            assert row == REFUSED
            return
        before = self.model.state[seq]
        if before in (RowState.SUCCESS, RowState.ERROR, RowState.PLANNED) and self.model.attempts[seq]:
            self.model.state[seq] = RowState.UNKNOWN
        assert (row.before, row.outcome.status) == (before, STATUS_OF[self.model.state[seq]])

    @rule(seq=seqs, verdict=st.sampled_from(sorted(STATE_AFTER_DECISION)))
    def resolve(self, seq: int, verdict: str) -> None:
        word = Resolution(seq=seq, verdict=verdict, by="anna", at=NOON, why="asked")
        left_alone = self.ask(lambda run: run.resolve([word]))
        unknown = self.model.state.get(seq) is RowState.UNKNOWN
        assert left_alone == ([] if unknown else [seq])
        if unknown:
            self.model.state[seq] = STATE_AFTER_DECISION[verdict]
            if verdict == "resend":
                self.model.run = RunState.OPEN

    @rule()
    def plan_refused_rows_again(self) -> None:
        answer = self.ask(lambda run: run.requeue(status=RowStatus.ERROR))
        assert answer == self.model.move_all(RowState.ERROR, RowState.PLANNED)
        self.model.run = RunState.OPEN

    @rule(killed=st.booleans())
    def go_on_in_another_process(self, killed: bool) -> None:
        for run in self.runs:
            self.portal.call(die, run) if killed else self.portal.call(run.close_unchanged)
        self.reopen()

    @rule()
    def finish_and_open_again(self) -> None:
        async def close(run: RunLedger) -> None:
            await run.close(state=RunState.FINISHED, stop_reason="", at=NOON)

        self.ask(close)
        self.model.run = RunState.FINISHED
        self.reopen()

    def reopen(self) -> None:
        async def open_again(ledger: Ledger) -> RunLedger:
            return await ledger.open("run-1", read_only=False)

        self.runs = [self.portal.call(open_again, ledger) for ledger in self.ledgers]
        assert self.ask(lambda run: run.recover()) == self.model.move_all(RowState.INTENT, RowState.UNKNOWN)

    @invariant()
    def every_row_is_where_the_model_says(self) -> None:
        if not self.runs:
            return
        outcomes = self.ask(lambda run: run.outcomes(after_seq=0, limit=99))
        expected = [
            (seq, STATUS_OF[self.model.state[seq]], self.model.attempts[seq]) for seq in sorted(self.model.state)
        ]
        assert [(outcome.seq, outcome.status, outcome.attempts) for outcome in outcomes] == expected
        assert self.ask(lambda run: run.counts()) == self.model.counts()
        assert [row.seq for row in self.ask(lambda run: run.pending(after_seq=0, limit=99))] == [
            seq for seq in sorted(self.model.state) if self.model.state[seq] is RowState.PLANNED
        ]
        self.ask(lambda run: run.reasons(limit=99))
        assert {run.record.state for run in self.runs} == {self.model.run}


TestLedgersAgree = LedgersAgree.TestCase
TestLedgersAgree.settings = settings(
    max_examples=300 if LONG else examples(50),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
