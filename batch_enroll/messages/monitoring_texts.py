"""English texts of messages about status, metrics, notifications and heartbeat."""

from __future__ import annotations

from typing import Final

from batch_enroll.messages.message_text import Text

MONITORING_TEXTS: Final[dict[str, Text]] = {
    "monitoring.no_prometheus": Text(
        "A metrics file needs prometheus-client, which is not installed.",
        "Install it: {install:{packages}}",
    ),
    "monitoring.no_apprise": Text(
        "Notifications need apprise, which is not installed.", "Install it: {install:{packages}}"
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
    # Title and text of a notification
    "monitoring.title": Text("batch-enroll {job}: {parts}"),
    "monitoring.not_started": Text("not started, another process is at work"),
    "monitoring.finished": Text("finished"),
    "monitoring.nothing_to_do": Text("nothing to do"),
    "monitoring.not_every_input": Text("not every input finished"),
    "monitoring.failed": Text("failed, nothing was sent"),
    "monitoring.not_resumed": Text("not resumed, {rows:row} left"),
    "monitoring.stopped": Text("stopped before the end"),
    "monitoring.rows_unknown": Text("{rows:row} unknown"),
    "monitoring.rows_refused": Text("{rows:row} refused"),
    "monitoring.scenario": Text("Scenario #{scenario:d}"),
    "monitoring.inputs": Text("{inputs:input}"),
    "monitoring.run": Text("run {run_id}"),
    "monitoring.input": Text("input {name}"),
    "monitoring.about_on": Text("{about} on {host}"),
    "monitoring.on": Text("On {host}"),
    "monitoring.part": Text("- {name}: exit code {exit_code:d}; {sentences}"),
    "monitoring.exit_code": Text("Exit code {exit_code:d}: {meaning}."),
    "monitoring.nothing": Text("nothing"),
    "monitoring.counts": Text("{counts}; {rows:row}"),
    "monitoring.counts_and_time": Text("{counts}; {rows:row} in {took}"),
}
