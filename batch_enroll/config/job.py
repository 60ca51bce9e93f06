"""The `Job`: every setting of a run, checked and frozen; the token is not part of it (see `secrets.py`)."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    SecretStr,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from batch_enroll.clock import Clock, Deadline
from batch_enroll.config.allowed_hours import Hours, parse_hours
from batch_enroll.config.settings import REMOVED, CodeClass, LogFormat, RunEnd, get_setting
from batch_enroll.config.value_parsers import (
    TIME_OF_DAY,
    is_loopback,
    parse_change,
    parse_deadline,
    parse_delimiter,
    parse_duration,
    parse_limit,
    parse_name,
    parse_pairs,
    parse_rate,
    parse_results,
    parse_url,
    parse_web_address,
    parse_words,
)
from batch_enroll.messages import Message, message
from batch_enroll.models import (
    DEFAULT_RESULTS,
    Delivery,
    Duplicates,
    EnrolledBefore,
    FieldType,
    InputOptions,
    Matching,
    MatchingMode,
    Pick,
)

PlatformId = Annotated[int, Field(gt=0, le=10**15)]  # the ledger's and JSON's whole numbers end later
Duration = Annotated[float, BeforeValidator(parse_duration, json_schema_input_type=float | str), Field(gt=0)]
DurationOrNone = Annotated[float, BeforeValidator(parse_duration, json_schema_input_type=float | str), Field(ge=0)]
RowLimit = Annotated[str | None, BeforeValidator(parse_limit, json_schema_input_type=int | str | None)]


def declared(key: str, **rules: Any) -> Any:
    """Make the pydantic field of a setting: default and description are those of its declaration."""
    setting = get_setting(key)
    return Field(default=setting.default, description=setting.description, **rules)


def _types_in(annotation: Any) -> set[Any]:
    """Give the types that a union or an annotated type names."""
    return {annotation}.union(*map(_types_in, get_args(annotation)))


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_boolean_for_a_number(cls, value: object, info: ValidationInfo) -> object:
        """Refuse `scenario = true`, which pydantic reads as scenario 1."""
        if isinstance(value, bool) and info.field_name:
            types = _types_in(cls.model_fields[info.field_name].annotation)
            if types & {int, float}:
                problem = "job.not_an_integer" if int in types else "job.not_a_number"
                raise ValueError(Message(problem, {"value": str(value).lower()}))
        return value


class InputSection(Section):
    """How to read the input; without a value it is detected, or asked for when two readings are possible."""

    sheet: str | None = declared("input.sheet")
    header_row: PositiveInt | None = declared("input.header_row")
    encoding: str | None = declared("input.encoding")
    delimiter: Annotated[str | None, BeforeValidator(parse_delimiter, json_schema_input_type=str | None)] = declared(
        "input.delimiter"
    )
    password_file: Path | None = declared("input.password_file")
    start_row: PositiveInt | None = declared("input.start_row")
    limit: PositiveInt | None = declared("input.limit")
    pick: Pick | None = declared("input.pick")
    settle: DurationOrNone = declared("input.settle")
    if_changed: bool = declared("input.if_changed")
    archive: Path | None = declared("input.archive")

    def options(self, *, password: str | None) -> InputOptions:
        """Convert to the loader's options."""
        return InputOptions(
            sheet=self.sheet,
            header_row=self.header_row,
            encoding=self.encoding,
            delimiter=self.delimiter,
            password=password,
            start_row=self.start_row,
            limit=self.limit,
        )


