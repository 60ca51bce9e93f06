"""What a job is: every setting of a run, checked, in one frozen `Job`.

In: values from `job_file`. Out: a `Job`, or pydantic's word on what is wrong. Never: the token (see `secrets.py`).
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    SecretStr,
    field_serializer,
    model_validator,
)

from batch_enroll.config.allowed_hours import Hours, read_hours
from batch_enroll.config.value_parsers import (
    TIME_OF_DAY,
    is_loopback,
    parse_duration,
    read_change,
    read_deadline,
    read_delimiter,
    read_limit,
    read_pairs,
    read_rate,
    read_url,
    read_web_address,
    read_words,
)
from batch_enroll.models import (
    Delivery,
    Duplicates,
    FieldType,
    InputOptions,
    Matching,
    MatchingMode,
    Pick,
)

REMOVED_SETTINGS: dict[tuple[str, ...], str] = {
    ("send", "processes"): "was removed, because one process is faster; delete it"
}
"""Keys that an earlier release had -> what to say of one; in the kept settings of an older run they are ignored."""

CodeClass = Literal["row", "fatal", "retry", "unknown", "suspect"]

DEFAULT_RATE_PER_S = 10.0
DEFAULT_CONCURRENCY = 8
DEFAULT_TIMEOUT_S = 30.0
DEFAULT_KEEP_DAYS = 30
DEFAULT_CONFIRM_ABOVE = 1_000
DEFAULT_SETTLE_S = 10.0

Duration = Annotated[float, BeforeValidator(parse_duration), Field(gt=0)]
DurationOrNone = Annotated[float, BeforeValidator(parse_duration), Field(ge=0)]
RowLimit = Annotated[str | None, BeforeValidator(read_limit)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InputSection(Section):
    """How to read the input; all optional: found out by itself, or asked for when two readings are possible."""

    sheet: str | None = None
    header_row: PositiveInt | None = Field(default=None, description="the header's row number; the first row is 1")
    encoding: str | None = Field(default=None, description="for example utf-8 or windows-1251")
    delimiter: Annotated[str | None, BeforeValidator(read_delimiter)] = None
    password_file: Path | None = Field(default=None, description="file that holds the workbook's password")
    start_row: PositiveInt | None = Field(default=None, description="first row number to take")
    limit: PositiveInt | None = Field(default=None, description="at most so many data rows")
    pick: Pick | None = Field(
        default=None, description="of several files: newest, or new (each that was not enrolled before)"
    )
    settle: DurationOrNone = Field(
        default=DEFAULT_SETTLE_S, description="leave a file in a folder alone until it was still for so long"
    )
    if_changed: bool = Field(default=False, description="nothing new to enroll is no mistake: exit code 0 and a line")
    archive: Path | None = Field(
        default=None, description="folder to which the input is moved when no row of it is left to send"
    )

    def options(self, *, password: str | None) -> InputOptions:
        """The same in the loader's noun."""
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
    """Which column holds what the platform finds the profile by."""

    mode: MatchingMode
    column: str = Field(min_length=1)
    field_name: str | None = Field(default=None, description="name of the database field; custom only")
    field_type: FieldType = Field(default=FieldType.STRING, description="JSON type of the value; custom only")
    resource_id: PositiveInt | None = Field(default=None, description="narrows email and phone to one resource")
    country: str | None = Field(
        default=None, pattern=r"^[A-Z]{2}$", description="phones without + are numbers of this country, for example RU"
    )

    @model_validator(mode="after")
    def _field_only_for_custom(self) -> MatchSection:
        if self.mode is MatchingMode.CUSTOM and not self.field_name:
            raise ValueError("matching by a custom field needs the field's name: --match custom:FIELD=COLUMN")
        if self.mode is not MatchingMode.CUSTOM and self.field_name:
            raise ValueError(f"field_name goes with mode custom only, not with {self.mode.value}")
        if self.country and self.mode is not MatchingMode.PHONE:
            raise ValueError(f"country goes with mode phone only, not with {self.mode.value}")
        return self


class SendSection(Section):
    """How fast and how carefully."""

    rate: Annotated[float | None, BeforeValidator(read_rate)] = Field(
        default=DEFAULT_RATE_PER_S, description='requests per second, or "none"'
    )
    concurrency: int = Field(default=DEFAULT_CONCURRENCY, ge=1, le=1024, description="requests in flight")
    timeout: float = Field(default=DEFAULT_TIMEOUT_S, gt=0, le=3600, description="seconds for one whole request")
    duplicates: Duplicates = Duplicates.SKIP
    window: Duration | None = Field(
        default=None, description="skip profiles that any run enrolled in this scenario so recently, for example 7d"
    )
    again: bool = Field(default=False, description="send rows that an earlier run of this input enrolled, too")
    delivery: Delivery = Delivery.AT_MOST_ONCE
    canary: int | None = Field(default=None, ge=0, description="send so many rows first, then look; 0 = none")
    skip_preflight: bool = False


class StopSection(Section):
    """When not to begin, and when to stop before the end."""

    max_errors: RowLimit = Field(default=None, description="rows, or a share such as 20%")
    max_unknown: RowLimit = Field(default=None, description="rows, or a share such as 0.5%")
    max_rows: PositiveInt | None = Field(default=None, description="refuse an input with more rows to send")
    max_change: Annotated[str | None, BeforeValidator(read_change)] = Field(
        default=None, description="how far the rows to send may be from the median of the last runs, for example 50%"
    )
    max_invalid: RowLimit = Field(default=None, description="refuse an input with more invalid rows, or such a share")
    allowed_hours: Annotated[str | None, BeforeValidator(read_hours)] = Field(
        default=None, description="send in this part of the day only, for example 09:00-20:00 Europe/Moscow"
    )
    confirm_above: int = Field(
        default=DEFAULT_CONFIRM_ABOVE, ge=0, description="on a terminal, have the number of profiles typed above it"
    )
    deadline: Annotated[str | None, BeforeValidator(read_deadline)] = Field(
        default=None, description="a time of day such as 05:30, or a duration such as 2h"
    )


