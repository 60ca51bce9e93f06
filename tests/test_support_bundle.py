"""`batch-enroll support RUN`: a bundle in which nobody's data is."""

from __future__ import annotations

import csv
import json
import re
import zipfile
from pathlib import Path

import pytest

from batch_enroll.maintenance.support_bundle import Redaction, lines_about_run
from tests.support.commands import write_csv
from tests.support.small_platform import small_platform

TOKEN = "0123456789abcdef0123456789abcdef"
HEADER = ("email", "first_name", "city", "phone")
PEOPLE = [
    ("ivan.petrov@example.com", "Ivan", "Нижний Новгород", "+7 900 111-22-33"),
    ("maria@example.org", "Maria-Luisa Fernández", "Li", "8 (495) 7654321"),
    ("no-such@example.net", "O'Brien, Pat", "Saint-Denis", "79005556677"),
    ("not an address", "Wilhelmina", "Voronezh", "none"),
]
JOB = (
    *("--scenario", "3", "--match", "email=email", "--rate", "none"),
    *("--content", "first_name=first_name", "--content", "city=city", "--content", "phone=phone"),
)


def gossip(body):
    """A platform that repeats all it was told, as none should."""
    content = body["content"]
    return {
        "error": 404,
        "error_text": f"Profile {content['first_name']} <{body['email'].upper()}> from {content['city'].lower()} with "
        f"phone {content['phone']} and card 4111111111111111 was not found; token was {TOKEN}, name 'Zacharias'",
    }


@pytest.fixture(params=["text", "json"])
def bundle(cli, request):
    """A run against the gossip, then its bundle; gives the texts in it by name, and how the command ended."""
    leads = write_csv(cli.folder / "leads.csv", *PEOPLE, header=HEADER)
    log = cli.folder / "enroll.log"
    with small_platform(reply=gossip) as url:
        ran = cli(
            *("run", leads, "--url", url, *JOB, "--json", "--log-file", log, "--log-format", request.param),
            *("--max-errors", "1", "--concurrency", "1", "--verbose"),
            BATCH_ENROLL_TOKEN=TOKEN,
        )
    assert ran.code == 3, ran.err
    run = ran.json["run"]
    with log.open("a", encoding="utf-8") as file:  # what a later version might log
        file.write(f'2026-11-25T09:30:00.000Z INFO stopping run={run} reason="Ivan from Saint-Denis: 79005556677"\n')
        file.write(json.dumps({"time": "t", "run": run, "event": "stopping", "reason": "Ivan from Saint-Denis"}) + "\n")
        file.write("2026-11-25T09:30:00.000Z INFO row finished run=another row=7 reason=Zacharias\n")
    ended = cli("support", run, "--out", "help.zip", BATCH_ENROLL_TOKEN=TOKEN)
    assert ended.code == 0, ended.err
    with zipfile.ZipFile(cli.folder / "help.zip") as archive:
        return {Path(name).name: archive.read(name).decode() for name in archive.namelist()}, ended


def everything_personal():
    """Each identity and each value of content, whole and by its words, and the token."""
    for person in PEOPLE:
        for cell in person:
            if cell not in ("none", "not an address"):
                yield cell
                yield from (word for word in cell.replace("-", " ").replace(",", " ").split() if len(word) > 4)
    yield from (TOKEN, "4111111111111111", "Zacharias")


def found_in(text):
    """What of all that stands in a text, in whatever case; as whole words, since "Li" is in "list"."""
    return [
        value
        for value in everything_personal()
        if re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text, flags=re.IGNORECASE)
    ]


def test_bundle_has_no_personal_data_and_no_token(bundle):
    texts, _ = bundle
    assert found_in("\n".join(texts.values())) == []
    assert "another" not in texts["log.txt"], "lines about other runs stay out"


def test_negative_control_unmasked_data_is_found():
    """The negative control: the same texts without the redaction hold all of it."""
    said = gossip({"email": PEOPLE[0][0], "content": dict(zip(HEADER[1:], PEOPLE[0][1:], strict=True))})["error_text"]
    assert {"Ivan", "ivan.petrov@example.com", "Нижний Новгород", "+7 900 111-22-33", TOKEN, "Zacharias"} <= set(
        found_in(said)
    )


