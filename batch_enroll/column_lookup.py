"""Find a column of the header by its name."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Sequence

from batch_enroll.errors import InputError
from batch_enroll.messages import Message, message

_INVISIBLE_CATEGORIES = ("Cc", "Cf")  # control and format characters: BOM, zero-width space, soft hyphen
_BLANK_LETTERS = "\u115f\u1160\u2800\u3164\uffa0"  # Unicode calls them letters or symbols, people see nothing


def find_column(columns: Sequence[str], name: str) -> int:
    """Find the one column that has the name `name`.

    An exact match wins. Otherwise letter case, composed or decomposed letters, invisible characters, and the number
    and kind of blanks make no difference.

    Returns:
        The position in `columns`, from 0.
    Raises:
        InputError: no column has this name, or several have.
    """
    exact = [index for index, column in enumerate(columns) if column == name]
    found = exact or [index for index, column in enumerate(columns) if name_key(column) == name_key(name) != ""]
    if len(found) == 1 and name_key(name):
        return found[0]
    if found and name_key(name):
        places = tuple(message("column.place", number=index + 1, letter=column_letter(index)) for index in found)
        raise InputError(message("input.column_ambiguous", count=len(found), name=visible(name), places=places))
    shown = list_columns(columns)
    by_key = {name_key(column): visible(column) for column in columns if name_key(column)}
    if nearest := difflib.get_close_matches(name_key(name), by_key, n=1, cutoff=0.6):
        raise InputError(
            message("input.column_misspelled", name=visible(name), nearest=by_key[nearest[0]], columns=shown)
        )
    raise InputError(message("input.column_missing", name=visible(name), columns=shown))


def name_key(name: str) -> str:
    """Reduce a column's name to its visible characters in lower case."""
    return visible(name).casefold()


def visible(text: str) -> str:
    """Remove invisible characters, blanks at both ends, and repeated blanks."""
    composed = unicodedata.normalize("NFC", text)
    if not composed.isascii():
        composed = "".join(" " if character in _BLANK_LETTERS else character for character in composed)
    if not composed.isprintable():  # nearly every cell is, and then holds nothing of these categories
        composed = "".join(
            character
            for character in composed
            if character.isspace() or unicodedata.category(character) not in _INVISIBLE_CATEGORIES
        )
    return " ".join(composed.split())


def column_letter(index: int) -> str:
    """Name a position as spreadsheets do: 0 is A, 25 is Z, 26 is AA."""
    letters = ""
    index += 1
    while index:
        index, digit = divmod(index - 1, 26)
        letters = chr(ord("A") + digit) + letters
    return letters


def column_title(columns: Sequence[str], index: int) -> Message:
    """Name a column in a sentence: by its header, or by its letter when it has none."""
    if index < len(columns) and (name := visible(columns[index])):
        return message("column.title", name=name)
    return message("column.title_unnamed", letter=column_letter(index))


def list_columns(columns: Sequence[str]) -> tuple[Message, ...]:
    """List a header, the columns without a name by their letter."""
    return tuple(
        message("column.quoted", name=name)
        if (name := visible(column))
        else message("column.unnamed", letter=column_letter(index))
        for index, column in enumerate(columns)
    )
