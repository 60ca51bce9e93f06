"""Rows that are no profile, and ids that only look unusual, through the command line."""

from __future__ import annotations

import json

import pytest

QUALTRICS = ["Response ID", json.dumps({"ImportId": "_recordId"})]
IDS = ["1001", "1002", "1003", "1004"]


def table(*ids: str) -> str:
    return "client_id\tn\n" + "".join(f"{value}\t{number}\n" for number, value in enumerate(ids))


@pytest.mark.parametrize(
    ("above", "ids", "below"),
    [
        (["(text)"], IDS, []),
        (["varchar"], IDS, []),
        (["Номер клиента"], IDS, []),
        (["---------"], IDS, ["(4 rows affected)"]),
        ([], IDS, ["Итого:"]),
        ([], IDS, ["Total 4"]),
        ([], IDS, ["-----", "New leads", "Copyright (c) 2000-2026 Example CRM, inc."]),
        (QUALTRICS, ["R_3abc1", "R_2xyz9", "R_1qqq4", "R_8kkk2"], []),
        (["Login of person"], ["anna", "boris", "clara"], ["total", "3 people"]),
        (["Код клиента"], ["A-1", "B-22", "C-333", "D-4"], ["Всего"]),
    ],
)
def test_row_at_the_edge_that_is_nobody_is_refused(send, above, ids, below):
    played = send(table(*above, *ids, *below))
    assert played.sent == (*[None] * len(above), *ids, *[None] * len(below))
    at = played.results[0].index("enroll_code")
    assert {line[at] for line, sent in zip(played.results[1:], played.sent, strict=True) if not sent} == {
        "not_a_person"
    }


def test_row_in_the_middle_is_sent_with_a_notice(send):
    played = send(table(*IDS[:2], "VIP", "Region North", *IDS[2:]))
    assert played.sent == ("1001", "1002", "VIP", "Region North", "1003", "1004")


@pytest.mark.slow
def test_rows_in_the_middle_of_a_long_table_are_told(send):
    ids = [str(number) for number in range(1000, 3500)]
    ids[1500:1500] = ["Region North", "VIP"]
    played = send(table("(text)", *ids, "Итого", "(2,500 rows)"))
    assert played.sent == (None, *ids, None, None)
    assert "The 'client_id' of 2 rows looks unlike the others" in played.said
    assert "1503" in played.said


@pytest.mark.parametrize(
    "ids",
    [
        ["1001", "1002", "A-7", "b9"],
        ["K7XQ2A", "QWERTY", "M4N5P6", "ZZTOPS"],
        ["anna", "Boris Petrov", "clara"],
        ["anna", "boris", "Клара"],
        ["550e8400-e29b-41d4-a716-446655440000", "650e8400-e29b-41d4-a716-446655440000"],
        ["VIP"],
        ["Anna Orlova", "Boris Petrov", "Clara"],
        ["1001", "VIP"],
        ["00012", "+7 900", "A/1", "№5"],
        ["a1 b", "a2 c", "a3"],
    ],
)
def test_nothing_is_said_of_usual_ids(send, ids):
    played = send(table(*ids))
    assert played.sent == tuple(ids)
    assert "unlike" not in played.said


def test_refused_row_can_be_sent_in_a_file_of_its_own(send):
    assert send(table("VIP", "GUEST")).sent == ("VIP", "GUEST")


@pytest.mark.parametrize("rows", [999, 1000, 1001, 2000, 2003])
def test_no_row_is_lost_at_the_ends_of_blocks(cli, rows):
    (cli.folder / "t.csv").write_text(table(*map(str, range(rows)), "Итого"))
    words = ("--match", "custom:ID=client_id", "--url", "https://x.example", "--scenario", "3", "--skip-preflight")
    plan = cli("check", "t.csv", *words, "--json").json
    assert (plan["rows"], plan["to_send"]) == (rows + 1, rows)
