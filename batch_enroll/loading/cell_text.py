"""Convert stored values of workbook cells to text; no digit is added that the file does not hold."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, auto

DIGITS_KEPT = 15  #: a spreadsheet's number has no more significant digits

_HARMLESS = re.compile(r"_.|\*.|\[[^\]]*\]")
_MASK = re.compile(r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]|[0#]|.', re.DOTALL)
_MASK_SIGNS = " +-()/:123456789"
_UNLIMITED = 10**DIGITS_KEPT
_LITERALS = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?![hms]+\])[^\]]*\]|am/pm|a/p')
_DAY_SECONDS = 86_400
_LAST_SERIAL = 2_958_466  # 9999-12-31, plus one
_DAYS_TO_1904 = 1_462
_LEAP_BUG_SERIAL = 60  # 29 February 1900, which never was

BUILT_IN_FORMATS = {
    0: "General", 1: "0", 49: "@",
    **dict.fromkeys([14, 15, 16, 17, *range(27, 32), 36, *range(50, 59)], "yyyy-mm-dd"),
    **dict.fromkeys([18, 19, 20, 21, 32, 33, 34, 35, 45, 47], "hh:mm:ss"),
    22: "yyyy-mm-dd hh:mm", 46: "[h]:mm:ss",
    2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%", 11: "0.00E+00", 12: "# ?/?", 13: "# ??/??",
}  # fmt: skip
UNKNOWN_FORMAT = "#,##0.00"  # what is left of the built-in ones shows amounts


class Format(Enum):
    """What a display format makes of a number."""

    PLAIN = auto()  #: the number as it is
    WHOLE = auto()  #: without its decimals
    DATE = auto()
    TIME = auto()
    DATE_TIME = auto()
    DURATION = auto()
    OTHER = auto()  #: something else: leading zeros, thousands, percent, a currency


def format_of(code: str) -> Format:
    """Sort a format code, such as `dd.mm.yyyy` or `00000`.

    Source: ECMA-376 part 1, section 18.8.31.
    """
    bare = _LITERALS.sub("", code.lower().split(";")[0])
    if "general" in bare or code in ("", "@"):
        return Format.PLAIN if bare == code.lower() else Format.OTHER
    if re.search(r"\[(h+|m+|s+)\]", bare):
        return Format.DURATION
    has_date = bool(re.search("[yd]", bare))
    has_time = bool(re.search("[hs]", bare))
    if has_date or has_time or "m" in bare:
        return Format.DATE_TIME if has_date and has_time else Format.TIME if has_time else Format.DATE
    whole = _HARMLESS.sub("", code.split(";")[0]).strip()
    return Format.WHOLE if whole in ("0", "#", "#0") else Format.OTHER


def shows_other(shown: Format, text: str) -> bool:
    """Tell whether a sheet shows a number in another form than `number_text` gives it."""
    return shown is Format.OTHER or (shown is Format.WHOLE and "." in text)


def shown_id(text: str, code: str) -> str:
    """Return how a format such as `00000` or `+7 (000) 000-00-00` shows a whole number.

    Returns:
        "" for the other formats (thousands, decimals, percent) and for a number that is shown as it is.
    """
    if not text.isdecimal():
        return ""
    places: list[str] = []
    for part in _MASK.findall(code.split(";")[0]):
        if part in "0#" or (len(part) == 1 and part in _MASK_SIGNS):
            places.append(part)
        elif part[0] in '"\\':
            places.append(part.strip('"').removeprefix("\\"))
        elif part[0] not in "_*[":
            return ""
    digits, shown = list(text), []
    first = min((at for at, place in enumerate(places) if place in ("0", "#")), default=None)
    if first is None:
        return ""
    for at in reversed(range(len(places))):
        if places[at] not in ("0", "#"):
            shown.append(places[at])
        elif digits or places[at] == "0":
            shown.append(digits.pop() if digits else "0")
            if at == first:
                shown.extend(reversed(digits))
    whole = "".join(reversed(shown)).strip()
    return "" if whole == text else whole


def number_text(stored: str) -> tuple[str, bool]:
    """Write a stored number as people read it.

    Returns:
        The text, and whether digits were lost when the file was saved: a number of more than 15 digits.
    Raises:
        ValueError: it is no number.
    """
    if len(stored) <= DIGITS_KEPT and stored.isascii() and stored.isdigit():
        return stored.lstrip("0") or "0", False
    number = float(stored)
    if abs(number) >= _UNLIMITED:
        mantissa, _, exponent = f"{number:.14E}".partition("E")
        return f"{mantissa.rstrip('0').rstrip('.')}E{exponent}", True
    text = format(Decimal(f"{number:.{DIGITS_KEPT}g}"), "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return ("0" if text == "-0" else text), False


def date_text(serial: float, shown: Format, *, from_1904: bool = False) -> str | None:
    """Write a date's serial number in ISO form: `1990-05-17`, `2024-03-01 10:30:00`, `10:30:00`.

    Args:
        serial: days since the workbook's first day, with the time as the fraction.
        shown: what the display format shows; a time that is there is never left out.
        from_1904: the workbook counts from 1904, as the first Excel for the Mac did.
    Returns:
        None when a spreadsheet would show no date for it.
    """
    if not 0 <= serial < _LAST_SERIAL - (_DAYS_TO_1904 if from_1904 else 0):
        return None
    days, milliseconds = divmod(round(serial * _DAY_SECONDS * 1000), _DAY_SECONDS * 1000)
    clock = timedelta(milliseconds=milliseconds)
    if shown is Format.DURATION:
        return duration_text(timedelta(days=days) + clock)
    if days == 0 and (shown is Format.TIME or not from_1904):
        return duration_text(clock, hour_digits=2) if clock or shown is Format.TIME else None
    day = _day(days, from_1904=from_1904)
    return f"{day} {duration_text(clock, hour_digits=2)}" if clock or shown is not Format.DATE else day


def value_text(value: object) -> tuple[str, bool]:
    """Write a value that pandas gives for a cell; returns what `number_text` returns."""
    match value:
        case str():
            return value, False
        case bool():
            return str(value).upper(), False
        case int() | float():
            return number_text(repr(value))
        case datetime():
            return value.isoformat(" ", "seconds" if not value.microsecond else "milliseconds").removesuffix(
                " 00:00:00"
            ), False
        case date() | time():
            return value.isoformat(), False
        case timedelta():
            return duration_text(value), False
    return "", False


def duration_text(duration: timedelta, *, hour_digits: int = 1) -> str:
    """Write a duration as `36:00:00`; the hours do not turn into days."""
    milliseconds = round(duration / timedelta(milliseconds=1))
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{milliseconds:03}" if milliseconds else ""
    return f"{hours:0{hour_digits}}:{minutes:02}:{seconds:02}{fraction}"


def _day(days: int, *, from_1904: bool) -> str:
    if from_1904:
        return (date(1904, 1, 1) + timedelta(days=days)).isoformat()
    if days == _LEAP_BUG_SERIAL:
        return "1900-02-29"
    return (date(1899, 12, 30 if days > _LEAP_BUG_SERIAL else 31) + timedelta(days=days)).isoformat()
