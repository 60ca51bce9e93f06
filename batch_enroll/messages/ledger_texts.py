"""English texts of messages about the ledger and kept rows."""

from __future__ import annotations

from typing import Final

from batch_enroll.messages.message_text import Text

LEDGER_TEXTS: Final[dict[str, Text]] = {
    # The SQLite files and the disk that holds them.
    "ledger.network_file_system": Text(
        "The ledger cannot be kept at {folder}: that is a network file system ({type}), where SQLite may lose or mix up"
        " what was written.",
        "Set {setting:output.ledger} to a file on a local disk.",
    ),
    "ledger.not_durable": Text(
        "The ledger at {folder} is on a file system in memory ({type}): a restart loses it.",
        "Set {setting:output.ledger} to a file on a disk, so that no row can be sent twice.",
    ),
    "ledger.disk_full": Text("The disk that holds {path} is full.", "Make room, then give the same command again."),
    "ledger.disk_full_while_sending": Text(
        "The disk that holds {path} is full, so nothing new is sent; what was sent is saved.",
        "Make room, then give the same command again.",
    ),
    "ledger.cannot_use": Text("The ledger cannot use {path}"),
    "ledger.correct_or_choose_another": Text("Correct that, or set {setting:output.ledger} to another file."),
    "ledger.sqlite_too_old": Text(
        "SQLite {version} is too old for the ledger, which needs {oldest} or newer.",
        "Use a newer Python, which brings a newer SQLite.",
    ),
    "ledger.no_wal": Text(
        "SQLite cannot keep {path} in WAL mode here.", "Set {setting:output.ledger} to a file on a local disk."
    ),
    "ledger.no_sync": Text(
        "This build of SQLite does not sync {path} to the disk with each commit.",
        "Use a Python with another build of SQLite.",
    ),
    "ledger.not_ours": Text("{path} is not a ledger of batch_enroll.", "Set {setting:output.ledger} to another file."),
    "ledger.other_layout": Text(
        "The ledger {path} has layout {found:d}; this version of batch_enroll knows layout {known:d}.",
        "Use the version of batch_enroll that made it, or set {setting:output.ledger} to another file.",
    ),
    "ledger.damaged": Text(
        "The ledger {path} is damaged, or is no ledger ({error}).",
        "Restore a good copy, or set {setting:output.ledger} to another file.",
    ),
    "ledger.not_writable": Text(
        "The ledger {path} cannot be opened or written ({error}).",
        "Correct its permissions, or set {setting:output.ledger} to another file.",
    ),
    "ledger.locked_by_program": Text(
        "The ledger {path} is locked by another program ({error}).",
        "Close that program, then give the same command again.",
    ),
    "ledger.disk_error": Text(
        "The ledger {path} could not be read or written: the disk reported an error ({error}).",
        "Check the disk, then give the same command again.",
    ),
    "ledger.not_usable": Text("The ledger {path} could not be used ({error})."),
    "ledger.closed": Text("The ledger {path} is closed."),
    "ledger.not_written": Text(
        "The ledger {path} could not be written ({error}).",
        "What was sent is kept. Give the same command again; if it fails again, please report it.",
    ),
    "ledger.index_damaged": Text(
        "The ledger {path} is damaged: {faults}.", "Restore a good copy; the files of the runs may be undamaged."
    ),
    "ledger.older_copy": Text(
        "The ledger {ledger} is older than the one that was used here last: it holds {found:d} of {expected:commit}."
        " It was probably restored from a backup.",
        "Rows sent since then would be sent again. Restore the newer ledger; if it is lost, find out on the platform"
        " what was sent, then delete {mark} to continue with this one.",
    ),
    "ledger.wrong_salt": Text(
        "The secret {path} is missing or is not the one that the ledger {ledger} was made with, so profiles that were"
        " sent before would not be recognised.",
        "Copy it from the place where the ledger was before.",
    ),
    "ledger.bad_run_id": Text("{run_id} cannot be the name of a run.", "Use letters, digits, dots and dashes."),
    "ledger.run_file_missing": Text(
        "The rows of run {run_id} are gone: there is no {path}.",
        "Put its folder back; if it is lost, write the run off with {command:resolve {run_id} --write-off}.",
    ),
    "ledger.run_file_changed": Text(
        "The file {path} is not as this program left it: {why}",
        "Put the newest good copy back; if there is none, write the run off with "
        "{command:resolve {run_id} --write-off}: what is not known of its rows becomes unknown.",
    ),
    "ledger.run_untrusted": Text(
        "Run {run_id} of {input} cannot be trusted, so nobody knows whom it enrolled in scenario {scenario:d}, and "
        "nothing is sent to that scenario. {why}",
        "Put the newest good copy of its folder back; if there is none, write the run off with "
        "{command:resolve {run_id} --write-off}.",
    ),
    "ledger.run_trusted": Text(
        "Run {run_id} is not written off: its files are as this program left them.",
        "{command:show {run_id}} tells how far it came, {command:resume {run_id}} continues it.",
    ),
    "ledger.written_off": Text("It was written off"),
    "ledger.written_off_rows": Text(
        "Run {run_id} was written off: of its {rows:row} {unknown:d} are unknown now, and its scenario is free again.",
    ),
    "ledger.written_off_blind": Text(
        "Run {run_id} was written off, and its scenario is free again. Nothing is left that tells whom its {rows:row} "
        "enrolled: the same people will be sent again.",
    ),
    "ledger.totals_differ": Text("its totals do not add up."),
    "ledger.fewer_commits": Text(
        "it ends at commit {found:d}, and {expected:d} was seen: it is an older copy, or a part is lost."
    ),
    "ledger.not_readable": Text("{what}"),
    "ledger.faults_found": Text("The file is damaged: {faults}"),
    "ledger.replaced_meanwhile": Text(
        "{path} was removed or replaced while run {run_id} was going, so later runs do not know whom it enrolled.",
        "Put the ledger back as it was before you start another run; the results of this one are complete.",
    ),
    "ledger.index_missing": Text(
        "The ledger {path} is gone, but the folders of {runs:run} are still beside it. A new one would not know whom "
        "they enrolled, so nothing is sent.",
    ),
    "ledger.put_index_back": Text(
        "Put it back, or make it anew from these folders with {command:doctor --rebuild-index}."
    ),
    "ledger.put_index_back_or_lose": Text(
        "Put it back, or make it anew from these folders with {command:doctor --rebuild-index}. Whom {lost:run} of "
        "them enrolled was known only to it (they were pruned, for example) and cannot come back."
    ),
    "ledger.index_exists": Text("The ledger {path} is there, so it is not made anew."),
    "ledger.no_runs_left": Text(
        "There is nothing to make a ledger of: {folder} holds no run.", "Check {setting:output.ledger}."
    ),
    "ledger.index_rebuilt": Text("The ledger was made anew from {runs:run}."),
    "ledger.index_rebuilt_lost": Text("Whom {lost:run} enrolled is lost: only the old ledger knew it."),
    "ledger.index_rebuilt_damaged": Text(
        "Run {run_id} is damaged and blocks its scenario until it is written off: "
        "{command:resolve {run_id} --write-off}."
    ),
    "ledger.other_owner": Text(
        "{path} belongs to another user (uid {uid:d}), who could change whom a run enrolls.",
        "Let its owner run this, or set {setting:output.ledger} to a file of your own.",
    ),
    "ledger.others_may_write": Text(
        "Other users may write {path}, so they could change whom a run enrolls.",
        "Take the permission away with chmod o-w,g-w, or set {setting:output.ledger} to another file.",
    ),
    "ledger.owner_unchecked": Text("On Windows nobody checks who else may write the ledger {path}."),
    "ledger.holds_other_run": Text("it holds run {run_id}."),
    # Locks.
    "ledger.run": Text("Run {run_id}"),
    "ledger.locked": Text(
        "{what} is being worked on by {owner}.",
        "Wait until that has ended, or stop it; then give the same command again.",
    ),
    "ledger.owner": Text("process {pid} on {host} since {since}"),
    "ledger.owner_run": Text("{doing} ({process})"),
    "ledger.owner_unknown": Text("another process"),
    # Its location.
    "ledger.unknown_scheme": Text(
        "{setting:output.ledger}: this version cannot keep a ledger at {scheme}://.", "Give a file on a local disk."
    ),
    "ledger.user_without_home": Text(
        "The user of this process has no home folder, and the ledger and its marks are kept there.",
        "Set HOME to a folder that stays, or give {setting:output.ledger} and set XDG_STATE_HOME to such a folder.",
    ),
    "ledger.no_home": Text("{setting:output.ledger}: there is no home folder for {path}.", "Give the path of a file."),
    "ledger.is_folder": Text(
        "{setting:output.ledger}: {path} is a folder.", "Give a file in that folder, such as {example}."
    ),
    # Runs.
    "ledger.no_such_run": Text("There is no run {run_id}.", "{command:runs} lists them."),
    "ledger.run_exists": Text("Run {run_id} was begun by another process just now.", "Give the same command again."),
    "ledger.run_not_open": Text("Run {run_id} is not open for this step."),
    "ledger.run_has_worker": Text(
        "Run {run_id} has a worker already.", "A ledger in a file allows one worker at a time."
    ),
    "ledger.run_being_planned": Text("Run {run_id} is still being planned; there is nothing to read yet."),
    "ledger.run_pruned": Text(
        "Run {run_id} was pruned: its totals are kept, the outcomes of its rows are not.",
        "{command:show {run_id}} shows the totals. Set {setting:send.again} to send the same file once more.",
    ),
    "ledger.run_kept_unknown": Text(
        "Run {run_id} is kept: the outcome of {rows} of its rows is unknown.",
        "Decide about them first: {command:resolve {run_id}}.",
    ),
    "ledger.run_kept_unfinished": Text(
        "Run {run_id} is kept: it is unfinished.", "Resume it with {command:resume {run_id}}."
    ),
    "ledger.run_has_sent": Text("Run {run_id} has sent rows, so it is kept."),
    # Rows.
    "ledger.plan_size": Text("The plan should hold {expected:row} and holds {found:d}."),
    "ledger.plan_order": Text("Place {seq:d} of the plan does not follow place {last:d}."),
    "ledger.illegal_transition": Text(
        "Place {seq:d} of the plan is not in state {needed}, so the ledger does not change it.",
        "This is a fault of the program: please report it with the run's number.",
    ),
    "ledger.row_stray_answer": Text(
        "The server sent an answer that nobody asked for; the one to this row may have been another's."
    ),
    "ledger.row_interrupted": Text(
        "The program ended while this row was being sent; no answer is known, so it is unknown and held."
    ),
    "ledger.row_in_flight": Text("This row is being sent; no answer is known yet."),
    "ledger.row_resolved": Text("Resolved by hand on {at}: {decision}."),
    "ledger.skipped_duplicate": Text("The same profile is in an earlier row."),
    "ledger.skipped_duplicate_of": Text("The same profile is in row {row:d}."),
    "ledger.skipped_enrolled": Text("An earlier run enrolled the profile."),
    "ledger.skipped_enrolled_by": Text("Run {run_id} enrolled this profile{when}."),
    "ledger.skipped_refused": Text("The platform refused this row in an earlier run of the same input."),
    "ledger.skipped_refused_in": Text("The platform refused this row in run {run_id}{when}."),
    "ledger.skipped_unknown": Text("An earlier run may have enrolled the profile; that is still unknown."),
    "ledger.skipped_elsewhere": Text("By the results file a run that this ledger does not know sent the profile."),
    "ledger.skipped_elsewhere_by": Text(
        "By the results file run {run_id}, which this ledger does not know, sent this profile."
    ),
    "ledger.skipped_unknown_in": Text("Run {run_id} sent this profile{when} and got no clear answer."),
    "ledger.skipped_forgotten": Text("The person was erased before the row was sent."),
    # Staged rows.
    "ledger.staged_damaged": Text(
        "The kept rows of run {run_id} are damaged from line {line:d} of {path} on, so they can be neither sent nor "
        "reported.",
        "Restore a good copy of that file, then give the same command again; {command:show {run_id}} shows how far the "
        "run came.",
    ),
    "ledger.staged_changed": Text(
        "Row {row:d} of run {run_id} is not what was planned: {path} was changed, so nothing more is sent.",
        "Restore a good copy of that file, then give the same command again.",
    ),
    "ledger.staged_gone": Text(
        "The rows of run {run_id} are no longer kept ({path} is gone).",
        "{command:show {run_id}} still shows its totals; its result files cannot be written again.",
    ),
    "ledger.staged_not_read": Text(
        "The kept rows of run {run_id} cannot be read at {path}: {reason}.",
        "Correct that, then give the same command again.",
    ),
    "ledger.staged_not_written": Text("The rows of this run cannot be kept at {path}"),
    "ledger.make_room_or_choose_another": Text(
        "Make room or set {setting:output.ledger} to another file, then give the same command again."
    ),
}
