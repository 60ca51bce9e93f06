"""Notifications about the end of a run, sent with apprise.

Addresses hold secrets: messages name only what stands before `://`.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Collection, Sequence
from typing import Any

from batch_enroll.errors import JobError
from batch_enroll.reporting.run_result import RunResult

_MARGIN_S = 2.0  # on top of the time that a message may take, before nobody waits for it any longer


class Notifier:
    """Tells people how a run ended, when they want to hear of such an end.

    Args:
        addresses: where to, in apprise's form.
        on: `finish`, `stop`, `unknown`: the ends to tell of.
        timeout_s: for one message.
        warn: hears one sentence for each message that could not be delivered.
    Raises:
        JobError: apprise is not installed, or does not understand an address.
    """

    def __init__(
        self, addresses: Sequence[str], *, on: Collection[str], timeout_s: float, warn: Callable[[str], None]
    ) -> None:
        self._on, self._timeout_s, self._warn = on, timeout_s, warn
        self._services = [
            (address.partition("://")[0], _service(address, number, timeout_s))
            for number, address in enumerate(addresses, start=1)
        ]

    def tell(self, ending: RunResult, *, title: str, text: str) -> None:
        """Send the message to everybody at once and wait until it is there, or time is up."""
        if not self._wants(ending):
            return
        letters = [_NotificationThread(schema, service, ending, title, text) for schema, service in self._services]
        for letter in letters:
            letter.start()
        for letter in letters:
            letter.join(self._timeout_s + _MARGIN_S)
            if not letter.delivered:
                why = f"no answer within {self._timeout_s:g} s" if letter.is_alive() else "it was not taken"
                self._warn(f"The notification over {letter.schema}:// was not delivered: {why}.")

    def _wants(self, ending: RunResult) -> bool:
        if ending.declined:  # whoever said no knows it
            return False
        unknown = ending.counts is not None and ending.counts.unknown > 0
        kinds = {"finish" if ending.finished else "stop", *(["unknown"] if unknown else [])}
        return bool(kinds & set(self._on))


class _NotificationThread(threading.Thread):
    """One message on its way. A thread that ends with the program: a service that hangs holds nobody up."""

    def __init__(self, schema: str, service: Any, ending: RunResult, title: str, text: str) -> None:
        super().__init__(daemon=True, name="notification")
        self._service, self._ending, self._title, self._text = service, ending, title, text
        self.schema = schema
        self.delivered = False

    def run(self) -> None:
        from apprise import NotifyType

        kind = NotifyType.FAILURE if not self._ending.finished else NotifyType.WARNING
        if self._ending.exit_code == 0:
            kind = NotifyType.SUCCESS
        try:
            self.delivered = bool(self._service.notify(body=self._text, title=self._title, notify_type=kind))
        except Exception:  # a plugin's own mistake may quote its address; that it failed is all there is to say
            self.delivered = False


def _service(address: str, number: int, timeout_s: float) -> Any:
    try:
        import apprise
    except ImportError as error:
        raise JobError(
            "Notifications need apprise, which is not installed.",
            hint="Install it: pip install 'batch-enroll[notify]'.",
        ) from error
    for name in ("apprise", "urllib3", "requests"):  # they would print addresses where nobody logs
        logger = logging.getLogger(name)
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
    asset = apprise.AppriseAsset(app_id="batch-enroll", app_desc="batch-enroll", app_url="", secure_logging=True)
    try:
        with (
            warnings.catch_warnings()
        ):  # it imports every plugin it has, and some of them import what is on its way out
            warnings.simplefilter("ignore")
            service = apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=True)
    except Exception:
        service = None
    if service is None:
        schema = address.partition("://")[0] if "://" in address else "…"
        raise JobError(
            f"[notify] address {number} ({schema}://…) is none that apprise understands.",
            hint="`apprise --details` lists what can be written there.",
        )
    service.socket_connect_timeout = service.socket_read_timeout = timeout_s
    return service
