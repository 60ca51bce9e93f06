"""Encodings: known by their mark, by making sense, or asked for; never mojibake."""

from __future__ import annotations

import codecs

import pytest

from batch_enroll.errors import InputError

RUSSIAN = """email;Имя;Город
a@example.com;Анна;Тверь
b@example.com;Борис;Нижний Новгород
c@example.com;Пётр;Ростов-на-Дону
"""
TABLES = {
    "Russian": (RUSSIAN, ["cp1251", "koi8-r", "cp866", "mac-cyrillic", "iso8859-5", "cp855"]),
    "Ukrainian": (
        "email;Ім'я;Місто\na@example.com;Юрій;Київ\nb@example.com;Соломія;Львів\nc@example.com;Євген;Запоріжжя\n",
        ["cp1251", "koi8-u", "mac-cyrillic"],
    ),
    "German": (
        "email;Name;Ort\na@example.com;Jürgen Müller;München\nb@example.com;Günther Groß;Köln\n",
        ["cp1252", "cp850", "cp437", "mac-roman", "iso8859-1"],
    ),
    "French": (
        "email;Nom;Prénom;Ville\na@example.com;Lefèvre;Hélène;Orléans\nb@example.com;Benoît;François;Besançon\n",
        ["cp1252", "cp850", "mac-roman", "iso8859-15"],
    ),
    "Polish": (
        "email;Imię;Miasto\na@example.com;Łukasz Żółć;Łódź\nb@example.com;Małgorzata;Gdańsk\n",
        ["cp1250", "iso8859-2", "cp852", "mac-latin2"],
    ),
    "Czech": (
        "email;Jméno;Město\na@example.com;Jiří Dvořák;Plzeň\nb@example.com;Šárka Nováková;České Budějovice\n",
        ["cp1250", "iso8859-2", "cp852", "mac-latin2"],
    ),
    "Hungarian": (
        "email;Név;Város\na@example.com;Győző Kőszegi;Gyöngyös\nb@example.com;Éva Szűcs;Székesfehérvár\n",
        ["cp1250", "iso8859-2", "cp852"],
    ),
    "Turkish": (
        "email;İsim;Şehir\na@example.com;Şükrü Çağlar;İstanbul\nb@example.com;Işıl Öztürk;Diyarbakır\n",
        ["cp1254", "iso8859-9", "cp857"],
    ),
    "Danish": (
        "email;Navn;By\na@example.com;Søren Ørsted;København\nb@example.com;Åse Kjær;Århus\n",
        ["cp1252", "cp850", "cp865", "mac-roman"],
    ),
    "Lithuanian": (
        "email;Vardas;Miestas\na@example.com;Žydrūnas;Šiauliai\nb@example.com;Eglė;Panevėžys\n",
        ["cp1257", "iso8859-13", "cp775"],
    ),
    "Greek": (
        "email;Όνομα;Πόλη\na@example.com;Γιώργος Παπαδόπουλος;Αθήνα\nb@example.com;Ελένη;Θεσσαλονίκη\n",
        ["cp1253", "iso8859-7", "cp737"],
    ),
}


def _cells(text: str) -> list[tuple[str, ...]]:
    return [tuple(line.split(";")) for line in text.splitlines()[1:]]


@pytest.mark.parametrize(
    ("text", "codec"),
    [(text, codec) for text, codecs_ in TABLES.values() for codec in codecs_],
    ids=[f"{language}-{codec}" for language, (_, codecs_) in TABLES.items() for codec in codecs_],
)
def test_code_page_is_detected_from_the_text(load, text, codec):
    assert load(text.encode(codec)).cells == _cells(text)


@pytest.mark.parametrize(
    ("text", "codec", "readings"),
    [
        ("email;name\na@example.com;ИМЯ\n", "koi8-r", ["KOI8-R reads 'ИМЯ'", "Windows-1251 reads 'йнс'"]),
        ("email;name\na@example.com;Wójcik\n", "cp1250", ["Windows-1252 reads 'Wójcik'"]),
        ("email;name\na@example.com;Şişli\n", "cp1254", ["Windows-1254 reads 'Şişli'"]),
    ],
)
def test_ambiguous_code_page_is_an_error(load, text, codec, readings):
    with pytest.raises(InputError, match="its encoding cannot be told for sure") as caught:
        load(text.encode(codec))
    for reading in readings:
        assert reading in caught.value.hint
    assert load(text.encode(codec), encoding=codec).cells == _cells(text)


