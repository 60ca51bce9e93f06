"""Translate the exceptions of fsspec and its protocol libraries into errors without secrets.

The exceptions are matched by class name: the libraries are optional, and most are not installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from batch_enroll.errors import InputError, NoSuchInput, RunStopped
from batch_enroll.loading.remote_address import S3, WEB, Remote
from batch_enroll.messages import Message, message

# Class names of the exception, its bases and its causes; the first line that has one of them gives the reason.
_CASES = (
    ("NoCredentialsError PartialCredentialsError ProfileNotFound", "no_key"),
    ("PermissionError AuthenticationException TokenRetrievalError", "refused"),
    ("FileExpired", "changed"),
    ("ClientPayloadError IncompleteRead IncompleteReadError", "cut"),
    ("BadHostKeyException", "host_key"),
    ("SSLCertVerificationError CertificateError", "certificate"),
    ("TimeoutError ServerTimeoutError ConnectTimeoutError", "timeout"),
    ("ConnectionError gaierror SSLError ClientConnectorError ClientOSError", "unreachable"),
    ("ServerDisconnectedError EndpointConnectionError NoValidConnectionsError SSHException", "unreachable"),
)
# paramiko raises a plain SSHException for these.
_SSH_TEXTS = {"not found in known_hosts": "BadHostKeyException", "No authentication": "AuthenticationException"}


@contextmanager
def translate_download_errors(remote: Remote) -> Iterator[None]:
    """Translate what is raised in the block; the original may hold a secret and is dropped, with its causes."""
    try:
        yield
    except Exception as error:
        if remote.scheme in WEB and isinstance(error, FileNotFoundError) and isinstance(error.__cause__, Exception):
            error = error.__cause__  # fsspec raises this for whatever made its look at the file fail
        raise (error if isinstance(error, RunStopped) else _translate(remote, error)) from None


def _translate(remote: Remote, error: Exception) -> InputError:
    """`NoSuchInput` only when the server says that the file does not exist: with `if_changed` that is no error."""
    causes = list(_causes(error))
    names = {cls.__name__ for cause in causes for cls in type(cause).__mro__}
    names |= {name for text, name in _SSH_TEXTS.items() if text in str(error)}
    status = next((status for cause in causes if isinstance(status := getattr(cause, "status", None), int)), None)
    answers = [answer for cause in causes if isinstance(answer := getattr(cause, "response", None), dict)]
    if any(answer.get("Error", {}).get("Code") == "NoSuchBucket" for answer in answers):
        return InputError(message("input.no_bucket", address=remote.shown, bucket=remote.parts.netloc))
    if status == 404 or (status is None and isinstance(error, FileNotFoundError)):
        return NoSuchInput(message("input.not_at_address", address=remote.shown))
    if status in (401, 403):
        why = "refused"
    elif status is not None:
        return InputError(message("input.download_status", address=remote.shown, status=status))
    else:
        why = next((why for known, why in _CASES if names & set(known.split())), "")
    if not why:
        reason = " ".join(remote.without_secrets(str(error)).split())[:200]
        reason = f"{type(error).__name__}: {reason}".removesuffix(": ")
        return InputError(message("input.download_other", address=remote.shown, error=reason))
    if why == "refused" and remote.scheme in S3:
        why = "refused_s3"
    return InputError(Message(f"input.download_{why}", {"address": remote.shown}))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