def test_bundle_has_what_support_needs(bundle):
    texts, ended = bundle
    assert set(texts) == {
        "README.txt",
        "versions.json",
        "run.json",
        "reasons.json",
        "statistics.json",
        "doctor.json",
        "log.txt",
    }
    assert all(name in texts["README.txt"] for name in texts if name != "README.txt")
    run = json.loads(texts["run.json"])
    assert run["counts"]["rows"] == 4
    assert run["settings"]["match"]["column"] == "email"
    assert run["settings"]["stop"]["max_errors"] == "1"
    reasons = json.loads(texts["reasons.json"])
    refused = next(one for one in reasons if one["status"] == "error")
    assert refused["code"] == "404"
    assert "was not found" in refused["message"], "what is nobody's stays"
    assert "***" in refused["message"]
    assert refused["count"] == run["counts"]["error"] == 2, "what differed by the person alone is one reason"
    assert refused["first_rows"] == [2, 3]
    statistics = json.loads(texts["statistics.json"])
    assert sum(statistics["rows_by_attempts"].values()) == 4
    assert {"status": "error", "code": "404", "rows": run["counts"]["error"]} in statistics["rows_by_status_and_code"]
    assert "pandas" in json.loads(texts["versions.json"])["libraries"]
    assert json.loads(texts["doctor.json"])["problems"] == 0
    assert "row=" in texts["log.txt"] or '"row"' in texts["log.txt"]
    assert "Read them before sending it" in ended.err
    assert ended.out == "help.zip\n"


def test_pruned_run_shows_no_foreign_text(cli):
    leads = write_csv(cli.folder / "leads.csv", *PEOPLE, header=HEADER)
    with small_platform(reply=gossip) as url:
        ran = cli("run", leads, "--url", url, *JOB, "--json", "--keep", "0", "--log-file", "enroll.log")
    assert ran.code == 1

    ended = cli("support", ran.json["run"], "--log-file", "enroll.log")

    assert ended.code == 0, ended.err
    with zipfile.ZipFile(cli.folder / f"batch-enroll-support-{ran.json['run']}.zip") as archive:
        texts = {Path(name).name: archive.read(name).decode() for name in archive.namelist()}
    assert "log.txt" not in texts
    assert "left out" in next(one for one in json.loads(texts["reasons.json"]) if one["status"] == "error")["message"]
    assert found_in("\n".join(texts.values())) == []


def test_home_folder_is_not_shown(cli, sandbox):
    home = cli.folder / "home" / "ivanov"
    home.mkdir(parents=True)
    leads = write_csv(home / "leads.csv", ("a@example.com", "A"))
    data = home / "data" / "ledger.sqlite"
    words = ("--url", sandbox().url, "--scenario", "3", "--match", "email=email", "--json", "--ledger", data)
    ran = cli("run", leads, *words, HOME=str(home))

    ended = cli("support", ran.json["run"], "--ledger", data, "--out", "help.zip", HOME=str(home))

    assert ended.code == 0, ended.err
    with zipfile.ZipFile(cli.folder / "help.zip") as archive:
        whole = "\n".join(archive.read(name).decode() for name in archive.namelist())
    assert "ivanov" not in whole
    assert "~/leads.csv" in whole
    assert "~/data/ledger.sqlite" in whole


def test_token_is_removed_everywhere(cli, sandbox):
    leads = write_csv(cli.folder / "leads.csv", ("a@example.com", "A"))
    words = ("--url", sandbox().url, "--scenario", "3", "--match", "email=email", "--json")
    ran = cli("run", leads, *words, "--results", "todays-token.csv")

    assert cli("support", ran.json["run"], "--out", "help.zip", BATCH_ENROLL_TOKEN="todays-token").code == 0

    with zipfile.ZipFile(cli.folder / "help.zip") as archive:
        texts = [archive.read(name).decode() for name in archive.namelist()]
    assert "todays-token" not in "".join(texts)
    assert any("***.csv" in text for text in texts)


def test_missing_run_and_missing_log_are_one_error_each(cli):
    refused = cli("support", "nothing")
    assert refused.code == 2
    assert "no run nothing" in refused.err
    refused = cli("support", "nothing", "--log-file", "no.log")
    assert refused.code == 2
    assert "There is no log file no.log" in refused.err