class MatchSection(Section):
    """How the platform finds the profile, and which column holds the value."""

    mode: MatchingMode = declared("match.mode")
    column: str = declared("match.column", min_length=1)
    field_name: str | None = declared("match.field_name")
    field_type: FieldType = declared("match.field_type")
    resource_id: PlatformId | None = declared("match.resource_id")
    country: str | None = declared("match.country", pattern=r"^[A-Z]{2}$")

    @model_validator(mode="after")
    def _field_only_for_custom(self) -> MatchSection:
        if self.mode is MatchingMode.CUSTOM and not self.field_name:
            raise ValueError(message("job.field_name_missing"))
        if self.mode is not MatchingMode.CUSTOM and self.field_name:
            raise ValueError(message("job.field_name_not_custom", mode=self.mode.value))
        if self.country and self.mode is not MatchingMode.PHONE:
            raise ValueError(message("job.country_not_phone", mode=self.mode.value))
        return self


class SendSection(Section):
    """How requests are sent."""

    rate: Annotated[float | None, BeforeValidator(parse_rate, json_schema_input_type=float | Literal["none"])] = (
        declared("send.rate")
    )
    concurrency: int = declared("send.concurrency", ge=1, le=1024)
    timeout: float = declared("send.timeout", gt=0, le=3600)
    duplicates: Duplicates = declared("send.duplicates")
    enrolled_before: EnrolledBefore = declared("send.enrolled_before")
    window: Duration | None = declared("send.window")
    again: bool = declared("send.again")
    wait: Duration | None = declared("send.wait")
    delivery: Delivery = declared("send.delivery")
    canary: int | None = declared("send.canary", ge=0)
    skip_preflight: bool = declared("send.skip_preflight")


class StopSection(Section):
    """When a run does not begin, and when it stops before its end."""

    max_errors: RowLimit = declared("stop.max_errors")
    max_unknown: RowLimit = declared("stop.max_unknown")
    max_rows: PositiveInt | None = declared("stop.max_rows")
    max_change: Annotated[str | None, BeforeValidator(parse_change, json_schema_input_type=str | None)] = declared(
        "stop.max_change"
    )
    max_invalid: RowLimit = declared("stop.max_invalid")
    allowed_hours: Annotated[str | None, BeforeValidator(parse_hours, json_schema_input_type=str | None)] = declared(
        "stop.allowed_hours"
    )
    confirm_above: int = declared("stop.confirm_above", ge=0)
    deadline: Annotated[str | None, BeforeValidator(parse_deadline, json_schema_input_type=str | None)] = declared(
        "stop.deadline"
    )


class OutputSection(Section):
    """Where results, ledger and logs are written, and what is printed."""

    results: Annotated[Path | None, BeforeValidator(parse_results, json_schema_input_type=Path | None)] = declared(
        "output.results"
    )
    overwrite: bool = declared("output.overwrite")
    ledger: str | None = declared("output.ledger")
    keep: int = declared("output.keep", ge=0)
    yes: bool = declared("output.yes")
    json_: bool = declared("output.json", alias="json")
    quiet: bool = declared("output.quiet")
    verbose: bool = declared("output.verbose")
    log_file: Path | None = declared("output.log_file")
    log_format: LogFormat = declared("output.log_format")
    status_file: Path | None = declared("output.status_file")
    metrics_file: Path | None = declared("output.metrics_file")


class NotifySection(Section):
    """Who is notified of the end of a run. The addresses are secrets: masked, and not kept in the ledger."""

    urls: Annotated[
        tuple[SecretStr, ...], BeforeValidator(parse_words, json_schema_input_type=str | list[SecretStr])
    ] = declared("notify.urls")
    urls_file: Path | None = declared("notify.urls_file")
    on: Annotated[tuple[RunEnd, ...], BeforeValidator(parse_words, json_schema_input_type=str | list[RunEnd])] = (
        declared("notify.on")
    )
    heartbeat: Annotated[SecretStr | None, BeforeValidator(parse_web_address, json_schema_input_type=str | None)] = (
        declared("notify.heartbeat")
    )
    heartbeat_file: Path | None = declared("notify.heartbeat_file")
    timeout: float = declared("notify.timeout", gt=0, le=120)