def test_text_of_no_known_code_page_is_an_error(load):
    with pytest.raises(InputError, match="encoding"):
        load("email;name\na@example.com;田中太郎\nb@example.com;鈴木\n".encode("shift-jis"))


def test_code_page_is_detected_late_in_a_large_file(load):
    text = "email;name\n" + "a@example.com;Anna\n" * 100_000 + "b@example.com;Щербаков Фёдор Петрович\n"
    loaded = load(text.encode("cp1251"))
    assert loaded.cells[-1] == ("b@example.com", "Щербаков Фёдор Петрович")


@pytest.mark.parametrize(
    "data",
    [
        RUSSIAN.encode("utf-8"),
        RUSSIAN.encode("utf-8-sig"),
        RUSSIAN.encode("utf-16"),
        codecs.BOM_UTF16_BE + RUSSIAN.encode("utf-16-be"),
        RUSSIAN.encode("utf-32"),
        RUSSIAN.encode("utf-16-le"),
        RUSSIAN.encode("utf-16-be"),
        RUSSIAN.encode("utf-32-le"),
        RUSSIAN.encode("utf-32-be"),
    ],
    ids=["utf-8", "bom-8", "bom-16-le", "bom-16-be", "bom-32", "16-le", "16-be", "32-le", "32-be"],
)
def test_unicode_is_detected_with_and_without_a_bom(load, data):
    loaded = load(data, wanted=("email",))
    assert loaded.table.columns == ("email", "Имя", "Город")
    assert loaded.cells == _cells(RUSSIAN)


@pytest.mark.parametrize(
    ("text", "codec", "given"),
    [
        (RUSSIAN, "cp1251", "windows-1251"),
        (RUSSIAN, "utf-8-sig", "utf-8"),
        (RUSSIAN, "utf-16", "utf-16-le"),
        ("a;b\n1;2\n", "ascii", "cp1251"),
    ],
)
def test_set_encoding_is_used(load, text, codec, given):
    loaded = load(text.encode(codec), encoding=given)
    assert loaded.table.columns == tuple(text.split("\n")[0].split(";"))
    assert loaded.cells == _cells(text)


@pytest.mark.parametrize(
    ("codec", "given", "message"),
    [
        ("utf-8", "cp1251", "given as cp1251, but the file is in UTF-8"),
        ("utf-8-sig", "koi8-r", "given as koi8-r, but the file is in UTF-8"),
        ("cp1251", "utf-8", "not in utf-8: line 1 has the byte C8"),
        ("cp1251", "ascii", "not in ascii"),
        ("cp1251", "utf-16", "not in utf-16"),
        ("utf-8", "klingon", "There is no encoding 'klingon'"),
        ("utf-8", "base64", "There is no encoding 'base64'"),
        ("utf-8", "", "There is no encoding ''"),
    ],
)
def test_wrong_set_encoding_is_refused(load, codec, given, message):
    with pytest.raises(InputError, match=message):
        load(RUSSIAN.encode(codec), encoding=given)


def test_row_in_another_encoding_refuses_only_that_row(load):
    data = RUSSIAN.encode() + "d@example.com;Денис;Пермь\n".encode("cp1251") + "e@example.com;Елена;Уфа\n".encode()
    loaded = load(data, wanted=("email",))
    assert loaded.codes == [[], [], [], ["undecodable"], []]
    assert "Line 5 has bytes that are no text" in loaded.said
    assert loaded.cells[-1] == ("e@example.com", "Елена", "Уфа")
    assert all(cell.encode() for cells in loaded.cells for cell in cells), "no lone surrogate goes on"


def test_utf_16_cut_inside_a_character_loses_only_the_last_row(load):
    loaded = load(RUSSIAN.encode("utf-16")[:-5])
    assert loaded.codes == [[], [], ["cut_off"]]
