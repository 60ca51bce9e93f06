"""Recognise in the text of any column what a program has left of a value: error words, lost letters, garbled text.

A block of rows is looked at as one text first, so that clean rows cost almost nothing.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from itertools import chain
from operator import itemgetter

from batch_enroll.column_lookup import column_title
from batch_enroll.loading.reader_warnings import ReaderWarnings
from batch_enroll.messages import Message, message
from batch_enroll.models import Problem, Row

_ERROR = re.compile(
    r"#{3,}|Err:\d{3}|#(?:"
    r"N/A|REF!|VALUE!|DIV/0!|NAME\?|NULL!|NUM!|SPILL!|CALC!|FIELD!|BLOCKED!|GETTING_DATA"
    r"|Н/Д|ССЫЛКА!|ЗНАЧ!|ДЕЛ/0!|ИМЯ\?|ПУСТО!|ЧИСЛО!|ПЕРЕНОС!|ВЫЧИСЛ!"
    r"|NV|BEZUG!|WERT!|ZAHL!|ÜBERLAUF!|N/D|VALEUR!|NOM\?|NOMBRE!|¡REF!|¡VALOR!|¿NOMBRE\?|¡DIV/0!"
    r"|VALORE!|RIF!|NOME\?|VALOR!|ARG!|ADR!|NAZWA\?|LICZBA!)"
)
_LATIN_TAIL = r"[\x80-\x9f\xa1-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"
_CYRILLIC_TAIL = r"[\xa0ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–—™љ›њќћџЎўЈ¤Ґ¦§Ё©Є«¬\xad®Ї°±Ііґµ¶·ё№є»јЅѕї]"
_GARBLED = re.compile(
    rf"(?:[ÐÑ]{_LATIN_TAIL}){{2}}"  # Russian UTF-8, read as Latin-1 or Windows-1252
    rf"|(?:[РС]{_CYRILLIC_TAIL}){{2}}"  # the same, read as Windows-1251
    r"|(?:[╨╤][А-Яа-яЁё\u2500-\u25a0°·√№¤]){2}"  # the same, read as DOS 866
    rf"|Ã{_LATIN_TAIL}|â€"  # Western UTF-8
    r"|[À-ÖØ-öø-ÿ]{4}"  # Windows-1251, read as Latin-1: no language has so many of these in a row
)
_LOST = "\ufffd"
_NO_VALUE = "#N/A"
_NO_VALUE_WORDS = {"n/a", "na", "nan", "none", "null"}  #: in a column that holds them #N/A is one more such word
_NOTICES = {code: message(f"input.{code}") for code in ("garbled_text", "lost_letters")}


def has_damage(text: str) -> bool:
    """Tell whether a text may hold a damaged cell."""
    if ("#" in text and _ERROR.search(text)) or "Err:" in text:
        return True
    return not text.isascii() and (_LOST in text or _GARBLED.search(text) is not None)


def mark_damaged(rows: list[Row], header: Sequence[str], warnings: ReaderWarnings) -> list[Row]:
    """Add the problems of damaged cells to the rows of a block, and a notice about garbled text in any column."""
    text = "\n".join(chain.from_iterable(map(itemgetter(1), rows)))
    if not has_damage(text):
        return rows
    typed = {
        column for row in rows for column, cell in enumerate(row.cells) if cell.strip().casefold() in _NO_VALUE_WORDS
    }
    return [_marked(row, header, warnings, typed) for row in rows]


def _marked(row: Row, header: Sequence[str], warnings: ReaderWarnings, typed: Container[int]) -> Row:
    """Add the problems of one row; `typed` are the columns in which people write words for "no value"."""
    problems = list(row.problems)
    known = {problem.column for problem in problems}
    if any(problem.code in ("undecodable", "cut_off") for problem in row.problems):
        return row  # the reader has lost these letters itself, and says so
    told: set[str] = set()
    for column, cell in enumerate(row.cells):
        if not cell:
            continue
        garbled = not cell.isascii() and _GARBLED.search(cell) is not None
        if garbled or _LOST in cell:
            told.add("garbled_text" if garbled else "lost_letters")
        if None in known or column in known or not warnings.is_used(column):
            continue
        title = column_title(header, column)
        is_typed = column in typed and column != warnings.matching and cell.strip() == _NO_VALUE
        if _ERROR.fullmatch(cell.strip()) and not is_typed:
            problems.append(_problem("excel_error", "cell.error_word", column, title, value=cell.strip()[:40]))
        elif _LOST in cell:
            problems.append(_problem("lost_letters", "cell.lost_letters", column, title))
        elif garbled and column == warnings.matching:
            problems.append(_problem("garbled_text", "cell.garbled_text", column, title, value=cell[:40]))
    for code in sorted(told):
        warnings.add(code, _NOTICES[code], row=row.number)
    return row if len(problems) == len(row.problems) else row._replace(problems=tuple(problems))


def _problem(code: str, text: str, column: int, title: Message, **values: str) -> Problem:
    return Problem(code=code, message=Message(text, {"column": title, **values}), column=column)
