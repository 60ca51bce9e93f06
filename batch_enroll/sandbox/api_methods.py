"""The API methods of the mock server, from a request's body to the platform's reply.

Names, formats and the codes 0, 400, 401 and 402 are the platform's. The other codes are not public; these are invented:
404 no such profile, 409 re-entry refused, 410 no such scenario, 422 malformed identity, 423 scenario inactive,
424 scenario without a start node. A parameter that the method's API page does not list is refused with 400.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from batch_enroll.errors import BatchEnrollError
from batch_enroll.messages import verbatim
from batch_enroll.models import MatchingMode
from batch_enroll.sandbox.platform_data import Dataset, ProfileIdentity, Scenario
from batch_enroll.sandbox.sandbox_settings import ReEntry

BAD_REQUEST = 400
TOKEN_REQUIRED = 401
TARIFF_LIMIT = 402
NO_SUCH_PROFILE = 404
REENTRY_REFUSED = 409
NO_SUCH_SCENARIO = 410
MALFORMED_IDENTITY = 422
SCENARIO_INACTIVE = 423
NO_START_NODE = 424

IDENTITY_PARAMETERS = {"matching", "email", "phone", "profile_id", "field_name", "field_value", "resource_id"}
PARAMETERS = {
    "workflows/start": IDENTITY_PARAMETERS
    | {"token", "format", "id", "content", "custom_data", "attach", "subscription_filter"},
    "workflows/list": {"token", "format", "from_id", "limit", "groups", "groups_id", "ui_tags", "attributes"},
    "profiles/get": IDENTITY_PARAMETERS | {"token", "format", "db_id"},
    "databases/list": {"token", "format", "from_id", "limit"},
}
OBJECTS = {"content": dict, "custom_data": dict, "subscription_filter": dict, "attach": list}
REFUSES_REPEATS = {"skip", "skip_in_any_case"}
EMAIL = re.compile(r"[^@\s;,]+@[^@\s;,]+")
PHONE = re.compile(r"\+[1-9]\d{7,14}")
PROFILE_ID = re.compile(r"[0-9a-fA-F]{24}")

Body = Mapping[str, Any]


class Enrolment(NamedTuple):
    """One profile started in one scenario."""

    scenario: int
    profile: str  #: key of the profile


@dataclass(frozen=True, slots=True)
class ApiReply:
    """A reply of the platform, with the enrolment that it stands for."""

    code: int = 0
    text: str = "Successful operation"
    extra: Body = field(default_factory=dict)
    enrolment: Enrolment | None = None

    def body(self) -> bytes:
        """Encode the reply as JSON."""
        return json.dumps({**self.extra, "error": self.code, "error_text": self.text}, ensure_ascii=False).encode()


class ApiRefusal(BatchEnrollError):
    """The platform refuses a request."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(verbatim(text))
        self.reply = ApiReply(code, text)


def parse_body(raw: bytes) -> Body:
    """Parse a JSON object, or raise ApiRefusal."""
    try:
        body = json.loads(raw)
    except ValueError:
        raise ApiRefusal(BAD_REQUEST, "Incorrect request: the body is not JSON") from None
    if not isinstance(body, dict):
        raise ApiRefusal(BAD_REQUEST, "Incorrect request: the body is not an object")
    return body


def check_token(body: Body, bearer: str | None, *, token: str | None) -> None:
    """Raise ApiRefusal unless body or header has the right token and neither a wrong one; None accepts no token."""
    given = [each for each in (body.get("token"), bearer) if each is not None]
    if not given or any(each != token for each in given):
        raise ApiRefusal(TOKEN_REQUIRED, "API token required")


def check_media_type(media_type: str | None) -> None:
    """Raise ApiRefusal unless the header Content-Type says JSON."""
    if media_type is None or not media_type.lower().startswith("application/json"):
        raise ApiRefusal(BAD_REQUEST, "Incorrect request: Content-Type must be application/json")


def check_parameters(method: str, body: Body) -> None:
    """Raise ApiRefusal for a parameter that the method does not have."""
    if unknown := sorted(body.keys() - PARAMETERS[method]):
        raise ApiRefusal(BAD_REQUEST, f"Incorrect request: unknown parameter {', '.join(unknown)}")
    if body.get("format", "json") != "json":
        raise ApiRefusal(BAD_REQUEST, "Incorrect request: the sandbox answers in JSON only")


