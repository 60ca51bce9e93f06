"""English texts of messages about the mock server."""

from __future__ import annotations

from typing import Final

from batch_enroll.messages.message_text import Text

SANDBOX_TEXTS: Final[dict[str, Text]] = {
    "sandbox.control_not_json": Text("A control request is a JSON object."),
    "sandbox.dataset": Text("The dataset file {path}"),
    "sandbox.dataset_entry": Text("{file}, {key} no. {number}"),
    "sandbox.dataset_malformed": Text("The dataset file {path} cannot be read: {reason}."),
    "sandbox.dataset_unreadable": Text("The dataset file {path} cannot be read"),
    "sandbox.fault_position": Text("Requests are counted from 1; {name} names an earlier one."),
    "sandbox.fault_rule": Text("{rule} is not a fault rule: {reason}."),
    "sandbox.fault_rule_fields": Text("{rule} is not a fault rule.", "A rule has: {fields}."),
    "sandbox.fault_share": Text("The share of {name} must be between 0 and 1, not {share}."),
    "sandbox.fault_syntax": Text("'{text}' is not a fault.", "Write NAME, NAME=SHARE, NAME@NTH or NAME@NTH+."),
    "sandbox.faults_no_list": Text("The faults are not a list of rules."),
    "sandbox.faults_not_json": Text("The list of faults is not JSON: {reason}."),
    "sandbox.field_type": Text("{name} needs `{key}` of type {type}."),
    "sandbox.field_unknown": Text("{name} has an unknown field: `{keys}`."),
    "sandbox.fixed_setting": Text("{names} cannot change while the mock server runs."),
    "sandbox.idle_timeout_range": Text("The idle timeout must be above 0."),
    "sandbox.invalid_setting": Text("A setting is invalid: {reason}."),
    "sandbox.keep_requests_range": Text("The number of requests to keep cannot be negative."),
    "sandbox.latency_range": Text("The latency must go from a smaller to a larger number, not from {low} to {high} s."),
    "sandbox.list_of_faults": Text("{command:sandbox --help} lists them."),
    "sandbox.near_faults": Text("Did you mean {names}?"),
    "sandbox.no_such_fault": Text("There is no fault '{name}'."),
    "sandbox.no_such_scenario": Text("There is no scenario {ids}."),
    "sandbox.no_table": Text("{name} is not a table."),
    "sandbox.not_started": Text("The mock server did not start."),
    "sandbox.port_range": Text("There is no port {port}."),
    "sandbox.port_unavailable": Text("Port {port} of {host} cannot be opened"),
    "sandbox.other_port": Text("Choose another with --port, or --port 0 for any free one."),
    "sandbox.rate_range": Text("The rate must be above 0, not {rate}."),
    "sandbox.scenario_switches": Text("`scenarios` maps the id of a scenario to true or false."),
    "sandbox.settings_not_json": Text("The settings are not a JSON object."),
    "sandbox.token_empty": Text("The token is empty."),
    "sandbox.unknown_setting": Text("Unknown setting: {names}.", "There are: {known}."),
}
