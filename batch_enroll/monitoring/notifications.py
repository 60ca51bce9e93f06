"""Notifications about the end of a run: their title and text, and their delivery with apprise.

Addresses hold secrets: messages name only what stands before `://`.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Collection, Sequence
from typing import Any

from batch_enroll.errors import JobError
from batch_enroll.installed_versions import missing_packages
from batch_enroll.messages import Message, message
from batch_enroll.reporting.formatting import duration_text
from batch_enroll.reporting.run_result import RunResult
from batch_enroll.reporting.run_state import RunSnapshot, RunStage

_MARGIN_S = 2.0  # waited for a message beyond its timeout


class Notifier:
    """Notify people of the end of a run, when they asked for notice of such an end.

    Args:
        addresses: apprise URLs.
        on: `finish`, `stop`, `unknown`: the ends to report.
        timeout_s: seconds for one message.
        warn: called for each message that could not be delivered.
    Raises:
        JobError: apprise is not installed, or does not understand an address.
    """

    def __init__(
        self, addresses: Sequence[str], *, on: Collection[str], timeout_s: float, warn: Callable[[Message], None]
    ) -> None:
        self._on, self._timeout_s, self._warn = on, timeout_s, warn
        self._services = [
            (address.partition("://")[0], _service(address, number, timeout_s))
            for number, address in enumerate(addresses, start=1)
        ]

    def notify(self, ending: RunResult, *, title: str, text: str) -> None:
        """Send the message to all addresses at once, and wait until it is delivered or the time is up."""
        if not self._wants(ending):
            return
        threads = [_NotificationThread(scheme, service, ending, title, text) for scheme, service in self._services]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(self._timeout_s + _MARGIN_S)
            if not thread.delivered:
                late = message("monitoring.no_answer", seconds=self._timeout_s)
                reason = late if thread.is_alive() else message("monitoring.not_accepted")
                self._warn(message("monitoring.not_delivered", scheme=thread.scheme, reason=reason))

    def _wants(self, ending: RunResult) -> bool:
        if ending.declined:  # the person who declined knows it
            return False
        unknown = ending.counts is not None and ending.counts.unknown > 0
        kinds = {"finish" if ending.finished else "stop", *(["unknown"] if unknown else [])}
        return bool(kinds & set(self._on))


class _NotificationThread(threading.Thread):
    """Deliver one message, in a daemon thread: a service that hangs must not delay the exit."""

    def __init__(self, scheme: str, service: Any, ending: RunResult, title: str, text: str) -> None:
        super().__init__(daemon=True, name="notification")
        self._service, self._ending, self._title, self._text = service, ending, title, text
        self.scheme = scheme
        self.delivered = False

    def run(self) -> None:
        from apprise import NotifyType

        kind = NotifyType.FAILURE if not self._ending.finished else NotifyType.WARNING
        if self._ending.exit_code == 0:
            kind = NotifyType.SUCCESS
        try:
            self.delivered = bool(self._service.notify(body=self._text, title=self._title, notify_type=kind))
        except Exception:  # a plugin's error may quote its address, so it is not shown
            self.delivered = False


def build_title(state: RunSnapshot, ending: RunResult) -> str:
    """Return one line: the job and how it ended."""
    unknown = ending.counts.unknown if ending.counts else 0
    refused = ending.counts.error + ending.counts.invalid if ending.counts else 0
    parts = [_ending(state, ending)]
    parts += [message("monitoring.rows_unknown", rows=unknown)] if unknown else []
    parts += [message("monitoring.rows_refused", rows=refused)] if refused else []
    return str(message("monitoring.title", job=state.job, parts=tuple(parts)))


def build_text(state: RunSnapshot, ending: RunResult, *, host: str) -> str:
    """Return a few lines without personal data: run, counts, reason, exit code and next step."""
    about = [message("monitoring.scenario", scenario=state.scenario)] if state.scenario is not None else []
    if ending.parts:
        about.append(message("monitoring.inputs", inputs=len(ending.parts)))
    else:
        name = ending.about or state.input_name
        about += [message("monitoring.run", run_id=state.run_id)] if state.run_id else []
        about += [message("monitoring.input", name=name)] if name else []
    place = message("monitoring.about_on", about=tuple(about), host=host) if about else None
    lines = [str(place or message("monitoring.on", host=host)), *_counts(ending)]
    for part in ending.parts:
        sentences = " ".join(filter(None, [*_counts(part), part.reason, part.advice]))
        lines.append(str(message("monitoring.part", name=part.about, exit_code=part.exit_code, sentences=sentences)))
    lines += [ending.reason] if ending.reason else []
    lines.append(str(message("monitoring.exit_code", exit_code=ending.exit_code, meaning=ending.meaning)))
    lines += [ending.advice] if ending.advice else []
    lines += [f"{notice.message} {notice.hint}".strip() for notice in state.notices]
    return "\n".join(lines)


def _ending(state: RunSnapshot, ending: RunResult) -> Message:
    if ending.exit_code == 5:
        return message("monitoring.not_started")
    if ending.finished:
        return message("monitoring.finished" if ending.counts else "monitoring.nothing_to_do")
    if ending.parts:
        return message("monitoring.not_every_input")
    if state.stage is RunStage.FAILED:
        return message("monitoring.failed")
    if state.begun_before and not state.began:
        return message("monitoring.not_resumed", rows=state.counts.not_sent)
    return message("monitoring.stopped")


def _counts(ending: RunResult) -> list[str]:
    if ending.counts is None:
        return []
    named = [f"{count:,} {name}" for name, count in ending.counts.as_dict().items() if count and name != "rows"]
    counts, rows = ", ".join(named) or message("monitoring.nothing"), ending.counts.rows
    if ending.duration_s is None:
        return [str(message("monitoring.counts", counts=counts, rows=rows))]
    took = duration_text(ending.duration_s)
    return [str(message("monitoring.counts_and_time", counts=counts, rows=rows, took=took))]


def _service(address: str, number: int, timeout_s: float) -> Any:
    try:
        import apprise
    except ImportError as error:
        raise JobError(
            message("monitoring.no_apprise", packages=missing_packages("notify", failed=("apprise",)))
        ) from error
    for name in (
        "apprise",
        "urllib3",
        "requests",
    ):  # without a handler they print addresses
        logger = logging.getLogger(name)
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
    asset = apprise.AppriseAsset(app_id="batch-enroll", app_desc="batch-enroll", app_url="", secure_logging=True)
    try:
        with warnings.catch_warnings():  # apprise imports all its plugins, some of which use deprecated modules
            warnings.simplefilter("ignore")
            service = apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=True)
    except Exception:
        service = None
    if service is None:
        scheme = address.partition("://")[0] if "://" in address else "…"
        raise JobError(message("monitoring.bad_address", number=number, scheme=scheme))
    service.socket_connect_timeout = service.socket_read_timeout = timeout_s
    return service
