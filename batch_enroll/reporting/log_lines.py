"""The lines of our own log about one run, as others may read them.

In: lines as the log file has them, text or JSON. Out: those that name the run, every field without personal data.
Never: a line that does not name the run (it may be about other people), a traceback.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator

from batch_enroll.model import RowStatus

HARMLESS = {
    *("time", "level", "run", "row", "rows", "attempt", "attempts", "code", "status", "http_status", "wait_s"),
    *(
        "key",
        "throttled",
        "rate_per_s",
        "pause_s",
        "to_send",
        "resumed",
        "input",
        "concurrency",
        "in_flight",
        "finding",
    ),
    *(status.value for status in RowStatus),
}
"""Fields that hold numbers, codes and hashes; any other field is a text that may repeat somebody's words."""

_FIELD = re.compile(r"(?<!\S)(\w+)=(\"(?:[^\"\\]|\\.)*\"|\S+)")
_HEAD = re.compile(r"(\d{4}-\d\d-\d\dT[\d:.]+Z [A-Z]+) ")

Clean = Callable[[str], str]


def about_run(lines: Iterable[str], run_id: str) -> Iterator[str]:
    """Give the lines that name the run."""
    for line in lines:
        if line[:1] == "{" and run_id in line:
            try:
                named = json.loads(line).get("run")
            except ValueError:
                continue
            if named == run_id:
                yield line
        elif f" run={run_id} " in f"{line} ":
            yield line


def cleaned(line: str, clean: Clean) -> str:
    """Give one line with every field that may hold somebody's words passed through `clean`."""
    if line[:1] == "{":
        try:
            fields = json.loads(line)
        except ValueError:
            return clean(line)
        return json.dumps({name: _field(name, value, clean) for name, value in fields.items()}, ensure_ascii=False)
    head = _HEAD.match(line)
    rest = line[head.end() :] if head else line
    told, at = [head[0] if head else ""], 0
    for found in _FIELD.finditer(rest):
        told.append(clean(rest[at : found.start()]))
        told.append(found[0] if found[1] in HARMLESS else f"{found[1]}={_value(found[2], clean)}")
        at = found.end()
    return "".join([*told, clean(rest[at:])])


def _value(text: str, clean: Clean) -> str:
    """A value as the text form writes it: a text with blanks stands in quotes, which are no quotation."""
    if text[:1] != '"':
        return clean(text)
    try:
        return json.dumps(clean(json.loads(text)), ensure_ascii=False)
    except ValueError:
        return clean(text)


def _field(name: str, value: object, clean: Clean) -> object:
    if name in HARMLESS or value is None or isinstance(value, bool):
        return value
    return clean(str(value))
