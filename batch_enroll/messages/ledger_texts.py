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
        "The ledger {ledger} is older than the one that was used here last: it holds {found:d} of {expected:d} commits."
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
        "The rows of run {run_id} are gone: there is no {path}.", "Restore its folder, or start a new run."
    ),
    "ledger.run_file_changed": Text(
        "The file {path} is not as this program left it: {why}.",
        "Restore a good copy; if there is none, find out on the platform what was sent.",
    ),
    "ledger.totals_differ": Text("its totals do not add up"),
    "ledger.holds_other_run": Text("it holds run {run_id}"),
    # Locks.
    "ledger.run": Text("Run {run_id}"),
    "ledger.locked": Text(
        "{what} is being worked on by {owner}.",
        "Wait until that has ended, or stop it; then give the same command again.",
    ),
    "ledger.owner": Text("process {pid} on {host} since {since}"),
    "ledger.owner_unknown": Text("another process"),
}
