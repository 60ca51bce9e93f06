"""Our reader of .xlsx against two others, cell by cell: openpyxl, and pandas with calamine."""

from __future__ import annotations

import datetime as dt
import io
import random

import openpyxl
import pandas
import pytest
import xlsxwriter

from batch_enroll.loading.cell_text import value_text


def workbook(seed: int) -> bytes:
    """A sheet of all kinds of cells in 200 rows, some blank, some rows left out."""
    chance = random.Random(seed)
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True, "date_1904": seed % 2 == 1}) as book:
        sheet = book.add_worksheet()
        day = book.add_format({"num_format": "dd.mm.yyyy"})
        moment = book.add_format({"num_format": "dd.mm.yyyy hh:mm:ss"})
        sheet.write_row(0, 0, [f"column {column}" for column in range(9)])
        for row in range(1, 200):
            if chance.random() < 0.1:
                continue
            when = dt.datetime.fromisoformat("1990-01-01") + dt.timedelta(seconds=chance.randrange(2 * 10**9))
            sheet.write_string(row, 0, f"r{row}")
            sheet.write_string(row, 1, chance.choice(["", "000123", "тест", " a ", "=1", "TRUE", "1e5", 'x "y"\nz']))
            sheet.write_number(row, 2, chance.randrange(-(10**14), 10**14))
            sheet.write_number(row, 3, chance.randrange(10**6) / 100)
            sheet.write_datetime(row, 4, when.replace(hour=0, minute=0, second=0), day)
            sheet.write_datetime(row, 5, when, moment)
            sheet.write_boolean(row, 6, chance.random() < 0.5)
            sheet.write_blank(row, 7, None, day)
            sheet.write_formula(row, 8, "=A1", None, chance.choice([7, "text", 0.5]))
    return out.getvalue()


@pytest.mark.parametrize("seed", range(4))
def test_openpyxl_reads_the_same_cells(load, seed):
    data = workbook(seed)
    sheet = openpyxl.load_workbook(io.BytesIO(data), data_only=True).worksheets[0]
    rows = {
        number: tuple(value_text(value)[0] for value in values)
        for number, values in enumerate(sheet.iter_rows(min_row=2, max_col=9, values_only=True), start=2)
        if any(value is not None for value in values)
    }
    loaded = load(data)
    assert dict(zip(loaded.numbers, loaded.cells, strict=True)) == rows


@pytest.mark.parametrize("seed", range(4))
def test_pandas_reads_the_same_cells(load, seed):
    data = workbook(seed)
    frame = pandas.read_excel(io.BytesIO(data), engine="calamine", header=None, dtype=object, na_filter=False)
    rows = {
        number: tuple(value_text(value)[0] for value in values)
        for number, values in enumerate(frame.itertuples(index=False, name=None), start=1)
        if number > 1 and any(value != "" for value in values)
    }
    loaded = load(data)
    assert dict(zip(loaded.numbers, loaded.cells, strict=True)) == rows
