"""English texts of messages about history, resolving, pruning, doctor, support bundle."""

from __future__ import annotations

from typing import Final

from batch_enroll.messages.message_text import Text

_LIST = "{command:runs} lists them."
_RESOLVE = "Look them up in the platform and record what you found: {command:resolve {run_id}}."

MAINTENANCE_TEXTS: Final[dict[str, Text]] = {
    # Which run a command means.
    "maintenance.no_active_run": Text("No run is active now.", "{command:runs} lists earlier runs."),
    "maintenance.none_is_active": Text("No run is active now."),
    "maintenance.one_unfinished": Text("One is unfinished, {run}: resume it with {command:resume {run_id}}."),
    "maintenance.several_active": Text("{runs:run} are active now:\n{lines}", "Name one by its id."),
    "maintenance.no_run_yet": Text("There is no run yet.", "{command:run INPUT} begins one."),
    "maintenance.run": Text("{run_id} ({input}, begun {begun})"),
    "maintenance.run_line": Text("{run_id}  begun {begun}  {input}"),
    "maintenance.more_lines": Text("and {count} more"),
    "maintenance.run_too_short": Text(
        "'{given}' is too short to name a run.", f"Give at least {{least:character}} of its id; {_LIST}"
    ),
    "maintenance.run_ambiguous": Text("'{given}' could be {runs:run}:\n{lines}", "Give more of its id."),
    "maintenance.no_such_run": Text("There is no run {given}.", _LIST),
    "maintenance.no_such_run_but": Text("There is no run {given}.", f"Did you mean {{near}}? {_LIST}"),
    "maintenance.newest_run": Text("The newest is {run}."),
    "maintenance.runs_lists_them": Text(_LIST),
    # Resolving and pruning.
    "maintenance.resend": Text("Send the rows again with {command:resume {run_id}}."),
    "maintenance.two_decisions": Text("Row {row:d} has two decisions.", "Leave one of them."),
    "maintenance.rows_and_verdict": Text(
        "--rows and --verdict go together.", "For example: {command:resolve {run} --rows 5,7-9 --verdict enrolled}"
    ),
    "maintenance.no_login": Text("The user of this process has no name.", "Say with --by NAME who decided."),
    "maintenance.decision_is_final": Text(
        "A decision is final, and `last` may be another run by now: name the run by its id or the beginning of it."
    ),
    "maintenance.write_off_alone": Text("--write-off takes no decisions on single rows: give it alone."),
    "maintenance.then_decide": Text(
        "Look each up on the platform, write {words} into the column verdict of this list (or of the file of unknown "
        "rows, with a column verdict added), and give it back: {command:resolve {run_id} --verdicts FILE}."
    ),
    "maintenance.no_decision": Text("There is no decision to record.", "Fill in the column verdict: {words}."),
    "maintenance.verdicts_place": Text("{path}, row {row:d}"),
    "maintenance.not_a_row": Text("{place}: '{text}' is not a row number."),
    "maintenance.rows_example": Text("Write for example 5,7-9, or all."),
    "maintenance.not_a_decision": Text("{place}: '{text}' is not a decision.", "Write one of: {words}."),
    "maintenance.prune_needs_yes": Text(
        "Nothing was removed: there is no terminal to ask on.", "Give --yes to remove it."
    ),
    "maintenance.no_log_file": Text("There is no log file {path}.", "Leave --log-file away, or correct it."),
    "maintenance.not_unknown": Text(
        "Row {row:d} of run {run_id} is not unknown, so there is nothing to resolve.",
        "{command:resolve {run_id}} lists the rows that are.",
    ),
    "maintenance.kept_unfinished": Text(
        "it is unfinished: {not_sent} of {rows:row} were not sent", "Resume it with {command:resume {run_id}}."
    ),
    "maintenance.kept_unknown": Text("the outcome of {unknown} of {rows:row} is unknown", _RESOLVE),
    # One person.
    "maintenance.nobody_found": Text("No run of this ledger knows this person."),
    "maintenance.forget_active": Text(
        "Nothing was changed: run {run_id} has this person and is being worked on by {owner}.",
        "Stop it first: {command:stop {run_id}}.",
    ),
    "maintenance.forget_unknown": Text(
        "Nothing was changed: the outcome of {rows:row} of this person in run {run_id} is unknown.", _RESOLVE
    ),
    "maintenance.forget_both": Text("--forget and --forget-who do not go together.", "Leave --forget out."),
    "maintenance.forget_what": Text(
        "These rows keep their number and status; their cells, their request and the memory of this person are erased. "
        "A row that was not sent yet is skipped. The next file with this person starts the person again."
    ),
    "maintenance.forget_unused_plans": Text(
        "Removed too: {plans}, plans of processes that ended before they sent anything; they may hold this person."
    ),
    "maintenance.forgotten": Text("Erased this person from {rows:row} of {runs:run}."),
    "maintenance.forgotten_files": Text("These results files are yours and were not changed:"),
    "maintenance.forgotten_rest": Text(
        "Inputs, logs, saved plans and backups are yours too: delete the person there as well."
    ),
    "maintenance.forgotten_elsewhere": Text(
        "Rows of other people have this value in one of their cells and were not changed: {runs}."
    ),
    # Doctor: this machine and the job.
    "maintenance.versions": Text("batch-enroll {version}, Python {python}, {system}"),
    "maintenance.libraries_missing": Text("Not installed: {names}.", "Install them: {install:{packages}}"),
    "maintenance.extras": Text("{extras}"),
    "maintenance.extras_missing": Text("{extras}; to add what is missing: {install:{packages}}"),
    "maintenance.job": Text("scenario {scenario:d} at {url}, matched by {matching}"),
    "maintenance.job_unusable": Text("{problem}", "Correct that; until then the platform is not asked."),
    "maintenance.no_job": Text("No job was named; {command:doctor --job FILE} checks the platform too."),
    "maintenance.token": Text("found in {origin}"),
    "maintenance.token_readable": Text(
        "found in {origin}, which other users of this machine can read", "chmod 600 {file}"
    ),
    "maintenance.no_token": Text("None was named; set {variable} or {setting:token_file}."),
    # Doctor: the platform.
    "maintenance.not_checked": Text("Not checked: {why}."),
    "maintenance.not_compared": Text("Not compared: {why}."),
    "maintenance.why_no_job": Text("no job was named"),
    "maintenance.why_job_unusable": Text("the job cannot be used"),
    "maintenance.why_not_asked": Text("the platform was not to be asked"),
    "maintenance.why_no_token": Text("there is no token"),
    "maintenance.why_no_answer": Text("the platform did not answer"),
    "maintenance.why_no_date": Text("the platform's answer has no date"),
    "maintenance.scenario": Text("the token is accepted; {name} is active. {repeated}"),
    "maintenance.platform": Text("{url} answers in {seconds} s by {tls}"),
    "maintenance.platform_local": Text("{url} answers in {seconds} s, without encryption (this machine itself)"),
    "maintenance.platform_no_tls": Text("{url} answers in {seconds} s, without encryption", "Use an https:// address."),
    "maintenance.platform_certificate": Text(
        "{url} answers in {seconds} s by {tls}; its certificate is valid until {ends}"
    ),
    "maintenance.certificate_ends_soon": Text(
        "{url} answers in {seconds} s by {tls}; its certificate is valid until {ends}, for {days:day} more",
        "Tell whoever runs the platform's address.",
    ),
    "maintenance.clock": Text("this machine and the platform agree on the time"),
    "maintenance.clock_ahead": Text(
        "this machine is {seconds} s ahead of the platform",
        "Set the clock (timedatectl set-ntp true): times in results would be wrong, and so would waits that the "
        "platform asks for by date.",
    ),
    "maintenance.clock_behind": Text(
        "this machine is {seconds} s behind the platform",
        "Set the clock (timedatectl set-ntp true): times in results would be wrong, and so would waits that the "
        "platform asks for by date.",
    ),
    # Doctor: the ledger.
    "maintenance.disk": Text("{free} GiB free at {place}"),
    "maintenance.disk_full": Text(
        "only {free} GiB free at {place}", "Make room, or choose another place: {setting:output.ledger}."
    ),
    "maintenance.disk_tight": Text("only {free} GiB free at {place}", "A million rows take about 400 MB there."),
    "maintenance.commit": Text("a step is on disk after {ms} ms"),
    "maintenance.commit_slow": Text(
        "a step is on disk after {ms} ms",
        "Slow for a disk: a run will not be fast here. A local SSD takes 1 to 10 ms.",
    ),
    "maintenance.ledger_new": Text("{path} will be made by the first run (SQLite {sqlite})"),
    "maintenance.ledger": Text("{path} is intact: {runs:run} (SQLite {sqlite})"),
    "maintenance.run_unfinished": Text(
        "run {run_id}{whose} ({about}) is unfinished: {not_sent} of {rows:row} were not sent",
        "Resume it with {command:resume {run_id}}.",
    ),
    "maintenance.of_this_job": Text(" of this job"),
    "maintenance.run_unknown": Text(
        "run {run_id}{whose} ({about}): the outcome of {unknown} of {rows:row} is unknown", _RESOLVE
    ),
    "maintenance.more_runs": Text("{count:such_run}", _LIST),
    "maintenance.no_leftovers": Text("no unfinished run, no unknown row"),
    "maintenance.no_copies": Text("no copy of an input was left behind by a process that was killed"),
    "maintenance.copy": Text(
        "1 copy of an input, with personal data, left in {folder} by a process that was killed",
        "The next `check` or `run` removes it.",
    ),
    "maintenance.copies": Text(
        "{count} copies of inputs, with personal data, left in {folder} by a process that was killed",
        "The next `check` or `run` removes them.",
    ),
}
