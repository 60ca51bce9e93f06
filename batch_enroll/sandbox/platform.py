"""The platform's stand-in: the one place that remembers.

In: one request after the other, with the time. Out: a `ScriptedResponse` for each, and the counts. Never: a socket, a wait.

Order for each request: count it, rate limit (`workflows/start` only), fault, token, parameters, method.
"""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from batch_enroll.clock import Clock
from batch_enroll.errors import JobError
from batch_enroll.sandbox import api_methods
from batch_enroll.sandbox.api_methods import ApiRefusal, ApiReply, Body
from batch_enroll.sandbox.dataset import ProfileIdentity, read_world
from batch_enroll.sandbox.faults import (
    START,
    FaultKind,
    FaultPlan,
    FaultRule,
)
from batch_enroll.sandbox.http11_server import ServerRequest
from batch_enroll.sandbox.sandbox_settings import ErrorStatus, SandboxSettings
from batch_enroll.sandbox.scripted_response import (
    ScriptedResponse,
    answer,
    come_back_later,
    spoil,
)
from batch_enroll.sandbox.sliding_window import RateGate
from batch_enroll.sandbox.stats import Stats

API = "/api/v1.1/"
CHOSEN_AT_THE_START = {"port", "token", "keep_requests"}
MASK = "***"


