"""The plan table and its JSON."""

import io
import json
from dataclasses import replace

import pytest

from batch_enroll.errors import LedgerError
from batch_enroll.messages import verbatim
from batch_enroll.models import (
    Delivery,
    Duplicates,
    Notice,
    RowStatus,
)
from batch_enroll.reporting.earlier_runs_report import RunBaseline
from batch_enroll.reporting.plan_table import PlanView, plan_to_json, print_plan
from batch_enroll.reporting.reason_counts import ReasonLine

PLAN = PlanView(
    run_id="7f3a",
    input_name="customers.csv",
    input_form=verbatim("CSV, UTF-8, semicolons"),
    notices=(
        Notice(
            code="encoding",
            message=verbatim("Read as windows-1251."),
            advice=verbatim("Give --encoding if names look wrong."),
        ),
    ),
    rows=1_842,
    to_send=1_829,
    duplicates=5,
    already_enrolled=3,
    enrolled=3,
    last_enrolled=verbatim("last on 2026-11-28 at 21:04 by leads-3.csv"),
    held=1,
    invalid=4,
    problems=(
        ReasonLine(
            status=RowStatus.INVALID,
            code="email_invalid",
            message="Column 'E-mail': 'ivan@' is not an e-mail address.",
            count=4,
            first_rows=(12, 40, 77, 99),
            advice="Correct the address.",
            column="column 'E-mail'",
        ),
    ),
    url="https://ru.altkraft.com",
    scenario=3,
    scenario_name="Welcome",
    database=1,
    reentry="A profile that was in the scenario before is let in again only after it has left it.",
    matching="email=E-mail",
    content=(("first_name", "First name"), ("city", "Ort")),
    delivery=Delivery.AT_MOST_ONCE,
    rate_per_s=10,
    concurrency=8,
    usual=RunBaseline(any_run=True, scenario_used=True, of_input=True, rows=(170, 180, 190), to_send=(170, 180, 190)),
    first_requests=('{"workflow_id": 3, "token": "s3cret", "email": "a@b.ru"}',),
)
GOLDEN = """\
Plan of run 7f3a

  input     customers.csv (CSV, UTF-8, semicolons)
  scenario  #3 Welcome at https://ru.altkraft.com (database 1)
            A profile that was in the scenario before is let in again only after
            it has left it.
  matching  email=E-mail
  content   first_name=First name, city=Ort
  delivery  at most once: a row without a clear answer is held as unknown, never
            sent again by itself
  rate      10 a second, 8 at once: 3 min 3 s

  rows             1,842
  will be sent     1,829
  duplicates           5  skipped: the same profile is in an earlier row
  enrolled before      3  skipped: enrolled in this scenario before, last on
                          2026-11-28 at 21:04 by leads-3.csv
  held                 1  skipped: unknown since an earlier run, until it is
                          resolved
  invalid              4  cannot be sent as they are

Invalid rows
  4  Column 'E-mail': 'ivan@' is not an e-mail address (email_invalid): rows 12,
     40, 77 and 99
     → Correct the address.

Notes
  -  Read as windows-1251
     → Give --encoding if names look wrong.

Compared with earlier runs
  -  This input has 1,842 rows; the last 3 runs of this input had 170 to 190.
  -  1,829 rows will be sent, 10 times the usual 180.

First requests
  POST https://ru.altkraft.com/api/v1.1/workflows/start
  {"token": "***", "workflow_id": 3, "email": "a@b.ru"}
"""


def printed(plan: PlanView, *, samples: bool = True, width: int | None = None) -> str:
    stream = io.StringIO()
    print_plan(plan, stream, samples=samples, width=width)
    return stream.getvalue()


def test_table_fits_80_columns():
    assert printed(PLAN, width=80) == GOLDEN


def test_first_requests_are_shown_on_request_off_a_terminal():
    assert "a@b.ru" in printed(PLAN)
    without = GOLDEN.partition("\nFirst requests")[0].replace(
        """Column 'E-mail': 'ivan@' is not an e-mail address (email_invalid): rows 12,
     40, 77 and 99
""",
        """The cell does not hold an email address, column 'E-mail' (email_invalid):
     rows 12, 40, 77 and 99
""",
    )
    assert printed(PLAN, samples=False, width=80) == without


def test_token_is_always_masked():
    assert "s3cret" not in printed(PLAN) + json.dumps(plan_to_json(PLAN))


def test_numbers_that_do_not_add_up_are_an_error():
    with pytest.raises(LedgerError, match="the input has 1,842 rows, the plan 1,843"):
        replace(PLAN, to_send=1_830)


def test_sent_duplicates_count_as_sent():
    plan = replace(PLAN, on_duplicate=Duplicates.SEND, to_send=1_834)
    assert "among those sent" in printed(plan)


def test_rows_enrolled_elsewhere_are_counted():
    plan = replace(PLAN, to_send=1_819, enrolled_elsewhere=10)
    assert "enrolled elsewhere     10  skipped: sent by a run that this ledger does not know" in printed(plan)
    assert plan_to_json(plan)["enrolled_elsewhere"] == 10
    with pytest.raises(LedgerError):
        replace(plan, to_send=1_829)


def test_sending_twice_is_stated():
    assert "customers may get the message twice" in printed(replace(PLAN, delivery=Delivery.AT_LEAST_ONCE))


def test_missing_limit_is_stated():
    plan = replace(PLAN, rate_per_s=None)
    assert "as fast as the platform answers, 8 at once" in printed(plan)
    assert plan_to_json(plan)["needed_s"] is None


def test_resumed_run_shows_finished_rows():
    plan = replace(PLAN, carries_on=True, to_send=29, settled=1_800)
    assert "which is resumed" in printed(plan)
    assert "done before      1,800" in printed(plan)


def test_json_object_has_the_numbers():
    plan = plan_to_json(PLAN)
    assert (plan["rows"], plan["to_send"], plan["needed_s"]) == (1_842, 1_829, 182.9)
    assert plan["first_requests"] == [{"token": "***", "workflow_id": 3, "email": "a@b.ru"}]
    assert json.loads(json.dumps(plan)) == plan
