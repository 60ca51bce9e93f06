"""English texts of messages about results and other output files."""

from __future__ import annotations

from typing import Final

from batch_enroll.messages.message_text import Text

REPORT_TEXTS: Final[dict[str, Text]] = {
    # The operating system refused a file; these reasons end a sentence.
    "file.refused": Text("{what}: {reason}."),
    "file.refused_unnamed": Text("{reason}."),
    "file.not_written": Text("{path} cannot be written: {reason}."),
    "file.not_utf8": Text(
        "{place}: the bytes of {text} are not UTF-8.",
        "Rename it; if other programs show its name well, set LC_ALL=C.UTF-8.",
    ),
    "file.output_lost": Text("Standard output did not take everything: {reason}."),
    "file.output_was_closed": Text("it was closed"),
    "file.output_elsewhere": Text("Let it go to another place."),
    "file.disk_full": Text("the disk is full"),
    "file.address_in_use": Text("it is in use"),
    "file.open_elsewhere": Text("it is open in another program, such as Excel, or the right to use it is missing"),
    "file.no_folder": Text("the folder {folder} is not there"),
    "file.folder_forbidden": Text("the folder {folder} does not allow it"),
    "file.make_room": Text("Make room, then give the same command again."),
    "file.check_name": Text("Check the name and the folder."),
    "file.ask_for_permission": Text("Ask for the right to use it, and close it in other programs."),
    "file.check_disk": Text("Check the disk."),
    "file.other_place": Text("Give another name or place."),
    "file.make_writable": Text("Choose another place, or make that one writable."),
    # Results
    "report.sheet_too_short": Text(
        "{rows:row} and a header do not fit into {path}: an Excel sheet holds {most:line}.",
        "Give {setting:output.results} a name that ends in .csv.",
    ),
    "report.sheet_full": Text(
        "{path} cannot hold more: an Excel sheet has {most:line}.",
        "Give {setting:output.results} a name that ends in .csv.",
    ),
    "report.line_too_wide": Text(
        "Line {line:d} does not fit into {path}: an Excel sheet holds {columns:column} and {characters:character} "
        "in a cell.",
        "Give {setting:output.results} a name that ends in .csv.",
    ),
    # Outputs that would take the place of another file
    "report.overwrites_read": Text("{output} would overwrite {what}: {path}."),
    "report.same_output": Text("{output} would overwrite another output of the same command: {path}."),
    "report.the_results": Text("The results"),
    "report.the_problems": Text("The list of problems"),
    "report.the_plan": Text("The saved plan"),
    "report.the_status": Text("The status file"),
    "report.the_metrics": Text("The metrics file"),
    "report.the_log": Text("The log"),
    "report.the_archive": Text("The archive"),
    "report.the_job": Text("The job file"),
    "report.the_demo_list": Text("The example list"),
    "report.the_support": Text("The support bundle"),
    "report.read_input": Text("the input"),
    "report.read_job": Text("the job file"),
    "report.read_token": Text("the token file"),
    "report.read_ca": Text("the file of trusted certificates"),
    "report.read_client_cert": Text("the client certificate"),
    "report.read_password": Text("the password file"),
    "report.read_addresses": Text("the file of addresses to notify"),
    "report.read_heartbeat": Text("the file with the heartbeat's address"),
    "report.read_plan": Text("the approved plan"),
    "report.read_log": Text("the log that goes into it"),
    "report.read_ledger": Text("the ledger"),
    "report.other_status": Text("Choose another place with {setting:output.status_file}."),
    "report.other_metrics": Text("Choose another place with {setting:output.metrics_file}."),
    "report.other_log": Text("Choose another place with {setting:output.log_file}."),
    "report.other_archive": Text("Choose another place with {setting:input.archive}."),
    "report.other_flag": Text("Choose another place with {flag}."),
    "report.not_ours": Text("{output} would replace {path}, which this program did not write."),
    "report.exists": Text("{path} exists already."),
    "report.or_overwrite": Text("{elsewhere:clause}, or replace that file with {setting:output.overwrite}."),
    "report.results_beside": Text(
        "{wanted} or a file beside it was changed after a run wrote it, or that cannot be told; it is kept, and the "
        "results are in {path}."
    ),
    "report.not_a_file": Text("{path} is not a file.", "Choose another place with {setting:output.results}."),
    "report.other_results": Text("Choose another place with {setting:output.results}."),
    "report.results_kept": Text(
        "Nothing is lost, every outcome is in the ledger: fix it, then give the same command again; "
        "{command:report {run_id}} writes the files as well."
    ),
    "report.totals_differ": Text(
        "The totals do not add up: {planned:row} were planned, {counted} have a status.",
        "Please report this as a bug, and do not send the file again before its cause is known.",
    ),
    "report.plan_differs": Text("The plan does not add up: the input has {rows:row}, the plan {counted}."),
    # Summary table
    "report.headline": Text("Run {run_id} {end}: {rows:row} in {took}{rate}."),
    "report.headline_rate": Text(", {rate} requests a second"),
    "report.headline_rate_one": Text(", 1 request a second"),
    "report.more_reasons": Text("and {rows:row} for {reasons:more_reason}"),
    "report.next_resume": Text("Next: this resumes the run with {left:row}{held}:"),
    "report.next_held_one": Text(", and {unknown:row} of unknown outcome stays held until resolved"),
    "report.next_held": Text(", and {unknown:row} of unknown outcome stay held until resolved"),
    "report.next_resolve_one": Text(
        "Next: {unknown:row_is} unknown and may have been enrolled; look it up on the platform, then record your "
        "decision:"
    ),
    "report.next_resolve": Text(
        "Next: {unknown:row_is} unknown and may have been enrolled; look them up on the platform, then record your "
        "decisions:"
    ),
    "report.next_correct": Text("Next: correct the {refused:row} in the failed file and run it:"),
    "report.next_write_failed": Text("Next: correct {refused:row}; this writes them to a file:"),
    "report.next_earlier_runs": Text(
        "Every row of this run is enrolled or was skipped, but an earlier run is unfinished:"
    ),
    "report.next_nothing": Text("Nothing is left to do: every row is enrolled or was skipped."),
    "report.trouble": Text("Run {run_id} {end}: {counts}."),
    "report.count": Text("{count:row} {what}"),
    "report.begun_before": Text(
        "An earlier start of this run sent {sent:row}; {left:is_left}. Resume it with {command:resume {run_id}}."
    ),
    # Several inputs, or none
    "report.inputs_together": Text("{inputs:input} together: {counts}; exit code {exit_code:d}."),
    "report.nothing_sent": Text("nothing was sent"),
    "report.no_new_file": Text("Nothing new: there is no file to enroll in {name}."),
    "report.no_new_row": Text("Nothing new: {name} has no rows."),
    "report.nothing_new": Text("Nothing new: {name} was enrolled by run {run_id}{when} ({counts})."),
    "report.at_time": Text(" on {time}"),
    # Comparison with earlier runs
    "report.no_earlier_run": Text("This ledger remembers no earlier run, so there is nothing to compare with."),
    "report.usual_rows_once": Text("This input has {rows:row}; the last run of {whose} had {usual}."),
    "report.usual_rows": Text("This input has {rows:row}; the last {runs:run} of {whose} had {usual}."),
    "report.this_input": Text("this input"),
    "report.this_scenario": Text("this scenario"),
    "report.range": Text("{least} to {most}"),
    "report.no_usual_rows": Text("This scenario was used before, but no earlier run says how many rows are usual."),
    "report.new_scenario": Text(
        "No run that this ledger remembers has used scenario #{scenario:d} of this platform before."
    ),
    "report.other_mapping": Text("The mapping is not that of {run}: {changes}."),
    "report.many_rows": Text("{to_send:row} will be sent, {factor:.2g} times the usual {median:,.0f}."),
    "report.few_rows": Text("Only {to_send:row} will be sent; {median:,.0f} are usual."),
    # Progress
    "report.platform_pause": Text("The platform asked for a pause of {pause}."),
    "report.rate_set": Text("The rate was set: {rate} a second, {concurrency} at once."),
    "report.rate_unlimited": Text("The rate was set: without a limit, {concurrency} at once."),
    "report.paused": Text("Paused; {command:resume {run_id}} continues it."),
    "report.paused_waiting": Text(
        "Paused; {command:resume {run_id}} continues it. Waiting for {in_flight:request} in flight."
    ),
    "report.resumed": Text("Resumed."),
    "report.stray_answer": Text(
        "The server sent an answer that nobody asked for: row {row:d} is unknown now, and from here on each request "
        "gets a connection of its own."
    ),
    "report.stopping": Text("Stopping, waiting for the requests in flight: {reason}"),
    "report.reading": Text("read {rows:row}"),
    "report.reading_run": Text("run {run_id}: read {rows:row}"),
    "report.sending": Text("sending {rows:row}"),
    "report.waiting_for_scenario": Text("{owner} This run waits for its end and then begins."),
    "report.enrolled_meanwhile": Text("{rows:row} skipped: other runs enrolled these profiles since the plan."),
    "report.writing": Text("writing results: {rows} of {of:row}"),
    "report.progress": Text("{done} of {to_send:row}: {counts}"),
    "report.progress_rate": Text("{progress}; {rate} a second, {left} left"),
    # Plan
    "report.plan": Text("Plan of run {run_id}"),
    "report.plan_resumed": Text("Plan of run {run_id}, which is resumed"),
    "report.no_content": Text("no column is sent along"),
    "report.at_most_once": Text(
        "at most once: a row without a clear answer is held as unknown, never sent again by itself"
    ),
    "report.at_least_once": Text(
        "at least once: a row without a clear answer is sent again, so customers may get the message twice"
    ),
    "report.plan_rate_unlimited": Text("as fast as the platform answers, {concurrency:d} at once"),
    "report.plan_rate": Text("{rate} a second, {concurrency:d} at once: {needed}"),
    "report.canary": Text("{rows:row} first; the rest only after their review"),
    "report.settled": Text("have their outcome already"),
    "report.duplicates_skip": Text("skipped: the same profile is in an earlier row"),
    "report.duplicates_send": Text("among those sent: the same profile is in an earlier row"),
    "report.duplicates_stop": Text("the same profile is in an earlier row; the run stops before it sends"),
    "report.enrolled": Text("skipped: enrolled in this scenario before, {last}"),
    "report.enrolled_may_enter": Text(
        "skipped: enrolled in this scenario before, {last}.\nThis scenario lets people enter again; to start them "
        "again: {setting:send.enrolled_before} send"
    ),
    "report.enrolled_sent": Text("among those sent: enrolled in this scenario before, {last}"),
    "report.enrolled_elsewhere": Text("skipped: sent by a run that this ledger does not know"),
    "report.refused_before": Text("skipped: the platform refused the row in an earlier run of this input"),
    "report.held": Text("skipped: unknown since an earlier run, until it is resolved"),
    "report.held_resumed": Text("unknown: not sent again until resolved"),
    "report.invalid": Text("cannot be sent as they are"),
    # Prune
    "report.nothing_to_prune": Text("There is nothing to prune among the runs that ended before {day}."),
    "report.prune": Text("To prune: what ended before {day}"),
    "report.prune_keeps": Text(
        "The totals stay, and so does the record of whom these runs enrolled: no profile is enrolled twice because of "
        "this.\n"
        "What goes: the rows themselves, and what happened to each. `report`, `retry` and `resolve` need them."
    ),
    "report.prune_forgets": Text(
        "--forget also removes the record of whom these runs enrolled. The same file, an edited one and --window will "
        "NOT\n"
        "recognise these people any more: give such a file again, and every one of them gets the message a second time."
    ),
    "report.prune_leaves_results": Text("Results files beside your spreadsheets are not touched."),
    # Doctor
    "report.all_in_order": Text("Everything is in order"),
    "report.not_all_checked": Text("No problem; not everything was checked"),
    "report.no_reason": Text("No reason was given"),
    # A command over several inputs
    "report.inputs_left": Text("Left for the next time: {names}."),
    "report.abandoned": Text("The reading was abandoned."),
}
