"""What a program imports from `batch_enroll`, and the first mistakes that people make with it."""

from __future__ import annotations

import asyncio

import pytest

import batch_enroll
from batch_enroll import events
from batch_enroll.installed_versions import tool_version
from tests.support.commands import people, write_csv

TOKEN = "sandbox-token"


def job_file(folder, server, more=""):
    path = folder / "nightly.toml"
    match = '[match]\nmode = "email"\ncolumn = "email"\n'
    path.write_text(f'url = "{server.url}"\nscenario = 3\n{match}{more}', encoding="utf-8")
    return path


def test_every_exported_name_can_be_imported():
    assert [name for name in batch_enroll.__all__ if not hasattr(batch_enroll, name)] == []
    assert batch_enroll.__version__ == tool_version()
    with pytest.raises(AttributeError, match="nonsense"):
        getattr(batch_enroll, "nonsense")  # noqa: B009 - mypy would refuse the attribute


def test_every_event_is_exported():
    kinds = {name for name, kind in vars(events).items() if isinstance(kind, type) and issubclass(kind, events.Event)}
    assert kinds <= set(batch_enroll.__all__)


def test_job_file_text_input_and_path_of_the_ledger(tmp_path, sandbox):
    server = sandbox()
    source = write_csv(tmp_path / "in.csv", *people(3))
    job = batch_enroll.load_job(str(job_file(tmp_path, server)))
    told: list[events.Event] = []
    ledger = batch_enroll.open_ledger(tmp_path / "ledger.sqlite")
    summary = batch_enroll.enroll(job, str(source), token=TOKEN, ledger=ledger, emit=told.append)
    assert (job.name, summary.counts.success, (tmp_path / "ledger.sqlite").exists()) == ("nightly", 3, True)
    assert sum(isinstance(event, batch_enroll.RowFinished) for event in told) == 3


def test_load_job_takes_a_profile_and_names_the_place(tmp_path, sandbox):
    path = job_file(tmp_path, sandbox(), "[profile.prod]\nscenario = 7\n")
    assert (batch_enroll.load_job(path).scenario, batch_enroll.load_job(path, profile="prod").scenario) == (3, 7)
    with pytest.raises(batch_enroll.JobError, match=r"nightly\.toml has no profile 'tset'"):
        batch_enroll.load_job(path, profile="tset")
    path.write_text("scenario = true\n", encoding="utf-8")
    with pytest.raises(batch_enroll.JobError, match=r"nightly\.toml: scenario: true is not a whole number"):
        batch_enroll.load_job(path)


@pytest.mark.parametrize(
    ("name", "instead"), [("enroll", "enroll_async"), ("retry", "retry_async"), ("resolve", "resolve_rows")]
)
def test_call_inside_an_event_loop_names_the_right_one(tmp_path, sandbox, name, instead):
    job = batch_enroll.load_job(job_file(tmp_path, sandbox()))
    ledger = batch_enroll.open_ledger(tmp_path / "ledger.sqlite")
    calls = {
        "enroll": lambda: batch_enroll.enroll(job, "in.csv", token=TOKEN, ledger=ledger),
        "retry": lambda: batch_enroll.retry(job, "x", batch_enroll.RowStatus.ERROR, token=TOKEN, ledger=ledger),
        "resolve": lambda: batch_enroll.resolve(ledger, "x", [], by="me"),
    }

    async def inside():
        calls[name]()

    with pytest.raises(RuntimeError, match=rf"`await {instead}\(\.\.\.\)`"):
        asyncio.run(inside())
