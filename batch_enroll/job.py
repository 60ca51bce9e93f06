"""Flags, environment and job file become one frozen `Job`.

In: what was given, by source. Out: a `Job` in which every value is checked, or one `JobError` that lists every mistake
with its place. Never: the token (see `secrets.py`), a file other than the job file, a guess.

Precedence: flag > `BATCH_ENROLL_*` variable > job file > default.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    field_serializer,
    model_validator,
)

from batch_enroll.errors import JobError
from batch_enroll.model import Delivery, Duplicates, FieldType, InputOptions, Matching, MatchingMode

CodeClass = Literal["row", "fatal", "retry", "unknown", "suspect"]

DEFAULT_RATE_PER_S = 10.0
DEFAULT_CONCURRENCY = 8
DEFAULT_TIMEOUT_S = 30.0
DEFAULT_KEEP_DAYS = 30

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)\Z")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_TIME_OF_DAY = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\Z")
_LIMIT = re.compile(r"\d+(?:\.\d+)?%?\Z")


def parse_duration(text: object) -> float:
    """Read `90s`, `30m`, `12h`, `7d` or `2w` as seconds.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        return float(text)
    match = _DURATION.match(str(text).strip().lower())
    if match is None:
        raise ValueError(f"'{text}' is no duration; write for example 90s, 30m, 12h or 7d")
    return float(match[1]) * _UNIT_S[match[2]]


def _rate(value: object) -> float | None:
    if value is None or (isinstance(value, str) and value.strip().lower() == "none"):
        return None
    try:
        rate = float(str(value))
    except ValueError:
        raise ValueError(f"'{value}' is no rate; write requests per second, for example 10 or 0.5, or none") from None
    if isinstance(value, bool) or not 0.001 <= rate <= 100_000:
        raise ValueError(f"a rate of {value} cannot be kept; write 0.001 to 100000 requests per second, or none")
    return rate


def _limit(value: object) -> str | None:
    if value is None:
        return None
    text = str(value).strip()
    if isinstance(value, bool) or not _LIMIT.match(text):
        raise ValueError(f"'{value}' is neither a number of rows nor a share; write for example 50 or 20%")
    return text


def _deadline(value: object) -> str | None:
    if value is None:
        return None
    text = str(value).strip()
    if not _TIME_OF_DAY.match(text):
        try:
            parse_duration(text)
        except ValueError:
            raise ValueError(
                f"'{value}' is no deadline; write a time such as 05:30, or a duration such as 2h"
            ) from None
    return text


def _pairs(value: object) -> object:
    return tuple(value.items()) if isinstance(value, Mapping) else value


def _delimiter(value: object) -> object:
    named = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
    text = named.get(str(value).strip().lower(), value) if isinstance(value, str) else value
    if isinstance(text, str) and len(text) != 1:
        raise ValueError(f"a delimiter is one character (or tab, comma, semicolon, pipe), not '{value}'")
    return text


def _url(value: object) -> str:
    text = str(value).strip().rstrip("/")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"'{value}' is no address of a platform; write for example https://ru.altkraft.com")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("the address must hold no user, password, ? or #; the token has its own place")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError(f"'{value}' has no usable port number") from None
    return text


