"""What is particular to S3: the server stands not in the address but in AWS's own settings.

In: the file system of an `s3://` address. Out: leave to go on. Never: a request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from batch_enroll.errors import JobError
from batch_enroll.loading.remote import Remote


def see_endpoint(files: Any, remote: Remote, plain_allowed: Callable[[str], bool]) -> None:
    """Refuse a server that the profiles would travel to and from for everybody to read.

    `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_S3` and a profile of `~/.aws/config` may all name one: AWS's own client is
    asked which it is.

    Raises:
        JobError: it is spoken to without encryption, and that is not allowed.
    """
    endpoint = urlsplit(str(files.connect().meta.endpoint_url))
    if endpoint.scheme == "http" and not plain_allowed(endpoint.hostname or ""):
        raise JobError(
            f"{remote.shown} would bring the profiles here unencrypted: its server is http://{endpoint.hostname}.",
            hint="Name an https:// one in AWS_ENDPOINT_URL, or add --insecure-http if that is really meant.",
        )
