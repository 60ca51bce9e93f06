"""English texts of messages about problems of single rows (loading, mapping)."""

from __future__ import annotations

from typing import Final

from batch_enroll.messages.message_text import Text

ROW_TEXTS: Final[dict[str, Text]] = {
    # Found while reading the input
    "row.line": Text("line {line:d}"),
    "row.lines": Text("lines {first:d}-{last:d}"),
    "row.repeated_header": Text("{place} repeats the header."),
    "row.other_header": Text("{place} is a header with other columns, or the same ones in another order."),
    "row.below_other_header": Text(
        "{place} belongs to another table: it stands below {header}, a header with other columns."
    ),
    "row.blank_before_quote": Text(
        'Line {line:d}: a blank stands before a quote ("), so cells cannot be told apart; remove the blank.'
    ),
    "row.other_delimiter": Text("Line {line:d} is separated by {delimiter}, unlike the other rows."),
    "row.broken_row": Text(
        "Lines {first:d} and {last:d} are one row, broken in two by a line break inside a cell without quotes."
    ),
    "row.too_many_cells": Text(
        "Line {line:d} has {cells:cell}, more than the header, which has {width:d}: the extra ones are {extra}."
    ),
    "row.cut_off": Text(
        "Line {line:d} is incomplete: it has {cells} of {width:cell} and no line end; the file may be cut off."
    ),
    "row.cut_off_in_quotes": Text(
        "Line {line:d} is incomplete: a quoted cell is not closed and there is no line end; the file may be cut off."
    ),
    "row.cut_off_in_character": Text(
        "Line {line:d} is incomplete: it ends inside a character; the file may be cut off."
    ),
    "cell.cut_off": Text(
        "Line {line:d} is incomplete: it ends inside a character in {column}; the file may be cut off."
    ),
    "row.undecodable": Text("Line {line:d} has bytes that are no text in the file's encoding."),
    "cell.undecodable": Text("Line {line:d} has bytes that are no text in the file's encoding in {column}."),
    "cell.nul_byte": Text("Line {line:d} has a NUL (zero) byte in {column}: the cell is damaged."),
    "row.swallowed_rows": Text(
        'Line {line:d}: a quoted cell runs over {lines} and seems to swallow whole rows; check the quotes (") in '
        "{lines}."
    ),
    "row.text_after_quote": Text(
        'Line {line:d}: text follows a closing quote, so cells cannot be told apart; check the quotes (") in {lines}.'
    ),
    "row.quote_not_closed": Text('Line {line:d}: a quoted cell is not closed; check the quotes (") in {lines}.'),
    "cell.excel_error": Text("{cell} ({column}) holds the Excel error {detail}."),
    "cell.formula_without_value": Text(
        "{cell} ({column}) is a formula whose result is not stored in the file (open it in Excel and save it)."
    ),
    "cell.too_long": Text("{cell} ({column}) holds more than {count:character}."),
    "row.cell_too_long": Text("Line {line:d} has a cell of more than {count:character}."),
    "cell.digits_lost": Text(
        "{cell} ({column}) holds a number of more than 15 digits ({detail}): its last digits are lost."
    ),
    "cell.date_out_of_range": Text("{cell} ({column}) is formatted as a date but holds {detail}."),
    "cell.error_word": Text("{column} holds {value!r}, an error of a spreadsheet instead of a value."),
    "cell.lost_letters": Text("{column} holds lost letters (�): the file was damaged when it was saved."),
    "cell.garbled_text": Text(
        "{column} holds garbled text ({value}): it was read in a wrong encoding when the file was made."
    ),
    "cell.date_cell": Text(
        "{cell} ({column}) holds a date ({value}), not an id: a spreadsheet program made it of the id."
    ),
    "cell.number_shown_otherwise": Text("{cell} ({column}) holds the number {value}, and the sheet shows {shown}."),
    "cell.merged_cell": Text("{cell} ({column}) has no value of its own: it is part of the merged cell {merge}."),
    # One cell cannot be sent. `value` is the cell as people see it, in quotes.
    "row.in_column": Text("{column}: {problem}"),
    "row.identity_missing": Text("no {column} in this row"),
    "row.identity_empty": Text("the cell is empty"),
    "row.several_emails": Text("{value} holds more than one address"),
    "row.email_invalid": Text("{value} is not an email address: {reason}"),
    "row.email_too_long": Text(
        "{value} is not an email address: it has {count:character}, and an address has {most} at most"
    ),
    "row.phone_decimal": Text("{value} is a number with decimals, not a phone"),
    "row.phone_not_plain": Text("{value} is not one plain phone number"),
    "row.phone_digits": Text("{value} has {count:digit}; a phone has {least} to {most}"),
    "row.phone_two_numbers": Text("{value} holds a second number or an extension"),
    "row.phone_impossible": Text("{value} cannot be a number of any country"),
    "row.phone_not_of_country": Text("{value} cannot be a number of {country}"),
    "row.digits_lost": Text("{value} is a rounded number, its digits are lost"),
    "row.decimal_added": Text("{value} became a number with decimals"),
    "row.thousands_separated": Text("{value} is written with blanks or commas between thousands"),
    "row.became_date": Text("{value} is a date: a spreadsheet program made it of the value"),
    "row.lost_letters": Text("{value} has lost its letters"),
    "row.invisible_characters": Text("{value} holds invisible characters"),
    "row.mixed_alphabets": Text("{value} mixes letters of two alphabets that look alike"),
    "row.not_a_person": Text("{value!r} looks unlike the other values of {column}: the row seems to be no profile"),
    "row.not_an_integer": Text("{value} is not a whole number, but the field's type is int"),
    "row.leading_zeros": Text("{value} begins with 0, which an int field would lose"),
    "row.integer_too_large": Text("{value} is too large for an int field"),
    # What was removed from cells, or should be checked in them.
    "row.trimmed": Text("Blanks or invisible characters around the '{column}' in {count:row} are left out."),
    "row.blanks_kept": Text(
        "Blanks or invisible characters around the '{column}' in {count:row} are sent as they stand.",
        "Remove them in the file if they do not belong to the value.",
    ),
    "row.formula_text": Text("The formula around the text =\"…\" in '{column}' in {count:row} is left out."),
    "row.mailto": Text("'mailto:' before the '{column}' in {count:row} is left out."),
    "row.named_address": Text("A name beside the address in '{column}' in {count:row} is left out."),
    "row.tel": Text("'tel:' before the '{column}' in {count:row} is left out."),
    "row.apostrophe": Text("An apostrophe before the '{column}' in {count:row} is left out."),
    "row.country_added": Text("The job's country code was added to the '{column}' in {count:row}."),
    "row.phone_spellings": Text(
        "The last ten digits of the '{column}' in {count:row} stand in several spellings, such as 8… and +7…. Without "
        "a country they are different people: one person may get the message twice.",
        'If they are phones of one country, write country = "{country}" into [match] of the job file, or give '
        "{setting:match.country} {country}.",
    ),
    "row.unlike_rows": Text(
        "The '{column}' of {count:row} looks unlike the others; they are sent as they stand.",
        "Look at these rows: a subtotal or a comment is no profile.",
    ),
    "row.lookalike_letters": Text(
        "One word of the '{column}' mixes two alphabets in {count:row} (a Cyrillic 'а' looks like a Latin 'a').",
        "Check these addresses: they are sent as they stand and may reach nobody.",
    ),
}