Duration = Annotated[float, BeforeValidator(parse_duration), Field(gt=0)]
RowLimit = Annotated[str | None, BeforeValidator(_limit)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


_S = TypeVar("_S", bound=_Section)


class InputSection(_Section):
    """How to read the input; all optional: found out by itself, or asked for when two readings are possible."""

    sheet: str | None = None
    header_row: PositiveInt | None = Field(default=None, description="the header's row number; the first row is 1")
    encoding: str | None = Field(default=None, description="for example utf-8 or windows-1251")
    delimiter: Annotated[str | None, BeforeValidator(_delimiter)] = None
    password_file: Path | None = Field(default=None, description="file that holds the workbook's password")
    start_row: PositiveInt | None = Field(default=None, description="first row number to take")
    limit: PositiveInt | None = Field(default=None, description="at most so many data rows")

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


class MatchSection(_Section):
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


class SendSection(_Section):
    """How fast and how carefully."""

    rate: Annotated[float | None, BeforeValidator(_rate)] = Field(
        default=DEFAULT_RATE_PER_S, description='requests per second, or "none"'
    )
    concurrency: int = Field(default=DEFAULT_CONCURRENCY, ge=1, le=1024, description="requests in flight")
    processes: int = Field(
        default=1, ge=1, le=64, description="processes that carry the requests; 1 = this one does it all"
    )
    timeout: float = Field(default=DEFAULT_TIMEOUT_S, gt=0, le=3600, description="seconds for one whole request")
    duplicates: Duplicates = Duplicates.SKIP
    window: Duration | None = Field(
        default=None, description="skip profiles that any run enrolled in this scenario so recently, for example 7d"
    )
    again: bool = Field(default=False, description="send rows that an earlier run of this input enrolled, too")
    delivery: Delivery = Delivery.AT_MOST_ONCE
    canary: PositiveInt | None = Field(default=None, description="send so many rows first, then look")
    skip_preflight: bool = False


class StopSection(_Section):
    """When to stop before the end."""

    max_errors: RowLimit = Field(default=None, description="rows, or a share such as 20%")
    max_unknown: RowLimit = Field(default=None, description="rows, or a share such as 0.5%")
    max_rows: PositiveInt | None = Field(default=None, description="refuse an input with more rows to send")
    deadline: Annotated[str | None, BeforeValidator(_deadline)] = Field(
        default=None, description="a time of day such as 05:30, or a duration such as 2h"
    )


class OutputSection(_Section):
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


class Job(_Section):
    """Everything that a run needs to know, except the input and the token."""

    url: Annotated[str, BeforeValidator(_url)]
    scenario: PositiveInt
    token_file: Path | None = None
    insecure_http: bool = Field(default=False, description="allow http:// to other machines than this one")
    input: InputSection = InputSection()
    match: MatchSection
    content: Annotated[tuple[tuple[str, str], ...], BeforeValidator(_pairs)] = Field(
        default=(), description="name in the template = column"
    )
    send: SendSection = SendSection()
    stop: StopSection = StopSection()
    output: OutputSection = OutputSection()
    codes: Annotated[tuple[tuple[int, CodeClass], ...], BeforeValidator(_pairs)] = Field(
        default=(), description="what an error code of the platform means: row, fatal, retry, unknown or suspect"
    )

    @field_serializer("content", "codes")
    def _as_table(self, pairs: tuple[tuple[Any, Any], ...]) -> dict[str, Any]:
        return {str(name): value for name, value in pairs}

    @model_validator(mode="after")
    def _http_only_at_home(self) -> Job:
        parts = urlsplit(self.url)
        if parts.scheme == "http" and not self.insecure_http and not _is_loopback(parts.hostname or ""):
            raise ValueError(
                f"{self.url} would send the token and the profiles unencrypted; write https://, "
                "or add --insecure-http if that is really meant"
            )
        return self

    @property
    def matching(self) -> Matching:
        """The matching in the project's own noun."""
        return Matching(
            mode=self.match.mode,
            column=self.match.column,
            field_name=self.match.field_name,
            field_type=self.match.field_type,
        )

    def deadline_at(self, now: datetime) -> datetime | None:
        """The moment at which no more rows are taken; a time of day is this machine's own."""
        text = self.stop.deadline
        if text is None:
            return None
        clock_time = _TIME_OF_DAY.match(text)
        if clock_time is None:
            return now + timedelta(seconds=parse_duration(text))
        local = now.astimezone()
        moment = local.replace(hour=int(clock_time[1]), minute=int(clock_time[2]), second=0, microsecond=0)
        return moment if moment > local else moment + timedelta(days=1)


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Given:
    """One value with the place where a person wrote it."""

    path: tuple[str, ...]  #: where it belongs in the job file, such as ("send", "rate")
    value: Any
    place: str  #: as the person knows it: `--rate`, `BATCH_ENROLL_RATE`


def read_job_file(path: Path) -> dict[str, Any]:
    """Read the TOML of a job file; paths in it are taken from the job file's own folder.

    Raises:
        JobError: it cannot be read or is not TOML; the message names the line.
    """
    try:
        content = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise JobError(f"The job file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise JobError(f"The job file {path} is not UTF-8 text.", hint="Save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise JobError(
            f"The job file {path} is not valid TOML: {error}.",
            hint='Text needs quotes, for example column = "E-mail".',
        ) from error
    for *section, key in (("token_file",), ("input", "password_file"), ("output", "results"), ("output", "log_file")):
        holder = content
        for name in section:
            holder = holder.get(name, {}) if isinstance(holder, dict) else {}
        if isinstance(holder, dict) and isinstance(holder.get(key), str):
            holder[key] = str(path.parent / holder[key])
    return content


def build_job(*, file: Mapping[str, Any], file_name: str, given: tuple[Given, ...]) -> Job:
    """Lay what was given over the job file and check the whole.

    Args:
        file: content of the job file, empty when there is none.
        file_name: the job file as the person named it.
        given: values from the environment, then from flags: the later wins.
    Raises:
        JobError: lists every mistake, each with its place and the nearest right name.
    """
    merged = _deep_copy(file)
    places: dict[tuple[str, ...], str] = {}
    for item in given:
        holder = merged
        for name in item.path[:-1]:
            if not isinstance(holder.get(name), dict):
                holder[name] = {}
            holder = holder[name]
        holder[item.path[-1]] = item.value
        places[item.path] = item.place
    return _validated(Job, merged, file_name, places)


def build_input_section(values: Mapping[str, Any]) -> InputSection:
    """Check what a command without a job says about its input; each key is the flag's name.

    Raises:
        JobError: as `build_job`.
    """
    places: dict[tuple[str, ...], str] = {(name,): "--" + name.replace("_", "-") for name in values}
    return _validated(InputSection, values, "", places)


def _validated(model: type[_S], values: Mapping[str, Any], file_name: str, places: Mapping[tuple[str, ...], str]) -> _S:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        mistakes = [_mistake(detail, file_name, places) for detail in error.errors(include_url=False)]
        raise JobError("\n".join(dict.fromkeys(mistakes))) from None


def _deep_copy(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _deep_copy(inner) if isinstance(inner, dict) else inner for key, inner in value.items()}


_NEEDED = {
    ("url",): 'The address of the platform is missing: give --url or url = "https://…" in the job file.',
    ("scenario",): "The scenario's number is missing: give --scenario (the number after # beside its name).",
    ("match",): "What profiles are matched by is missing: give --match, for example --match email=E-mail.",
    ("match", "mode"): "The matching mode is missing: give --match, for example --match email=E-mail.",
    ("match", "column"): "The matching column is missing: give --match, for example --match email=E-mail.",
}


def _mistake(detail: Any, file_name: str, places: Mapping[tuple[str, ...], str]) -> str:
    path = tuple(str(part) for part in detail["loc"])
    if detail["type"] == "missing" and path in _NEEDED:
        return _NEEDED[path]
    place = next((places[path[:n]] for n in range(len(path), 0, -1) if path[:n] in places), None)
    if place is None:
        *section, key = path or ("",)
        place = f"{file_name}: {'[' + '.'.join(section) + '] ' if section else ''}{key}".rstrip(": ")
    if detail["type"] == "extra_forbidden":
        known = _keys_at(path[:-1])
        near = next(iter(difflib.get_close_matches(path[-1], known, n=1)), "")
        return f"{place} is no known key. " + (f"Did you mean '{near}'?" if near else f"Known: {', '.join(known)}.")
    text = str(detail["msg"]).removeprefix("Value error, ")
    return f"{place}: {text[:1].lower() + text[1:] if detail['type'] != 'value_error' else text}."


def _keys_at(path: tuple[str, ...]) -> list[str]:
    model: type[BaseModel] = Job
    for name in path:
        annotation = model.model_fields[name].annotation if name in model.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return [field.alias or name for name, field in model.model_fields.items()]
