"""English texts of messages about requests, answers and the platform."""

from __future__ import annotations

from typing import Final

from batch_enroll.messages.text import Text

SENDING_TEXTS: Final[dict[str, Text]] = {
    # Why the circuit breaker stopped the run.
    "sending.last_outcome": Text("The last was {code}: {text}."),
    "sending.suspect_first": Text(
        "The platform answered {code} to the first row, which may mean that the token does not work."
    ),
    "sending.suspect_running": Text(
        "The platform answered {code} {count:d} times running, which may mean that the token does not work."
    ),
    "sending.redirected": Text(
        "The platform redirected {count:d} requests: the address is probably not the right one."
    ),
    "sending.out_of_reach": Text(
        "The platform is out of reach: {count:d} rows in a row used up their attempts. {last}"
    ),
    "sending.unknown_running": Text("{count:d} rows in a row got no clear answer. {last}"),
    "sending.too_many_unknown": Text("{count:d} of {sent:d} rows got no clear answer, more than {allowed}. {last}"),
    "sending.new_error": Text("A new error came {count:d} times running: code {code}, which no row had before. {last}"),
    "sending.errors_running": Text("{count:d} rows were refused without a success between. {last}"),
    "sending.too_many_errors": Text("{count:d} of {sent:d} rows were refused, more than {allowed}. {last}"),
}
