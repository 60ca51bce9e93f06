"""The API methods, without a socket."""

from __future__ import annotations

import pytest

from batch_enroll.sandbox import api_methods
from batch_enroll.sandbox.api_methods import ApiRefusal, ApiReply, Enrolment
from batch_enroll.sandbox.platform_data import Dataset
from batch_enroll.sandbox.sandbox_settings import ReEntry

JOHN = {"id": 3, "matching": "email", "email": "john@example.com"}


def start(body, *, reentry=ReEntry.COUNT, times_enrolled=0) -> ApiReply:
    api_methods.check_parameters("workflows/start", body)
    return api_methods.start_workflow(body, Dataset(), reentry=reentry, times_enrolled=lambda enrolment: times_enrolled)


def refusal_code(body, **options) -> int:
    with pytest.raises(ApiRefusal) as refusal:
        start(body, **options)
    return refusal.value.reply.code


@pytest.mark.parametrize(
    ("body", "profile"),
    [
        ({"id": 3, "email": "john@example.com"}, "email:john@example.com"),
        (JOHN | {"resource_id": 24}, "email:john@example.com"),
        ({"id": 3, "matching": "phone", "phone": "+79000000000"}, "phone:+79000000000"),
        (
            {"id": 3, "matching": "profile_id", "profile_id": "66acb337240d5213037986d8"},
            "profile_id:66acb337240d5213037986d8",
        ),
        ({"id": 3, "matching": "custom", "field_name": "CRM_ID", "field_value": "00016"}, "custom.CRM_ID:00016"),
        ({"id": 3, "matching": "custom", "field_name": "CRM_ID", "field_value": 16}, "custom.CRM_ID:16"),
        (JOHN | {"content": {"first_name": "John"}, "format": "json"}, "email:john@example.com"),
    ],
)
def test_documented_bodies_enrol(body, profile):
    assert start(body).enrolment == Enrolment(3, profile)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"email": "john@example.com"}, 400),
        (JOHN | {"id": "3"}, 400),
        (JOHN | {"id": True}, 400),
        ({"id": 3, "matching": "email"}, 400),
        ({"id": 3, "matching": "email", "phone": "+79000000000"}, 400),
        (JOHN | {"matching": "email_profile"}, 400),
        (JOHN | {"matching": None}, 400),
        (JOHN | {"workflow_id": 3}, 400),
        (JOHN | {"custom_request": {}}, 400),
        (JOHN | {"format": "xml"}, 400),
        (JOHN | {"content": "x"}, 400),
        ({"id": 3, "matching": "custom", "field_name": "CRM_ID", "field_value": 1.5}, 400),
        ({"id": 3, "matching": "custom", "field_name": "CRM_ID", "field_value": ""}, 400),
        ({"id": 3, "matching": "custom", "field_value": "1"}, 400),
        (JOHN | {"email": "a@x.com;b@x.com"}, 422),
        ({"id": 3, "matching": "phone", "phone": "12345"}, 422),
        ({"id": 3, "matching": "phone", "phone": "+000000000000"}, 422),
        ({"id": 3, "matching": "phone", "phone": "+799912345678901234567890"}, 422),
        ({"id": 3, "matching": "profile_id", "profile_id": "xyz"}, 422),
        (JOHN | {"id": 4}, 410),
        (JOHN | {"id": 11}, 423),
        (JOHN | {"id": 12}, 424),
        (JOHN | {"email": "nobody@example.com"}, 404),
    ],
)
def test_bad_request_gets_its_error_code(body, code):
    assert refusal_code(body) == code


def test_repeat_is_accepted_unless_reentry_is_refuse():
    assert start(JOHN, times_enrolled=1).enrolment is not None
    assert refusal_code(JOHN, reentry=ReEntry.REFUSE, times_enrolled=1) == 409
    assert start(JOHN | {"id": 7}, reentry=ReEntry.REFUSE, times_enrolled=1).enrolment is not None


@pytest.mark.parametrize(
    ("body", "bearer", "fits"),
    [
        ({"token": "t"}, None, True),
        ({}, "t", True),
        ({"token": "t"}, "t", True),
        ({}, None, False),
        ({"token": "x"}, None, False),
        ({"token": "x"}, "t", False),
        ({"token": "t"}, "x", False),
    ],
)
def test_token_must_be_present_and_right(body, bearer, fits):
    if fits:
        api_methods.check_token(body, bearer, token="t")
    else:
        with pytest.raises(ApiRefusal) as refusal:
            api_methods.check_token(body, bearer, token="t")
        assert refusal.value.reply.code == 401


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"\xff"])
def test_body_must_be_a_json_object(raw):
    with pytest.raises(ApiRefusal):
        api_methods.parse_body(raw)


def test_scenario_is_found_by_from_id_and_limit():
    reply = api_methods.list_scenarios({"from_id": 7, "limit": 1}, Dataset()).extra
    (scenario,) = reply["data"]
    assert (scenario["id"], scenario["is_active"], scenario["mode"]) == (7, True, "restart")
    assert any(node["name"] == "DEFAULT_START_NODE_TITLE" for node in scenario["nodes"])
    assert (reply["next_from_id"], reply["total"]) == (8, 6)


def test_paging_lists_every_scenario_once():
    seen, from_id = [], 1
    while page := (reply := api_methods.list_scenarios({"from_id": from_id, "limit": 4}, Dataset()).extra)["data"]:
        seen += [scenario["id"] for scenario in page]
        from_id = reply["next_from_id"]
    assert seen == [3, 5, 7, 9, 11, 12]


def test_profile_has_the_matched_identity():
    data = api_methods.get_profile({"db_id": 1, "matching": "phone", "phone": "+79000000000"}, Dataset()).extra["data"]
    assert data["phones"] == ["+79000000000"]
    assert data["email"] is None
    with pytest.raises(ApiRefusal):
        api_methods.get_profile({"db_id": 99, "email": "john@example.com"}, Dataset())


def test_databases_are_listed():
    data = api_methods.list_databases({}, Dataset()).extra["data"]
    assert [entry["id"] for entry in data] == [1, 2]
