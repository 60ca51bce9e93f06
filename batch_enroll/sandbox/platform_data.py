"""The databases, scenarios and profiles of the mock server, from a TOML or JSON file or by default.

An open dataset has a profile for every well-formed identity except those of `is_nobody`. A closed one has the profiles
of its file only. A file without profiles makes an open dataset unless it says `open = false`. A generated profile has
one identity: the same person by email and by phone is two profiles.

    open = false                    # everything except ids and names has a default
    [[databases]]
    id = 1
    name = "Customers"
    [[scenarios]]
    id = 3
    name = "Welcome"
    list_id = 1
    is_active = true
    mode = "skip"
    start_node = true
    [[profiles]]
    id = "66acb337240d5213037986d8"
    db_id = 1
    email = "john@example.com"
    phones = ["+79000000000"]
    fields = { CRM_ID = "00016" }
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from batch_enroll.errors import JobError
from batch_enroll.messages import Message, message
from batch_enroll.models import MatchingMode
from batch_enroll.os_errors import translate_os_errors

Value = TypeVar("Value")

NOBODY = "nobody"
NOBODY_ENDING = "0404040"


@dataclass(frozen=True, slots=True)
class ProfileIdentity:
    """How a request names a profile."""

    mode: MatchingMode
    value: str | int
    field_name: str | None = None

    @property
    def key(self) -> str:
        """`email:john@example.com`, `custom.CRM_ID:123420`."""
        where = f"{self.mode.value}.{self.field_name}" if self.field_name is not None else self.mode.value
        return f"{where}:{self.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A database of profiles."""

    id: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A scenario; `mode` is the re-entry mode as `workflows/list` shows it."""

    id: int
    name: str
    list_id: int = 1
    is_active: bool = True
    mode: str = "skip"
    start_node: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A person's record."""

    id: str
    db_id: int = 1
    email: str | None = None
    phones: tuple[str, ...] = ()
    fields: Mapping[str, object] = field(default_factory=dict)  #: custom fields by name

    def identities(self) -> list[ProfileIdentity]:
        """List the identities of the profile; a custom value matches in its own JSON type only."""
        found = [ProfileIdentity(MatchingMode.PROFILE_ID, self.id)]
        if self.email is not None:
            found.append(ProfileIdentity(MatchingMode.EMAIL, self.email))
        found += [ProfileIdentity(MatchingMode.PHONE, phone) for phone in self.phones]
        found += [
            ProfileIdentity(MatchingMode.CUSTOM, value, name)
            for name, value in self.fields.items()
            if isinstance(value, str | int)
        ]
        return found


# Only "skip" and "skip_in_any_case" are public; the other two strings are invented.
DEFAULT_SCENARIOS = (
    Scenario(id=3, name="Welcome", mode="skip_in_any_case"),
    Scenario(id=5, name="Abandoned cart", mode="skip"),
    Scenario(id=7, name="Birthday", mode="restart"),
    Scenario(id=9, name="Order placed", list_id=2, mode="process_each"),
    Scenario(id=11, name="Spring sale (over)", is_active=False),
    Scenario(id=12, name="Draft without a start", start_node=False),
)
DEFAULT_DATABASES = (Database(id=1, name="Customers"), Database(id=2, name="Shop orders"))


