"""Make `spellings/`: runs of the earlier release under several spellings of address and phone; README.md says how."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

from tests.legacy_ledger import generate
from tests.legacy_ledger.generate import FOLDER, JOB, NOT_KEPT, command

FILES = Path(__file__).with_name("spellings")
PHONES = ["+79000000001", "79000000002", "+7 (900) 000-00-03"]
RUNS = {
    "capitals": ("HTTP://Platform.Example", [f"capitals{number}@leads.example" for number in range(1, 5)]),
    "port": ("http://platform.example:80/", [f"port{number}@leads.example" for number in range(1, 5)]),
    "stopped": ("HTTP://PLATFORM.example", [f"stopped{number:02d}@leads.example" for number in range(1, 25)]),
}


def main() -> None:
    """Make everything anew."""
    FOLDER.mkdir()  # fails when it is there: it is removed below
    try:
        (FOLDER / "ledger").mkdir()
        (FOLDER / "job.toml").write_text(JOB.replace("processes = 2\n", ""), encoding="utf-8")
        for name, (url, emails) in RUNS.items():
            write(name, "E-mail", emails)
            command("run", f"{name}.csv", "--url", url, code=130 if name == "stopped" else 0)
        write("phones", "Phone", PHONES)
        (FOLDER / "job.toml").write_text(
            "insecure_http = true\n[output]\nledger = 'ledger/ledger.sqlite'\nyes = true\n"
        )
        flags = ("--url", "http://platform.example", "--scenario", "3", "--match", "phone=Phone")
        command("run", "phones.csv", *flags, code=0)
        shutil.rmtree(FILES, ignore_errors=True)
        shutil.copytree(FOLDER, FILES, ignore=shutil.ignore_patterns(*NOT_KEPT, "job.toml"))
    finally:
        shutil.rmtree(FOLDER)


def write(name: str, column: str, values: list[str]) -> None:
    """Write an input of one column and a name."""
    with (FOLDER / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([column, "First name"])
        writer.writerows([value, f"Name {number}"] for number, value in enumerate(values, start=1))


assert generate.HALF == 12  # the run of `stopped` gets Ctrl-C at its twelfth request

if __name__ == "__main__":
    main()
