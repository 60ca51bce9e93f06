"""English texts of messages about job file, flags, variables and secrets (config, cli)."""

from __future__ import annotations

from typing import Final

from batch_enroll.messages.message_text import Text

JOB_TEXTS: Final[dict[str, Text]] = {
    # Flags and variables. `place` is where the person wrote the value: `--match`, `BATCH_ENROLL_MATCH`.
    "job.not_yes_or_no": Text("{place}: '{text}' is neither yes nor no."),
    "job.match_without_column": Text(
        "{place}: '{text}' has no column.", "Write MODE=COLUMN, for example email=E-mail."
    ),
    "job.content_without_column": Text(
        "{place}: '{text}' is not NAME=COLUMN.", "For example {setting:content} first_name='First name'."
    ),
    # Several lines, one for each error in a job. `place` is a flag, a variable, or "job.toml: [send] rate".
    "job.lines": Text("{first}\n{second}"),
    "job.problem_at": Text("{place}: {problem}."),
    "job.problem": Text("{problem}."),
    "job.unknown_key": Text("{place} is not a known key. Known: {known}."),
    "job.unknown_key_near": Text("{place} is not a known key. Did you mean '{near}'?"),
    "job.unknown_variable": Text("{place} is not a known variable. Unset it, or give it another name."),
    "job.unknown_variable_near": Text("{place} is not a known variable. Did you mean {near}?"),
    "job.processes_removed": Text("{place} was removed, because one process is faster; delete it."),
    "job.url_missing": Text(
        'The address of the platform is missing: give {setting:url} or url = "https://…" in the job file.'
    ),
    "job.scenario_missing": Text(
        "The scenario's number is missing: fill in the line scenario = … of the job file, or give {setting:scenario} "
        "(the number after # beside its name; {command:scenarios} lists them)."
    ),
    "job.match_missing": Text(
        "What profiles are matched by is missing: give {setting:match}, for example {setting:match} email=E-mail."
    ),
    "job.match_mode_missing": Text(
        "The matching mode is missing: give {setting:match}, for example {setting:match} email=E-mail."
    ),
    "job.match_column_missing": Text(
        "The matching column is missing: give {setting:match}, for example {setting:match} email=E-mail."
    ),
    # What is wrong with a value: the end of "PLACE: …".
    "job.hidden_value": Text("the value"),
    "job.not_an_integer": Text("{value} is not a whole number"),
    "job.not_a_number": Text("{value} is not a number"),
    "job.not_a_boolean": Text("{value} is neither true nor false"),
    "job.not_a_text": Text("{value} is not text; text stands in quotes"),
    "job.empty_text": Text("the value is empty"),
    "job.name_unprintable": Text("the name holds {code}, which cannot be shown; use letters, digits and signs"),
    "job.not_a_list": Text('{value} is not a list; write for example ["one", "two"]'),
    "job.not_a_table": Text("{value} is not a table; its keys stand below [{key}]"),
    "job.not_a_choice": Text("{value} is not known; write {expected}"),
    "job.too_small": Text("{value} is too small; it must be more than {gt:g}"),
    "job.below_minimum": Text("{value} is too small; the minimum is {ge:g}"),
    "job.above_maximum": Text("{value} is too large; the maximum is {le:.16g}"),
    "job.not_a_country": Text("{value} is not a country code; write two capital letters, for example RU"),
    "job.not_a_duration": Text("'{value}' is not a duration; write for example 90s, 30m, 12h or 7d"),
    "job.not_a_rate": Text("'{value}' is not a rate; write requests per second, for example 10 or 0.5, or none"),
    "job.rate_out_of_range": Text(
        "a rate of {value} cannot be kept; write 0.001 to 100000 requests per second, or none"
    ),
    "job.not_a_limit": Text("'{value}' is neither a number of rows nor a share; write for example 50 or 20%"),
    "job.not_a_change": Text(
        "'{value}' is not a change; write a share such as 50% (half to one and a half times as many) "
        "or 200% (up to three times as many)"
    ),
    "job.not_a_deadline": Text("'{value}' is not a deadline; write a time such as 05:30, or a duration such as 2h"),
    "job.not_a_delimiter": Text("a delimiter is one character (or tab, comma, semicolon, pipe), not '{value}'"),
    "job.not_a_platform_url": Text(
        "'{value}' is not the address of a platform; write for example https://ru.altkraft.com"
    ),
    "job.url_with_extras": Text("the address must hold no user, password, ? or #; the token is given elsewhere"),
    "job.url_bad_port": Text("'{value}' has no usable port number"),
    "job.not_a_web_address": Text("this is not an http:// or https:// address"),
    "job.not_hours": Text("'{value}' is not a part of a day; write for example 09:00-20:00 Europe/Moscow"),
    "job.empty_hours": Text("'{value}' begins and ends at the same time; leave it out to allow the whole day"),
    "job.not_a_time_zone": Text("'{value}' is not a time zone; write for example Europe/Moscow or UTC"),
    "job.time_zone_near": Text("'{value}' is not a time zone; did you mean {near}?"),
    "job.field_name_missing": Text(
        "matching by a custom field needs the field's name: {setting:match} custom:FIELD=COLUMN"
    ),
    "job.field_name_not_custom": Text("field_name goes with mode custom only, not with {mode}"),
    "job.country_not_phone": Text("country goes with mode phone only, not with {mode}"),
    "job.again_with_if_changed": Text(
        "{setting:send.again} sends what was enrolled before once more, {setting:input.if_changed} leaves it out; "
        "give one of them"
    ),
    "job.again_only_flag": Text(
        "{place}: {setting:send.again} sends everybody of an input once more, so it is given for one run by a person.",
        "Take it out there. For a job whose people may be enrolled again use {setting:send.enrolled_before} send, or "
        "{setting:send.window} for a memory that ends.",
    ),
    "job.window_with_send": Text(
        "{setting:send.window} limits how long people count as enrolled before, and {setting:send.enrolled_before} "
        "send does not look at that at all; use one of the two"
    ),
    "job.again_with_pick_new": Text(
        "{setting:send.again} sends what was enrolled before once more, {setting:input.pick} new leaves it out; "
        "give one of them"
    ),
    "job.not_results": Text(
        "'{value}' is no name for results; write one that ends in {known}, or a folder with a slash at its end"
    ),
    "job.results_with_pick_new": Text(
        "{setting:output.results} names one file, but {setting:input.pick} new may find several inputs; "
        "leave {setting:output.results} out, then the results go beside each input"
    ),
    "job.http_refused": Text(
        "{url} would send the token and the profiles unencrypted; write https://, "
        "or add {setting:insecure_http} if that is really meant"
    ),
    # The job file and its profiles.
    "job.file_unreadable": Text("The job file {path} cannot be read"),
    "job.file_too_deep": Text(
        "{path} nests its values too deeply for a job file.",
        "Write each setting below its section.",
    ),
    "job.place_argument": Text("An argument"),
    "job.place_folder": Text("The working directory"),
    "job.locale": Text(
        "The locale's encoding, {encoding}, cannot spell the name of a file that this needs.", "Set LC_ALL=C.UTF-8."
    ),
    "job.no_home_of": Text("{place}: there is no home folder for {text}.", "Write the whole path."),
    "job.time_zone": Text(
        "TZ: {text} is no time zone of this machine.", "Unset it, or write for example TZ=Europe/Moscow."
    ),
    "job.file_too_long": Text("{path} is far too long for a job file.", "Is it the spreadsheet? That one is INPUT."),
    "job.file_not_utf8": Text("The job file {path} is not UTF-8 text.", "Save it as UTF-8."),
    "job.file_not_toml": Text(
        "The job file {path} is not valid TOML: {reason}.", 'Text needs quotes, for example column = "E-mail".'
    ),
    "job.profile_no_table": Text("{file}: profile is not a table.", "Write for example [profile.prod] above the keys."),
    "job.profile_no_keys": Text("{file}: [profile] {name} is not a table; write its keys below [profile.{name}]."),
    "job.no_such_profile": Text("{place}: {file} has no profile '{name}'."),
    "job.profiles_are": Text("There are: {names}."),
    "job.did_you_mean": Text("Did you mean '{near}'?"),
    "job.add_a_profile": Text("Add one to the job file: [profile.prod], and below it the keys that differ."),
    "job.profile_without_file": Text(
        "{place}: profiles stand in a job file, and none was named.", "Name it with {setting:job}."
    ),
    # Secrets.
    "job.token_in_variable": Text("the variable {name}"),
    "job.token_in_file": Text("the file {path}"),
    "job.token_in_keyring": Text("the system's keyring"),
    "job.secret_file_unreadable": Text("The {what} {path} cannot be read"),
    "job.no_token": Text(
        "No API token was given.",
        "Put it into the variable {variable}, or into a file and give {setting:token_file} FILE, or into the "
        "system's keyring. A token is made in the platform under Settings > Tokens.{without_keyring}",
    ),
    "job.no_keyring": Text(" The keyring needs a package: {install:{packages}}"),
    "job.token_malformed": Text("The API token holds blanks or line breaks.", "Copy it again, one line, no quotes."),
    "job.secret_file_too_long": Text(
        "The {what} {path} is far too long to be one.", "Check that it is the right file."
    ),
    "job.secret_file_not_utf8": Text("The {what} {path} is not UTF-8 text."),
    "job.secret_file_empty": Text("The {what} {path} is empty."),
    "job.secret_readable": Text("Other users of this machine can read {path}, which holds a secret: chmod 600 {path}"),
    "job.ledger_elsewhere": Text(
        "{path}: the ledger {ledger} is looked for beside the job file and is not there, but there is one at {here}.",
        "Write the whole path of the ledger into the job file.",
    ),
    # INPUT and RUN on the command line.
    "job.input_is_a_folder": Text("{name} is a folder.", "Name the spreadsheet in it."),
    "job.no_such_file": Text("There is no file {name}."),
    "job.dangling_link": Text(
        "{name} is a link to {target}, and there is no such file.", "Correct the link, or name the file itself."
    ),
    "job.input_unusable": Text("The input cannot be looked at"),
    "job.flag_for_one_input": Text("{flag} is about one input, but {count} were picked: {names}.", "Name one of them."),
    "job.run_must_be_named": Text("Off a terminal the run must be named: its id or a beginning of it."),
    # The job file that `init` proposes.
    "job.init_without_input": Text("init needs a spreadsheet.", "For example: {command:init leads.csv}"),
    "job.no_matching_column": Text(
        "No column of {name} looks like an email, a phone, a profile id or a client number."
    ),
    "job.columns_are": Text("The columns are: {names}."),
    # Log, notifications and heartbeat.
    "job.log_unwritable": Text("The log file {path} cannot be written"),
    "job.no_web_address_in": Text("{path} holds no http:// or https:// address."),
    "job.no_address_in": Text("The {what} {path} holds no address."),
}
