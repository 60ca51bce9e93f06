"""The default ledger: SQLite files on a local disk, an index of all runs and one file for each run.

    ledger.sqlite            the index: run records, and what closed runs sent (rollback journal, several processes)
    ledger.salt              the installation's secret, 0600
    ledger.sqlite.runs/ID/   0700, one folder for each run:
        run.sqlite             its rows (WAL, one process at a time; readers at any time)
        rows.staged            the staged rows (personal data)
        run.lock, run.owner    lock, and who holds it
        ballast                disk space that is freed when the disk is full
    ledger.sqlite.locks/       locks of jobs and scenarios, by the hash of the name

No connection or cursor leaves this package.
"""

from batch_enroll.ledger.sqlite.ledger import SqliteLedger
from batch_enroll.ledger.sqlite.run_ledger import SqliteRunLedger

__all__ = ["SqliteLedger", "SqliteRunLedger"]
