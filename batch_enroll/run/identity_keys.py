"""The keys by which the ledger knows people: a keyed hash of platform, scenario, matching and identity."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from batch_enroll.canonical_address import canonical_url
from batch_enroll.config.job import Job
from batch_enroll.ledger.interface import Ledger
from batch_enroll.models import MatchingMode


class ContentHashes:
    """Makes the hash by which the ledger knows a whole request."""

    def __init__(self, salt: bytes) -> None:
        self._hash = hashlib.blake2b(key=salt, digest_size=8)  #: initialised once, copied for each row

    def of(self, body: str) -> bytes:
        """Give the hash of a request's body: 8 bytes."""
        made = self._hash.copy()
        made.update(body.encode())
        return made.digest()


class IdentityKeys:
    """Makes the keys of one job."""

    def __init__(self, job: Job, *, salt: bytes, former_urls: Sequence[str]) -> None:
        """Hash what all rows have in common, once.

        Args:
            job: its address is in canonical form.
            salt: the installation's secret.
            former_urls: the spellings of that address under which earlier releases recorded runs.
        """
        self._is_phone = job.match.mode is MatchingMode.PHONE
        self._hash = _prefix(job.url, job, salt)
        self._former = [_prefix(url, job, salt) for url in former_urls]
        if former_urls and not self._is_phone:
            self._former = [former for former in self._former if former.digest() != self._hash.digest()]

    @property
    def has_aliases(self) -> bool:
        """Whether an earlier release may have known these people by another key."""
        return bool(self._former)

    def key(self, compare: str) -> bytes:
        """Give the key of an identity: 16 bytes.

        Args:
            compare: as `IdentityValue.compare`.
        Raises:
            UnicodeEncodeError: half of a surrogate pair; a body that holds it cannot be made either.
        """
        made = self._hash.copy()
        made.update(compare.encode())
        return made.digest()

    def aliases(self, compare: str) -> set[bytes]:
        """Give the other keys that earlier releases made of the same identity.

        They used the address as it was written, and took a phone with and without its plus for two.
        """
        spellings = (compare, f"+{compare}") if self._is_phone else (compare,)
        found = set()
        for former in self._former:
            for spelling in spellings:
                made = former.copy()
                made.update(spelling.encode())
                found.add(made.digest())
        found.discard(self.key(compare))
        return found


async def identity_keys(job: Job, ledger: Ledger) -> IdentityKeys:
    """Make the keys of a job for a ledger, with those of its earlier releases.

    Raises:
        LedgerError: as `Ledger.salt`.
    """
    salt = await ledger.salt()
    return IdentityKeys(job, salt=salt, former_urls=await former_urls(job, ledger))


async def former_urls(job: Job, ledger: Ledger) -> list[str]:
    """Give the spellings of the job's address under which earlier releases recorded runs of its scenario."""
    return [url for url in await ledger.recorded_urls(job.scenario) if canonical_url(url) == job.url]


def _prefix(url: str, job: Job, salt: bytes) -> hashlib.blake2b:
    made = hashlib.blake2b(key=salt, digest_size=16)
    made.update(f"{url}\n{job.scenario}\n{job.match.mode}\n{job.match.field_name or ''}\n".encode())
    return made
