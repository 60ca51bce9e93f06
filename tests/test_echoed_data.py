"""What the platform repeats of a request is not kept: neither the token nor the person, however it is escaped."""

from __future__ import annotations

import html
import json
from urllib.parse import quote

import pytest

from tests.support.commands import write_csv
from tests.support.small_platform import small_platform

TOKEN = 'Zq/81+odd"sign\\&<é>Ж' + "Q" * 3
ANNA = ("anna@example.com", "Апполинария")


def json_escaped(text):
    """Escape every character, as JSON may."""
    return "".join(f"\\u{int.from_bytes(unit):04x}" for unit in units(text))


def units(text):
    wide = text.encode("utf-16-be")
    return [wide[at : at + 2] for at in range(0, len(wide), 2)]


ESCAPES = {
    "as it is": json.dumps,
    "slashes": lambda text: json.dumps(text).replace("/", "\\/"),
    "every character": lambda text: f'"{json_escaped(text)}"',
    "twice": lambda text: json.dumps(json.dumps({"token": text}).replace("/", "\\/")),
    "address": lambda text: json.dumps(f"https://x/?token={quote(text, safe='')}&more"),
    "address twice": lambda text: json.dumps(quote(quote(text, safe=""), safe="")),
    "html": lambda text: json.dumps(html.escape(text)),
    "html numbers": lambda text: json.dumps("".join(f"&#x{ord(sign):X};" for sign in text)),
}


def decoded_forms(text):
    """Give a text as it is and with its escapes undone, again and again."""
    for _ in range(4):
        yield text
        text = html.unescape(text)
        yield text
        for plain in TOKEN + ANNA[1]:
            text = text.replace(json_escaped(plain), plain).replace(f"\\{plain}", plain)
        text = text.replace("%25", "%")
        for plain in TOKEN + ANNA[0] + ANNA[1]:
            text = text.replace(quote(plain, safe=""), plain)


def stored(folder):
    return [path for path in folder.rglob("*") if path.is_file() and path.name not in ("leads.csv", "token")]


def run_echo(cli, echo, *more, encoding="utf-8"):
    """Run two rows; `echo` writes the JSON of the error's text. Gives all that was printed and kept."""

    def write(body, stream):
        answer = f'{{"error":17,"error_text":{echo(body)}}}'.encode(encoding)
        stream.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)

    leads = write_csv(cli.folder / "leads.csv", ANNA, ("olga@example.com", "Ольга"))
    with small_platform(write=write) as url:
        ended = cli(
            *(
                "run",
                leads,
                "--url",
                url,
                "--scenario",
                "3",
                "--match",
                "email=email",
                "--json",
                "--ledger",
                "l.sqlite",
            ),
            *("--content", "name=first_name", "--results", "out.csv", "--yes", "--rate", "none", "--verbose"),
            *("--log-file", "run.log", *more),
            BATCH_ENROLL_TOKEN=TOKEN,
        )
    shown = cli("show", ended.json["run"], "--ledger", "l.sqlite", "--json")
    assert ended.code in (1, 4), ended.err
    return ended, ended.out + ended.err + shown.out + shown.err


@pytest.mark.parametrize("escape", ESCAPES.values(), ids=ESCAPES)
def test_repeated_token_is_not_kept_in_any_spelling(cli, escape):
    _, told = run_echo(cli, lambda body: escape(body["token"]))
    kept = [path.read_bytes().decode(errors="replace") for path in stored(cli.folder)]
    assert len(kept) > 3
    for text in (told, *kept):
        assert not [form for form in decoded_forms(text) if TOKEN in form or TOKEN[3:] in form]
    assert "***" in told


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-32-be"])
def test_token_in_wide_characters_is_not_kept(cli, encoding):
    _, told = run_echo(cli, lambda body: json.dumps(body["token"]), encoding=encoding)
    assert "***" in told
    assert TOKEN not in told


SPELLINGS = {
    "plain": lambda text: text,
    "other case": str.upper,
    "address": lambda text: f"https://x/?q={quote(text)}",
    "json": lambda text: json.dumps({"q": text}),
    "html": lambda text: "".join(f"&#{ord(sign)};" for sign in text),
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_repeated_person_is_not_kept_in_any_spelling(cli, spell):
    def echo(body):
        return json.dumps(f"no {spell(body['content']['name'])} {spell(body['email'])} here")

    _, told = run_echo(cli, echo)
    ledger = b"".join(
        path.read_bytes() for path in stored(cli.folder) if "stage" not in path.name and ".sqlite" in str(path)
    )
    for text in (told, ledger.decode(errors="replace"), (cli.folder / "run.log").read_text()):
        for form in decoded_forms(text):
            assert ANNA[1].casefold() not in form.casefold()
            assert ANNA[0] not in form.casefold()
    assert "no " in told
    assert " here" in told


def test_name_is_masked_whole_and_other_words_stay(cli):
    """A short value is no part of a longer word, and a cell of two lines is found in one line."""
    leads = [("a@example.com", "Al"), ("b@example.com", "Ann\n  Marie"), ("c@example.com", "x")]

    def write(body, stream):
        answer = json.dumps({"error": 17, "error_text": f"Also: {body['content']['name']} fixed"}).encode()
        stream.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)

    with small_platform(write=write) as url:
        ended = cli(
            *("run", write_csv(cli.folder / "leads.csv", *leads), "--url", url, "--scenario", "3", "--json"),
            *("--match", "email=email", "--content", "name=first_name", "--yes", "--rate", "none"),
            BATCH_ENROLL_TOKEN="secret-token",
        )
    texts = {reason["message"] for reason in ended.json["reasons"]}
    assert texts == {"Also: *** fixed", "Also: x fixed"}
