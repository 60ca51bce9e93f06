"""English texts of messages about status, metrics, notifications and heartbeat."""

from __future__ import annotations

from typing import Final

from batch_enroll.messages.message_text import Text

MONITORING_TEXTS: Final[dict[str, Text]] = {
    "monitoring.no_prometheus": Text(
        "A metrics file needs prometheus-client, which is not installed.",
        "Install it: pip install 'batch-enroll[metrics]'.",
    ),
    "monitoring.no_apprise": Text(
        "Notifications need apprise, which is not installed.", "Install it: pip install 'batch-enroll[notify]'."
    ),
    "monitoring.bad_address": Text(
        "[notify] address {number:d} ({scheme}://…) is not one that apprise understands.",
        "`apprise --details` lists what can be written there.",
    ),
    "monitoring.not_delivered": Text("The notification over {scheme}:// was not delivered: {reason}."),
    "monitoring.heartbeat_failed": Text("The heartbeat did not reach {host}: {reason}."),
    "monitoring.no_answer": Text("no answer within {seconds:g} s"),
    "monitoring.not_accepted": Text("it was not accepted"),
    "monitoring.http_status": Text("HTTP {status:d}"),
}
