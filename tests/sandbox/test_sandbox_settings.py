"""Settings: they survive the way to another process, and refuse what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from batch_enroll.errors import JobError
from batch_enroll.sandbox import (
    ErrorStatus,
    FaultRule,
    ReEntry,
    RetryAfter,
    SandboxSettings,
)


def test_settings_survive_json():
    settings = SandboxSettings(
        port=1,
        token="t",
        world_file=Path("w.toml"),
        rate_per_s=2.5,
        retry_after=RetryAfter.DATE,
        latency_s=(0.1, 0.2),
        faults=(FaultRule(fault="http_429", nth=(1, 2)), FaultRule(fault="late_act", contains="x", delay_s=1)),
        seed=7,
        idle_timeout_s=2,
        error_status=ErrorStatus.CODE,
        reentry=ReEntry.REFUSE,
        keep_requests=5,
    )
    assert SandboxSettings.from_json(settings.to_json()) == settings


@pytest.mark.parametrize(
    "changes",
    [
        {"speed": 1},
        {"rate_per_s": 0},
        {"latency_s": [2, 1]},
        {"latency_s": "fast"},
        {"retry_after": "soon"},
        {"faults": [{"fault": "nonsense"}]},
        {"faults": 5},
        {"port": 70000},
        {"token": ""},
        {"idle_timeout_s": 0},
    ],
)
def test_invalid_settings_are_refused(changes):
    with pytest.raises(JobError):
        SandboxSettings().changed(changes)


@pytest.mark.parametrize("line", ["", "{", "[]", '{"speed": 1}'])
def test_malformed_settings_line_is_refused(line):
    with pytest.raises(JobError):
        SandboxSettings.from_json(line)


def test_null_removes_a_limit():
    assert SandboxSettings(rate_per_s=5).changed({"rate_per_s": None}).rate_per_s is None
