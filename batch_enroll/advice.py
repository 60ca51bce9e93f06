"""What a person can do about a row or a stop, one sentence for each code.

In: a platform code as text (`401`) or a slug (`connection_refused`). Out: one sentence, "" for a code not listed.
Never: I/O, or a guess; whoever shows a row looks its advice up here, so that file, terminal and page say the same.
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
        # Decided here, before anything was sent.
        "duplicate": "The same person stands in an earlier row; use --duplicates send if both rows are meant.",
        "already_enrolled": "An earlier run enrolled this person; use --again or a shorter --window to send it again.",
    }
)
"""Code or slug -> one sentence. Codes of invalid rows explain themselves and are not here."""


def advice_for(code: str) -> str:
    """Give the advice for a platform code or one of our slugs; "" when there is none."""
    return ADVICE.get(code, "")