class Platform:
    """Settings, world, counts, and what the switches are at."""

    def __init__(self, settings: SandboxSettings, *, clock: Clock) -> None:
        self.settings = settings
        self.world = read_world(settings.world_file)
        self.stats = Stats(keep=settings.keep_requests)
        self.token_revoked = False
        self.tariff_used_up = False
        self._clock = clock
        self._began = clock.monotonic()
        self._log: deque[tuple[float, str, ServerRequest]] = deque(maxlen=settings.keep_requests)
        self._luck = random.Random(settings.seed)
        self._plan = FaultPlan(settings.faults, seed=settings.seed)
        self._gate = RateGate(settings.rate_per_s)

    def change(self, changes: Mapping[str, Any]) -> None:
        """Do what a control request says. New faults, or a new seed, count from here; a new rate starts empty.

        Args:
            changes: settings by name, but for `CHOSEN_AT_THE_START`; `token_revoked`, `tariff_used_up`: true or
                false; `scenarios`: id -> whether it is active.

        Raises:
            JobError: nothing was changed.
        """
        left = dict(changes)
        token_revoked = bool(left.pop("token_revoked", self.token_revoked))
        tariff_used_up = bool(left.pop("tariff_used_up", self.tariff_used_up))
        active = _switches(left.pop("scenarios", {}))
        if fixed := sorted(left.keys() & CHOSEN_AT_THE_START):
            raise JobError(f"{', '.join(fixed)} cannot change while the sandbox runs.")
        settings = self.settings.changed(left)
        world = read_world(settings.world_file) if "world_file" in left else self.world
        if unknown := active.keys() - world.scenarios.keys():
            raise JobError(f"There is no scenario {', '.join(map(str, sorted(unknown)))}.")
        self.settings, self.world = settings, world
        self.token_revoked, self.tariff_used_up = token_revoked, tariff_used_up
        for number, is_active in active.items():
            self.world.switch(number, is_active=is_active)
        if left.keys() & {"faults", "seed"}:
            self._plan = FaultPlan(settings.faults, seed=settings.seed)
        if "rate_per_s" in left:
            self._gate = RateGate(settings.rate_per_s)

    def state(self) -> dict[str, Any]:
        """The settings and the switches, as `change` takes them."""
        settings = asdict(self.settings)
        return {
            **{name: value for name, value in settings.items() if name not in CHOSEN_AT_THE_START},
            "token_revoked": self.token_revoked,
            "tariff_used_up": self.tariff_used_up,
            "scenarios": {str(number): each.is_active for number, each in self.world.scenarios.items()},
        }

    def requests(self) -> list[dict[str, Any]]:
        """The last API requests as they came, oldest first, tokens masked."""
        return [_shown(at_s, method, request) for at_s, method, request in self._log]

    def receive(self, request: ServerRequest) -> ScriptedResponse:
        """Decide about one API request; the caller plays it, and tells `acted` when its wait is over."""
        now = self._clock.monotonic() - self._began
        method = request.path.removeprefix(API).strip("/")
        if method not in api_methods.PARAMETERS:
            self.stats.requests["unknown method"] += 1
            return answer(404, ApiReply(404, "Method not found").body())
        if request.method != "POST":
            return answer(405, ApiReply(405, "Use POST").body(), headers={"Allow": "POST"})
        self.stats.requests[method] += 1
        self._log.append((now, method, request))
        wait_s = self._luck.uniform(*self.settings.latency_s) if self.settings.latency_s[1] else 0.0
        body = _body_of(request)
        identity = _identity_in(body)
        visit = 1
        if method == START:
            visit = self.stats.start_arrived(now, _scenario_in(body), None if identity is None else identity.key)
            full_for_s = self._gate.full_for_s(now)
            if full_for_s is not None:
                return self._throttle(full_for_s, wait_s)
        rule = self._plan.draw(method, None if identity is None else str(identity.value), visit=visit)
        if rule is None:
            return self._reply(method, request, body, wait_s)
        self.stats.fired(rule)
        self._throw_switch(rule, body)
        play = self._reply(method, request, body, wait_s)
        return spoil(play, rule, form=self.settings.retry_after, now=self._clock.now())

    def acted(self, play: ScriptedResponse, *, client_left: bool) -> None:
        """The play's wait is over: what it does is done now, and what it says is counted."""
        if play.enrolment is not None:
            self.stats.enrolled(play.enrolment, client_left=client_left)
        self.stats.answered(play.status, play.code)

    def _throttle(self, full_for_s: float, wait_s: float) -> ScriptedResponse:
        self.stats.throttled += 1
        form, now = self.settings.retry_after, self._clock.now()
        return come_back_later(429, form=form, seconds=full_for_s, now=now, wait_s=wait_s)

    def _throw_switch(self, rule: FaultRule, body: Body) -> None:
        if rule.shape is FaultKind.TOKEN_REVOKED:
            self.token_revoked = True
        elif rule.shape is FaultKind.TARIFF_LIMIT:
            self.tariff_used_up = True
        elif rule.shape is FaultKind.SCENARIO_OFF and (number := _scenario_in(body)) is not None:
            self.world.switch(number, is_active=False)

    def _reply(self, method: str, request: ServerRequest, body: Body, wait_s: float) -> ScriptedResponse:
        try:
            reply = self._ask(method, request, body)
        except ApiRefusal as refusal:
            reply = refusal.reply
        status = reply.code if reply.code and self.settings.error_status is ErrorStatus.CODE else 200
        healthy = answer(status, reply.body(), wait_s=wait_s)
        return replace(healthy, code=reply.code, enrolment=reply.enrolment)

    def _ask(self, method: str, request: ServerRequest, body: Body) -> ApiReply:
        if not body:
            api_methods.read_body(request.body)  # says what is wrong with it
        api_methods.check_token(body, _bearer(request), token=None if self.token_revoked else self.settings.token)
        api_methods.check_media_type(request.header(b"content-type"))
        api_methods.check_parameters(method, body)
        match method:
            case "workflows/list":
                return api_methods.list_scenarios(body, self.world)
            case "databases/list":
                return api_methods.list_databases(body, self.world)
            case "profiles/get":
                return api_methods.get_profile(body, self.world)
        if self.tariff_used_up:
            raise ApiRefusal(api_methods.TARIFF_LIMIT, "Tariff limit reached")
        return api_methods.start(
            body, self.world, reentry=self.settings.reentry, times_enrolled=self.stats.times_enrolled
        )


def _body_of(request: ServerRequest) -> Body:
    try:
        return api_methods.read_body(request.body)
    except ApiRefusal:
        return {}


def _identity_in(body: Body) -> ProfileIdentity | None:
    try:
        return api_methods.read_identity(body)
    except ApiRefusal:
        return None


def _scenario_in(body: Body) -> int | None:
    number = body.get("id")
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _switches(scenarios: object) -> dict[int, bool]:
    if not isinstance(scenarios, Mapping) or not all(str(number).isdecimal() for number in scenarios):
        raise JobError("`scenarios` maps the id of a scenario to true or false.")
    return {int(number): bool(is_active) for number, is_active in scenarios.items()}


def _bearer(request: ServerRequest) -> str | None:
    scheme, _, token = (request.header(b"authorization") or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _shown(at_s: float, method: str, request: ServerRequest) -> dict[str, Any]:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in request.headers}
    if "authorization" in headers:
        headers["authorization"] = MASK
    try:
        body: object = json.loads(request.body)
    except ValueError:
        body = request.body.decode("utf-8", "replace")
    if isinstance(body, dict) and "token" in body:
        body["token"] = MASK
    return {"at_s": at_s, "method": method, "path": request.path, "headers": headers, "body": body}
