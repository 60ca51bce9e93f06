"""Prometheus metrics file of a job, for the textfile collector of the node exporter.

The metric names are a contract (`docs/unattended.md`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from batch_enroll.atomic_file import write_atomic
from batch_enroll.errors import JobError
from batch_enroll.installed_versions import missing_packages
from batch_enroll.messages import message
from batch_enroll.models import RowStatus
from batch_enroll.reporting.run_state import EARLIER, RunSnapshot

if TYPE_CHECKING:
    from prometheus_client.core import Metric

RUN_LOCKED = 5
_READ_BY_ALL = 0o644  # the collector is another user; a mask that hides the results must not hide this
_PREFIX = "batch_enroll_"
_LABELS = ("job_name", "scenario")  # not `job`: Prometheus gives that name to its own


class MetricsFile:
    """Writes the metrics of one job.

    Raises:
        JobError: prometheus-client is not installed.
    """

    def __init__(self, path: Path) -> None:
        try:
            import prometheus_client  # noqa: F401
        except ImportError as error:
            packages = missing_packages("metrics", failed=("prometheus-client",))
            raise JobError(message("monitoring.no_prometheus", packages=packages)) from error
        self._path = path

    def write(self, state: RunSnapshot) -> OSError | None:
        """Write it anew; of a run that another process works on, only the count of such starts is ours to add to."""
        from prometheus_client import CollectorRegistry, generate_latest

        ending = state.ending
        if not state.held and ending is None:
            return None
        earlier = _samples_in(self._path)
        locked = ending is not None and ending.exit_code == RUN_LOCKED
        families = list(_carried(earlier, state) if locked else _families(state, earlier))
        families.append(_runs_ended(earlier, state))
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collector(families))
        try:
            write_atomic(self._path, generate_latest(registry), mode=_READ_BY_ALL, ignore_umask=True, sync=False)
        except OSError as error:
            return error
        return None


class _Collector:
    """A collector of prometheus-client over given metrics."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


_Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def _families(state: RunSnapshot, earlier: _Samples) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    def gauge(name: str, text: str, *values: tuple[str, float], label: str = "") -> Metric:
        family = GaugeMetricFamily(_PREFIX + name, text, labels=[*_LABELS, *([label] if label else [])])
        for value_of, value in values:
            family.add_metric([*_label_values(state), *([value_of] if label else [])], value)
        return family

    ending, counts = state.ending, state.counts
    by_status = [(status.value, float(getattr(counts, status.value))) for status in RowStatus]
    unknown = [(code, float(count)) for code, count in state.unknown_by_code.items()]
    told_unknown = sum(count for _, count in unknown)
    if counts.unknown > told_unknown:
        unknown.append((EARLIER, counts.unknown - told_unknown))
    yield gauge("rows", "Rows of the last run by status.", *by_status, label="status")
    yield gauge("rows_to_send", "Rows that the last run was to send.", ("", state.to_send))
    yield gauge("unknown_rows", "Unknown rows of the last run by cause.", *unknown, label="code")
    yield gauge("requests", "Requests of the last run, retries included.", ("", state.requests))
    yield gauge("throttled_ratio", 'Share of its requests answered "too fast", 0 to 1.', ("", state.throttled_ratio))
    yield gauge("rate_per_second", "Requests a second lately; 0 when none is going.", ("", state.rate_per_s or 0.0))
    yield gauge("running", "1 while a run is going.", ("", float(ending is None)))
    yield gauge("start_time_seconds", "When the last run began, Unix time.", ("", state.started_at.timestamp()))
    yield gauge("update_time_seconds", "When this was written, Unix time.", ("", state.updated_at.timestamp()))
    keys = {name: _key(name, state) for name in ("end_time_seconds", "exit_code", "last_success_time_seconds")}
    ended_at, code = earlier.get(keys["end_time_seconds"], 0.0), earlier.get(keys["exit_code"], -1.0)
    success = earlier.get(keys["last_success_time_seconds"], 0.0)
    if ending is not None:
        ended_at, code = state.updated_at.timestamp(), float(ending.exit_code)
        success = ended_at if ending.succeeded else success
    yield gauge("end_time_seconds", "When a run last ended, Unix time; 0 = never.", ("", ended_at))
    yield gauge("exit_code", "With which exit code it ended; -1 = none has ended yet.", ("", code))
    yield gauge("last_success_time_seconds", "When one last ended with exit code 0 or 1, Unix time.", ("", success))


def _runs_ended(earlier: _Samples, state: RunSnapshot) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    name = _PREFIX + "runs_total"
    own = set(zip(_LABELS, _label_values(state), strict=True))
    ended = {
        dict(labels)["exit_code"]: value for (title, labels), value in earlier.items() if title == name and own < labels
    }
    if state.ending is not None:
        code = str(state.ending.exit_code)
        ended[code] = ended.get(code, 0.0) + 1
    family = CounterMetricFamily(name, "Commands that ended, by exit code.", labels=[*_LABELS, "exit_code"])
    for code, count in sorted(ended.items()):
        family.add_metric([*_label_values(state), code], count)
    return family


def _carried(earlier: _Samples, state: RunSnapshot) -> Iterator[Metric]:
    """Everything of the older file but the count of ended runs."""
    from prometheus_client.core import Metric

    names = dict.fromkeys(name for name, _ in earlier if name != _PREFIX + "runs_total")
    for name in names:
        family = Metric(name, "As the process that is at work wrote it.", "gauge")
        for (title, labels), value in earlier.items():
            if title == name:
                family.add_sample(title, dict(labels), value)
        yield family


def _samples_in(path: Path) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    from prometheus_client.parser import text_string_to_metric_families

    try:
        if not path.is_file():  # not there yet, or a device, which may have no end
            return {}
        text = path.read_text(encoding="utf-8")
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
    except (OSError, ValueError, KeyError, IndexError):  # no metrics: begin anew
        return {}


def _key(name: str, state: RunSnapshot) -> tuple[str, frozenset[tuple[str, str]]]:
    return _PREFIX + name, frozenset(zip(_LABELS, _label_values(state), strict=True))


def _label_values(state: RunSnapshot) -> tuple[str, str]:
    return state.job, "" if state.scenario is None else str(state.scenario)