class OutputSection(Section):
    """Where the results and the records go."""

    results: Path | None = Field(default=None, description="results file, .csv or .xlsx")
    ledger: str | None = Field(default=None, description="the file that remembers what was sent")
    keep: int = Field(default=DEFAULT_KEEP_DAYS, ge=0, description="days for which a run's rows are kept")
    yes: bool = Field(default=False, description="do not ask before sending")
    json_: bool = Field(default=False, alias="json")
    quiet: bool = False
    verbose: bool = False
    log_file: Path | None = None
    log_format: Literal["text", "json"] = "text"
    status_file: Path | None = Field(default=None, description="JSON file that says how the run stands")
    metrics_file: Path | None = Field(default=None, description="metrics for Prometheus' textfile collector")


class NotifySection(Section):
    """Who hears how a run ended. The addresses hold secrets: they are masked, and the ledger does not keep them."""

    urls: Annotated[tuple[SecretStr, ...], BeforeValidator(read_words)] = Field(
        default=(), description="addresses of notifications as apprise writes them; better in urls_file"
    )
    urls_file: Path | None = Field(default=None, description="file with such addresses, one a line")
    on: Annotated[tuple[Literal["finish", "stop", "unknown"], ...], BeforeValidator(read_words)] = Field(
        default=("finish", "stop", "unknown"), description="the ends to tell of"
    )
    heartbeat: Annotated[SecretStr | None, BeforeValidator(read_web_address)] = Field(
        default=None, description="address of a check that waits for this job; better in heartbeat_file"
    )
    heartbeat_file: Path | None = Field(default=None, description="file with that address")
    timeout: float = Field(default=10.0, gt=0, le=120, description="seconds for one message")


class Job(Section):
    """Everything that a run needs to know, except the input and the token."""

    name: str = Field(default="", description="what the job is called in metrics and messages; the job file's name")
    url: Annotated[str, BeforeValidator(read_url)]
    scenario: PositiveInt
    token_file: Path | None = None
    insecure_http: bool = Field(default=False, description="allow http:// to other machines than this one")
    input: InputSection = InputSection()
    match: MatchSection
    content: Annotated[tuple[tuple[str, str], ...], BeforeValidator(read_pairs)] = Field(
        default=(), description="name in the template = column"
    )
    send: SendSection = SendSection()
    stop: StopSection = StopSection()
    output: OutputSection = OutputSection()
    notify: NotifySection = NotifySection()
    codes: Annotated[tuple[tuple[int, CodeClass], ...], BeforeValidator(read_pairs)] = Field(
        default=(), description="what an error code of the platform means: row, fatal, retry, unknown or suspect"
    )

    @field_serializer("content", "codes")
    def _as_table(self, pairs: tuple[tuple[Any, Any], ...]) -> dict[str, Any]:
        return {str(name): value for name, value in pairs}

    @model_validator(mode="after")
    def _what_is_new_is_not_sent_again(self) -> Job:
        if self.send.again and (self.input.if_changed or self.input.pick is Pick.NEW):
            other = "--if-changed" if self.input.if_changed else "--pick new"
            raise ValueError(
                f"--again sends what was enrolled before once more, {other} leaves it out; give one of them"
            )
        if self.output.results and self.input.pick is Pick.NEW:
            raise ValueError(
                "--results names one file, but --pick new may find several inputs; leave --results out, "
                "then the results go beside each input"
            )
        return self

    @model_validator(mode="after")
    def _http_only_at_home(self) -> Job:
        parts = urlsplit(self.url)
        if parts.scheme == "http" and not self.insecure_http and not is_loopback(parts.hostname or ""):
            raise ValueError(
                f"{self.url} would send the token and the profiles unencrypted; write https://, "
                "or add --insecure-http if that is really meant"
            )
        return self

    def settings_json(self) -> str:
        """The job as the ledger keeps it: nothing in it is a secret, or says where one is kept."""
        kept_out: Any = {"token_file": True, "notify": {"urls", "heartbeat"}}
        return self.model_dump_json(by_alias=True, exclude=kept_out)

    @staticmethod
    def settings_from_json(text: str) -> dict[str, Any]:
        """Read what `settings_json` wrote, in this release or an earlier one; removed settings are left out."""
        settings: dict[str, Any] = json.loads(text)
        for section, key in REMOVED_SETTINGS:
            settings.get(section, {}).pop(key, None)
        return settings

    @property
    def matching(self) -> Matching:
        """The matching in the project's own noun."""
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

    def deadline_at(self, now: datetime) -> datetime | None:
        """The moment at which no more rows are taken; a time of day is this machine's own."""
        text = self.stop.deadline
        if text is None:
            return None
        clock_time = TIME_OF_DAY.match(text)
        if clock_time is None:
            return now + timedelta(seconds=parse_duration(text))
        local = now.astimezone()
        moment = local.replace(hour=int(clock_time[1]), minute=int(clock_time[2]), second=0, microsecond=0)
        return moment if moment > local else moment + timedelta(days=1)
