"""What a library of a protocol says when a file cannot be fetched, in one sentence without a secret.

In: the address and somebody else's exception. Out: ours. Never: a password, a signed query, or the exception itself,
which may hold one.

The libraries are known by the names of their exceptions: none of them is imported here, and most are not installed.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

from batch_enroll.errors import InputError, NoSuchInput
from batch_enroll.loading.remote import S3, Remote

_AGAIN = "Nothing was sent. Check the address and the network, then give the same command again."
_RIGHTS = "Check the user, the key or the rights; they are set where the protocol's own tools look for them."
_S3_RIGHTS = (
    "Check the key and its rights (s3:GetObject, and s3:ListBucket: without that one S3 also answers so when the file "
    "is not there)."
)
_NO_KEY = {"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"}
_REFUSED = {"AuthenticationException", "TokenRetrievalError"}
_CUT = {"ClientPayloadError", "IncompleteRead", "ResponseStreamingError", "IncompleteReadError"}
_UNREACHABLE = {
    "ClientConnectorError",
    "ClientOSError",
    "ServerDisconnectedError",
    "EndpointConnectionError",
    "NoValidConnectionsError",
    "SSHException",
}


def in_words(remote: Remote, error: Exception) -> InputError:
    """Say what went wrong; `NoSuchInput` only when the place is there and the file is not."""
    causes = list(_causes(error))
    status = next((status for cause in causes if isinstance(status := getattr(cause, "status", None), int)), None)
    names = {cls.__name__ for cause in causes for cls in type(cause).__mro__}
    if any(_s3_code(cause) == "NoSuchBucket" for cause in causes):  # no file that has yet to come
        return InputError(f"{remote.shown}: there is no bucket {remote.parts.netloc}.", hint="Check its name.")
    if status == 404 or (status is None and isinstance(error, FileNotFoundError) and not names & _UNREACHABLE):
        return NoSuchInput(f"There is no file {remote.shown}.", hint="Check the address.")
    if names & _NO_KEY:
        return InputError(
            f"{remote.shown} cannot be fetched: no key for it was found.",
            hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE to one that ~/.aws holds.",
        )
    if status in (401, 403) or isinstance(error, PermissionError) or names & _REFUSED:
        return InputError(
            f"{remote.shown} cannot be fetched: access was refused.",
            hint=_S3_RIGHTS if remote.scheme in S3 else _RIGHTS,
        )
    if status is not None:
        return InputError(f"{remote.shown} cannot be fetched: the server answered {status}.", hint=_AGAIN)
    if names & _CUT:
        return InputError(f"{remote.shown} came cut short: the connection broke off.", hint=_AGAIN)
    if "BadHostKeyException" in names or "UnknownHost" in names:
        return InputError(
            f"{remote.shown} cannot be fetched: the server's key is not known, or not the one in ~/.ssh/known_hosts.",
            hint="Connect once with ssh or sftp and compare the key, then start again.",
        )
    if isinstance(error, TimeoutError) or names & {"TimeoutError", "ServerTimeoutError", "ConnectTimeoutError"}:
        return InputError(f"{remote.shown} cannot be fetched: the server was silent for too long.", hint=_AGAIN)
    if any(isinstance(cause, ConnectionError | socket.gaierror | ssl.SSLError) for cause in causes) or (
        names & _UNREACHABLE
    ):
        return InputError(f"{remote.shown} cannot be fetched: the server cannot be reached.", hint=_AGAIN)
    said = " ".join(remote.without_secrets(str(error)).split())[:200]
    why = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return InputError(f"{remote.shown} cannot be fetched ({why}).", hint=_AGAIN)


def _s3_code(cause: BaseException) -> object:
    """The code of S3's own answer; None when this is none."""
    answer = getattr(cause, "response", None)
    return answer.get("Error", {}).get("Code") if isinstance(answer, dict) else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