def test_unwritable_bundle_is_one_error(cli, sandbox):
    leads = write_csv(cli.folder / "leads.csv", ("a@example.com", "A"))
    ran = cli("run", leads, "--url", sandbox().url, "--scenario", "3", "--match", "email=email", "--json")

    refused = cli("support", ran.json["run"], "--out", "nowhere/help.zip")

    assert refused.code == 2
    assert "help.zip cannot be written" in refused.err
    assert "Traceback" not in refused.err


# The parts


def masked(text, *cells, home="/home/me"):
    redaction = Redaction([text], home=Path(home))
    redaction.learn(cells)
    return redaction.text(text)


@pytest.mark.parametrize(
    ("text", "cells", "left"),
    [
        ("Profile Ann Lee not found", ["Ann  Lee"], "Profile *** not found"),
        ("Profile ann-LEE not found", ["Ann Lee"], "Profile *** not found"),
        ("Profile Anna not found", ["Ann"], "Profile Anna not found"),
        ("ann_lee is away", ["Ann"], "***_lee is away"),
        ("x is away", ["x"], "x is away"),
        ("Li is away", ["Li"], "*** is away"),
        ("Иван ПЕТРОВ не найден", ["иван петров"], "*** не найден"),
        ("not found: Ann Le…", ["Ann Lee"], "not found: Ann …"),
        ("a@b.example is bad", [], "*** is bad"),
        ("call +7 (900) 111-22-33 now", [], "call *** now"),
        ("code 404 after 30 s, 1000 rows", [], "code 404 after 30 s, 1000 rows"),
        ("id 123456 is bad", [], "id *** is bad"),
        ("field \"Ann\" and 'Bob' and «Зоя»", [], "field *** and *** and ***"),
        ("/home/ivanov/x.csv and /root/y.csv", [], "~/x.csv and ~/y.csv"),
    ],
)
def test_texts_are_masked(text, cells, left):
    assert masked(text, *cells) == left


def test_long_cell_is_found_by_its_first_words():
    cell = "one two three four five six seven eight nine ten"
    assert masked(f"said {cell}", cell) == "said *** nine ten"


def test_settings_are_shown_without_secrets():
    settings = {
        "url": "https://user:pass@host.example:8443/path?x=1",
        "output": {"results": "/home/me/out.csv", "json": True, "notify": ["slack://TOKEN/A/B", "mailto://u:p@h"]},
        "input": {"password_file": "/home/me/pw.txt", "api_token": "abc"},
    }
    assert Redaction([], home=Path("/home/me")).settings(settings) == {
        "url": "https://host.example:8443",
        "output": {"results": "~/out.csv", "json": True, "notify": ["***", "***"]},
        "input": {"password_file": "~/pw.txt", "api_token": "***"},
    }


def test_only_log_lines_of_the_run_are_included():
    lines = ["t INFO a run=r1 x=1", "t INFO a run=r12", "t INFO run=r1", '{"run": "r1"}', '{"run": "r12"}', "{r1", "r1"]
    assert list(lines_about_run(lines, "r1")) == ["t INFO a run=r1 x=1", "t INFO run=r1", '{"run": "r1"}']


def test_number_and_code_fields_stay_and_texts_are_masked():
    line = '2026-11-25T09:30:00.123Z INFO row finished run=r1 row=123456 code=404 reason="call 79001112233" other=7'
    redaction = Redaction([], home=Path("/home/me"))
    assert redaction.log_line(line) == (
        '2026-11-25T09:30:00.123Z INFO row finished run=r1 row=123456 code=404 reason="call ***" other=7'
    )
    told = json.loads(redaction.log_line('{"time": "2026-11-25T09:30:00.123Z", "row": 123456, "who": "a@b.example"}'))
    assert told == {"time": "2026-11-25T09:30:00.123Z", "row": 123456, "who": "***"}


def test_test_input_is_as_expected(tmp_path):
    with write_csv(tmp_path / "x.csv", *PEOPLE, header=HEADER).open(encoding="utf-8") as file:
        assert [tuple(row) for row in csv.reader(file)] == [HEADER, *PEOPLE]