class Job(Section):
    """Everything that a run needs to know, except the input and the token."""

    name: Annotated[str, BeforeValidator(parse_name, json_schema_input_type=str)] = declared("name")
    url: Annotated[str, BeforeValidator(parse_url, json_schema_input_type=str)] = declared("url")
    scenario: PlatformId = declared("scenario")
    token_file: Path | None = declared("token_file")
    ca_file: Path | None = declared("ca_file")
    client_cert: Path | None = declared("client_cert")
    insecure_http: bool = declared("insecure_http")
    input: InputSection = InputSection()
    match: MatchSection
    content: Annotated[
        tuple[tuple[str, str], ...], BeforeValidator(parse_pairs, json_schema_input_type=dict[str, str])
    ] = declared("content")
    send: SendSection = SendSection()
    stop: StopSection = StopSection()
    output: OutputSection = OutputSection()
    notify: NotifySection = NotifySection()
    codes: Annotated[
        tuple[tuple[int, CodeClass], ...], BeforeValidator(parse_pairs, json_schema_input_type=dict[str, CodeClass])
    ] = declared("codes")

    @field_serializer("content", "codes")
    def _as_table(self, pairs: tuple[tuple[Any, Any], ...]) -> dict[str, Any]:
        return {str(name): value for name, value in pairs}

    @model_validator(mode="after")
    def _options_do_not_contradict(self) -> Job:
        if self.send.again and self.input.if_changed:
            raise ValueError(message("job.again_with_if_changed"))
        if self.send.again and self.input.pick is Pick.NEW:
            raise ValueError(message("job.again_with_pick_new"))
        if self.send.window is not None and self.send.enrolled_before is EnrolledBefore.SEND:
            raise ValueError(message("job.window_with_send"))
        results = self.output.results
        if results and results.name != DEFAULT_RESULTS and self.input.pick is Pick.NEW:
            raise ValueError(message("job.results_with_pick_new"))
        return self

    @model_validator(mode="after")
    def _http_only_for_loopback(self) -> Job:
        parts = urlsplit(self.url)
        if parts.scheme == "http" and not self.insecure_http and not is_loopback(parts.hostname or ""):
            raise ValueError(message("job.http_refused", url=self.url))
        return self

    def settings_json(self) -> str:
        """The job as the ledger keeps it: nothing in it is a secret, or says where one is kept.

        To replace files of others is allowed to one command only.
        """
        kept_out: Any = {"token_file": True, "notify": {"urls", "heartbeat"}, "output": {"overwrite"}}
        return self.model_dump_json(by_alias=True, exclude=kept_out)

    @staticmethod
    def settings_from_json(text: str) -> dict[str, Any]:
        """Read what `settings_json` wrote, in this release or an earlier one; removed settings are left out."""
        settings: dict[str, Any] = json.loads(text)
        for removed in REMOVED:
            section, key = removed.path
            settings.get(section, {}).pop(key, None)
        return settings

    @property
    def matching(self) -> Matching:
        """The matching as all stages use it."""
        return Matching(
            mode=self.match.mode,
            column=self.match.column,
            field_name=self.match.field_name,
            field_type=self.match.field_type,
        )

    @property
    def hours(self) -> Hours | None:
        """The part of the day in which requests may leave; None = at any time."""
        return Hours.parse(self.stop.allowed_hours) if self.stop.allowed_hours else None

    def deadline(self, clock: Clock) -> Deadline | None:
        """The moment at which no more rows are taken; a time of day is local time of this machine."""
        text, now = self.stop.deadline, clock.now()
        if text is None:
            return None
        clock_time = TIME_OF_DAY.match(text)
        if clock_time is None:
            seconds = parse_duration(text)
            return Deadline(at=now + timedelta(seconds=seconds), boottime_s=clock.boottime() + seconds)
        local = now.astimezone()
        moment = local.replace(hour=int(clock_time[1]), minute=int(clock_time[2]), second=0, microsecond=0)
        return Deadline(at=moment if moment > local else moment + timedelta(days=1))
