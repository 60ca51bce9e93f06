"""`python -m batch_enroll` is `batch-enroll`."""

from batch_enroll.cli import entry_point

if __name__ == "__main__":
    entry_point()
