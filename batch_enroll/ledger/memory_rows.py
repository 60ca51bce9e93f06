"""The rows of one run in memory, column by column.

In: planned rows and moves. Out: where each row stands. Never: an object for each row; about 60 bytes a row instead.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from batch_enroll.ledger.interface import (
    STATUS_OF,
    Duplicate,
    PlannedRow,
    PlanRules,
    Resolution,
    RowState,
    RunLedger,
    RunRecord,
)
from batch_enroll.ledger.moves import IN_FLIGHT, illegal
from batch_enroll.model import Counts, Outcome, RowStatus

_KEY = 16  # bytes
_HASH = 8  # bytes
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Sent:
    """What an earlier run did with one key."""

    def __init__(self, rows: Rows, seq: int) -> None:
        self.record = rows.record
        self.state = RowState.UNKNOWN if rows.state(seq) is RowState.INTENT else rows.state(seq)
        self.at = rows.sent_at[seq - 1]
        self.content_hash = rows.content_hash(seq)

    @property
    def moment(self) -> datetime:
        return EPOCH + self.at * MICROSECOND

    def counts(self, rules: PlanRules) -> bool:
        if self.state is RowState.UNKNOWN:
            return rules.hold_unknown
        since = rules.enrolled_since
        by_path = rules.enrolled_by_path is not None and self.record.input_path == rules.enrolled_by_path
        return by_path or (since is not None and self.moment > since)


class Rows:
    """The rows of one run, column by column, with an open-addressing table from key to place."""

    def __init__(self, record: RunRecord) -> None:
        self.record = record
        self.owner: RunLedger | None = None
        self.resolutions: list[Resolution] = []
        self.shrunk = False  # what happened to each row is no longer told; whom it enrolled is
        self.duplicates: dict[int, Duplicate] | None = None  # by seq; None = not looked for yet
        self.states = bytearray()
        self.numbers = array("q")
        self.keys = bytearray()
        self.hashes = bytearray()
        self.attempts = array("H")
        self.sent_at = array("q")  # microseconds
        self.http = array("H")  # 0 = none
        self.words = array("I")
        self._texts = [("", "")]
        self._number_of_text = {("", ""): 0}
        self._slots = array("I", bytes(4 * 64))  # seq, 0 = free; at most half full

    def add(self, row: PlannedRow) -> None:
        self.states.append(RowState.INVALID if row.key is None else RowState.PLANNED)
        self.numbers.append(row.number)
        self.keys += row.key or bytes(_KEY)
        self.hashes += row.content_hash.ljust(_HASH, b"\0")
        self.attempts.append(0)
        self.sent_at.append(0)
        self.http.append(0)
        self.words.append(self._text((row.code, "")))
        if row.key is not None:
            if 2 * len(self.states) > len(self._slots):
                self._grow()
            self._slots[self._free_slot(row.key)] = row.seq

    @property
    def size(self) -> int:
        """Bytes that the rows take, about."""
        return 60 * len(self.states)

    def key(self, seq: int) -> bytes:
        return bytes(self.keys[_KEY * (seq - 1) : _KEY * seq])

    def state(self, seq: int) -> RowState | None:
        return RowState(self.states[seq - 1]) if 0 < seq <= len(self.states) else None

    def content_hash(self, seq: int) -> bytes:
        return bytes(self.hashes[_HASH * (seq - 1) : _HASH * seq])

    def move(
        self, seq: int, origin: RowState, to: RowState, words: tuple[str, str] = ("", ""), http: int | None = None
    ) -> None:
        if self.state(seq) is not origin:
            raise illegal(seq, wanted=origin)
        self.put(seq, to, words, http)

    def put(self, seq: int, to: RowState, words: tuple[str, str], http: int | None = None) -> None:
        self.states[seq - 1] = to
        self.words[seq - 1] = self._text(words)
        self.http[seq - 1] = http or 0

    def outcome(self, seq: int) -> Outcome:
        state = RowState(self.states[seq - 1])
        code, message = IN_FLIGHT if state is RowState.INTENT else self._texts[self.words[seq - 1]]
        attempts = self.attempts[seq - 1]
        return Outcome(
            seq=seq,
            status=STATUS_OF[state],
            code=code,
            message=message,
            http_status=self.http[seq - 1] or None,
            attempts=attempts,
            sent_at=EPOCH + self.sent_at[seq - 1] * MICROSECOND if attempts else None,
        )

    def counts(self) -> Counts:
        by_status: Counter[RowStatus] = Counter()
        for state, status in STATUS_OF.items():
            by_status[status] += self.states.count(state)
        return Counts.of(by_status)

    def places(self, key: bytes) -> Iterator[int]:
        """Give every seq that has the key, the first one first."""
        slot = self._home(key)
        while seq := self._slots[slot]:
            if self.key(seq) == key:
                yield seq
            slot = (slot + 1) % len(self._slots)

    def sent(self, key: bytes) -> Sent | None:
        """Say what became of a key here: unknown before accepted, then the latest; None when neither."""
        sent = [Sent(self, seq) for seq in self.places(key) if self.attempts[seq - 1]]
        sent = [one for one in sent if one.state in (RowState.SUCCESS, RowState.UNKNOWN)]
        return max(sent, key=lambda one: (one.state, one.at), default=None)

    def _text(self, words: tuple[str, str]) -> int:
        number = self._number_of_text.setdefault(words, len(self._texts))
        if number == len(self._texts):
            self._texts.append(words)
        return number

    def _home(self, key: bytes) -> int:
        return int.from_bytes(key[:8], "little") % len(self._slots)

    def _free_slot(self, key: bytes) -> int:
        slot = self._home(key)
        while self._slots[slot]:
            slot = (slot + 1) % len(self._slots)
        return slot

    def _grow(self) -> None:
        seqs = sorted(seq for seq in self._slots if seq)  # in order, so that the first place stays the first met
        self._slots = array("I", bytes(4 * 2 * len(self._slots)))
        for seq in seqs:
            self._slots[self._free_slot(self.key(seq))] = seq