class Dataset:
    """Scenarios and databases by id, profiles by identity. Only `switch` changes it."""

    def __init__(
        self,
        *,
        scenarios: tuple[Scenario, ...] = DEFAULT_SCENARIOS,
        databases: tuple[Database, ...] = DEFAULT_DATABASES,
        profiles: tuple[Profile, ...] = (),
        is_open: bool = True,
    ) -> None:
        self.scenarios = {scenario.id: scenario for scenario in scenarios}
        self.databases = {database.id: database for database in databases}
        self.is_open = is_open
        self._profiles: dict[tuple[int, ProfileIdentity], Profile] = {}
        for profile in profiles:
            for identity in profile.identities():
                self._profiles.setdefault((profile.db_id, identity), profile)  # the first of several wins

    def switch(self, number: int, *, is_active: bool) -> None:
        """Activate or deactivate a scenario, if it exists."""
        if scenario := self.scenarios.get(number):
            self.scenarios[number] = replace(scenario, is_active=is_active)

    def profile_key(self, db_id: int, identity: ProfileIdentity) -> str | None:
        """Get the key of a profile in the counts; None when there is no such profile."""
        if listed := self._profiles.get((db_id, identity)):
            return f"profile_id:{listed.id}"
        return identity.key if self.is_open and not is_nobody(identity.value) else None

    def profile(self, db_id: int, identity: ProfileIdentity) -> Profile | None:
        """Find a profile, or generate it in an open dataset."""
        if listed := self._profiles.get((db_id, identity)):
            return listed
        if self.profile_key(db_id, identity) is None:
            return None
        value, mode = str(identity.value), identity.mode
        return Profile(
            id=value if mode is MatchingMode.PROFILE_ID else hashlib.sha256(identity.key.encode()).hexdigest()[:24],
            db_id=db_id,
            email=value if mode is MatchingMode.EMAIL else None,
            phones=(value,) if mode is MatchingMode.PHONE else (),
            fields={identity.field_name: identity.value} if identity.field_name is not None else {},
        )


def is_nobody(value: str | int) -> bool:
    """Whether an open dataset has no such profile: the value contains `nobody`, or ends in 0404040."""
    text = str(value).lower()
    return NOBODY in text or text.endswith(NOBODY_ENDING)


def load_dataset(path: Path | None) -> Dataset:
    """Load a dataset from `.toml` or `.json`; None gives the default one.

    Raises:
        JobError: the file is unreadable or has an unknown or invalid entry.
    """
    if path is None:
        return Dataset()
    what = message("sandbox.dataset_unreadable", path=path)
    try:
        with translate_os_errors(what, to=JobError):
            text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise JobError(message("sandbox.dataset_malformed", path=path, reason=str(error))) from None
    table = _DataTable(content, message("sandbox.dataset", path=path))
    profiles = tuple(_read_profile(entry) for entry in table.entries("profiles"))
    scenarios = tuple(_read_scenario(entry) for entry in table.entries("scenarios"))
    databases = tuple(_read_database(entry) for entry in table.entries("databases"))
    is_open = table.take("open", bool, not profiles)
    table.require_empty()
    return Dataset(
        scenarios=scenarios or DEFAULT_SCENARIOS,
        databases=databases or DEFAULT_DATABASES,
        profiles=profiles,
        is_open=is_open,
    )


def _read_scenario(entry: _DataTable) -> Scenario:
    scenario = Scenario(
        id=entry.take("id", int),
        name=entry.take("name", str),
        list_id=entry.take("list_id", int, 1),
        is_active=entry.take("is_active", bool, True),
        mode=entry.take("mode", str, "skip"),
        start_node=entry.take("start_node", bool, True),
    )
    entry.require_empty()
    return scenario


def _read_database(entry: _DataTable) -> Database:
    database = Database(id=entry.take("id", int), name=entry.take("name", str))
    entry.require_empty()
    return database


def _read_profile(entry: _DataTable) -> Profile:
    profile = Profile(
        id=entry.take("id", str),
        db_id=entry.take("db_id", int, 1),
        email=entry.take("email", str, "") or None,
        phones=tuple(map(str, entry.take("phones", list, []))),
        fields=entry.take("fields", dict, {}),
    )
    entry.require_empty()
    return profile


class _DataTable:
    """One table of the file, read field by field, so that unknown fields are found."""

    def __init__(self, content: object, name: Message) -> None:
        if not isinstance(content, dict):
            raise JobError(message("sandbox.no_table", name=name))
        self._left = dict(content)
        self._name = name

    def take(self, key: str, kind: type[Value], default: Value | None = None) -> Value:
        value = self._left.pop(key, default)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise JobError(message("sandbox.field_type", name=self._name, key=key, type=kind.__name__))
        return value

    def entries(self, key: str) -> list[_DataTable]:
        listed = self.take(key, list, [])
        return [
            _DataTable(content, message("sandbox.dataset_entry", file=self._name, key=key, number=number))
            for number, content in enumerate(listed, 1)
        ]

    def require_empty(self) -> None:
        if self._left:
            raise JobError(message("sandbox.field_unknown", name=self._name, keys="`, `".join(self._left)))
