"""Find phones whose last ten digits stand in several spellings: without a country they are different people."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

from batch_enroll.config.job import Job
from batch_enroll.daemon_threads import raise_if_abandoned
from batch_enroll.errors import LedgerError
from batch_enroll.mapping.identity_values import DEFAULT_COUNTRY, country_of_phone
from batch_enroll.messages import message
from batch_enroll.models import MatchingMode
from batch_enroll.os_errors import translate_os_errors

FIRST_ROWS = 5
_COMPARED_DIGITS = 10
_IN_MEMORY_BYTES = 4_000_000
_BLOCK_ROWS = 8_192
_DISTINCT_AT_ONCE = 150_000  #: a set of so many takes 10 MB

# A row is 8 bytes: the last ten digits, the number of what stands in front of them, and whether there was no plus.
_NO_PHONE = -1
_WITHOUT_PLUS = 1
_MAX_PREFIXES = 1_024
_TAIL_SHIFT = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class Respelled:
    """Phones that may be the same although they count as different people."""

    rows: int
    first_seqs: tuple[int, ...]  #: their first places in the plan
    country: str  #: the one that would make them the same


@contextmanager
def compare_phones(job: Job, folder: Path) -> Iterator[PhoneSpellings | None]:
    """Give what compares the phones of a plan, and remove its file; None when they need no comparing.

    Args:
        folder: of the run.
    """
    if job.match.mode is not MatchingMode.PHONE or job.match.country is not None:
        yield None
        return
    with SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES, dir=str(folder)) as file:
        yield PhoneSpellings(file, folder)


class PhoneSpellings:
    """The phones of one plan as they are spelled, 8 bytes each.

    In memory are at most 4 MB of them, the 1,024 different prefixes of the ten digits, and while they are compared
    150,000 at a time. All others are in a file without a name in the run's folder, where the staged rows are as well.
    """

    def __init__(self, file: IO[bytes], folder: Path) -> None:
        """Take the file, and its folder for error messages."""
        self._folder = folder
        self._file = file
        self._block = array("q")
        self._rows = 0
        self._prefixes: dict[str, int] = {}
        self._any_without_plus = False

    def add(self, seq: int, phone: str, digits: str) -> None:
        """Add a row of the plan; rows without a valid phone may be left out.

        Args:
            seq: its place in the plan; only grows.
            phone: as it is sent.
            digits: of the phone; rows with the same digits are one profile.
        Raises:
            LedgerError: the disk does not take them.
        """
        if len(digits) < _COMPARED_DIGITS:
            return
        while self._rows < seq - 1:
            self._append(_NO_PHONE)
        prefix = digits[:-_COMPARED_DIGITS]
        number = self._prefixes.get(prefix)
        if number is None:
            number = self._add_prefix(prefix)
        row = int(digits[-_COMPARED_DIGITS:]) << _TAIL_SHIFT | number << 1
        if phone[0] != "+":
            row |= _WITHOUT_PLUS
            self._any_without_plus = True
        self._append(row)

    def find(self) -> Respelled | None:
        """Return the rows whose last ten digits stand with several prefixes, at least once without a plus.

        A plus names the country: phones of two countries may end in the same digits. It reads all rows once for each
        150,000 of them, twice where there is something to find, and not at all when there is one prefix alone.

        Raises:
            LedgerError: the disk does not give them back.
        """
        if len(self._prefixes) < 2 or not self._any_without_plus:
            return None
        parts = self._rows // _DISTINCT_AT_ONCE + 1
        while not parts % 2 or not parts % 5:  # phones that end in zeros must not all be in one part
            parts += 1
        first_seqs: list[int] = []
        by_prefix: Counter[int] = Counter()
        examples: dict[int, int] = {}  #: of each prefix, ten digits
        for part in range(parts):
            if not (tails := self._tails_in_several_spellings(part, parts)):
                continue
            first_of_part: list[int] = []
            for seq, row in enumerate(self._read(), start=1):
                if row >> _TAIL_SHIFT in tails:
                    prefix = row >> 1 & (_MAX_PREFIXES - 1)
                    by_prefix[prefix] += 1
                    examples.setdefault(prefix, row >> _TAIL_SHIFT)
                    if len(first_of_part) < FIRST_ROWS:
                        first_of_part.append(seq)
            first_seqs += first_of_part
        if not first_seqs:
            return None
        return Respelled(
            rows=by_prefix.total(),
            first_seqs=tuple(sorted(first_seqs)[:FIRST_ROWS]),
            country=self._country(by_prefix, examples),
        )

    def _append(self, row: int) -> None:
        self._rows += 1
        self._block.append(row)
        if not self._rows % _BLOCK_ROWS:
            with self._translated_errors():
                self._file.write(self._block.tobytes())
            del self._block[:]

    def _add_prefix(self, prefix: str) -> int:
        """Number a prefix; more than can be told apart are one, so that what they hide is not found."""
        number = len(self._prefixes)
        if number == _MAX_PREFIXES:
            return _MAX_PREFIXES - 1
        self._prefixes[prefix] = number
        return number

    def _read(self) -> Iterator[int]:
        """Read all rows, from place 1 of the plan on."""
        return chain.from_iterable(self._read_blocks())

    def _read_blocks(self) -> Iterator[array[int]]:
        with self._translated_errors():
            self._file.seek(0)
        while True:
            raise_if_abandoned()
            with self._translated_errors():
                stored = self._file.read(_BLOCK_ROWS * self._block.itemsize)
            if not stored:
                break
            block = array("q")
            block.frombytes(stored)
            yield block
        yield self._block

    def _tails_in_several_spellings(self, part: int, parts: int) -> set[int]:
        distinct = {row for row in self._read() if (row >> _TAIL_SHIFT) % parts == part and row != _NO_PHONE}
        found = set()
        for tail, group in groupby(sorted(distinct), key=lambda row: row >> _TAIL_SHIFT):
            rows = list(group)
            if len(rows) > 1 and rows[0] >> 1 != rows[-1] >> 1 and any(row & _WITHOUT_PLUS for row in rows):
                found.add(tail)
        return found

    def _country(self, by_prefix: Counter[int], examples: dict[int, int]) -> str:
        """Return the country of the most frequent prefix that is one of a country."""
        prefixes = list(self._prefixes)
        for number, _ in by_prefix.most_common():
            prefix = prefixes[number]
            if prefix and (country := country_of_phone(f"+{prefix}{examples[number]:0{_COMPARED_DIGITS}d}")):
                return country
        return DEFAULT_COUNTRY

    def _translated_errors(self) -> AbstractContextManager[None]:
        text = message("ledger.staged_not_written", path=str(self._folder))
        return translate_os_errors(text, to=LedgerError, hint=message("ledger.make_room_or_choose_another"))
