"""English texts of messages about requests, answers and the platform."""

from __future__ import annotations

from typing import Final

from batch_enroll.messages.message_text import Text

_CHECK_URL = "Nothing was sent. Check {setting:url}: scheme, host and port, without /api."
_SKIP = "If the token may start scenarios but not list them, use {setting:send.skip_preflight}."

SENDING_TEXTS: Final[dict[str, Text]] = {
    # Why the circuit breaker stopped the run.
    "sending.last_outcome": Text("The last was {code}: {text:clause}."),
    "sending.suspect_first": Text(
        "The platform answered {code} to the first row, which may mean that the token does not work."
    ),
    "sending.suspect_running": Text(
        "The platform answered {code} {count:time} running, which may mean that the token does not work."
    ),
    "sending.redirected": Text("The platform redirected {count:request}: the address is probably not the right one."),
    "sending.out_of_reach": Text("The platform is out of reach: {count:row} in a row used up their attempts. {last}"),
    "sending.unknown_running": Text("{count:row} in a row got no clear answer. {last}"),
    "sending.too_many_unknown": Text("{count} of {sent:row} got no clear answer, more than {allowed}. {last}"),
    "sending.new_error": Text("A new error came {count:time} running: code {code}, which no row had before. {last}"),
    "sending.errors_running": Text("{count:row} were refused without a success between. {last}"),
    "sending.too_many_errors": Text("The platform refused {count} of {sent:row}, more than {allowed}. {last}"),
    # What an answer says of its row.
    "sending.code_without_text": Text("The platform gave no text with code {code}"),
    "sending.http_with_text": Text("HTTP {status:d}: {text}"),
    "sending.http_with_code": Text("HTTP {status:d} came with code {code} and no text"),
    "sending.http_with_success": Text('HTTP {status:d} came with "error": 0.'),
    "sending.http_with_success_text": Text('HTTP {status:d} came with "error": 0. {text}'),
    "sending.http_without_json": Text("HTTP {status:d} came without the platform's JSON: {body}"),
    "sending.body_empty": Text("an empty answer"),
    "sending.body_html": Text("an HTML page"),
    "sending.body_html_titled": Text("an HTML page ({text})"),
    "sending.body_other_json": Text("other JSON, or a part of it"),
    "sending.body_unknown": Text("{size:byte} of something else"),
    "sending.redirect": Text("HTTP {status:d} redirects to {text}; redirects are never followed"),
    "sending.redirect_without_address": Text(
        "HTTP {status:d} redirects to a place that it does not name; redirects are never followed"
    ),
    # What an answer means for the run.
    "sending.refused_by_code": Text("{title} (code {code}: {text})."),
    "sending.refused_by_status": Text("{title} ({text})."),
    "sending.proxy_refused_tunnel": Text("The proxy {proxy} refused to connect to the platform"),
    "sending.proxy_refused_connection": Text("The proxy {proxy} refused the connection"),
    "sending.proxy_not_found": Text("The address of the proxy {proxy} could not be found"),
    "sending.proxy_timeout": Text("The proxy {proxy} did not answer in time"),
    "sending.proxy_without_tls": Text("No trusted connection (TLS) to the proxy {proxy} could be made"),
    "sending.proxy_failed": Text("The connection to the proxy {proxy} broke"),
    "sending.proxy_wants_password": Text("The proxy {proxy} asks for a user name and a password"),
    "sending.refuses_every_row": Text("The platform's answer says that the next row would fare the same"),
    "sending.no_more_rows": Text("The platform takes no more rows (code {code}: {text})."),
    "sending.asked_to_wait": Text(
        "The platform asks to wait {wait} before the next request.",
        "Give the same command again after that time; it resumes where it stopped.",
    ),
    "sending.days": Text("{count:day}"),
    "sending.hours": Text("{count:hour}"),
    "sending.minutes": Text("{count:minute}"),
    "sending.seconds": Text("{count:second}"),
    # Outcomes of rows.
    "sending.no_turn": Text("The run ended before the row's turn came"),
    "sending.waits_for_turn": Text("The row waits for its turn"),
    "sending.last_attempt": Text("{text} (attempt {attempts:d}, the last)"),
    "sending.internal_error": Text("A fault of the program ({fault}) ended the attempt"),
    "sending.answer_too_large": Text("The answer is larger than {limit:d} KiB, which no answer of the platform is"),
    "sending.answer_encoded": Text(
        "The answer has the content encoding {encoding}, which was not asked for and cannot be read"
    ),
    "sending.encoded_answer_damaged": Text("The answer has the content encoding {encoding} and cannot be decoded"),
    "sending.encoded_answer_too_large": Text(
        "The answer has the content encoding {encoding} and becomes larger than {limit:d} KiB, which no answer of the "
        "platform is"
    ),
    "sending.value_unsendable": Text("a value holds half a character ({code}), which cannot be sent"),
    # The address, the proxy and the certificates.
    "sending.unusable_address": Text("The address {url} cannot be used: {problem}."),
    "sending.unusable_proxy": Text(
        "The variable {variable} does not hold the address of a proxy.",
        "Write it as http://proxy.example:3128, without quotes and blanks, or unset the variable; http, https, socks5 "
        "and socks5h are known.",
    ),
    "sending.socks_without_package": Text(
        "The variable {variable} names a SOCKS proxy, which needs a package that is not installed.",
        "Install it: {install:{packages}}",
    ),
    "sending.address_not_web": Text("it must begin with https:// and name a host"),
    "sending.address_with_extras": Text("it must have no user name, no ? and no #"),
    "sending.address_with_line_end": Text("it holds a line end"),
    "sending.no_pem": Text("it holds no certificate in PEM form"),
    "sending.untrusted_certificates": Text(
        "The trusted certificates of {variable} ({path}) cannot be read: {reason:clause}.",
        "SSL_CERT_FILE must name a PEM file, SSL_CERT_DIR a folder of them; without both certifi's are used.",
    ),
    "sending.no_key": Text(
        "it must hold a certificate and its key in PEM form that belong together, the key without a password"
    ),
    "sending.unusable_ca_file": Text("The file of {setting:ca_file}, {path}, cannot be used: {reason:clause}."),
    "sending.unusable_client_cert": Text("The file of {setting:client_cert}, {path}, cannot be used: {reason:clause}."),
    # What a repeated start does.
    "sending.start_once_ever": Text(
        "A profile can enter once ever; a repeated start is not expected to send anything again."
    ),
    "sending.start_after_leaving": Text(
        "A profile that is inside is not taken again, one that has left is: a repeated start may send again."
    ),
    "sending.start_every_time": Text(
        "Its re-entry mode {mode} keeps nobody out who was in it before: each start may be one more pass and send the "
        "messages again."
    ),
    "sending.start_unknown": Text(
        "The platform did not say what a repeated start does: it may send the messages again."
    ),
    # What the platform says about the scenario.
    "sending.scenario_unreachable": Text(
        "The platform could not be asked about scenario {scenario:d}: {text} ({code})."
    ),
    "sending.check_network": Text(
        "Nothing was sent. Check the address and the network, then give the same command again."
    ),
    "sending.nothing_sent": Text("Nothing was sent. {advice}"),
    "sending.listing_refused": Text("{reason}", "Nothing was sent. Check the token. " + _SKIP),
    "sending.listing_refused_by_proxy": Text(
        "{reason}", "Nothing was sent. Put the user name and the password of the proxy into HTTPS_PROXY or HTTP_PROXY."
    ),
    "sending.not_the_platform": Text("The answer is not the platform's: {text}.", _CHECK_URL),
    "sending.listing_failed": Text(
        "The platform would not list the scenario (code {code}: {text}).", "Nothing was sent. " + _SKIP
    ),
    "sending.listing_failed_http": Text("The platform would not list the scenario (code {code}: {text}).", _CHECK_URL),
    "sending.listing_unreadable": Text(
        "The platform's list of scenarios could not be understood: it has no `data`.",
        "Nothing was sent. If this goes on, use {setting:send.skip_preflight}.",
    ),
    "sending.no_such_scenario": Text(
        "There is no scenario {scenario:d}, or this token may not see it.",
        "Nothing was sent. Check the number after # beside the scenario's name. " + _SKIP,
    ),
    "sending.no_such_scenario_near": Text(
        "There is no scenario {scenario:d}, or this token may not see it.",
        "Nothing was sent. Near are {near}; {command:scenarios} lists all. " + _SKIP,
    ),
    "sending.scenario_named": Text("#{scenario:d} {name}"),
    "sending.scenarios_unreachable": Text("The platform could not be asked about its scenarios: {text} ({code})."),
    "sending.scenario_inactive": Text(
        "Scenario {scenario:d} is not active.",
        "Nothing was sent. Activate it in the platform, then give the same command again.",
    ),
    "sending.named_scenario_inactive": Text(
        "Scenario {scenario:d} ({name}) is not active.",
        "Nothing was sent. Activate it in the platform, then give the same command again.",
    ),
    # The platform was asked why a run stopped by itself.
    "sending.diagnosis": Text("The platform was asked again: {said}"),
    "sending.diagnosis_with_advice": Text("The platform was asked again: {said} {advice}"),
    "sending.gave_no_answer": Text("it gave no answer: {text} ({code})."),
    "sending.no_answer_in_time": Text("it did not answer within {seconds} s."),
    "sending.scenario_is_fine": Text("it takes the token, and scenario #{scenario:d}{name} is active"),
    "sending.rows_at_fault": Text("{fine}, so the rows are the matter."),
    "sending.rows_at_fault_mostly": Text(
        "{fine}, so the rows are the matter. Most often: {text} ({code}), {count:row}."
    ),
    "sending.fine_but_unclear": Text(
        "{fine}; only the starts get no clear answer. Look a few of the unknown rows up before you go on."
    ),
    "sending.fine_again": Text("{fine}; it is in reach again. Give the same command again."),
    "sending.fine_but_refused": Text("{fine}; it is only the start that it refuses."),
    "sending.correct_token": Text("Put the token right, then give the same command again."),
    "sending.check_scenario_number": Text("Check the scenario's number, and whether the token's group may see it."),
    "sending.activate_scenario": Text("Activate it in the platform, then give the same command again."),
    "sending.wait_for_platform": Text("Wait until the platform is there, then give the same command again."),
    "sending.check_address": Text("Check the address."),
}
