"""Phones with the same last ten digits in several spellings are named, as long as no country is given."""

from __future__ import annotations

import errno
import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch_enroll.config.job import Job
from batch_enroll.errors import LedgerError
from batch_enroll.run import phone_spellings
from batch_enroll.run.phone_spellings import PhoneSpellings, Respelled, compare_phones
from tests.support.commands import write_csv
from tests.support.examples import examples
from tests.support.input_files import flags

THREE = ("89000000001", "79000000001", "+7 900 000-00-01")


def check(cli, server, *phones, words=(), match="phone=phone"):
    source = write_csv(cli.folder / "in.csv", *((phone, "A") for phone in phones), header=("phone", "first_name"))
    ended = cli("check", source, *flags(server), "--match", match, *words, "--json")
    return ended.json, [notice for notice in ended.json["notices"] if notice["code"] == "phone_spellings"]


def test_plan_names_the_rows_and_the_line_to_add(cli, sandbox):
    server = sandbox()
    plan, (notice,) = check(cli, server, "+79000000009", *THREE, "79000000007")
    assert (notice["count"], notice["first_rows"]) == (3, [3, 4, 5])
    assert 'country = "RU"' in notice["advice"]
    assert "--country RU" in notice["advice"]
    assert plan["to_send"] == 4  # with and without the plus is one identity already
    printed = " ".join(cli("check", "in.csv", *flags(server), "--match", "phone=phone").out.split())
    assert "rows 3, 4 and 5" in printed
    assert 'country = "RU"' in printed
    ended = cli("run", "in.csv", *flags(server), "--match", "phone=phone")
    assert 'country = "RU"' in ended.err


def test_the_line_makes_them_one_person(cli, sandbox):
    plan, notices = check(cli, sandbox(), *THREE, words=("--country", "RU"))
    assert notices == []
    assert (plan["to_send"], plan["duplicates"]) == (1, 2)


@pytest.mark.parametrize(
    ("phones", "rows"),
    [
        (("9000000001", "+79000000001"), [2, 3]),
        (("+79000000001", "79000000001"), []),  # one identity
        (("89000000001", "8 900 000-00-01"), []),  # one identity
        (("89000000001", "79000000002"), []),
        (("+79000000001", "+19000000001", "79000000002"), []),  # two countries
        (("+79161234567", "+49161234567", "8 916 123-45-67"), [2, 3, 4]),
        (("0000001", "70000001", "80000001"), []),  # too short to be compared
        (("not a phone", "89000000001"), []),
    ],
)
def test_which_phones_are_named(cli, sandbox, phones, rows):
    _, notices = check(cli, sandbox(), *phones)
    assert [notice["first_rows"] for notice in notices] == ([rows] if rows else [])


def test_only_the_first_rows_are_named(cli, sandbox):
    phones = [f"{prefix}90000000{number:02d}" for number in range(20) for prefix in "87"]
    _, (notice,) = check(cli, sandbox(), *phones)
    assert (notice["count"], notice["first_rows"]) == (40, [2, 3, 4, 5, 6])


@pytest.mark.parametrize(
    ("phones", "country"),
    [
        (("+380671234567", "0671234567"), "UA"),
        (("+12015550123", "2015550123", "12015550124"), "US"),
        (("89000000001", "9000000001"), "RU"),
    ],
)
def test_the_country_is_that_of_the_phones(cli, sandbox, phones, country):
    _, (notice,) = check(cli, sandbox(), *phones)
    assert f'country = "{country}"' in notice["advice"]


def test_ids_are_not_compared_as_phones(cli, sandbox):
    _, notices = check(cli, sandbox(), *THREE, match="custom:CRM=phone")
    assert notices == []


WITHOUT_COUNTRY = Job.model_validate(
    {"url": "https://x.example", "scenario": 3, "match": {"mode": "phone", "column": "phone"}}
)
NOTHING = Respelled(rows=0, first_seqs=(), country="")


def found(folder: Path, phones: Sequence[str], *, on_disk: bool = False) -> Respelled:
    """Compare phones by their places; "" is a row without a valid phone."""
    with compare_phones(WITHOUT_COUNTRY, folder) as compared:
        assert compared is not None
        for seq, phone in enumerate(phones, start=1):
            if phone:
                compared.add(seq, phone, phone.removeprefix("+"))
        if on_disk:
            assert compared._file.name is not None  # it is a real file by now
        return compared.find() or NOTHING


def expected(phones):
    """The places that `find` should return, by comparing all with all."""
    places: dict[str, list[tuple[int, str]]] = {}
    for seq, phone in enumerate(phones, start=1):
        if len(phone.removeprefix("+")) >= 10:
            places.setdefault(phone[-10:], []).append((seq, phone))
    groups = [group for group in places.values() if len({phone.removeprefix("+") for _, phone in group}) > 1]
    return sorted(seq for group in groups for seq, _ in group if any(phone[0] != "+" for _, phone in group))


@pytest.fixture
def small_memory():
    """Let a few rows be as many as millions: on disk, and compared in parts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phone_spellings, "_IN_MEMORY_BYTES", 16)
        patch.setattr(phone_spellings, "_BLOCK_ROWS", 3)
        patch.setattr(phone_spellings, "_DISTINCT_AT_ONCE", 4)
        yield


PHONES = st.builds(
    lambda front, last: f"{front}916123456{last}" if front != "short" else "1234567",
    st.sampled_from(["+7", "7", "8", "", "+49", "short"]),
    st.integers(0, 4),
)


@settings(max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(phones=st.lists(st.just("") | PHONES, max_size=30))
def test_rows_are_found_in_any_order(tmp_path_factory, small_memory, phones):
    told = found(tmp_path_factory.getbasetemp(), phones)
    rows = expected(phones)
    assert (told.rows, list(told.first_seqs)) == (len(rows), rows[:5])


def test_files_larger_than_the_memory_are_compared(tmp_path, small_memory):
    phones = [f"{'+7' if number % 2 else '8'}{9_160_000_000 + number // 2 * 100}" for number in range(1_000)]
    told = found(tmp_path, phones, on_disk=True)
    assert (told.rows, told.first_seqs, told.country) == (1_000, (1, 2, 3, 4, 5), "RU")
    assert list(tmp_path.iterdir()) == []


def test_more_prefixes_than_can_be_told_apart_are_one(tmp_path):
    phones = [f"{prefix}9161234567" for prefix in range(1, 3_000)]
    assert found(tmp_path, phones).rows == 2_999


def test_full_disk_is_an_error_of_the_ledger(tmp_path, small_memory):
    class FullDisk(io.BytesIO):
        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    phones = PhoneSpellings(FullDisk(), tmp_path)
    for seq in (1, 2):
        phones.add(seq, "89161234567", "89161234567")
    with pytest.raises(LedgerError) as caught:
        phones.add(3, "89161234567", "89161234567")
    assert "full" in str(caught.value)
