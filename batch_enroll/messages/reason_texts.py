"""English texts about the codes of rows: `reason.CODE` says what the code means, `advice.CODE` what a person can do."""

from __future__ import annotations

from typing import Final

from batch_enroll.messages.message_text import Text

_RESOLVE = "Look the profile up in the platform, then give your decision with `resolve`."
_TOKEN = "Check the token: it is missing, mistyped, switched off or of another account."
_TARIFF = "The tariff limit is reached: raise it or wait for the next period, then give the same command again."
_SLOWER = "The platform asks for fewer requests: lower {setting:send.rate}, then give the same command again."
_TEMPORARY = "Nothing was accepted; give the same command again, and the row is sent."
_ASK = "If most rows end so, ask the platform's support; send them the code and the text."
_URL = "Check {setting:url}: something other than the platform answers there."
_IF_TEXT = "use {setting:match.field_type} string if the field is text"

REASONS: Final[dict[str, Text]] = {
    # The platform's own codes.
    "400": Text(
        "The platform refused the values of the row",
        "Compare the values of the row with the profile in the platform, correct the row and load it again.",
    ),
    "401": Text("The platform refused the token", _TOKEN),
    "402": Text("The limit of the account's tariff is reached", _TARIFF),
    "403": Text(
        "The token has no right to start this scenario",
        "Give the token's role the right to start scenarios and its groups access to this scenario.",
    ),
    "404": Text(
        "The platform does not find the profile",
        "The profile is not in the scenario's database: import it first, or match by another field.",
    ),
    "429": Text("The platform got too many requests", _SLOWER),
    "440": Text(
        "The platform refused the row with a code that it does not document",
        "The platform does not document this code; a token that is wrong or switched off gave it before.",
    ),
    "500": Text("The platform answered with an error of its own", _RESOLVE),
    # Surely nothing was accepted.
    "connection_refused": Text(
        "The platform's computer refused the connection",
        f"Check the address and whether the platform is up. {_TEMPORARY}",
    ),
    "connection_failed": Text(
        "No connection to the platform could be made", f"Check the network and the address. {_TEMPORARY}"
    ),
    "dns_failure": Text(
        "The platform's address could not be found",
        f"Check the spelling of the address (altkraft is spelled with k) and the network. {_TEMPORARY}",
    ),
    "tls_failure": Text(
        "No trusted connection (TLS) to the platform could be made",
        "Check the address and the port: the server there may not speak https.",
    ),
    "tls_too_old": Text(
        "The platform offers only versions of TLS that are no longer safe",
        "TLS 1.2 or newer is needed: tell who runs the platform, or the proxy in front of it.",
    ),
    "certificate_untrusted": Text(
        "The platform's certificate is not from an authority that this computer trusts",
        "If it comes from your company's own authority, or from a proxy that reads along, name a PEM file with that "
        "authority's certificate by {setting:ca_file} or SSL_CERT_FILE.",
    ),
    "certificate_expired": Text(
        "The platform's certificate has expired",
        "Check this computer's clock. If it is right, tell who runs the platform to renew the certificate.",
    ),
    "certificate_not_yet_valid": Text(
        "The platform's certificate is not valid yet",
        "Check this computer's clock. If it is right, tell who runs the platform.",
    ),
    "certificate_wrong_host": Text(
        "The platform's certificate is for another host name",
        "Check {setting:url}: the certificate names the host that it is for.",
    ),
    "connect_timeout": Text(
        "The platform did not take the connection in time",
        f"Check the network, the proxy and the firewall. {_TEMPORARY}",
    ),
    "no_free_connection": Text("No connection was free in time", _TEMPORARY),
    "proxy_unreachable": Text(
        "The proxy could not be reached",
        "Check HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, and whether the proxy is up. Its certificate, if it "
        "has one, is trusted by {setting:ca_file} or SSL_CERT_FILE too.",
    ),
    "proxy_refused": Text(
        "The proxy refused to connect to the platform",
        "Check the proxy settings (HTTPS_PROXY, NO_PROXY) and its user name and password.",
    ),
    "throttled": Text("The platform got too many requests", _SLOWER),
    "http_421": Text("The platform asks for another connection", _TEMPORARY),
    "http_425": Text("The platform asks to send the request later", _TEMPORARY),
    "attempts_used_up": Text("The row used up its attempts", _TEMPORARY),
    "stopped": Text("The run was stopped before this row was accepted", _TEMPORARY),
    # A request left and no clear answer came.
    "read_timeout": Text("The request was sent, but no whole answer came in time", _RESOLVE),
    "connection_dropped": Text("The request was sent, but the connection broke before an answer came", _RESOLVE),
    "answer_truncated": Text("The request was sent, but the connection broke in the middle of the answer", _RESOLVE),
    "answer_unreadable": Text(
        "The request was sent, but what came back is not HTTP",
        f"{_RESOLVE} If every answer is unreadable, check that the address is the platform's.",
    ),
    "answer_too_large": Text(
        "The answer is larger than any answer of the platform",
        f"{_RESOLVE} If every answer is too large, check that the address is the platform's.",
    ),
    "stray_answer": Text(
        "The server sent an answer that nobody asked for, so the answer to this row may have been another's",
        f"{_RESOLVE} If it happens again, ask who runs the servers between this computer and the platform.",
    ),
    "interrupted": Text("The run was interrupted before the answer came", _RESOLVE),
    "ledger_damaged": Text("The ledger was damaged, so it is not known whether the row was sent", _RESOLVE),
    "internal_error": Text(
        "A fault of the program ended the attempt",
        f"{_RESOLVE} This is a fault of the program: please report it.",
    ),
    "held_unknown": Text("An earlier run left this profile without a clear answer", _RESOLVE),
    "http_499": Text("A server before the platform gave up before the platform's answer came", _RESOLVE),
    "http_408": Text("The platform did not get the request in time", _RESOLVE),
    "http_500": Text("The platform's server failed", _RESOLVE),
    "http_502": Text("A server before the platform got no valid answer", _RESOLVE),
    "http_503": Text("The platform is not available", _RESOLVE),
    "http_504": Text("A server before the platform got no answer in time", _RESOLVE),
    "redirect": Text(
        "The address redirects elsewhere",
        "Put the address that the platform redirects to into {setting:url}; redirects are never followed.",
    ),
    # The answer came without the platform's own code.
    "http_400": Text("The request was refused", _ASK),
    "http_401": Text("The token was refused", _TOKEN),
    "http_402": Text("The limit of the account's tariff is reached", _TARIFF),
    "http_403": Text(
        "Access was refused",
        "Check the token's rights and whether a firewall or an IP list blocks this computer.",
    ),
    "http_404": Text("The address was not found", "Check {setting:url}: the address has no such method."),
    "http_405": Text("The address does not take such requests", _URL),
    "http_407": Text(
        "A proxy asks for a user name and a password",
        "Put the proxy's user name and password into HTTPS_PROXY or HTTP_PROXY, then give the same command again.",
    ),
    **{
        f"http_{status}": Text("A server before the platform refused the request", _URL)
        for status in (411, 414, 417, 426, 431)
    },
    "http_413": Text(
        "The request is too large",
        "Shorten the content of this row: the platform takes bodies of up to 10 MB.",
    ),
    "http_415": Text("The address does not take JSON", _URL),
    "http_422": Text("The values of the row were refused", "Correct the values of the row and load it again."),
    # In the ledger of earlier releases, which had worker processes.
    "no_worker": Text("No worker process was there to send the row", _TEMPORARY),
    "worker_died": Text("The worker process ended before the answer came", _RESOLVE),
    # Decided before anything was sent.
    "duplicate": Text(
        "An earlier row has the same profile",
        "The same person stands in an earlier row; use {setting:send.duplicates} send if both rows are meant.",
    ),
    "identity_empty": Text("The matching cell is empty", "Fill in the cell, or take the row out."),
    "email_invalid": Text(
        "The cell does not hold an email address",
        "Correct the address; a total or a comment below the table can be removed.",
    ),
    "several_emails": Text(
        "The cell holds more than one address",
        "Leave one address in the cell; which one is meant cannot be known.",
    ),
    "phone_invalid": Text(
        "The cell does not hold one plain phone number",
        "Write one number with + and the country's code, for example +79000000001.",
    ),
    "phone_decimal": Text(
        "The phone became a number with decimals",
        "A program made a number of the phone: export the column as text.",
    ),
    "digits_lost": Text(
        "The value became a rounded number",
        "A spreadsheet program rounded it: export again with the column formatted as text.",
    ),
    "decimal_added": Text(
        "The value became a number with decimals",
        "A program made a number of the id: export the column as text, or remove the decimals.",
    ),
    "thousands_separated": Text(
        "The value is written with separators between thousands", "Format the column as text, without separators."
    ),
    "became_date": Text(
        "The value became a date",
        "A spreadsheet program made a date of the id: format the column as text and enter the id again.",
    ),
    "date_cell": Text(
        "The cell holds a date instead of an id",
        "A spreadsheet program made a date of the id: format the column as text and enter the id again.",
    ),
    "number_shown_otherwise": Text(
        "The sheet shows another value than the cell holds",
        "Format the column as text and enter the values as they should be sent.",
    ),
    "lost_letters": Text("Letters of the value are lost", "Export the file again as CSV (UTF-8) from where it comes."),
    "garbled_text": Text("The value is garbled", "Export the file again as CSV (UTF-8) from where it comes."),
    "invisible_characters": Text(
        "The value holds invisible characters", "Type the value again: copied text may bring such characters."
    ),
    "mixed_alphabets": Text(
        "The value mixes letters of two alphabets", "Type the value again in one alphabet: some letters look alike."
    ),
    "not_a_person": Text(
        "The row does not look like the others",
        "A label, a total or a comment can be removed. If it is a profile, load it in a file of its own.",
    ),
    "not_an_integer": Text("The value is no whole number", f"Correct the value, or {_IF_TEXT}."),
    "leading_zeros": Text(
        "An int field would lose the zeros in front",
        "Use {setting:match.field_type} string if the zeros belong to the value.",
    ),
    "integer_too_large": Text("The number is too large for an int field", f"Correct the value, or {_IF_TEXT}."),
    "value_unsendable": Text(
        "A value holds half a character", "Type the text of this row again; half of a character in it was lost."
    ),
    "too_many_cells": Text(
        "The row has more cells than the header",
        "A cell of this row probably holds the delimiter: put that cell in quotes.",
    ),
    "stray_quote": Text(
        "A stray quote swallows what follows",
        "Remove or double the quote, so that the row ends where it should.",
    ),
    "undecodable": Text(
        "The row is not in the file's encoding",
        "The row is in another encoding than the file: type it again, or export the file again.",
    ),
    "nul_byte": Text("A cell holds a NUL byte", "The cell is damaged: type it again, or export the file again."),
    "cell_too_long": Text("A cell is too long", "Shorten the cell, or take out its column."),
    "cut_off": Text("The row is cut off", "The file ends in the middle of a row: export or copy it again."),
    "repeated_header": Text("The row repeats the header", "Take the row out: it repeats the header."),
    "below_other_header": Text(
        "The row belongs to another table", "Save the second table in a file of its own, and load that."
    ),
    "other_delimiter": Text(
        "The row is separated by another character than the others",
        "Separate the cells of this row as in the other rows.",
    ),
    "broken_row": Text("A line break inside a cell divides the row", "Put the cell in quotes, or join the two lines."),
    "merged_cell": Text("The cell is part of a merged cell", "Take the merge apart and fill in each row's own value."),
    "formula_without_value": Text(
        "A formula has no stored value",
        "Open the workbook in Excel and save it, so that the results are stored.",
    ),
    "excel_error": Text("A cell holds an Excel error", "Correct the formula or type the value."),
    "date_out_of_range": Text("A cell holds no date that exists", "Format the cell as text or as a number."),
    "already_enrolled": Text(
        "An earlier run enrolled this person",
        "Nothing needs to be done. To enroll people again, use {setting:send.enrolled_before} send, or "
        "{setting:send.window} for a memory that ends.",
    ),
    "forgotten": Text(
        "The person was erased before the row was sent",
        "Nothing needs to be done. To enroll the person after all, give them in a new file.",
    ),
    "enrolled_elsewhere": Text(
        "A run that this ledger does not know sent this person",
        "The results file does not name its scenario. If it was another one, use {setting:send.enrolled_before} send; "
        "rows with the status unknown are sent with {setting:send.again} only.",
    ),
    "refused_before": Text(
        "The platform refused this row in an earlier run of the same input",
        "Correct the row and load it in a file of its own, or let the earlier run send its refused rows again.",
    ),
}

"""Code of a row -> what it means, and what a person can do about it."""

REASON_TEXTS: Final[dict[str, Text]] = {
    **{f"reason.{code}": Text(text.text) for code, text in REASONS.items()},
    **{f"advice.{code}": Text(text.hint) for code, text in REASONS.items()},
}
