"""Monitoring failures do not change how a command ends."""

from __future__ import annotations

import threading

import pytest

from batch_enroll.cli import console, run_monitor
from batch_enroll.cli.monitor_settings import MonitorSettings
from batch_enroll.cli.run_monitor import RunMonitor
from batch_enroll.config.job import NotifySection
from batch_enroll.errors import JobError, RunLocked
from batch_enroll.messages import Message, verbatim
from batch_enroll.monitoring import notifications
from batch_enroll.reporting.run_result import RunResult


def settings(**notify):
    section = NotifySection.model_validate(notify)
    return MonitorSettings(name="nightly", scenario=3, status_file=None, metrics_file=None, notify=section)


@pytest.mark.parametrize("trouble", [ValueError("secret"), KeyboardInterrupt()])
def test_monitoring_error_is_one_line(monkeypatch, capsys, trouble):
    def fail(*_, **__):
        raise trouble

    monkeypatch.setattr(run_monitor, "build_text", fail)
    watch = RunMonitor(settings())
    watch.begin()
    watch.end(0)
    watch.report_end()
    (line,) = capsys.readouterr().err.splitlines()
    assert "notifications" in line
    assert "secret" not in line


def test_run_without_a_reported_end_sends_no_notification(receiver):
    watch = RunMonitor(settings(urls=[f"json://{receiver.address}"]))
    watch.begin()
    watch.report_end()
    assert receiver.requests == []


def test_internal_error_notifies_without_its_text(receiver):
    watch = RunMonitor(settings(urls=[f"json://{receiver.address}"]))
    watch.begin()
    watch.fail(ValueError("anna@example.com"))
    watch.report_end()
    message = receiver.requests[0].json["message"]
    assert "A bug in batch-enroll (ValueError)." in message
    assert "Exit code 3" in message
    assert "anna" not in message


@pytest.mark.parametrize("error", [RunLocked(verbatim("Process 7 is at work.")), JobError(verbatim("No."))])
def test_startup_error_notifies(receiver, error):
    watch = RunMonitor(settings(urls=[f"json://{receiver.address}"], on="stop"))
    watch.begin()
    watch.fail(error)
    watch.report_end()
    (told,) = receiver.requests
    assert error.message in told.json["message"]


def test_declined_run_sends_no_notification(receiver):
    watch = RunMonitor(settings(urls=[f"json://{receiver.address}"], heartbeat=f"http://{receiver.address}/beat"))
    watch.begin()
    watch.end(2, reason="Nothing was sent.", declined=True)
    watch.report_end()
    assert receiver.paths == ["/beat/start", "/beat/fail"]


def test_hanging_service_does_not_delay_the_exit(monkeypatch):
    hangs = threading.Event()
    said: list[Message] = []

    class Service:
        def notify(self, **_):
            hangs.wait(60)

    monkeypatch.setattr(notifications, "_service", lambda *_: Service())
    monkeypatch.setattr(notifications, "_MARGIN_S", 0.05)
    notifier = notifications.Notifier(["slow://x"], on=["stop"], timeout_s=0.05, warn=said.append)
    try:
        notifier.notify(RunResult(exit_code=3, meaning=""), title="", text="")
    finally:
        hangs.set()
    assert [str(what) for what in said] == ["The notification over slow:// was not delivered: no answer within 0.05 s."]


def test_addresses_are_not_printed(receiver, capsys, monkeypatch):
    monkeypatch.setattr(console, "_secrets", set())
    RunMonitor(settings(urls=["json://127.0.0.1/hush-hush"], heartbeat="https://hc.example/hush-hush-too"))
    for text in ("json://127.0.0.1/hush-hush", "POST 127.0.0.1/hush-hush", "https://hc.example/hush-hush-too"):
        console.print_message(f"bad {text}")
    assert "hush" not in capsys.readouterr().err


def test_printed_settings_show_no_address():
    section = NotifySection.model_validate({"urls": ["slack://a/b/c"], "heartbeat": "https://hc.example/uuid"})
    for shown in (repr(section), str(section), section.model_dump_json()):
        assert "slack" not in shown
        assert "uuid" not in shown
