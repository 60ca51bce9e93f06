"""English texts of messages about plan, limits, approval, canary and stop reasons."""

from __future__ import annotations

from typing import Final

from batch_enroll.messages.message_text import Text

RUN_TEXTS: Final[dict[str, Text]] = {
    "run.enrolled_before_stop": Text(
        "{enrolled} of {rows:row} were enrolled in scenario {scenario:d} before, {last}; {held} more may have been.",
        "Take them out of the input, or use {setting:send.enrolled_before} skip, which sends only the others.",
    ),
    "run.held_before_stop": Text(
        "{held:row} were sent to scenario {scenario:d} before, without a clear answer.",
        "Take them out of the input, or find out on the platform what became of them.",
    ),
    "run.last_enrolled": Text("last on {when} by {input}"),
    "run.enrolled_before_default": Text(
        "{count:row} will not be sent: the profiles were enrolled in this scenario before, {last}. Earlier releases "
        "looked only at files of the same name.",
        'Write enrolled_before = "skip" into [send] of the job file to keep it so, or "send" to enroll them again.',
    ),
    "run.enrolled_elsewhere": Text(
        "{count:row} of this results file will not be sent: a run that this ledger does not know has sent them. "
        "The file does not name its scenario.",
        "If it was another scenario, use {setting:send.enrolled_before} send to enroll them in this one.",
    ),
    "run.unknown_elsewhere": Text(
        "{count:row} of this results file will not be sent: a run that this ledger does not know got no clear answer. "
        "The file does not name its scenario.",
        "Look the profiles up in the platform; {setting:send.again} sends everybody of this input once more.",
    ),
    "run.left_unfinished": Text(
        "Run {run_id} of {input} left {left}.",
        "Resume it, without its input: {command:resume {run_id}}",
    ),
    "run.left_unsent": Text("{unsent:row} unsent"),
    "run.left_unknown": Text("{unknown:row} unknown"),
    "run.left_unsent_and_unknown": Text("{unsent:row} unsent and {unknown} unknown"),
    "run.window_changed": Text(
        "A window now limits how long people count as enrolled before; rows without a clear answer are held for ever.",
        'Write enrolled_before = "skip" into [send] beside it: this note is then not shown.',
    ),
    "run.scenario_busy_hint": Text("With {setting:send.wait} 30m this run waits for that end and then begins."),
    "run.lines": Text("{first}\n{rest}"),
    "run.listed": Text("{first}\n- {item}"),
    "run.nothing_sent": Text("Nothing was sent."),
    "run.declined": Text("Nothing was sent."),
    "run.stopped_before_sending": Text("{reason} Nothing was sent."),
    # Which run a command means.
    "run.already_finished": Text(
        "This very input was sent to scenario {scenario:d} before: run {run_id}, finished{when} ({rows:row}: {counts})."
        " Nothing was sent now."
    ),
    "run.nothing_to_resume": Text("Run {run_id} was finished{when} ({rows:row}: {counts}). No row is left to send."),
    "run.no_plan_to_resume": Text(
        "The plan of run {run_id} ({input}) was not completed, so there is nothing to resume. Nothing was sent.",
        "Give {command:run INPUT} again.",
    ),
    "run.sent_as_planned": Text(
        "Run {run_id} is resumed as it was planned: {names} cannot be changed.",
        "Leave out what differs, or begin a new run with {command:run INPUT}.",
    ),
    "run.kept_as_planned": Text("Run {run_id} keeps what it was planned with; not used of what is set now: {names}."),
    "run.already_finished_again": Text(
        "To enroll everybody of it once more, give {setting:send.again}; each of them gets the message a second time."
    ),
    "run.already_finished_unknown": Text("{command:resolve {run_id}} lists the unknown rows for a decision."),
    "run.already_finished_error": Text("{command:retry {run_id} --errors} sends the refused rows again."),
    "run.already_finished_invalid": Text(
        "Correct the invalid rows, in the input or in the file of failed rows, and load it; only they are sent."
    ),
    "run.planned_otherwise": Text(
        "Run {run_id} over this very input is unfinished and was planned with other settings for the {what}.",
        "Finish it first: {command:resume {run_id}}. Then change the settings.",
    ),
    "run.lock_job": Text("Job {job}"),
    "run.lock_scenario": Text("Scenario {scenario:d} at {url}"),
    "run.lock_owner": Text("run {run_id} of {input}"),
    # Inputs.
    "run.skipped_files": Text("Skipped: {files}."),
    "run.no_input_found": Text(
        "There is no file to enroll in {name}.", "With {setting:input.if_changed} this is not an error."
    ),
    "run.several_inputs_match": Text(
        "{name} has {count:file} that could be meant: {names}.",
        "Set {setting:input.pick} to newest or new (each that was not enrolled before), or name one file.",
    ),
    "run.more_inputs_match": Text(
        "{name} has {count:file} that could be meant: {names} and {more} more.",
        "Set {setting:input.pick} to newest or new (each that was not enrolled before), or name one file.",
    ),
    # The plan.
    "run.no_rows": Text(
        "The input has a header but no rows; there is nothing to send.",
        "Check that the right file and sheet were given.",
    ),
    "run.duplicate_of_row": Text(
        "Row {row:d} has the same {column} as row {first:d}, and duplicates are set to stop.",
        "Remove the repeated rows, or set {setting:send.duplicates} to skip or send.",
    ),
    "run.duplicate_of_run": Text(
        "Row {row:d} has the same {column} as a row of run {run}, and duplicates are set to stop.",
        "Remove the repeated rows, or set {setting:send.duplicates} to skip or send.",
    ),
    "run.interrupted": Text(
        "The process that sent this run before was killed; {rows:row} were in flight and are unknown from now on.",
        "{command:resolve {run_id}} lists the unknown rows.",
    ),
    "run.no_default_start": Text(
        "Scenario {scenario:d} lists no start node named Default, through which profiles started by the API enter: the "
        "platform may refuse every row, or accept it and send nothing.",
        "Look at the scenario's start nodes in the platform, or try one row first with {setting:send.canary}.",
    ),
    "run.mapping_matching": Text("profiles were matched by {old}, now by {new}"),
    "run.mapping_setting": Text("the {name} was {old}, now {new}"),
    "run.mapping_new": Text("content {name} is new, from column '{column}'"),
    "run.mapping_removed": Text("content {name} (column '{column}') is no longer sent"),
    "run.mapping_column": Text("content {name} came from column '{old}', now from '{new}'"),
    # Limits.
    "run.limit_max_rows": Text(
        "{to_send:row} would be sent, but {setting:stop.max_rows} allows {max_rows}.",
        "Check that this is the right file; if it is, raise {setting:stop.max_rows}.",
    ),
    "run.limit_max_change": Text(
        "{to_send:row} would be sent; {compared}, and {setting:stop.max_change} {max_change} allows {allowed}.",
        "Check that file and scenario are the right ones; if they are, set {setting:stop.max_change} to {needed:d}% "
        "for this run.",
    ),
    "run.usual_number": Text("{median} are usual (the median of the last runs)"),
    "run.earlier_number": Text("earlier runs had {median} (the median of {runs:run})"),
    "run.allowed_range": Text("{least} to {most}"),
    "run.allowed_most": Text("at most {most}"),
    "run.limit_max_invalid": Text(
        "{invalid} of {rows:row} are invalid, but {setting:stop.max_invalid} allows {max_invalid}.",
        "{command:check INPUT --problems FILE} lists them: correct them, or raise {setting:stop.max_invalid}.",
    ),
    "run.outside_hours": Text(
        "It is {time} now, outside the allowed hours {hours}.",
        "Nothing was sent. Give the same command again within these hours, or change {setting:stop.allowed_hours}.",
    ),
    "run.hours_closed": Text("{hours}; it is {time} now, so nothing would be sent"),
    "run.hours_closed_there": Text("{hours}; it is {time} there now, so nothing would be sent"),
    "run.hours_too_short": Text(
        "{hours}; about {left:row} will be left at {closes}; the same command resumes with them"
    ),
    # The approved plan.
    "run.not_the_approved_plan": Text("This is not the plan that was approved on {when}:"),
    "run.approve_again": Text(
        "Nothing was sent. If it is right as it is now, approve it again: {command:check INPUT --save FILE}."
    ),
    "run.differs_profiles": Text("{to_send:profile} would be sent, {approved} were approved"),
    "run.differs_url": Text("the url was {old}, now it is {new}"),
    "run.differs_scenario": Text("the scenario was #{old}, now it is #{new}"),
    "run.differs_mapping": Text("the mapping: {changes}"),
    "run.differs_setting": Text("{what}: {name} was {old}, now it is {new}"),
    "run.differs_of_scenario": Text("the scenario: its {what} was {old}, now it is {new}"),
    "run.differs_file": Text("the file: its content is not that of {name} as it was approved"),
    "run.plan_approved": Text("This plan was approved on {when}, for {profiles:profile}."),
    "run.plan_approved_fewer": Text(
        "This plan was approved on {when}, for {profiles:profile}; {fewer:row} of it need no sending any more."
    ),
    "run.no_plan_file": Text("{path} is not a plan.", "Save one with {command:check INPUT --save FILE}."),
    "run.plan_unreadable": Text("The plan {path} cannot be read"),
    "run.plan_file_damaged": Text(
        "The plan {path} is damaged or of another version of this program ({place}).",
        "Save it again with {command:check INPUT --save FILE}.",
    ),
    # The archive.
    "run.archive_not_a_file": Text(
        "{setting:input.archive} moves a file of this machine; {source} is none.", "Leave {setting:input.archive} out."
    ),
    "run.archive_unusable": Text("The archive folder {folder} cannot be used"),
    "run.archive_unusable_hint": Text("Name a folder that can be written."),
    "run.archive_not_moved": Text("{source} could not be moved to {folder}"),
    "run.archive_is_input_folder": Text(
        "{setting:input.archive}: {folder} is the folder of the input.", "Name another one."
    ),
    "run.archive_by_hand": Text(
        "It stays where it is; move it by hand, or give the same command again with {setting:input.if_changed}."
    ),
    "run.archive_is_link": Text("{source} is a link to a file elsewhere and was not moved to {folder}."),
    "run.archive_replaced_twice": Text(
        "{source} was replaced twice while it was moved; the file in between is now {moved}.",
        "It was not enrolled; enroll it with {command:run FILE}.",
    ),
    "run.archive_changed": Text(
        "{source} is no longer the file that was enrolled, so it was not archived.",
        "It stays where it is: its next run enrolls what is new.",
    ),
    # Stop reasons.
    "run.deadline": Text("The deadline {time} has come."),
    "run.hours_over": Text("The allowed hours {hours} are over."),
    "run.canary_first": Text("the first {rows:row}"),
    "run.canary_more": Text("{rows:row} more"),
    "run.canary_declined": Text("Stopped after {canary}, as you said."),
    "run.canary_failed": Text(
        "Stopped after {canary}, the canary: {why}. Look at the results; the same command sends {rows:row} more and "
        "reviews these; with {setting:send.canary} 0 it sends the rest."
    ),
    "run.ended_by_fault": Text("A fault of the program ({error}) ended the run."),
    "run.cancelled": Text("The program that started the run cancelled it."),
    # Results.
    "run.results_not_written": Text(
        "The results of run {run_id} were not written: it was stopped at once.",
        "The same command writes them, and so does {command:report {run_id}}.",
    ),
    "run.rows_do_not_fit": Text(
        "The rows of run {run_id} do not fit its ledger after row {row:d}.",
        "One of the two was changed from outside. Please report this; do not send the file again.",
    ),
}
