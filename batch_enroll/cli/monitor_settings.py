"""Read the monitoring settings of a job, also of a job that is otherwise invalid."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch_enroll.cli import console
from batch_enroll.cli.job_options import job_file_of, warn_if_open
from batch_enroll.cli.options import given_settings
from batch_enroll.config.job import Job, NotifySection
from batch_enroll.config.load import merge_settings, notify_section_in
from batch_enroll.config.secrets import read_secret_file
from batch_enroll.errors import JobError
from batch_enroll.messages import Message, message
from batch_enroll.messages.message_text import printable
from batch_enroll.run.job_outputs import setting_in

if TYPE_CHECKING:
    from batch_enroll.monitoring.heartbeat import Heartbeat
    from batch_enroll.monitoring.notifications import Notifier

_NO_NAME = "batch-enroll"


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorSettings:
    """The monitoring settings of a job."""

    name: str
    scenario: int | None
    status_file: Path | None
    metrics_file: Path | None
    notify: NotifySection

    @classmethod
    def from_job(cls, job: Job) -> MonitorSettings:
        """Take them from a valid job."""
        return cls(
            name=job.name or _NO_NAME,
            scenario=job.scenario,
            status_file=job.output.status_file,
            metrics_file=job.output.metrics_file,
            notify=job.notify,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialJob:
    """What can be read of an invalid job."""

    name: str
    url: str | None
    scenario: int | None
    json_: bool  #: a JSON object is wanted
    settings: Mapping[str, Any]  #: by section

    @classmethod
    def from_args(cls, args: argparse.Namespace) -> PartialJob:
        """Read what is valid in the job file and the flags."""
        file: Mapping[str, Any] = {}
        with contextlib.suppress(JobError):
            file = job_file_of(args).settings
        try:
            settings, _ = merge_settings(file, given_settings(args, os.environ))
        except JobError:
            settings = dict(file)
        name = str(settings.get("name") or Path(args.job or "").stem or _NO_NAME)
        url, scenario = settings.get("url"), settings.get("scenario")
        return cls(
            name=printable(name.replace("\n", " ")),
            url=url if isinstance(url, str) else None,
            scenario=int(str(scenario)) if str(scenario).isdecimal() else None,
            json_=setting_in(settings, "output.json") in (True, "true"),
            settings=settings,
        )

    def monitor_settings(self) -> MonitorSettings | None:
        """Give the monitoring settings; None when these are invalid too."""
        notify = notify_section_in(self.settings)
        if notify is None:
            return None
        return MonitorSettings(
            name=self.name,
            scenario=self.scenario,
            status_file=_path_in(self.settings, "output.status_file"),
            metrics_file=_path_in(self.settings, "output.metrics_file"),
            notify=notify,
        )


def _path_in(settings: Mapping[str, Any], key: str) -> Path | None:
    value = setting_in(settings, key)
    return Path(value) if isinstance(value, str) else None


def build_notifier(section: NotifySection) -> Notifier | None:
    """Build the notifier; None when no address is given.

    Raises:
        JobError: apprise is missing or does not understand an address, or the file of addresses cannot be used.
    """
    addresses = [url.get_secret_value() for url in section.urls]
    if section.urls_file is not None:
        addresses += _lines_of(section.urls_file, what="file of addresses to notify")
    if not addresses:
        return None
    _register_secrets(addresses)
    from batch_enroll.monitoring.notifications import Notifier

    return Notifier(addresses, on=section.on, timeout_s=section.timeout, warn=_warn)


def build_heartbeat(section: NotifySection) -> Heartbeat | None:
    """Build the heartbeat; None when no address is given.

    Raises:
        JobError: the file with its address cannot be used.
    """
    address = section.heartbeat.get_secret_value() if section.heartbeat else ""
    if not address and section.heartbeat_file is not None:
        address = _lines_of(section.heartbeat_file, what="file with the heartbeat's address")[0]
        if not address.startswith(("http://", "https://")):
            raise JobError(message("job.no_web_address_in", path=str(section.heartbeat_file)))
    if not address:
        return None
    _register_secrets([address])
    from batch_enroll.installed_versions import tool_version
    from batch_enroll.monitoring.heartbeat import Heartbeat

    agent = f"batch-enroll/{tool_version()}"
    return Heartbeat(address, timeout_s=section.timeout, user_agent=agent, warn=_warn)


def _lines_of(path: Path, *, what: str) -> list[str]:
    lines = [line.strip() for line in read_secret_file(path, what=what).splitlines()]
    warn_if_open(path)
    addresses = [line for line in lines if line and not line.startswith("#")]
    if not addresses:
        raise JobError(message("job.no_address_in", what=what, path=str(path)))
    return addresses


def _register_secrets(addresses: Sequence[str]) -> None:
    for address in addresses:
        console.register_secret(address.partition("://")[2] or address)  # without the scheme, whose case may differ


def _warn(what: Message) -> None:
    console.print_message(str(what))
