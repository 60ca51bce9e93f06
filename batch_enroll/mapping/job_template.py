"""Write a proposed job file, with comments that a newcomer can follow."""

from __future__ import annotations

import json
from collections.abc import Callable

from batch_enroll.mapping.column_suggestions import ColumnFit, Proposal, ProposedContent
from batch_enroll.messages import counted
from batch_enroll.models import MatchingMode

_HOW = {
    MatchingMode.EMAIL: "the platform looks for the email in profiles and subscriptions",
    MatchingMode.PHONE: "the platform looks for the phone in profiles and SMS subscriptions",
    MatchingMode.PROFILE_ID: "the platform's own profile id",
    MatchingMode.CUSTOM: "a field of your database; check its name in the platform's database settings",
}


def job_file_text(
    proposal: Proposal,
    *,
    input_name: str,
    command: str,
    numbers: str,
    url: str,
    scenario: int | None,
    sheet: str | None,
    meaning: Callable[[str], str],
) -> str:
    """Write the job file's text.

    Args:
        proposal: what `suggest` found.
        input_name: the spreadsheet, for the comments.
        command: the next one to give, for the comments.
        numbers: the command that lists the scenarios, for the comments.
        url: the platform's address.
        scenario: the scenario's number; None leaves it open, and the file cannot be used until it is filled in.
        sheet: named in the file only when the workbook has several.
        meaning: gives the meaning of a setting such as `send.rate`, for the comments.
    """
    lines = [
        f"# Proposed from {_comment(input_name)}. Look it through, then try it without sending anything:",
        f"#   {_printable(command)}",
        "",
        f"url = {_quoted(url)}        # address of your platform",
        *_scenario_lines(scenario, numbers),
        "",
    ]
    if sheet is not None:
        lines += ["[input]", f"sheet = {_quoted(sheet)}", ""]
    lines += [
        f"# Usable values in this column: {proposal.fitting} of the first {counted(proposal.looked_at, 'row')}.",
        *(f"# Also possible: {fit_text(other)}." for other in proposal.others),
        "[match]",
        f'mode = "{proposal.mode.value}"        # {_HOW[proposal.mode]}',
        f"column = {_quoted(proposal.column)}",
    ]
    if proposal.field_name is not None:
        lines += [
            f"field_name = {_quoted(proposal.field_name)}",
            'field_type = "string"        # "int" when the field of your database is a number',
        ]
    if proposal.country is not None:
        lines.append(
            f'country = "{proposal.country}"        # of the phones without a plus; take this line out if it is not so'
        )
    lines += ["", *_content_lines(proposal.content), *_setting_lines(meaning)]
    return "\n".join(lines) + "\n"


def fit_text(fit: ColumnFit) -> str:
    """Say how well a column fits: `phone from column 'Phone' (60 of 62 rows fit)`."""
    return (
        f"{fit.mode.value} from column '{_comment(fit.column)}' ({fit.fitting} of {counted(fit.looked_at, 'row')} fit)"
    )


def _scenario_lines(scenario: int | None, numbers: str) -> list[str]:
    where = "the number after # beside the scenario's name"
    if scenario is not None:
        return [f"scenario = {scenario}        # {where}"]
    return [
        f"# Fill in {where}, and remove the # in front of the line. All of them:",
        f"#   {_printable(numbers)}",
        "# scenario =",
    ]


_SETTINGS = {
    "send": ("rate = 10", "concurrency = 8", 'duplicates = "skip"', 'enrolled_before = "skip"', '# window = "7d"'),
    "stop": ('max_errors = "20%"', "max_unknown = 50"),
}
_UNATTENDED = ('max_change = "100%"', 'allowed_hours = "09:00-20:00 Europe/Moscow"')


def _setting_lines(meaning: Callable[[str], str]) -> list[str]:
    """Write the settings that most jobs have, each with its meaning, and those of unattended jobs as comments."""

    def line(section: str, setting: str, mark: str = "") -> str:
        key = setting.removeprefix("# ").partition(" ")[0]
        return f"{mark + setting:<24} # {meaning(f'{section}.{key}')}"

    lines: list[str] = []
    for section, settings in _SETTINGS.items():
        lines += [f"[{section}]", *(line(section, setting) for setting in settings), ""]
    return [
        *lines[:-1],
        "# For an unattended job, remove the # before these:",
        *(line("stop", setting, "# ") for setting in _UNATTENDED),
    ]


def _content_lines(content: tuple[ProposedContent, ...]) -> list[str]:
    if not content:
        return []
    return [
        "# To send a column along, remove the # before it; the template shows it as {apicontent.NAME}.",
        "[content]",
        *(
            f"# {item.name} = {_quoted(item.column)}" + (f"        # {_comment(item.example)}" if item.example else "")
            for item in content
        ),
        "",
    ]


def _quoted(text: str) -> str:
    """Write a TOML basic string: JSON's escapes are a subset of TOML's, except for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _comment(text: str) -> str:
    shown = _printable(text)
    return shown if len(shown) <= 60 else shown[:57] + "…"
