"""English texts of messages about results and other output files."""

from __future__ import annotations

from typing import Final

from batch_enroll.messages.message_text import Text

REPORT_TEXTS: Final[dict[str, Text]] = {
    # The operating system refused a file; these reasons end a sentence.
    "file.refused": Text("{what}: {reason}."),
    "file.refused_unnamed": Text("{reason}."),
    "file.not_written": Text("{path} cannot be written: {reason}."),
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
        "{rows:row} and a header do not fit into {path}: an Excel sheet holds {most} lines.",
        "Give {setting:output.results} a name that ends in .csv.",
    ),
    "report.sheet_full": Text(
        "{path} cannot hold more: an Excel sheet has {most} lines.",
        "Give {setting:output.results} a name that ends in .csv.",
    ),
    "report.line_too_wide": Text(
        "Line {line:d} does not fit into {path}: an Excel sheet holds {columns:column} and {characters:character} "
        "in a cell.",
        "Give {setting:output.results} a name that ends in .csv.",
    ),
    "report.overwrites_input": Text(
        "The results would overwrite the input: {path}.", "Choose another place with {setting:output.results}."
    ),
    "report.not_a_file": Text("{path} is not a file.", "Choose another place with {setting:output.results}."),
    "report.other_results": Text("Choose another place with {setting:output.results}."),
    "report.results_kept": Text(
        "Nothing is lost, every outcome is in the ledger: fix it, then give the same command again; "
        "{command:report RUN} writes the files as well."
    ),
    "report.totals_differ": Text(
        "The totals do not add up: {planned:row} were planned, {counted} have a status.",
        "Please report this as a bug, and do not send the file again before its cause is known.",
    ),
    "report.plan_differs": Text("The plan does not add up: the input has {rows:row}, the plan {counted}."),
    "report.abandoned": Text("The reading was abandoned."),
}
