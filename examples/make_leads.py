"""Write leads.csv and leads.xlsx: 300 fake profiles with typical defects of real lists.

    python examples/make_leads.py

The output is always the same. Needs batch-enroll to be installed.
"""

import csv
from pathlib import Path

import xlsxwriter

from batch_enroll.sandbox.fake_profiles import HEADER, fake_profiles

HERE = Path(__file__).parent


def rows() -> list[tuple[str, ...]]:
    people = fake_profiles(300)
    people[41] = ("Total: 41", "", "", "", "", "", "", "9150")  # a total row
    people[120] = ("", "", "", "", "Nobody", "Known", "Tver", "100")  # a person without any address
    people[200] = people[7]  # one person twice
    name, *rest = people[250]
    people[250] = (f" {name} ", *rest)  # blanks around an address
    return people


def main() -> None:
    with (HERE / "leads.csv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(HEADER)
        writer.writerows(rows())
    workbook = xlsxwriter.Workbook(str(HERE / "leads.xlsx"), {"strings_to_numbers": False})
    sheet = workbook.add_worksheet("Leads")
    text = workbook.add_format({"num_format": "@"})  # ids and phones as text keep their zeros and plus signs
    sheet.set_column(0, len(HEADER) - 1, 20, text)
    for number, row in enumerate([HEADER, *rows()]):
        for column, cell in enumerate(row):
            sheet.write_string(number, column, cell, text)
    workbook.close()


if __name__ == "__main__":
    main()
