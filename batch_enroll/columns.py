"""Finding a column by the name a person gives it.

In: the header as it stands in the file, and a name. Out: the column's position, or a sentence that helps to name it
right. Never: I/O, a guess between two columns.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Sequence

from batch_enroll.errors import InputError

_INVISIBLE_CATEGORIES = ("Cc", "Cf")  # control and format characters: BOM, zero-width space, soft hyphen
_BLANK_LETTERS = "\u115f\u1160\u2800\u3164\uffa0"  # Unicode calls them letters or symbols, people see nothing


def find_column(columns: Sequence[str], name: str) -> int:
    """Find the one column that `name` means.

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
        places = ", ".join(f"{index + 1} ({column_letter(index)})" for index in found)
        raise InputError(
            f"{len(found)} columns have the same name '{visible(name)}': columns {places}.",
            hint="Which one is meant cannot be known: rename or remove all but one in the file.",
        )
    raise InputError(f"There is no column '{visible(name)}' in the file.", hint=_suggest(columns, name))


def name_key(name: str) -> str:
    """Reduce a column's name to what people see of it, letter case aside."""
    return visible(name).casefold()


def visible(text: str) -> str:
    """Leave out what nobody sees: invisible characters, blanks around, all but one of the blanks between."""
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


def column_title(columns: Sequence[str], index: int) -> str:
    """Name a column in a sentence: by its header, or by its letter when it has none."""
    name = visible(columns[index]) if index < len(columns) else ""
    return f"column '{name}'" if name else f"column {column_letter(index)} (without a name)"


def list_columns(columns: Sequence[str]) -> str:
    """List a header for people, the columns without a name by their letter."""
    return ", ".join(
        f"'{name}'" if (name := visible(column)) else f"{column_letter(index)} (without a name)"
        for index, column in enumerate(columns)
    )


def _suggest(columns: Sequence[str], name: str) -> str:
    by_key = {name_key(column): visible(column) for column in columns if name_key(column)}
    nearest = difflib.get_close_matches(name_key(name), by_key, n=1, cutoff=0.6)
    question = f"Did you mean '{by_key[nearest[0]]}'? " if nearest else ""
    return f"{question}The columns are: {list_columns(columns)}."
