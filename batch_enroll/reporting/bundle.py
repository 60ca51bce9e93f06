"""A bundle for somebody who helps: one zip file, with a page that says what is in it.

In: texts by file name. Out: the zip, whole or not there, readable by its owner alone. Never: a text that was not given.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from batch_enroll.reporting.whole_file import WholeFile

OWNER_ALONE = 0o600


def write_bundle(path: Path, texts: Mapping[str, str], *, folder: str) -> None:
    """Write every text as a file in one folder of the zip.

    Raises:
        RunStopped: the disk does not take it.
    """
    file = WholeFile(path, mode=OWNER_ALONE)
    try:
        with file.told(), zipfile.ZipFile(file.binary, "w", zipfile.ZIP_DEFLATED) as bundle:
            for name, text in texts.items():
                bundle.writestr(f"{folder}/{name}", text)
        file.save()
        file.commit()
    finally:
        file.abandon()
