"""English texts of messages about runtime control of a run."""

from __future__ import annotations

from typing import Final

from batch_enroll.messages.message_text import Text

CONTROL_TEXTS: Final[dict[str, Text]] = {
    # A command that cannot be given.
    "control.nothing_to_set": Text(
        "There is nothing to set.", "Give {setting:send.rate}, {setting:send.concurrency} or both."
    ),
    # What a command did; the sentence of a reply begins with the run.
    "control.reply": Text("Run {run_id} {said}"),
    "control.not_changed": Text("was not changed: {problem}"),
    "control.stopping_already": Text("takes no more rows already; {in_flight}."),
    "control.over": Text("has no row left to send; it ends when its results are written."),
    "control.set": Text("now sends {rate}."),
    "control.set_paused": Text("is paused; when it resumes it sends {rate}."),
    "control.set_before_sending": Text("does not send yet; it will send {rate}."),
    "control.set_before_sending_paused": Text("does not send yet; it will send {rate} once it is resumed."),
    "control.paused": Text("is paused; {in_flight}."),
    "control.paused_already": Text("is paused already; {in_flight}."),
    "control.paused_before_sending": Text("does not send yet, and will not before it is resumed."),
    "control.resumed": Text("resumes: {rate}."),
    "control.not_paused": Text("was not paused; it sends {rate}."),
    "control.resumed_before_sending": Text("does not send yet; it will by itself: {rate}."),
    "control.not_paused_before_sending": Text("was not paused; it does not send yet; it will by itself: {rate}."),
    "control.stopping": Text("takes no more rows; {in_flight}."),
    "control.ends_before_sending": Text("ends before it sends."),
    "control.rate": Text("{rate} a second, {concurrency} at once"),
    "control.unlimited": Text("without a limit, {concurrency} at once"),
    "control.none_in_flight": Text("no request is in flight"),
    "control.one_in_flight": Text("1 request is still in flight"),
    "control.in_flight": Text("{count} requests are still in flight"),
    # Stop reasons.
    "control.stopped_by_command": Text("Stopped by `stop`."),
    "control.stopped_at_once": Text("Stopped at once."),
    # How a run ended that was stopped from elsewhere.
    "control.has_stopped": Text(
        "Run {run_id} has stopped with {left:row} not sent; {command:resume {run_id}} resumes it."
    ),
    "control.has_ended": Text("Run {run_id} has ended: no row is left to send."),
    "control.plan_discarded": Text(
        "Run {run_id} has ended: its plan was discarded, nothing was sent. The same command starts it again."
    ),
    # A run that cannot be controlled.
    "control.finished": Text("No process works on run {run_id}: it is finished."),
    "control.not_active": Text("No process works on run {run_id}.", "Resume it with {command:resume {run_id}}."),
    "control.not_asked": Text("The run cannot be asked"),
    "control.no_reply": Text(
        "Run {run_id} is being worked on by {worker}, which did not answer within {seconds} s. Nothing was changed.",
        "It may be waiting at its own terminal for an answer, or writing results. Ctrl-C there is always safe.",
    ),
    "control.no_reply_after_taken": Text(
        "Run {run_id} is being worked on by {worker}, which took the request and did not answer.",
        "See {command:show {run_id}}.",
    ),
}