def start_workflow(
    body: Body, dataset: Dataset, *, reentry: ReEntry, times_enrolled: Callable[[Enrolment], int]
) -> ApiReply:
    """Answer `workflows/start`."""
    for name, kind in OBJECTS.items():
        if name in body and not isinstance(body[name], kind):
            raise ApiRefusal(BAD_REQUEST, f"Incorrect request: {name} has the wrong type")
    scenario = dataset.scenarios.get(_integer(body, "id"))
    identity = parse_identity(body)
    if scenario is None:
        raise ApiRefusal(NO_SUCH_SCENARIO, "Scenario not found")
    if not scenario.is_active:
        raise ApiRefusal(SCENARIO_INACTIVE, "Scenario is not active")
    if not scenario.start_node:
        raise ApiRefusal(NO_START_NODE, "Scenario has no start node")
    profile = dataset.profile_key(scenario.list_id, identity)
    if profile is None:
        raise ApiRefusal(NO_SUCH_PROFILE, "Profile not found")
    enrolment = Enrolment(scenario.id, profile)
    if reentry is ReEntry.REFUSE and scenario.mode in REFUSES_REPEATS and times_enrolled(enrolment):
        raise ApiRefusal(REENTRY_REFUSED, "Profile cannot enter the scenario again")
    return ApiReply(enrolment=enrolment)


def list_scenarios(body: Body, dataset: Dataset) -> ApiReply:
    """Answer `workflows/list`; groups, tags and attributes are accepted and filter nothing."""
    from_id, limit = _integer(body, "from_id", 1), _integer(body, "limit", 1000)
    page = [scenario for key, scenario in sorted(dataset.scenarios.items()) if key >= from_id][:limit]
    return ApiReply(
        extra={
            "data": [_scenario_entry(scenario) for scenario in page],
            "next_from_id": page[-1].id + 1 if page else from_id,
            "total": len(dataset.scenarios),
        }
    )


def list_databases(body: Body, dataset: Dataset) -> ApiReply:
    """Answer `databases/list`."""
    from_id, limit = _integer(body, "from_id", 1), _integer(body, "limit", 1000)
    page = [database for key, database in sorted(dataset.databases.items()) if key >= from_id][:limit]
    return ApiReply(extra={"data": [{"id": each.id, "name": each.name, "ui_tags": [], "groups": []} for each in page]})


def get_profile(body: Body, dataset: Dataset) -> ApiReply:
    """Answer `profiles/get`, for the four ways of matching that `workflows/start` has."""
    db_id = _integer(body, "db_id")
    profile = dataset.profile(db_id, parse_identity(body))
    if db_id not in dataset.databases or profile is None:
        raise ApiRefusal(NO_SUCH_PROFILE, "Profile not found")
    return ApiReply(
        extra={
            "data": {
                **profile.fields,
                "id": profile.id,
                "db_id": profile.db_id,
                "email": profile.email,
                "phones": list(profile.phones),
                "_status": "active",
                "subscriptions": [],
            }
        }
    )


def parse_identity(body: Body) -> ProfileIdentity:
    """Parse the identity of a profile; raise ApiRefusal if it is missing or malformed."""
    matching = body.get("matching", MatchingMode.EMAIL.value)
    if matching == "email":
        return _text_identity(body, MatchingMode.EMAIL, EMAIL)
    if matching == "phone":
        return _text_identity(body, MatchingMode.PHONE, PHONE)
    if matching == "profile_id":
        return _text_identity(body, MatchingMode.PROFILE_ID, PROFILE_ID)
    if matching == "custom":
        return _custom_identity(body)
    raise ApiRefusal(BAD_REQUEST, f"Incorrect request: matching {matching!r} is not supported")


def _text_identity(body: Body, mode: MatchingMode, form: re.Pattern[str]) -> ProfileIdentity:
    value = body.get(mode.value)
    if not isinstance(value, str) or not value:
        raise ApiRefusal(BAD_REQUEST, f"Incorrect request: {mode.value} is required")
    if not form.fullmatch(value):
        raise ApiRefusal(MALFORMED_IDENTITY, f"Incorrect {mode.value}")
    return ProfileIdentity(mode, value)


def _custom_identity(body: Body) -> ProfileIdentity:
    name, value = body.get("field_name"), body.get("field_value")
    if not isinstance(name, str) or not name:
        raise ApiRefusal(BAD_REQUEST, "Incorrect request: field_name is required")
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise ApiRefusal(BAD_REQUEST, "Incorrect request: field_value is required, a string or an integer")
    return ProfileIdentity(MatchingMode.CUSTOM, value, name)


def _integer(body: Body, name: str, default: int | None = None) -> int:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ApiRefusal(BAD_REQUEST, f"Incorrect request: {name} is required, an integer")
    return value


def _scenario_entry(scenario: Scenario) -> Body:
    start_node = {"name": "DEFAULT_START_NODE_TITLE", "type": "start", "node_id": 0}
    letter = {"name": f"{scenario.name} letter", "type": "campaign", "node_id": 3, "campaign_id": 17, "templates": [1]}
    return {
        "id": scenario.id,
        "name": scenario.name,
        "list_id": scenario.list_id,
        "is_active": scenario.is_active,
        "ui_tags": [],
        "mode": scenario.mode,
        "groups": [{"ID": 1, "title": "Marketing"}],
        "nodes": [start_node, letter] if scenario.start_node else [letter],
    }
