"""The rules that every ledger keeps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from batch_enroll.errors import LedgerError, RowTaken, RunLocked
from batch_enroll.ledger.interface import Ledger, RunLedger
from batch_enroll.ledger.records import Pending, PlanRules, Reason, Resolution, RunState
from batch_enroll.messages import NO_TEXT, verbatim
from batch_enroll.models import (
    Counts,
    Duplicates,
    Outcome,
    RowStatus,
)
from tests.ledger.building import (
    NOON,
    SKIP,
    all_duplicates,
    die,
    key_of,
    make_record,
    make_rows,
    minutes,
    open_run,
    record_intent,
    record_outcome,
    release_row,
    send,
    statuses,
)

SUCCESS, ERROR, UNKNOWN = RowStatus.SUCCESS, RowStatus.ERROR, RowStatus.UNKNOWN
INVALID, SKIPPED, NOT_SENT = RowStatus.INVALID, RowStatus.SKIPPED, RowStatus.NOT_SENT


def a_word(seq: int, verdict: str) -> Resolution:
    return Resolution(seq=seq, verdict=verdict, by="anna", at=NOON + minutes(9), why="looked it up")


# The plan


async def test_planned_run_has_all_rows_in_order_and_none_sent(ledger: Ledger):
    run = await open_run(ledger, ["ann", None, "bob"])

    assert run.record == replace(make_record(), state=RunState.OPEN, rows=3)
    assert await run.outcomes(after_seq=0, limit=9) == [
        Outcome(seq=1, status=NOT_SENT),
        Outcome(seq=2, status=INVALID, code="email_invalid"),
        Outcome(seq=3, status=NOT_SENT),
    ]
    assert await run.counts() == Counts(not_sent=2, invalid=1)
    ann, _, bob = make_rows(["ann", None, "bob"])
    assert await run.pending(after_seq=0, limit=9) == [
        Pending(seq=1, number=2, attempts=0, key=key_of("ann"), content_hash=ann.content_hash),
        Pending(seq=3, number=4, attempts=0, key=key_of("bob"), content_hash=bob.content_hash),
    ]
    await run.close_unchanged()


async def test_rows_are_read_in_pages(ledger: Ledger):
    run = await open_run(ledger, [f"p{n}" for n in range(7)])

    assert [row.seq for row in await run.pending(after_seq=2, limit=3)] == [3, 4, 5]
    assert [row.seq for row in await run.outcomes(after_seq=5, limit=3)] == [6, 7]
    assert await run.pending(after_seq=7, limit=3) == []
    await run.close_unchanged()


async def test_row_out_of_order_is_refused(ledger: Ledger):
    run = await ledger.create(make_record())
    await run.plan(make_rows(["ann"]))

    with pytest.raises(LedgerError, match="does not follow"):
        await run.plan(make_rows(["bob"], first=3))
    await run.discard()


async def test_plan_of_the_wrong_size_is_not_sealed(ledger: Ledger):
    run = await ledger.create(make_record())
    await run.plan(make_rows(["ann", "bob"]))
    await run.mark_duplicates(SKIP)

    with pytest.raises(LedgerError, match="3 rows and holds 2"):
        await run.finish_planning(rows=3)
    await run.discard()


async def test_plan_is_not_sealed_before_the_duplicate_check(ledger: Ledger):
    run = await ledger.create(make_record())
    await run.plan(make_rows(["ann"]))

    with pytest.raises(LedgerError):
        await run.finish_planning(rows=1)
    await run.discard()


async def test_nothing_is_sent_before_the_plan_is_sealed(ledger: Ledger):
    run = await ledger.create(make_record())
    await run.plan(make_rows(["ann"]))

    with pytest.raises(LedgerError):
        await record_intent(run, 1, at=NOON)
    await run.discard()


async def test_no_row_is_added_to_a_sealed_plan(ledger: Ledger):
    run = await open_run(ledger, ["ann"])

    with pytest.raises(LedgerError):
        await run.plan(make_rows(["bob"], first=2))
    await run.close_unchanged()


async def test_unsealed_plan_of_a_dead_process_has_no_rows(ledger: Ledger):
    run = await ledger.create(make_record())
    await run.plan(make_rows(["ann", "bob"]))
    await die(run)

    again = await ledger.open("run-1", read_only=False)
    assert again.record.state is RunState.PLANNING
    assert await again.counts() == Counts()
    await die(again)
    once_more = await open_run(ledger, ["cid"])
    assert await once_more.counts() == Counts(not_sent=1)
    await once_more.close_unchanged()


# Duplicates


async def test_duplicate_row_is_skipped_and_names_the_first_row(ledger: Ledger):
    run = await open_run(ledger, ["ann", "bob", None, "ann", "ann"])

    assert await statuses(run) == [NOT_SENT, NOT_SENT, INVALID, SKIPPED, SKIPPED]
    assert [(found.seq, found.number, found.first_number) for found in await all_duplicates(run)] == [
        (4, 5, 2),
        (5, 6, 2),
    ]
    (outcome,) = await run.outcomes(after_seq=3, limit=1)
    assert (outcome.code, str(outcome.message)) == ("duplicate", "The same profile is in row 2.")
    await run.close_unchanged()


@pytest.mark.parametrize("duplicates", [Duplicates.SEND, Duplicates.STOP])
async def test_duplicate_stays_planned_unless_the_rule_is_skip(ledger: Ledger, duplicates: Duplicates):
    run = await open_run(ledger, ["ann", "ann"], rules=PlanRules(duplicates=duplicates))

    assert await statuses(run) == [NOT_SENT, NOT_SENT]
    assert [found.first_number for found in await all_duplicates(run)] == [2]
    await run.close_unchanged()


async def test_duplicate_with_changed_content_is_marked(ledger: Ledger):
    run = await ledger.create(make_record())
    await run.plan(
        [*make_rows(["ann", "bob"]), *make_rows(["ann"], content="!", first=3), *make_rows(["bob"], first=4)]
    )

    assert await run.mark_duplicates(SKIP) == 2
    assert [found.changed for found in await all_duplicates(run)] == [True, False]
    await run.discard()


async def test_duplicates_are_read_in_pages(ledger: Ledger):
    run = await open_run(ledger, ["ann"] * 6)

    assert [found.seq for found in await run.duplicates(after_seq=2, limit=3)] == [3, 4, 5]
    assert [found.seq for found in await run.duplicates(after_seq=5, limit=3)] == [6]
    await run.close_unchanged()


async def sent_before(ledger: Ledger, *, input_path: str = "/in/leads.csv") -> None:
    """An earlier run: ann was accepted, bob is unknown, cid refused, dan in flight when it died, eve never sent."""
    run = await open_run(ledger, ["ann", "bob", "cid", "dan", "eve"], record=make_record("old", input_path=input_path))
    await send(run, 1, SUCCESS, at=NOON)
    await send(run, 2, UNKNOWN, at=NOON)
    await send(run, 3, ERROR, at=NOON)
    await record_intent(run, 4, at=NOON)
    await die(run)


EVERYBODY = ["ann", "bob", "cid", "dan", "eve"]


@pytest.mark.parametrize(
    ("rules", "skipped"),
    [
        pytest.param(
            PlanRules(duplicates=Duplicates.SKIP, enrolled_since=NOON - minutes(1)),
            {"ann", "bob", "dan"},
            id="inside the window",
        ),
        pytest.param(
            PlanRules(duplicates=Duplicates.SKIP, enrolled_since=NOON + minutes(1)),
            {"bob", "dan"},
            id="before the window",
        ),
        pytest.param(PlanRules(duplicates=Duplicates.SEND), {"ann", "bob", "dan"}, id="for ever"),
        pytest.param(
            PlanRules(duplicates=Duplicates.SEND, skip_enrolled=False), {"bob", "dan"}, id="the enrolled are sent"
        ),
        pytest.param(
            PlanRules(duplicates=Duplicates.SKIP, skip_enrolled=False, hold_unknown=False), set(), id="all over again"
        ),
    ],
)
async def test_rows_of_earlier_runs_are_skipped_by_the_rules(ledger: Ledger, rules: PlanRules, skipped: set[str]):
    await sent_before(ledger)

    run = await open_run(ledger, EVERYBODY, record=make_record("new"), rules=rules)

    found = await all_duplicates(run)
    forgotten = {"ann"} if rules.enrolled_since and rules.enrolled_since > NOON else set()
    assert {EVERYBODY[one.seq - 1] for one in found} == {"ann", "bob", "dan"} - forgotten
    assert all((one.earlier_run, one.earlier_at) == ("old", NOON) for one in found)
    assert {EVERYBODY[one.seq - 1] for one in found if one.held} == {"bob", "dan"}
    assert {EVERYBODY[one.seq - 1] for one in found if one.code} == skipped
    by_name = dict(zip(EVERYBODY, await statuses(run), strict=True))
    assert {name for name, status in by_name.items() if status is SKIPPED} == skipped
    await run.close_unchanged()


async def test_row_skipped_for_an_earlier_run_names_that_run(ledger: Ledger):
    await sent_before(ledger)
    rules = PlanRules(duplicates=Duplicates.SKIP, enrolled_since=NOON - minutes(1))

    run = await open_run(ledger, ["ann", "bob"], record=make_record("new"), rules=rules)

    assert [(outcome.code, str(outcome.message)) for outcome in await run.outcomes(after_seq=0, limit=2)] == [
        ("already_enrolled", "Run old enrolled this profile on 2026-11-25T12:00:00.123Z."),
        ("held_unknown", "Run old sent this profile on 2026-11-25T12:00:00.123Z and got no clear answer."),
    ]
    await run.close_unchanged()


@pytest.mark.parametrize(
    ("rules", "codes"),
    [
        pytest.param(SKIP, ["already_enrolled", "held_unknown", "enrolled_elsewhere", "enrolled_elsewhere"], id="skip"),
        pytest.param(
            replace(SKIP, skip_enrolled=False),
            ["enrolled_elsewhere", "held_unknown", "enrolled_elsewhere", "enrolled_elsewhere"],
            id="the enrolled are sent",
        ),
    ],
)
async def test_profiles_enrolled_elsewhere_are_skipped(ledger: Ledger, rules: PlanRules, codes: list[str]):
    await sent_before(ledger)
    people = ["ann", "bob", "new", "new", None, "other"]
    run = await ledger.create(make_record("new"))
    await run.plan(make_rows(people[:3]))
    await run.add_enrolled_elsewhere([(1, "theirs"), (2, "theirs")])
    await run.plan(make_rows(people[3:], first=4))
    await run.add_enrolled_elsewhere([(4, "")])

    assert await run.mark_duplicates(rules) == 4
    with pytest.raises(LedgerError):
        await run.add_enrolled_elsewhere([(6, "theirs")])
    await run.finish_planning(rows=6)

    assert [outcome.code for outcome in await run.outcomes(after_seq=0, limit=4)] == codes
    assert await statuses(run) == [SKIPPED] * 4 + [INVALID, NOT_SENT]
    found = await all_duplicates(run)
    assert [one.code for one in found if one.elsewhere] == [code for code in codes if code == "enrolled_elsewhere"]
    assert [(one.first_number, one.earlier_run, one.earlier_at) for one in found[2:]] == [
        (None, "", None),
        (4, "", None),
    ]
    assert not any(one.changed for one in found if one.elsewhere)
    assert (await run.counts()).rows == 6
    assert {reason.code for reason in await run.reasons(limit=9) if reason.status is SKIPPED} == set(codes)
    await run.close_unchanged()


async def test_row_with_duplicates_here_and_earlier_names_both(ledger: Ledger):
    await sent_before(ledger)

    run = await open_run(ledger, ["bob", "bob"], record=make_record("new"))

    assert [(found.first_number, found.earlier_run) for found in await all_duplicates(run)] == [
        (None, "old"),
        (2, "old"),
    ]
    await run.close_unchanged()


async def test_resolved_unknown_row_no_longer_blocks_its_identity(ledger: Ledger):
    await sent_before(ledger)
    old = await ledger.open("old", read_only=False)
    await old.resolve([a_word(2, "not_enrolled"), a_word(4, "enrolled")])
    await old.close_unchanged()

    run = await open_run(ledger, EVERYBODY, record=make_record("new"))

    found = await all_duplicates(run)
    assert [(EVERYBODY[one.seq - 1], one.code) for one in found] == [
        ("ann", "already_enrolled"),
        ("dan", "already_enrolled"),
    ]
    await run.close_unchanged()


async def test_later_of_two_earlier_runs_counts(ledger: Ledger):
    for name, at in (("first", NOON), ("second", NOON + minutes(5))):
        run = await open_run(ledger, ["ann"], record=make_record(name), rules=replace(SKIP, skip_enrolled=False))
        await send(run, 1, SUCCESS, at=at)
        await run.close_unchanged()

    rules = PlanRules(duplicates=Duplicates.SKIP, enrolled_since=NOON - minutes(1))
    run = await open_run(ledger, ["ann"], record=make_record("third"), rules=rules)

    assert [(one.earlier_run, one.earlier_at) for one in await all_duplicates(run)] == [("second", NOON + minutes(5))]
    await run.close_unchanged()


async def test_rows_sent_by_an_active_run_count_for_a_new_plan(ledger: Ledger):
    working = await open_run(ledger, ["ann", "bob"], record=make_record("working"))
    await send(working, 1, UNKNOWN)

    run = await open_run(ledger, ["ann", "bob"], record=make_record("new", input_path="/in/others.csv"))

    assert await statuses(run) == [SKIPPED, NOT_SENT]
    await working.close_unchanged()
    await run.close_unchanged()


async def test_unknown_row_wins_over_a_success_of_the_same_key(ledger: Ledger):
    old = await open_run(ledger, ["ann", "ann"], record=make_record("old"), rules=PlanRules(duplicates=Duplicates.SEND))
    await send(old, 1, UNKNOWN)
    await send(old, 2, SUCCESS, at=NOON + minutes(1))
    await old.close_unchanged()

    run = await open_run(ledger, ["ann"], record=make_record("new"))

    assert [one.held for one in await all_duplicates(run)] == [True]
    await run.close_unchanged()


# Moves of a row


async def test_attempt_is_counted_and_dated(ledger: Ledger):
    run = await open_run(ledger, ["ann"])

    assert await record_intent(run, 1, at=NOON) == 1
    await release_row(run, 1, code="connect_refused", message=verbatim("Nobody listened."))
    assert await run.outcomes(after_seq=0, limit=1) == [
        Outcome(
            seq=1,
            status=NOT_SENT,
            code="connect_refused",
            message=verbatim("Nobody listened."),
            attempts=1,
            sent_at=NOON,
        )
    ]
    assert await record_intent(run, 1, at=NOON + minutes(1)) == 2
    await record_outcome(
        run, Outcome(seq=1, status=ERROR, code="1006", message=verbatim("No profile."), http_status=200)
    )
    assert await run.outcomes(after_seq=0, limit=1) == [
        Outcome(
            seq=1,
            status=ERROR,
            code="1006",
            message=verbatim("No profile."),
            http_status=200,
            attempts=2,
            sent_at=NOON + minutes(1),
        )
    ]
    await run.close_unchanged()


async def test_intent_reads_as_unknown(ledger: Ledger):
    run = await open_run(ledger, ["ann", "bob"])
    await record_intent(run, 1, at=NOON)

    assert await statuses(run) == [UNKNOWN, NOT_SENT]
    assert await run.counts() == Counts(unknown=1, not_sent=1)
    assert [row.seq for row in await run.pending(after_seq=0, limit=9)] == [2]
    await run.close_unchanged()


Move = Callable[[RunLedger, int], Awaitable[object]]


async def intend(run: RunLedger, seq: int) -> None:
    await record_intent(run, seq, at=NOON)


async def release(run: RunLedger, seq: int) -> None:
    await release_row(run, seq, code="", message=NO_TEXT)


async def settle(run: RunLedger, seq: int) -> None:
    await record_outcome(run, Outcome(seq=seq, status=SUCCESS))


ILLEGAL = [
    pytest.param(move, state, id=f"{move.__name__} a row that is {state}")
    for move, legal in ((intend, "planned"), (release, "in flight"), (settle, "in flight"))
    for state in ("planned", "in flight", "accepted", "refused", "unknown", "skipped", "invalid", "not there")
    if state != legal
]


async def one_row_in_each_state(ledger: Ledger) -> tuple[RunLedger, dict[str, int]]:
    run = await open_run(ledger, ["ann", "bob", "cid", "dan", "eve", "ann", None])
    await record_intent(run, 2, at=NOON)
    await send(run, 3, SUCCESS)
    await send(run, 4, ERROR)
    await send(run, 5, UNKNOWN)
    names = ["planned", "in flight", "accepted", "refused", "unknown", "skipped", "invalid", "not there"]
    return run, {name: seq for seq, name in enumerate(names, start=1)}


@pytest.mark.parametrize(("move", "state"), ILLEGAL)
async def test_illegal_transition_is_refused_and_changes_nothing(ledger: Ledger, move: Move, state: str):
    run, seq_of = await one_row_in_each_state(ledger)
    before = await run.outcomes(after_seq=0, limit=9)

    is_taken = move is intend and state not in ("invalid", "not there")
    with pytest.raises(RowTaken if is_taken else LedgerError):
        await move(run, seq_of[state])

    assert await run.outcomes(after_seq=0, limit=9) == before
    await run.close_unchanged()


@pytest.mark.parametrize("status", [INVALID, SKIPPED, NOT_SENT])
async def test_attempt_ends_only_in_a_final_status(ledger: Ledger, status: RowStatus):
    run = await open_run(ledger, ["ann"])
    await record_intent(run, 1, at=NOON)

    with pytest.raises(KeyError):
        await record_outcome(run, Outcome(seq=1, status=status))
    await run.close_unchanged()


async def test_intents_of_a_dead_process_become_unknown(ledger: Ledger):
    run = await open_run(ledger, ["ann", "bob", "cid"])
    await record_intent(run, 1, at=NOON)
    await record_intent(run, 2, at=NOON)
    await release_row(run, 2, code="", message=NO_TEXT)
    await record_intent(run, 2, at=NOON)
    await send(run, 3, SUCCESS)
    await die(run)

    again = await ledger.open("run-1", read_only=False)

    assert await again.recover() == 2
    assert await again.recover() == 2
    assert await statuses(again) == [UNKNOWN, UNKNOWN, SUCCESS]
    first, second, _ = await again.outcomes(after_seq=0, limit=9)
    assert (first.code, first.attempts, first.sent_at) == ("interrupted", 1, NOON)
    assert second.attempts == 2
    await again.close_unchanged()


async def test_recovery_leaves_intents_of_live_processes(ledger: Ledger):
    run = await open_run(ledger, ["ann"])
    await record_intent(run, 1, at=NOON)

    assert await run.recover() == 0
    await record_outcome(run, Outcome(seq=1, status=SUCCESS))
    await run.close_unchanged()


async def test_refused_rows_are_requeued_on_request(ledger: Ledger):
    run, _ = await one_row_in_each_state(ledger)
    await run.close(state=RunState.FINISHED, stop_reason="", at=NOON)
    run = await ledger.open("run-1", read_only=False)

    assert await run.requeue(status=ERROR) == 1
    assert run.record.state is RunState.OPEN
    assert [row.seq for row in await run.pending(after_seq=0, limit=9)] == [1, 4]
    assert await run.requeue(status=NOT_SENT) == 2
    assert await record_intent(run, 4, at=NOON) == 2
    await run.close_unchanged()


@pytest.mark.parametrize("status", [SUCCESS, UNKNOWN, INVALID, SKIPPED])
async def test_only_refused_rows_are_requeued(ledger: Ledger, status: RowStatus):
    run, _ = await one_row_in_each_state(ledger)

    with pytest.raises(KeyError):
        await run.requeue(status=status)
    await run.close_unchanged()


@pytest.mark.parametrize(("verdict", "status"), [("enrolled", SUCCESS), ("not_enrolled", ERROR), ("resend", NOT_SENT)])
async def test_only_unknown_rows_are_resolved(ledger: Ledger, verdict: str, status: RowStatus):
    run, seq_of = await one_row_in_each_state(ledger)
    await run.close(state=RunState.FINISHED, stop_reason="", at=NOON)
    run = await ledger.open("run-1", read_only=False)  # the row in flight is unknown now
    before = await statuses(run)

    left_alone = await run.resolve([a_word(seq, verdict) for seq in seq_of.values()])

    assert left_alone == [seq for name, seq in seq_of.items() if name not in ("in flight", "unknown")]
    after = await statuses(run)
    assert [now for now, then in zip(after, before, strict=True) if then is UNKNOWN] == [status, status]
    assert [now for now, then in zip(after, before, strict=True) if then is not UNKNOWN] == [
        then for then in before if then is not UNKNOWN
    ]
    assert run.record.state is (RunState.OPEN if verdict == "resend" else RunState.FINISHED)
    assert str((await run.outcomes(after_seq=4, limit=1))[0].message) == (
        f"Resolved by hand on 2026-11-25T12:09:00.123Z: {verdict}."
    )
    await run.close_unchanged()


async def test_resolved_row_keeps_the_evidence_of_its_attempt(ledger: Ledger):
    run = await open_run(ledger, ["ann"])
    await record_intent(run, 1, at=NOON)
    await record_outcome(run, Outcome(seq=1, status=UNKNOWN, code="cut_off", http_status=200))
    await run.resolve([a_word(1, "enrolled")])

    (outcome,) = await run.outcomes(after_seq=0, limit=1)
    assert (outcome.code, outcome.http_status, outcome.attempts, outcome.sent_at) == ("resolved", 200, 1, NOON)
    await run.close_unchanged()


async def test_row_is_resolved_only_once(ledger: Ledger):
    run, seq_of = await one_row_in_each_state(ledger)

    assert await run.resolve([a_word(seq_of["unknown"], "enrolled"), a_word(seq_of["unknown"], "resend")]) == [5]
    assert (await statuses(run))[4] is SUCCESS
    await run.close_unchanged()


# What people see


async def test_totals_add_up_after_any_sequence(ledger: Ledger):
    run, _ = await one_row_in_each_state(ledger)

    counts = await run.counts()
    assert counts == Counts(success=1, error=1, unknown=2, invalid=1, skipped=1, not_sent=1)
    assert counts.rows == run.record.rows
    await run.close_unchanged()


async def test_reasons_are_ordered_by_frequency_with_first_rows(ledger: Ledger):
    people = [*(f"p{n}" for n in range(8)), "p0", "p1", "p2", None]
    run = await open_run(ledger, people)
    for seq in range(1, 8):
        await send(run, seq, ERROR, code="1006")
    await record_intent(run, 8, at=NOON)

    assert await run.reasons(limit=3) == [
        Reason(status=ERROR, code="1006", message="It was 1006.", count=7, first_rows=(2, 3, 4, 5, 6)),
        Reason(
            status=SKIPPED,
            code="duplicate",
            message="The same profile is in an earlier row.",
            count=3,
            first_rows=(10, 11, 12),
        ),
        Reason(
            status=UNKNOWN,
            code="in_flight",
            message="This row is being sent; no answer is known yet.",
            count=1,
            first_rows=(9,),
        ),
    ]
    await run.close_unchanged()


@pytest.mark.parametrize("text", ["Привет, «мир» 🙂", 'quote " and \\ and \n line', "\ufeff", "x" * 5000])
async def test_platform_text_is_stored_exactly(ledger: Ledger, text: str):
    run = await open_run(ledger, ["ann"])
    await record_intent(run, 1, at=NOON)
    await record_outcome(run, Outcome(seq=1, status=ERROR, code=text, message=verbatim(text)))

    (outcome,) = await run.outcomes(after_seq=0, limit=1)
    assert (outcome.code, str(outcome.message)) == (text, text)
    await run.close_unchanged()


@pytest.mark.parametrize(("text", "kept"), [("half \ud83d.", "half ?."), ("nul \0.", "nul \ufffd.")])
async def test_lone_surrogates_do_not_break_the_report(ledger: Ledger, text: str, kept: str):
    run = await open_run(ledger, ["ann"])
    await record_intent(run, 1, at=NOON)
    await release_row(run, 1, code=text, message=verbatim(text))

    (outcome,) = await run.outcomes(after_seq=0, limit=1)
    assert (outcome.code, str(outcome.message)) == (kept, kept)
    await run.close_unchanged()


# Runs


async def test_runs_are_listed_newest_first(ledger: Ledger):
    assert await ledger.runs() == []
    for name, identity in (("a", "same"), ("b", "other"), ("c", "same")):
        run = await open_run(ledger, ["ann"], record=make_record(name, identity=identity))
        await run.close(state=RunState.FINISHED, stop_reason="", at=NOON)

    assert [record.run_id for record in await ledger.runs()] == ["c", "b", "a"]
    assert [record.run_id for record in await ledger.find(["same"])] == ["c", "a"]
    assert await ledger.find(["none"]) == []


async def test_end_of_a_run_is_stored(ledger: Ledger):
    run = await open_run(ledger, ["ann"])
    await run.close(state=RunState.OPEN, stop_reason="deadline", at=NOON, results_path="/out/a.csv")
    ended = replace(
        make_record(), state=RunState.OPEN, rows=1, stop_reason="deadline", finished_at=NOON, results_path="/out/a.csv"
    )
    assert await ledger.runs() == [ended]

    run = await ledger.open("run-1", read_only=False)
    assert run.record == ended
    await run.close(state=RunState.FINISHED, stop_reason="", at=NOON + minutes(1))
    assert await ledger.runs() == [
        replace(ended, state=RunState.FINISHED, stop_reason="", finished_at=NOON + minutes(1))
    ]


async def test_closed_run_accepts_no_change(ledger: Ledger):
    run = await open_run(ledger, ["ann"])
    await run.close(state=RunState.OPEN, stop_reason="", at=NOON)
    await run.close(state=RunState.FINISHED, stop_reason="a second time", at=NOON)

    assert run.record.state is RunState.OPEN
    with pytest.raises(LedgerError):
        await record_intent(run, 1, at=NOON)
    with pytest.raises(LedgerError):
        await run.counts()


async def test_run_has_one_process_at_a_time(ledger: Ledger):
    run = await open_run(ledger, ["ann"])

    with pytest.raises(RunLocked):
        await ledger.open("run-1", read_only=False)
    await run.close_unchanged()
    again = await ledger.open("run-1", read_only=False)
    await again.close_unchanged()


async def test_input_is_planned_by_one_process_at_a_time(ledger: Ledger):
    run = await open_run(ledger, ["ann"], record=make_record("a", identity="same"))

    with pytest.raises(RunLocked):
        await ledger.create(make_record("b", identity="same"))
    with pytest.raises(RunLocked):
        await ledger.create(make_record("a", identity="same"))
    await run.close_unchanged()
    assert [record.run_id for record in await ledger.runs()] == ["a"]


async def test_rows_sent_by_another_run_meanwhile_are_skipped(ledger: Ledger):
    run = await open_run(ledger, ["ann", "bob", "eve", "joe"], record=make_record("stopped"))
    await send(run, 4, SUCCESS)
    await run.close_unchanged()
    edited = await open_run(ledger, ["ann", "bob", "joe"], record=make_record("edited"), rules=SKIP)
    await send(edited, 1, SUCCESS, at=NOON + minutes(1))
    await send(edited, 2, UNKNOWN, at=NOON + minutes(1))
    await edited.close_unchanged()

    run = await ledger.open("stopped", read_only=False)
    assert await run.skip_sent(SKIP) == 2
    assert await run.skip_sent(SKIP) == 0
    assert await statuses(run) == [SKIPPED, SKIPPED, NOT_SENT, SUCCESS]
    words = [(one.code, str(one.message)) for one in await run.outcomes(after_seq=0, limit=2)]
    assert [code for code, _ in words] == ["already_enrolled", "held_unknown"]
    assert all("edited" in message for _, message in words)
    assert (await run.counts()).rows == 4
    with pytest.raises(RowTaken):
        await record_intent(run, 1, at=NOON)
    await run.close_unchanged()


async def test_requeue_skips_rows_sent_by_another_run_meanwhile(ledger: Ledger):
    run = await open_run(ledger, ["ann", "bob"], record=make_record("refused"))
    for seq in (1, 2):
        await send(run, seq, ERROR)
    await run.close(state=RunState.FINISHED, stop_reason="", at=NOON)
    edited = await open_run(ledger, ["ann"], record=make_record("edited"), rules=SKIP)
    await send(edited, 1, SUCCESS, at=NOON + minutes(1))
    await edited.close_unchanged()

    run = await ledger.open("refused", read_only=False)
    assert await run.requeue(status=ERROR, rules=SKIP) == 2
    assert await statuses(run) == [SKIPPED, NOT_SENT]
    await run.close_unchanged()


async def test_only_what_was_sent_since_the_plan_counts(ledger: Ledger):
    """A run that enrolls people again skips whom another run enrolled after its plan."""
    send_again = replace(SKIP, skip_enrolled=False)
    earlier = await open_run(ledger, ["ann", "bob"], record=make_record("earlier"))
    await send(earlier, 1, SUCCESS, at=NOON - minutes(1))
    await earlier.close_unchanged()
    run = await open_run(ledger, ["ann", "bob"], record=make_record("again"), rules=send_again)
    await run.close_unchanged()
    earlier = await ledger.open("earlier", read_only=False)
    await send(earlier, 2, SUCCESS, at=NOON + minutes(1))
    await earlier.close_unchanged()

    run = await ledger.open("again", read_only=False)
    assert await run.skip_sent(replace(SKIP, since_planned=NOON)) == 1
    assert await statuses(run) == [NOT_SENT, SKIPPED]
    await run.close_unchanged()


async def test_another_key_of_the_same_profile_is_looked_up(ledger: Ledger):
    earlier = await open_run(ledger, ["ann"], record=make_record("earlier"))
    await send(earlier, 1, SUCCESS)
    await earlier.close_unchanged()
    run = await open_run(ledger, ["Ann by her new key", "bob"], record=make_record("new"))
    await run.add_aliases([(1, key_of("ann"))])
    await run.add_aliases([(1, key_of("ann"))])

    assert await run.skip_sent(SKIP) == 1
    assert await statuses(run) == [SKIPPED, NOT_SENT]
    await run.close_unchanged()


async def test_planned_run_is_not_created_again(ledger: Ledger):
    run = await open_run(ledger, ["ann"])
    await run.close_unchanged()

    with pytest.raises(RunLocked, match="begun by another process"):
        await ledger.create(make_record())


async def test_missing_run_cannot_be_opened(ledger: Ledger):
    with pytest.raises(LedgerError, match="no run"):
        await ledger.open("nothing", read_only=True)


async def test_reader_sees_a_live_run_and_writes_nothing(ledger: Ledger):
    run = await open_run(ledger, ["ann", "bob"])
    await send(run, 1, SUCCESS)

    reader = await ledger.open("run-1", read_only=True)
    assert await statuses(reader) == [SUCCESS, NOT_SENT]
    await record_intent(run, 2, at=NOON)
    assert await reader.counts() == Counts(success=1, unknown=1)
    with pytest.raises(LedgerError):
        await record_outcome(reader, Outcome(seq=2, status=SUCCESS))
    with pytest.raises(LedgerError):
        await reader.discard()
    await reader.close(state=RunState.FINISHED, stop_reason="no word of mine", at=NOON)
    await record_outcome(run, Outcome(seq=2, status=SUCCESS))
    await run.close_unchanged()
    assert (await ledger.runs())[0].stop_reason == ""


async def test_unsealed_plan_cannot_be_read(ledger: Ledger):
    run = await ledger.create(make_record())

    with pytest.raises(LedgerError, match="still being planned"):
        await ledger.open("run-1", read_only=True)
    await run.discard()


async def test_discarded_run_leaves_nothing(ledger: Ledger):
    run = await open_run(ledger, ["ann"])
    (run.folder / "rows.staged").write_text("personal")

    await run.discard()

    assert await ledger.runs() == []
    assert not run.folder.exists()
    with pytest.raises(LedgerError):
        await ledger.open("run-1", read_only=False)


async def test_run_with_sent_rows_is_not_discarded(ledger: Ledger):
    run = await open_run(ledger, ["ann"])
    await record_intent(run, 1, at=NOON)

    with pytest.raises(LedgerError, match="sent"):
        await run.discard()
    await run.close_unchanged()
    assert len(await ledger.runs()) == 1


async def test_salt_of_an_installation_stays_the_same(ledger: Ledger):
    salt = await ledger.salt()

    assert len(salt) == 32
    assert await ledger.salt() == salt


# Pruning


async def finished(ledger: Ledger, name: str = "old", *, left_unknown: bool = False) -> None:
    """A finished run with kept rows: ann was accepted, bob refused, cid skipped as a repetition of ann."""
    run = await open_run(ledger, ["ann", "bob", "ann"], record=make_record(name))
    (run.folder / "rows.staged").write_text("personal")
    await send(run, 1, SUCCESS)
    await send(run, 2, UNKNOWN if left_unknown else ERROR, code="404")
    await run.close(state=RunState.FINISHED, stop_reason="", at=NOON)


async def test_pruned_run_keeps_totals_and_reasons_without_rows(ledger: Ledger):
    await finished(ledger)
    reader = await ledger.open("old", read_only=True)
    counts, reasons, folder = await reader.counts(), await reader.reasons(limit=9), reader.folder
    await reader.close_unchanged()
    assert await ledger.reclaimable_bytes("old") > 0

    await ledger.prune("old")

    assert not (folder / "rows.staged").exists()
    assert await ledger.reclaimable_bytes("old") == 0
    reader = await ledger.open("old", read_only=True)
    assert await reader.counts() == counts == Counts(success=1, error=1, skipped=1)
    assert await reader.reasons(limit=9) == reasons
    assert await reader.reasons(limit=1) == reasons[:1]
    assert await reader.outcomes(after_seq=0, limit=9) == []
    assert await reader.duplicates(after_seq=0, limit=9) == []
    assert await reader.pending(after_seq=0, limit=9) == []
    await reader.close_unchanged()
    assert [record.run_id for record in await ledger.find(["identity of old"])] == ["old"]


async def test_pruned_run_still_knows_its_enrolled_identities(ledger: Ledger):
    await finished(ledger)
    await ledger.prune("old")

    by_path = await open_run(ledger, ["ann", "bob"], record=make_record("edited"), rules=SKIP)
    assert await statuses(by_path) == [SKIPPED, NOT_SENT]
    await by_path.close_unchanged()
    since = PlanRules(duplicates=Duplicates.SKIP, enrolled_since=NOON - minutes(1))
    by_window = await open_run(ledger, ["ann", "bob"], record=make_record("w", input_path="/in/other.csv"), rules=since)
    assert await statuses(by_window) == [SKIPPED, NOT_SENT]
    await by_window.close_unchanged()


async def test_pruned_run_is_read_only(ledger: Ledger):
    await finished(ledger)
    await ledger.prune("old")

    with pytest.raises(LedgerError, match="was pruned"):
        await ledger.open("old", read_only=False)
    await ledger.prune("old")  # a second time changes nothing
    reader = await ledger.open("old", read_only=True)
    assert await reader.counts() == Counts(success=1, error=1, skipped=1)
    await reader.close_unchanged()


async def test_forgotten_run_allows_enrolling_its_identities_again(ledger: Ledger):
    await finished(ledger)
    reader = await ledger.open("old", read_only=True)
    folder = reader.folder
    await reader.close_unchanged()

    await ledger.delete_run("old")

    assert await ledger.runs() == []
    assert not folder.exists()
    run = await open_run(ledger, ["ann", "bob"], record=make_record("new"), rules=SKIP)
    assert await statuses(run) == [NOT_SENT, NOT_SENT]
    await run.close_unchanged()
    third = await open_run(ledger, ["ann"], record=make_record("third"), rules=SKIP)
    assert await statuses(third) == [NOT_SENT], "what the forgotten run sent is not laid at another's door"
    await third.close_unchanged()
    again = await open_run(ledger, ["ann"], record=make_record("old"))  # its name is free
    await again.close_unchanged()


@pytest.mark.parametrize("how", ["prune", "delete_run"])
async def test_run_with_unresolved_unknown_rows_is_not_pruned(ledger: Ledger, how: str):
    await finished(ledger, left_unknown=True)

    with pytest.raises(LedgerError, match="1 of its rows is unknown"):
        await getattr(ledger, how)("old")
    run = await ledger.open("old", read_only=False)
    assert (run.folder / "rows.staged").exists()
    await run.resolve([a_word(2, "enrolled")])
    await run.close_unchanged()
    await getattr(ledger, how)("old")


@pytest.mark.parametrize("how", ["prune", "delete_run"])
async def test_unfinished_run_is_not_pruned(ledger: Ledger, how: str):
    run = await open_run(ledger, ["ann", "bob"])
    await send(run, 1, SUCCESS)
    with pytest.raises(RunLocked):
        await getattr(ledger, how)("run-1")
    await run.close_unchanged()

    with pytest.raises(LedgerError, match="unfinished"):
        await getattr(ledger, how)("run-1")
    again = await ledger.open("run-1", read_only=False)
    assert await statuses(again) == [SUCCESS, NOT_SENT]
    await again.close_unchanged()


async def test_unsealed_plan_and_unsent_run_can_be_forgotten(ledger: Ledger):
    died = await ledger.create(make_record("died"))
    await died.plan(make_rows(["ann"]))
    await die(died)
    unsent = await open_run(ledger, ["bob"], record=make_record("unsent"))
    await unsent.close_unchanged()

    await ledger.delete_run("died")
    await ledger.delete_run("unsent")

    assert await ledger.runs() == []


@pytest.mark.parametrize("how", ["reclaimable_bytes", "prune", "delete_run"])
async def test_missing_run_cannot_be_pruned(ledger: Ledger, how: str):
    with pytest.raises(LedgerError, match="no run"):
        await getattr(ledger, how)("nothing")


async def test_decision_of_a_dead_process_survives_pruning(ledger: Ledger):
    await finished(ledger, left_unknown=True)
    run = await ledger.open("old", read_only=False)
    await run.resolve([a_word(2, "enrolled")])
    await die(run)

    await ledger.prune("old")

    later = await open_run(ledger, ["ann", "bob"], record=make_record("edited"), rules=SKIP)
    assert [one.held for one in await all_duplicates(later)] == [False, False]
    await later.close_unchanged()


# What is no run


async def test_named_lock_has_one_holder_and_is_free_afterwards(ledger: Ledger):
    with ledger.lock("job /jobs/nightly.toml", what=verbatim("Job nightly.toml")):
        with pytest.raises(RunLocked, match=r"^Job nightly\.toml is being worked on"):
            ledger.lock("job /jobs/nightly.toml", what=verbatim("Job nightly.toml")).__enter__()
        with ledger.lock("job /jobs/weekly.toml", what=verbatim("Job weekly.toml")):
            pass
    with pytest.raises(ZeroDivisionError), ledger.lock("job /jobs/nightly.toml", what=verbatim("Job nightly.toml")):
        raise ZeroDivisionError
    with ledger.lock("job /jobs/nightly.toml", what=verbatim("Job nightly.toml")):
        pass
