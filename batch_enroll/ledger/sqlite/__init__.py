"""The default ledger: SQLite files on a local disk, one small index for all runs and one file for each run.

    ledger.sqlite            the index: run records, and what closed runs sent (rollback journal, several processes)
    ledger.salt              the installation's secret, 0600
    ledger.sqlite.runs/ID/   0700, one folder for each run:
        run.sqlite             its rows (WAL, one process at a time; readers at any time)
        rows.staged            the staged rows (personal data)
        run.lock, run.owner    who is working on it
        ballast                room that is given up when the disk is full
    ledger.sqlite.locks/       who is working on a job or a scenario, by the hash of its name

Commands come in through `SqliteLedger` and `SqliteRunLedger`; no connection or cursor leaves this package.
"""

from batch_enroll.ledger.sqlite.ledger import SqliteLedger
from batch_enroll.ledger.sqlite.run_ledger import SqliteRunLedger

__all__ = ["SqliteLedger", "SqliteRunLedger"]
