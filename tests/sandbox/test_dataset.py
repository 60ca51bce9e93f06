"""Which profiles exist, and what a dataset file may contain."""

from __future__ import annotations

import json

import pytest

from batch_enroll.errors import JobError
from batch_enroll.models import MatchingMode
from batch_enroll.sandbox.platform_data import (
    Dataset,
    Profile,
    ProfileIdentity,
    load_dataset,
)

EMAIL, PHONE, PROFILE_ID, CUSTOM = MatchingMode


@pytest.mark.parametrize(
    "identity",
    [
        ProfileIdentity(EMAIL, "john@example.com"),
        ProfileIdentity(PHONE, "+79000000000"),
        ProfileIdentity(PROFILE_ID, "66acb337240d5213037986d8"),
        ProfileIdentity(CUSTOM, "00016", "CRM_ID"),
        ProfileIdentity(CUSTOM, 123420, "CRM_ID"),
    ],
)
def test_open_dataset_has_a_profile_for_every_identity(identity):
    assert Dataset().profile_key(1, identity) == identity.key


@pytest.mark.parametrize(
    "identity",
    [
        ProfileIdentity(EMAIL, "nobody@example.com"),
        ProfileIdentity(EMAIL, "john@Nobody.example"),
        ProfileIdentity(PHONE, "+79160404040"),
        ProfileIdentity(PROFILE_ID, "66acb337240d52130" + "0404040"),
        ProfileIdentity(CUSTOM, "nobody-7", "CRM_ID"),
        ProfileIdentity(CUSTOM, 10404040, "CRM_ID"),
    ],
)
def test_open_dataset_has_documented_unknown_profiles(identity):
    assert Dataset().profile_key(1, identity) is None
    assert Dataset().profile(1, identity) is None


def test_generated_profile_is_always_the_same():
    identity = ProfileIdentity(EMAIL, "john@example.com")
    assert Dataset().profile(1, identity) == Dataset().profile(1, identity)


def test_closed_dataset_has_only_its_profiles():
    john = Profile(id="john-1", email="john@example.com", phones=("+79000000000",), fields={"CRM_ID": "00016"})
    dataset = Dataset(profiles=(john,), is_open=False)
    for identity in john.identities():
        assert dataset.profile_key(1, identity) == "profile_id:john-1"
    assert dataset.profile_key(2, ProfileIdentity(EMAIL, "john@example.com")) is None
    assert dataset.profile_key(1, ProfileIdentity(EMAIL, "jane@example.com")) is None


def test_custom_value_matches_in_its_own_json_type_only():
    dataset = Dataset(profiles=(Profile(id="p", fields={"CRM_ID": 16}),), is_open=False)
    assert dataset.profile_key(1, ProfileIdentity(CUSTOM, 16, "CRM_ID")) == "profile_id:p"
    assert dataset.profile_key(1, ProfileIdentity(CUSTOM, "16", "CRM_ID")) is None


def test_dataset_from_toml(tmp_path):
    path = tmp_path / "world.toml"
    path.write_text(
        '[[scenarios]]\nid = 42\nname = "Leads"\nmode = "skip"\n'
        '[[profiles]]\nid = "p1"\nemail = "john@example.com"\nfields = {CRM_ID = "00016"}\n',
        encoding="utf-8",
    )
    dataset = load_dataset(path)
    assert list(dataset.scenarios) == [42]
    assert not dataset.is_open
    assert dataset.profile_key(1, ProfileIdentity(CUSTOM, "00016", "CRM_ID")) == "profile_id:p1"


def test_dataset_without_profiles_is_open(tmp_path):
    path = tmp_path / "world.json"
    path.write_text(json.dumps({"scenarios": [{"id": 1, "name": "One"}]}), encoding="utf-8")
    assert load_dataset(path).is_open


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({"scenario": []}, "unknown field: `scenario`"),
        ({"scenarios": [{"id": "3", "name": "x"}]}, "scenarios no. 1 needs `id` of type int"),
        ({"scenarios": [{"id": 3}]}, "needs `name` of type str"),
        ({"profiles": [{"id": "p", "mail": "x"}]}, "profiles no. 1 has an unknown field: `mail`"),
        ([], "is not a table"),
    ],
)
def test_invalid_dataset_file_is_refused(tmp_path, content, complaint):
    path = tmp_path / "world.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(JobError, match=complaint):
        load_dataset(path)


def test_missing_dataset_file_is_refused(tmp_path):
    with pytest.raises(JobError, match="cannot be read"):
        load_dataset(tmp_path / "nowhere.toml")
