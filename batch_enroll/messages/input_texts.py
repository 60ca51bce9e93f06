"""English texts of messages about reading the input (loading)."""

from __future__ import annotations

from typing import Final

from batch_enroll.messages.message_text import Text

_RIGHT_FILE = "Check that the right file was chosen."
_SAVE_AGAIN = "Open it in a spreadsheet program and save it again as .xlsx or CSV (UTF-8)."
_SAVE_TABLE = "Open it in the program it comes from and save the table as .xlsx or CSV (UTF-8)."
_EXPORT = "Export the table from it as CSV (UTF-8)."
_NO_PICTURE = "Choose the table itself, not a picture of it."
_UNPACK = "Unpack it and load the table inside."
_OLD_EXCEL = "Open it and save it as .xlsx."
_NOT_TABLES: Final = {  # what a file is that holds no readable table, and what to do
    "pdf": ("a PDF document", _SAVE_TABLE),
    "png": ("a picture (PNG)", _NO_PICTURE),
    "jpeg": ("a picture (JPEG)", _NO_PICTURE),
    "gif": ("a picture (GIF)", _NO_PICTURE),
    "webp": ("a picture (WebP)", _NO_PICTURE),
    "tiff": ("a picture (TIFF)", _NO_PICTURE),
    "film": ("a film or a picture", _NO_PICTURE),
    "7zip": ("a 7-Zip archive", _UNPACK),
    "rar": ("a RAR archive", _UNPACK),
    "tar": ("a tar archive", _UNPACK),
    "zstandard": ("compressed with Zstandard", _UNPACK),
    "dbase": ("a database table (dBase)", "Open it in a spreadsheet program and save it as .xlsx or CSV (UTF-8)."),
    "sqlite": ("a database (SQLite)", _EXPORT),
    "parquet": ("a Parquet file", _EXPORT),
    "arrow": ("an Arrow file", _EXPORT),
    "rtf": ("a text document (RTF)", _SAVE_TABLE),
    "plist": ("a property list of a Mac", _SAVE_TABLE),
    "mac_companion": ("a companion file of a Mac, not the table itself", "Load the file without ._ in front."),
    "program": ("a program", "Choose the table."),
    "old_excel": ("a workbook of a very old Excel", _OLD_EXCEL),
    "lotus": ("a Lotus 1-2-3 sheet", _SAVE_TABLE),
    "html": ("an HTML page", _SAVE_AGAIN),
    "excel_xml": ("an Excel 2003 XML spreadsheet", _SAVE_AGAIN),
    "xml": ("an XML file", _SAVE_AGAIN),
    "email": ("an e-mail or a saved web page", _SAVE_TABLE),
    "json": ("a JSON file", "Export the table as CSV (UTF-8) or .xlsx instead."),
    "contacts": (
        "a file of contacts or dates (vCard, iCalendar)",
        "Export the contacts as CSV (UTF-8) instead.",
    ),
    "binary": ("neither a table nor a text of a known kind", _SAVE_TABLE),
    "word": ("a text document (Word)", _SAVE_TABLE),
    "powerpoint": ("a presentation (PowerPoint)", _SAVE_TABLE),
    "visio": ("a drawing (Visio)", _SAVE_TABLE),
    "iwork": ("a document of Apple Numbers or Pages", _SAVE_TABLE),
    "java": ("a Java program", _SAVE_TABLE),
    "android": ("an Android program", _SAVE_TABLE),
    "other_opendocument": ("an OpenDocument file, but no spreadsheet", _SAVE_TABLE),
    "outlook": ("an e-mail saved by Outlook", _SAVE_TABLE),
    "other_office": ("an old Office file, but no workbook", _SAVE_TABLE),
}

_AGAIN = "Nothing was sent. Check the address and the network, then give the same command again."
_WAIT = "Wait until the program that writes it has finished, then start again."
_DOWNLOAD_FAILURES: Final = {  # why a remote input cannot be downloaded, and what to do
    "no_key": (
        "no key for it was found",
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE to one that ~/.aws holds.",
    ),
    "refused": (
        "access was refused",
        "Check the user, the key or the rights; they are set where the protocol's own tools look for them.",
    ),
    "refused_s3": (
        "access was refused",
        "Check the key and its rights (s3:GetObject, and s3:ListBucket: without that one S3 also answers so when the "
        "file is not there).",
    ),
    "changed": ("it changed during the download", _WAIT),
    "cut": ("it came cut short, the connection broke off", _AGAIN),
    "host_key": (
        "the server's key is not known, or not the one in ~/.ssh/known_hosts",
        "Connect once with ssh or sftp and compare the key, then start again.",
    ),
    "certificate": (
        "the server's certificate is not valid for it",
        "Check the address. An authority of your own is named in SSL_CERT_FILE, for S3 in AWS_CA_BUNDLE.",
    ),
    "timeout": ("the server was silent for too long", _AGAIN),
    "unreachable": ("the server cannot be reached", _AGAIN),
    "status": ("the server answered {status:d}", _AGAIN),
    "other": ("{error}", _AGAIN),
}

