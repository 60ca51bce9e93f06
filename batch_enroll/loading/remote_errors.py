"""Translate the exceptions of fsspec and its protocol libraries into one sentence without secrets.

The exceptions are matched by class name: the libraries are optional, and most are not installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from batch_enroll.errors import InputError, NoSuchInput, RunStopped
from batch_enroll.loading.remote import S3, WEB, Remote

_AGAIN = "Nothing was sent. Check the address and the network, then give the same command again."
_REFUSED, _UNREACHABLE = "access was refused", "the server cannot be reached"
_RIGHTS = "Check the user, the key or the rights; they are set where the protocol's own tools look for them."
_S3_RIGHTS = (
    "Check the key and its rights (s3:GetObject, and s3:ListBucket: without that one S3 also answers so when the file "
    "is not there)."
)
_S3_KEY = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE to one that ~/.aws holds."
_SSH_KEY = "Connect once with ssh or sftp and compare the key, then start again."
_OWN_CA = "Check the address. An authority of your own is named in SSL_CERT_FILE, for S3 in AWS_CA_BUNDLE."
WAIT = "Wait until the program that writes it has finished, then start again."
# Class names of the exception, its bases and its causes; the first line that names one of them is used.
_CASES = (
    ("NoCredentialsError PartialCredentialsError ProfileNotFound", "no key for it was found", _S3_KEY),
    ("PermissionError AuthenticationException TokenRetrievalError", _REFUSED, _RIGHTS),
    ("FileExpired", "it changed while it was being fetched", WAIT),
    ("ClientPayloadError IncompleteRead IncompleteReadError", "it came cut short, the connection broke off", _AGAIN),
    ("BadHostKeyException", "the server's key is not known, or not the one in ~/.ssh/known_hosts", _SSH_KEY),
    ("SSLCertVerificationError CertificateError", "the server's certificate is not valid for it", _OWN_CA),
    ("TimeoutError ServerTimeoutError ConnectTimeoutError", "the server was silent for too long", _AGAIN),
    ("ConnectionError gaierror SSLError ClientConnectorError ClientOSError", _UNREACHABLE, _AGAIN),
    ("ServerDisconnectedError EndpointConnectionError NoValidConnectionsError SSHException", _UNREACHABLE, _AGAIN),
)
# paramiko raises a plain SSHException for these.
_SSH_TEXTS = {"not found in known_hosts": "BadHostKeyException", "No authentication": "AuthenticationException"}


@contextmanager
def translated_errors(remote: Remote) -> Iterator[None]:
    """Translate what is raised in the block; the original may hold a secret and is dropped, with its causes."""
    try:
        yield
    except Exception as error:
        if remote.scheme in WEB and isinstance(error, FileNotFoundError) and isinstance(error.__cause__, Exception):
            error = error.__cause__  # fsspec raises this for whatever made its look at the file fail
        raise (error if isinstance(error, RunStopped) else _translate(remote, error)) from None


def _translate(remote: Remote, error: Exception) -> InputError:
    """`NoSuchInput` only when the server says that the file does not exist: with --if-changed that is no error."""
    causes = list(_causes(error))
    names = {cls.__name__ for cause in causes for cls in type(cause).__mro__}
    names |= {name for text, name in _SSH_TEXTS.items() if text in str(error)}
    status = next((status for cause in causes if isinstance(status := getattr(cause, "status", None), int)), None)
    answers = [answer for cause in causes if isinstance(answer := getattr(cause, "response", None), dict)]
    if any(answer.get("Error", {}).get("Code") == "NoSuchBucket" for answer in answers):
        return InputError(f"{remote.shown}: there is no bucket {remote.parts.netloc}.", hint="Check its name.")
    if status == 404 or (status is None and isinstance(error, FileNotFoundError)):
        return NoSuchInput(f"There is no file {remote.shown}.", hint="Check the address.")
    if status in (401, 403):
        why, hint = _REFUSED, _RIGHTS
    elif status is not None:
        why, hint = f"the server answered {status}", _AGAIN
    else:
        said = " ".join(remote.without_secrets(str(error)).split())[:200]
        unknown = (f"{type(error).__name__}: {said}".removesuffix(": "), _AGAIN)
        why, hint = next(((why, hint) for known, why, hint in _CASES if names & set(known.split())), unknown)
    if why == _REFUSED and remote.scheme in S3:
        hint = _S3_RIGHTS
    return InputError(f"{remote.shown} cannot be fetched: {why}.", hint=hint)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
