"""The JSON of a request, to the byte, and what of it may be kept or shown."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_enroll.models import MatchingMode, StartRequest
from batch_enroll.sending.request_body import (
    BodyWriter,
    identity_of,
    redact,
    restore,
    with_token,
)


def body_of(request: StartRequest) -> str:
    writer = BodyWriter(
        scenario=request.scenario,
        mode=request.mode,
        field_name=request.field_name,
        resource_id=request.resource_id,
    )
    return writer.body(request)


EMAIL = StartRequest(scenario=12, mode=MatchingMode.EMAIL, identity="john@example.com")


@pytest.mark.parametrize(
    ("request_", "body"),
    [
        (EMAIL, '{"id":12,"matching":"email","email":"john@example.com"}'),
        (
            StartRequest(scenario=12, mode=MatchingMode.EMAIL, identity="john@example.com", resource_id=24),
            '{"id":12,"matching":"email","email":"john@example.com","resource_id":24}',
        ),
        (
            StartRequest(scenario=12, mode=MatchingMode.PHONE, identity="+79000000000"),
            '{"id":12,"matching":"phone","phone":"+79000000000"}',
        ),
        (
            StartRequest(scenario=3, mode=MatchingMode.PROFILE_ID, identity="66acb337240d5213037986d8"),
            '{"id":3,"matching":"profile_id","profile_id":"66acb337240d5213037986d8"}',
        ),
        (
            StartRequest(scenario=12, mode=MatchingMode.CUSTOM, field_name="CRM_ID", identity="00123420"),
            '{"id":12,"matching":"custom","field_name":"CRM_ID","field_value":"00123420"}',
        ),
        (
            StartRequest(scenario=12, mode=MatchingMode.CUSTOM, field_name="CRM_ID", identity=123420),
            '{"id":12,"matching":"custom","field_name":"CRM_ID","field_value":123420}',
        ),
        (
            StartRequest(
                scenario=12, mode=MatchingMode.EMAIL, identity="ж@example.com", content=(("имя", 'O"Нил\n'), ("n", "1"))
            ),
            '{"id":12,"matching":"email","email":"ж@example.com","content":{"имя":"O\\"Нил\\n","n":"1"}}',
        ),
    ],
)
def test_body_has_only_the_documented_fields(request_, body):
    assert body_of(request_) == body
    assert identity_of(body) == str(request_.identity)


def test_token_is_inserted_first_and_changes_nothing_else():
    body = body_of(EMAIL)
    sent = with_token(body, 'a"b')
    assert sent == b'{"token":"a\\"b",' + body.encode()[1:]
    assert with_token("{}", "t") == b'{"token":"t"}'


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"]))
    ),
)
def test_cell_text_is_sent_unchanged(identity, content):
    request = StartRequest(scenario=1, mode=MatchingMode.EMAIL, identity=identity, content=tuple(content.items()))
    sent = json.loads(with_token(body_of(request), "T"))
    assert sent["email"] == identity
    assert sent.get("content", {}) == content
    assert next(iter(sent)) == "token"


def test_lone_surrogate_is_refused_without_showing_the_value():
    with pytest.raises(ValueError, match=r"half a character \(U\+D83D\)") as caught:
        body_of(StartRequest(scenario=1, mode=MatchingMode.EMAIL, identity="secret\ud83d"))
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_custom_field_needs_its_name():
    with pytest.raises(ValueError, match="field's name"):
        body_of(StartRequest(scenario=1, mode=MatchingMode.CUSTOM, identity="x"))


@pytest.mark.parametrize(
    ("message", "identity", "kept"),
    [
        ("No profile john@example.com", "john@example.com", "No profile {identity}"),
        ("No profile JOHN@Example.com", "john@example.com", "No profile {identity}"),
        ("Incorrect phone: 79000000000", "+79000000000", "Incorrect phone: {identity}"),
        ("Incorrect phone: +79000000000", "+79000000000", "Incorrect phone: {identity}"),
        ("Met a.b@c.ru and +7 (900) 000-00-00 too", "x@y.ru", "Met *** and *** too"),
        ("token 0123456789abcdef0123456789abcdef refused", "x@y.ru", "token *** refused"),
        ("Code 12 for 12 in 2012", "12", "Code {identity} for {identity} in 2012"),
        ("Done (profile_id 5f4fa1a5ce9448665fef548e)", "x@y.ru", "Done (profile_id 5f4fa1a5ce9448665fef548e)"),
        ("Done (profile_id 123456789012)", "x@y.ru", "Done (profile_id 123456789012)"),
        ("", "x@y.ru", ""),
        ("empty identity", "", "empty identity"),
    ],
)
def test_stored_message_has_no_personal_data(message, identity, kept):
    assert redact(message, identity) == kept


def test_stored_message_is_bounded():
    assert len(redact("x" * 5000, "john")) == 300


def test_report_restores_the_identity():
    assert restore(redact("No profile john@example.com.", "john@example.com"), "john@example.com") == (
        "No profile john@example.com."
    )


@given(st.text(), st.text(), st.text(min_size=4))
def test_identity_is_not_stored(before, after, identity):
    kept = redact(f"{before} {identity} {after}", identity)
    assert (
        identity.casefold() not in kept.replace("{identity}", "").replace("***", "").casefold() or not identity.strip()
    )
