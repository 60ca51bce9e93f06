"""What a code means in a few words and what a person can do about it.

In: a platform code as text (`401`) or a slug (`connection_refused`). Out: one sentence, "" for a code not listed.
Never: I/O, personal data, or a guess; whoever shows a row looks its advice up here, so that file, terminal and page say
the same.
"""

from __future__ import annotations

from types import MappingProxyType

_RESOLVE = "Look the profile up in the platform, then give your verdict with `batch-enroll resolve`."
_TOKEN = "Check the token: it is missing, mistyped, switched off or of another account."
_TARIFF = "The tariff limit is reached: raise it or wait for the next period, then give the same command again."
_SLOWER = "The platform asks for fewer requests: lower --rate, then give the same command again."
_TEMPORARY = "Nothing was accepted; give the same command again, and the row is sent."
_ASK = "If most rows end so, ask the platform's support; send them the code and the text."

ADVICE = MappingProxyType(
    {
        # The platform's own codes.
        "400": "Compare the values of the row with the profile in the platform, correct the row and load it again.",
        "401": _TOKEN,
        "402": _TARIFF,
        "403": "Give the token's role the right to start scenarios and its groups access to this scenario.",
        "404": "The profile is not in the scenario's database: import it first, or match by another field.",
        "429": _SLOWER,
        "440": "The platform does not document this code; a token that is wrong or switched off gave it before.",
        "500": _RESOLVE,
        # Surely nothing was accepted.
        "connection_refused": f"Check the address and whether the platform is up. {_TEMPORARY}",
        "connection_failed": f"Check the network and the address. {_TEMPORARY}",
        "dns_failure": f"Check the spelling of the address (altkraft is spelled with k) and the network. {_TEMPORARY}",
        "tls_failure": "Check the address, the computer's clock and, behind a company proxy, the CA certificate file.",
        "connect_timeout": f"Check the network, the proxy and the firewall. {_TEMPORARY}",
        "no_free_connection": _TEMPORARY,
        "proxy_refused": "Check the proxy settings (HTTPS_PROXY, NO_PROXY) and its user name and password.",
        "throttled": _SLOWER,
        "http_421": _TEMPORARY,
        "http_425": _TEMPORARY,
        "attempts_used_up": _TEMPORARY,
        "stopped": _TEMPORARY,
        # A request left and no clear answer came.
        "read_timeout": _RESOLVE,
        "connection_dropped": _RESOLVE,
        "answer_truncated": _RESOLVE,
        "answer_unreadable": f"{_RESOLVE} If every answer is unreadable, check that the address is the platform's.",
        "answer_too_large": f"{_RESOLVE} If every answer is too large, check that the address is the platform's.",
        "interrupted": _RESOLVE,
        "internal_error": f"{_RESOLVE} This is a fault of the program: please report it.",
        "held_unknown": _RESOLVE,
        "http_408": _RESOLVE,
        "http_500": _RESOLVE,
        "http_502": _RESOLVE,
        "http_503": _RESOLVE,
        "http_504": _RESOLVE,
        "redirect": "Put the address that the platform redirects to into --url; redirects are never followed.",
        # The answer came without the platform's own code.
        "http_400": _ASK,
        "http_401": _TOKEN,
        "http_402": _TARIFF,
        "http_403": "Check the token's rights and whether a firewall or an IP list blocks this computer.",
        "http_404": "Check --url: the address has no such method.",
        "http_405": "Check --url: something other than the platform answers there.",
        "http_407": "Check the user name and password of the proxy.",
        "http_413": "Shorten the content of this row: the platform takes bodies of up to 10 MB.",
        "http_415": "Check --url: something other than the platform answers there.",
        "http_422": "Correct the values of the row and load it again.",
        # In the ledger of earlier releases, which had worker processes.
        "no_worker": _TEMPORARY,
        "worker_died": _RESOLVE,
        # Decided here, before anything was sent.
        "duplicate": "The same person stands in an earlier row; use --duplicates send if both rows are meant.",
        "identity_empty": "Fill in the cell, or take the row out.",
        "email_invalid": "Correct the address; a total or a comment below the table can be removed.",
        "several_emails": "Leave one address in the cell; which one is meant cannot be known.",
        "phone_invalid": "Write one number with + and the country's code, for example +79000000001.",
        "phone_decimal": "A program made a number of the phone: export the column as text.",
        "digits_lost": "A spreadsheet program rounded it: export again with the column formatted as text.",
        "not_an_integer": "Correct the value, or use --field-type string if the field is text.",
        "leading_zeros": "Use --field-type string if the zeros belong to the value.",
        "integer_too_large": "Correct the value, or use --field-type string if the field is text.",
        "value_unsendable": "Type the text of this row again; half of a character in it was lost.",
        "too_many_cells": "A cell of this row probably holds the delimiter: put that cell in quotes.",
        "stray_quote": "Remove or double the quote, so that the row ends where it should.",
        "undecodable": "The row is in another encoding than the file: type it again, or export the file again.",
        "nul_byte": "The cell is damaged: type it again, or export the file again.",
        "cut_off": "The file ends in the middle of a row: export or copy it again.",
        "repeated_header": "Take the row out: it repeats the header.",
        "merged_cell": "Take the merge apart and fill in each row's own value.",
        "formula_without_value": "Open the workbook in Excel and save it, so that the results are stored.",
        "excel_error": "Correct the formula or type the value.",
        "date_out_of_range": "Format the cell as text or as a number.",
        "already_enrolled": "An earlier run enrolled this person; use --again or a shorter --window to send it again.",
    }
)
"""Code or slug -> one sentence."""

WHY_INVALID = MappingProxyType(
    {
        "identity_empty": "The matching cell is empty",
        "email_invalid": "The cell does not hold an email address",
        "several_emails": "The cell holds more than one address",
        "phone_invalid": "The cell does not hold one plain phone number",
        "phone_decimal": "The phone became a number with decimals",
        "digits_lost": "The value became a rounded number",
        "not_an_integer": "The value is no whole number",
        "leading_zeros": "An int field would lose the zeros in front",
        "integer_too_large": "The number is too large for an int field",
        "value_unsendable": "A value holds half a character",
        "too_many_cells": "The row has more cells than the header",
        "stray_quote": "A stray quote swallows what follows",
        "nul_byte": "A cell holds a NUL byte",
        "undecodable": "The row is not in the file's encoding",
        "cut_off": "The row is cut off",
        "repeated_header": "The row repeats the header",
        "merged_cell": "The cell is part of a merged cell",
        "formula_without_value": "A formula has no stored value",
        "excel_error": "A cell holds an Excel error",
        "date_out_of_range": "A cell holds no date that exists",
    }
)
"""Code of an invalid row -> what is wrong, without the value, for counting rows of one kind together."""


def advice_for(code: str) -> str:
    """Give the advice for a platform code or one of our slugs; "" when there is none."""
    return ADVICE.get(code, "")


def why_invalid(code: str) -> str:
    """Say what is wrong with rows of this code, without any row's value; the code itself when it is not listed."""
    return WHY_INVALID.get(code, code)
