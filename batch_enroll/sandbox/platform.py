"""The state of the mock platform, and its response to each request.

The order for each request: count, rate limit (`workflows/start` only), fault, token, parameters, method.
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
from batch_enroll.messages import message
from batch_enroll.sandbox import api_methods
from batch_enroll.sandbox.api_methods import ApiRefusal, ApiReply, Body
from batch_enroll.sandbox.faults import (
    START,
    FaultKind,
    FaultPlan,
    FaultRule,
)
from batch_enroll.sandbox.http11_server import ServerRequest
from batch_enroll.sandbox.platform_data import ProfileIdentity, load_dataset
from batch_enroll.sandbox.sandbox_settings import ErrorStatus, SandboxSettings
from batch_enroll.sandbox.scripted_response import (
    ScriptedResponse,
    apply_fault,
    build_response,
    throttle_response,
)
from batch_enroll.sandbox.sliding_window import RateGate
from batch_enroll.sandbox.stats import Stats

API = "/api/v1.1/"
FIXED_SETTINGS = {"port", "token", "keep_requests"}
MASK = "***"


class Platform:
    """The settings, dataset, counts and switches of the mock platform."""

    def __init__(self, settings: SandboxSettings, *, clock: Clock) -> None:
        self.settings = settings
        self.dataset = load_dataset(settings.world_file)
        self.stats = Stats(keep=settings.keep_requests)
        self.token_revoked = False
        self.tariff_used_up = False
        self._clock = clock
        self._began = clock.monotonic()
        self._log: deque[tuple[float, str, ServerRequest]] = deque(maxlen=settings.keep_requests)
        self._random = random.Random(settings.seed)
        self._faults = FaultPlan(settings.faults, seed=settings.seed)
        self._gate = RateGate(settings.rate_per_s)

    def change(self, changes: Mapping[str, Any]) -> None:
        """Apply a control request. New faults or a new seed restart the count of requests, a new rate its window.

        Args:
            changes: settings by name, except `FIXED_SETTINGS`; `token_revoked`, `tariff_used_up`: true or
                false; `scenarios`: id -> whether it is active.

        Raises:
            JobError: nothing was changed.
        """
        left = dict(changes)
        token_revoked = bool(left.pop("token_revoked", self.token_revoked))
        tariff_used_up = bool(left.pop("tariff_used_up", self.tariff_used_up))
        active = _read_switches(left.pop("scenarios", {}))
        if fixed := sorted(left.keys() & FIXED_SETTINGS):
            raise JobError(message("sandbox.fixed_setting", names=fixed))
        settings = self.settings.changed(left)
        dataset = load_dataset(settings.world_file) if "world_file" in left else self.dataset
        if unknown := active.keys() - dataset.scenarios.keys():
            raise JobError(message("sandbox.no_such_scenario", ids=", ".join(map(str, sorted(unknown)))))
        self.settings, self.dataset = settings, dataset
        self.token_revoked, self.tariff_used_up = token_revoked, tariff_used_up
        for number, is_active in active.items():
            self.dataset.switch(number, is_active=is_active)
        if left.keys() & {"faults", "seed"}:
            self._faults = FaultPlan(settings.faults, seed=settings.seed)
        if "rate_per_s" in left:
            self._gate = RateGate(settings.rate_per_s)

    def state(self) -> dict[str, Any]:
        """Get the settings and switches in the form that `change` accepts."""
        settings = asdict(self.settings)
        return {
            **{name: value for name, value in settings.items() if name not in FIXED_SETTINGS},
            "token_revoked": self.token_revoked,
            "tariff_used_up": self.tariff_used_up,
            "scenarios": {str(number): each.is_active for number, each in self.dataset.scenarios.items()},
        }

    def requests(self) -> list[dict[str, Any]]:
        """Get the last API requests, oldest first, tokens masked."""
        return [_mask_token(at_s, method, request) for at_s, method, request in self._log]

    def receive(self, request: ServerRequest) -> ScriptedResponse:
        """Build the response to an API request; the caller calls `complete` when its wait is over, then sends it."""
        now = self._clock.monotonic() - self._began
        method = request.path.removeprefix(API).strip("/")
        if method not in api_methods.PARAMETERS:
            self.stats.requests["unknown method"] += 1
            return build_response(404, ApiReply(404, "Method not found").body())
        if request.method != "POST":
            return build_response(405, ApiReply(405, "Use POST").body(), headers={"Allow": "POST"})
        self.stats.requests[method] += 1
        self._log.append((now, method, request))
        wait_s = self._random.uniform(*self.settings.latency_s) if self.settings.latency_s[1] else 0.0
        body = _body_or_empty(request)
        identity = _find_identity(body)
        visit = 1
        if method == START:
            visit = self.stats.record_start(now, _find_scenario(body), None if identity is None else identity.key)
            full_for_s = self._gate.try_pass(now)
            if full_for_s is not None:
                return self._throttle(full_for_s, wait_s)
        rule = self._faults.draw(method, None if identity is None else str(identity.value), visit=visit)
        if rule is None:
            return self._reply(method, request, body, wait_s)
        self.stats.record_fault(rule)
        self._apply_switch(rule, body)
        response = self._reply(method, request, body, wait_s)
        return apply_fault(response, rule, form=self.settings.retry_after, now=self._clock.now())

    def complete(self, response: ScriptedResponse, *, client_left: bool) -> None:
        """Enroll and count, after the wait of the response."""
        if response.enrolment is not None:
            self.stats.record_enrolment(response.enrolment, client_left=client_left)
        self.stats.record_answer(response.status, response.code)

    def _throttle(self, full_for_s: float, wait_s: float) -> ScriptedResponse:
        self.stats.throttled += 1
        form, now = self.settings.retry_after, self._clock.now()
        return throttle_response(429, form=form, seconds=full_for_s, now=now, wait_s=wait_s)

    def _apply_switch(self, rule: FaultRule, body: Body) -> None:
        if rule.kind is FaultKind.TOKEN_REVOKED:
            self.token_revoked = True
        elif rule.kind is FaultKind.TARIFF_LIMIT:
            self.tariff_used_up = True
        elif rule.kind is FaultKind.SCENARIO_OFF and (number := _find_scenario(body)) is not None:
            self.dataset.switch(number, is_active=False)

    def _reply(self, method: str, request: ServerRequest, body: Body, wait_s: float) -> ScriptedResponse:
        try:
            reply = self._call_method(method, request, body)
        except ApiRefusal as refusal:
            reply = refusal.reply
        status = reply.code if reply.code and self.settings.error_status is ErrorStatus.CODE else 200
        healthy = build_response(status, reply.body(), wait_s=wait_s)
        return replace(healthy, code=reply.code, enrolment=reply.enrolment)

    def _call_method(self, method: str, request: ServerRequest, body: Body) -> ApiReply:
        if not body:
            api_methods.parse_body(request.body)  # raises the error
        api_methods.check_token(body, _bearer(request), token=None if self.token_revoked else self.settings.token)
        api_methods.check_media_type(request.header(b"content-type"))
        api_methods.check_parameters(method, body)
        match method:
            case "workflows/list":
                return api_methods.list_scenarios(body, self.dataset)
            case "databases/list":
                return api_methods.list_databases(body, self.dataset)
            case "profiles/get":
                return api_methods.get_profile(body, self.dataset)
        if self.tariff_used_up:
            raise ApiRefusal(api_methods.TARIFF_LIMIT, "Tariff limit reached")
        return api_methods.start_workflow(
            body, self.dataset, reentry=self.settings.reentry, times_enrolled=self.stats.times_enrolled
        )


def _body_or_empty(request: ServerRequest) -> Body:
    try:
        return api_methods.parse_body(request.body)
    except ApiRefusal:
        return {}


def _find_identity(body: Body) -> ProfileIdentity | None:
    try:
        return api_methods.parse_identity(body)
    except ApiRefusal:
        return None


def _find_scenario(body: Body) -> int | None:
    number = body.get("id")
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _read_switches(scenarios: object) -> dict[int, bool]:
    if not isinstance(scenarios, Mapping) or not all(str(number).isdecimal() for number in scenarios):
        raise JobError(message("sandbox.scenario_switches"))
    return {int(number): bool(is_active) for number, is_active in scenarios.items()}


def _bearer(request: ServerRequest) -> str | None:
    scheme, _, token = (request.header(b"authorization") or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _mask_token(at_s: float, method: str, request: ServerRequest) -> dict[str, Any]:
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