_S3_EXAMPLE = "Write for example s3://bucket/leads.csv."
_NAME_SHEET = 'Name one in the line sheet = "…" below [input] in the job file, or with {setting:input.sheet}.'
_PASSWORD = "Give the password with {setting:input.password_file}, or save a copy of the workbook without one."

INPUT_TEXTS: Final[dict[str, Text]] = {
    # Columns
    "column.quoted": Text("'{name}'"),
    "column.unnamed": Text("{letter} (without a name)"),
    "column.title": Text("column '{name}'"),
    "column.title_unnamed": Text("column {letter} (without a name)"),
    "column.place": Text("{number:d} ({letter})"),
    "input.column_ambiguous": Text(
        "{count:column} have the same name '{name}': columns {places}.",
        "Which one is meant cannot be known: rename or remove all but one in the file.",
    ),
    "input.column_missing": Text("There is no column '{name}' in the file.", "The columns are: {columns}."),
    "input.column_misspelled": Text(
        "There is no column '{name}' in the file.", "Did you mean '{nearest}'? The columns are: {columns}."
    ),
    "cell.text": Text("{text}"),
    # The file
    "input.stdin": Text("the standard input"),
    "input.quoted_name": Text("'{name}'"),
    "input.unreadable": Text("{name} cannot be read"),
    "input.folder_unreadable": Text("The folder {folder} cannot be read"),
    "input.place_folder": Text("The input's folder"),
    "input.no_home": Text("There is no home folder for {pattern}.", "Write the whole path."),
    "input.no_folder": Text("There is no folder {folder}, in which {pattern} is looked for."),
    "input.not_found": Text("There is no file '{name}'.", "Check the name and the folder."),
    "input.is_folder": Text("'{name}' is a folder, not a file.", "Name the file inside it."),
    "input.is_device": Text("'{name}' is a device, not a file.", "Name a file, or - for standard input."),
    "input.changed": Text("'{name}' changed while it was being read.", _WAIT),
    "input.no_copy_in": Text("No copy of the input can be made in {folder}"),
    "input.no_copy": Text("No copy of the input can be made"),
    "input.copy_removed": Text(
        "No copy of the input can be made: another process removes it at once.",
        "Make room there, or name another folder in the variable TMPDIR (on Windows TEMP).",
    ),
    "input.no_room": Text("Make room there, or name another folder in the variable TMPDIR (on Windows TEMP)."),
    # Kind of file
    **{f"input.is_{kind}": Text(f"'{{name}}' is {what}.", hint) for kind, (what, hint) in _NOT_TABLES.items()},
    "input.is_lock_file": Text(
        "'{name}' is a lock file: it says that a document is open, and holds no rows.",
        "Load the document itself, the file without ~$ in front.",
    ),
    "input.empty": Text("'{name}' is empty (0 bytes).", "Check that the right file was chosen and saved."),
    "input.blank": Text("'{name}' is empty (only blanks).", "Check that the right file was chosen and saved."),
    "input.damaged_package": Text(
        "'{name}' begins like a workbook or a zip archive but cannot be opened: it is damaged or incomplete.",
        "Copy or download it again, or save it again in the program it comes from.",
    ),
    "input.too_many_layers": Text("'{name}' is packed in more than {count:layer}.", "Unpack it first."),
    # Compressed and encrypted files
    "input.archive_encrypted": Text(
        "'{name}' is a zip archive protected with a password.", "Unpack it and load the table inside."
    ),
    "input.archive_several": Text(
        "'{name}' is a zip archive with {count:file} that may be the table: {files}.",
        "Unpack it and load the one that is meant.",
    ),
    "input.archive_no_table": Text("'{name}' is a zip archive without a table in it: {files}.", _RIGHT_FILE),
    "input.archive_empty": Text("'{name}' is a zip archive without a table in it: it is empty.", _RIGHT_FILE),
    "input.archive_too_large": Text(
        "'{name}' unpacks to more than {size} MB: no table of customers is packed like this.",
        "If it is one, unpack it first and load the table itself.",
    ),
    "input.archive_damaged": Text(
        "'{name}' cannot be unpacked: it is damaged or incomplete ({error}).",
        "Copy or download it again, or unpack it by hand and load the table inside.",
    ),
    "input.locked": Text("'{name}' is protected with a password.", _PASSWORD),
    "input.locked_opendocument": Text(
        "'{name}' is protected with a password.",
        "Open it in LibreOffice and save a copy without a password: this type is not decrypted here.",
    ),
    "input.wrong_password": Text("The password does not open '{name}'.", _PASSWORD),
    "input.no_decryption": Text(
        "'{name}' is protected with a password, and msoffcrypto-tool, which opens it, is not installed.",
        "Save a copy without a password, or install it: {install:{packages}}",
    ),
    "input.unknown_encryption": Text(
        "'{name}' is protected in a way that is not known here, or damaged.",
        "Save a copy of the workbook without a password.",
    ),
    # Text files
    "input.no_such_encoding": Text(
        "There is no encoding '{encoding}'.", "Usual ones are utf-8, utf-16, windows-1251, windows-1252, cp866."
    ),
    "input.other_encoding": Text(
        "The encoding was given as {encoding}, but the file is in {found}.",
        "Leave out {setting:input.encoding}, or correct it.",
    ),
    "input.wrong_encoding": Text(
        "The file is not in {encoding}: its bytes do not fit.", "Correct {setting:input.encoding}, or leave it out."
    ),
    "input.wrong_encoding_at": Text(
        "The file is not in {encoding}: line {line:d} has the byte {byte}, which it does not know.",
        "Correct {setting:input.encoding}, or leave it out.",
    ),
    "input.damaged_text": Text(
        "The file begins like a text in {encoding} but cannot be read as one.",
        "Save it again as CSV UTF-8; it may be damaged.",
    ),
    "input.unknown_encoding": Text(
        "The file is not UTF-8, and its encoding cannot be told for sure.", "Save the file as CSV UTF-8."
    ),
    "input.ambiguous_encoding": Text(
        "The file is not UTF-8, and its encoding cannot be told for sure.",
        "Name it with {setting:input.encoding}: {candidates}. Or save the file as CSV UTF-8.",
    ),
    "input.encoding_reads": Text("{encoding} reads {examples}"),
    # How the input was read
    "input.text_form": Text("CSV, {encoding}, {delimiter}"),
    "input.workbook_form": Text("{type}, sheet '{sheet}'"),
    "input.type_xlsx": Text("Excel workbook (.xlsx)"),
    "input.type_xlsb": Text("Excel workbook (.xlsb)"),
    "input.type_xls": Text("Excel workbook (.xls)"),
    "input.type_ods": Text("OpenDocument spreadsheet (.ods)"),
    "input.single_column": Text("a single column"),
    "input.separated_by": Text("separated by {delimiter}"),
    "input.tabs": Text("tabs"),
    "input.delimiter": Text("{delimiter!r}"),
    "input.or": Text("{first} or by {second}"),
    "input.ambiguous_delimiter": Text(
        "The columns may be separated by {delimiters}.", "Name the delimiter with {setting:input.delimiter}."
    ),
    "input.uneven_rows": Text(
        "The file does not look like a table: its lines do not have the same number of cells.",
        "If it is one, name the character between its cells with {setting:input.delimiter}.",
    ),
    "input.header_lacks_name": Text(
        "The header names {width:column} and every row has {cells:cell}: one column has no name, probably the first.",
        "Write a name for it at the begin of the header, or export the table without row names.",
    ),
    "input.unusual_delimiter": Text(
        "The header seems to be separated by {delimiter!r}: {header}.",
        "Name the delimiter with {setting:input.delimiter} '{delimiter}'.",
    ),
    "input.long_delimiter": Text(
        "The cells seem to be separated by {delimiter!r}, and a delimiter has one character.",
        "Export the file again with a delimiter such as ; and without blanks around it.",
    ),
    "input.fixed_width": Text(
        "The columns are aligned with blanks, without a delimiter between them.",
        "Export the table as CSV, or name the delimiter with {setting:input.delimiter}.",
    ),
    "input.quoted_lines": Text(
        "Each line is in quotes as a whole, so that the delimiters inside are text.",
        "Remove the quote at the begin and the end of each line, or export the table again.",
    ),
    "input.header_delimiter": Text(
        "The header is separated by {header}, but the rows below it by {rows}.",
        "Correct the header, or save the file again.",
    ),
    "input.bad_delimiter": Text(
        "'{delimiter}' cannot separate columns.", "A delimiter is one character, or the name tab."
    ),
    "input.header_quote": Text(
        'Line {line:d}, the header, has a quote (") where none may stand.',
        "Correct the quotes there and save the file.",
    ),
    "input.quote_not_closed": Text(
        'Line {line:d}: a quote (") opens in the row that begins there and is never closed, so all rows after it are '
        "inside one cell.",
        "Correct the quotes there, or load the file again if it may be cut off.",
    ),
    # Header and rows
    "input.at_row": Text("Row {number:d}"),
    "input.at_line": Text("Line {number:d}"),
    "input.in_row": Text("row {number:d}"),
    "input.in_line": Text("line {number:d}"),
    "input.header_empty": Text("{place}, named as the header, is empty.", "The first rows: {rows}."),
    "input.row_content": Text("{place} holds {cells}"),
    "input.no_rows": Text("The file has no rows.", _RIGHT_FILE),
    "input.no_header": Text(
        "{place} looks like data ('{value}'), so the file seems to have no header.",
        "Put a first row with the names of the columns above it, or name the header's row with "
        "{setting:input.header_row}.",
    ),
    "input.no_header_for_column": Text(
        "There is no column '{column}'. {place} looks like data ('{value}'), so the file seems to have no header.",
        "Put a first row with the names of the columns above it, or name the header's row with "
        "{setting:input.header_row}.",
    ),
    "input.header_further_down": Text(
        "{first} has no column '{column}', but {header} has: it looks like the header.",
        "If it is, set {setting:input.header_row} to {number:d}.",
    ),
    "input.only_header": Text(
        "The file has a header ({place}) but no rows.",
        "Check that the right file was chosen and that it was saved with its rows.",
    ),
    "input.only_earlier_rows": Text(
        "The file has a header ({place}) but no rows from row {first:d} on.",
        "Check that the right file was chosen and that it was saved with its rows.",
    ),
    # Workbooks
    "input.sheet": Text("'{name}'"),
    "input.hidden_sheet": Text("'{name}' (hidden)"),
    "input.several_sheets": Text(
        "The workbook has {count:sheet}: {sheets}.", "Name the one to read with {setting:input.sheet}."
    ),
    "input.only_hidden_sheets": Text(
        "Every visible sheet is empty; the workbook has hidden sheets: {sheets}.",
        "If one of them is meant, name it with {setting:input.sheet}.",
    ),
    "input.empty_workbook": Text("The workbook is empty: no sheet holds anything.", _RIGHT_FILE),
    "input.sheet_missing": Text("There is no sheet '{name}'.", f"The sheets are: {{sheets}}. {_NAME_SHEET}"),
    "input.sheet_misspelled": Text(
        "There is no sheet '{name}'.", f"Did you mean '{{nearest}}'? The sheets are: {{sheets}}. {_NAME_SHEET}"
    ),
    "input.workbook_damaged": Text(
        "'{name}' is damaged: it cannot be read as the workbook that it begins like ({error}).", _SAVE_AGAIN
    ),
    "input.old_workbook_damaged": Text(
        "'{name}' begins like an old Excel workbook but cannot be read: it is damaged or of an unknown kind.",
        "Open it in a spreadsheet program and save it as .xlsx or CSV (UTF-8).",
    ),
    "input.workbook_too_large": Text("The workbook is too large.", "Save the sheet as CSV (UTF-8) and load that."),
    # Remote inputs
    **{
        f"input.download_{why}": Text(f"{{address}} cannot be downloaded: {reason}.", hint)
        for why, (reason, hint) in _DOWNLOAD_FAILURES.items()
    },
    "input.no_bucket": Text("{address}: there is no bucket {bucket}.", "Check its name."),
    "input.not_at_address": Text("There is no file {address}.", "Check the address."),
    "input.no_remote_folder": Text("There is no folder {address}.", "Check the address."),
    "input.is_remote_folder": Text(
        "{address} is a folder.", "Name the file inside it, or end the address with / and set {setting:input.pick}."
    ),
    "input.download_stopped": Text("{reason} Nothing was sent."),
    "input.changed_in_download": Text("{address} changed during the download.", _WAIT),
    "input.download_incomplete": Text(
        "{address} came cut short: {size} of {count:byte}.", "Give the same command again."
    ),
    "input.unknown_protocol": Text(
        "{address}: {protocol}:// is not a known protocol.", "Known are for example s3://, sftp:// and https://."
    ),
    "input.needs_extra": Text(
        "{address}: reading from {protocol}:// needs the extra 'remote', which is not installed.",
        "Install it: {install:{packages}}",
    ),
    "input.needs_package": Text("{address}: reading from {protocol}:// needs another package.", "{error}."),
    "input.no_change_times": Text(
        "{address}: the server does not report when its files changed, so none can be picked.", "Name one file."
    ),
    "input.unencrypted": Text(
        "{address} would bring the profiles here unencrypted.",
        "Use https:// (for S3 in AWS_ENDPOINT_URL) or sftp://, or set {setting:insecure_http} if really meant.",
    ),
    "input.unencrypted_via": Text(
        "{address} would bring the profiles here unencrypted: it comes from {server}.",
        "Use https:// (for S3 in AWS_ENDPOINT_URL) or sftp://, or set {setting:insecure_http} if really meant.",
    ),
    "input.chained_address": Text(
        "The input's address is a chain of addresses (it holds ::).", "Name the file itself by one address."
    ),
    "input.bad_address": Text("The input's address cannot be read.", _S3_EXAMPLE),
    "input.no_server": Text("{address} names no server.", _S3_EXAMPLE),
    "input.user_in_s3_address": Text(
        "{address}: an address of S3 holds no user and no password.",
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.",
    ),
    "input.pattern_in_folder": Text(
        "{address}: in a remote address only the file's name may be a pattern, not a folder.",
        "Write for example s3://bucket/folder/leads-*.csv.",
    ),
    # Files that are not taken from a folder
    "input.skipped_own": Text("written by this program"),
    "input.skipped_temporary": Text("temporary or hidden"),
    "input.skipped_name": Text("no table by the name"),
    "input.skipped_quiet_period": Text("changed less than {seconds} s ago"),
    # Notices
    "input.short_rows": Text("Some rows have fewer cells than the header; the missing ones count as empty."),
    "input.stray_quote": Text(
        "Quotes in the file are not in pairs: some lines cannot be read as rows, rows may be lost inside a cell.",
        "Correct the quotes in these lines and load the file again.",
    ),
    "input.cut_off": Text(
        "The file seems to be cut off: the last line ({line:d}) is incomplete.",
        "Export or copy the file again; rows may be missing after it.",
    ),
    "input.header_found": Text(
        "The header was found in {place}; the rows above it are not read.",
        "If another row is the header, name it with {setting:input.header_row}. Its columns: {columns}.",
    ),
    "input.unseen": Text(
        "In an .xlsb workbook some things cannot be seen: errors, hidden rows and columns, numbers shown in another "
        "form.",
        "Save it as .xlsx to have them checked.",
    ),
    "input.hidden_columns": Text("Hidden in the sheet, but read all the same: {columns}."),
    "input.merged_cells": Text(
        "Some cells are merged; only the first row and column of a merged cell has a value.",
        "Unmerge them in the spreadsheet program and fill every cell.",
    ),
    "input.number_format": Text(
        "In {column} the sheet shows numbers in another form{form} than they are stored; what is stored is read.",
        "If what the sheet shows is right (leading zeros, for example), format the column as text and enter the "
        "values again, or save as CSV.",
    ),
    "input.garbled_text": Text(
        "Some rows hold garbled text: it was read in a wrong encoding when the file was made.",
        "Look at these rows, and export the file again if the text is sent.",
    ),
    "input.lost_letters": Text(
        "Some rows hold the mark of lost letters (�): the file was damaged when it was saved.",
        "Export the file again as CSV (UTF-8) from where it comes if the text is sent.",
    ),
    "input.hidden_rows": Text(
        "Some rows are hidden in the sheet, by a filter or by hand; they are read all the same.",
        "To leave them out, copy the visible rows to a new sheet.",
    ),
    "input.cells_without_header": Text(
        "Some rows have values to the right of the last column that has a name; these values are not read."
    ),
}
