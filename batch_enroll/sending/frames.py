"""What coordinator and workers say to each other, as bytes: frames of a kind, a number, a head in JSON and a raw body.

In: frames, answers and failures, or bytes as they came, cut anywhere. Out: bytes to write, or what they mean. Never:
I/O; pickle (bytes that came must not be able to run anything).
"""

from __future__ import annotations

import json
import struct
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

from batch_enroll.errors import Ambiguous, Retryable
from batch_enroll.sending.classify import Answer

_PREFIX: Final = struct.Struct(">BQII")  #: kind, number, bytes of the head, bytes of the body


class Kind(IntEnum):
    """What a frame says; the first four come from the coordinator or greet it, the others are words on a request."""

    SETUP = 1  #: what to make a `Client` of
    READY = 2  #: the worker is there
    START = 3  #: a body to send
    CANCEL = 4  #: nobody waits for it any more
    ANSWER = 5
    RETRYABLE = 6
    AMBIGUOUS = 7
    FAULT = 8  #: a bug, in the worker


@dataclass(frozen=True, slots=True)
class Frame:
    """One message."""

    kind: Kind
    number: int = 0  #: of the request, chosen by the coordinator
    head: Mapping[str, Any] = field(default_factory=dict, repr=False)  #: holds the token once
    body: bytes = field(default=b"", repr=False)


class WorkerFault(Exception):
    """A fault of the program in a worker; the text is where it happened, without values."""


def encode(frame: Frame) -> bytes:
    """Write one frame."""
    head = json.dumps(frame.head).encode() if frame.head else b""
    return _PREFIX.pack(frame.kind, frame.number, len(head), len(frame.body)) + head + frame.body


class Splitter:
    """Finds the frames in bytes that come in pieces of any size."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, piece: bytes) -> list[Frame]:
        """Take the next piece; gives the frames that are whole by now.

        Raises:
            ValueError: these are no frames.
        """
        rest = self._rest
        rest += piece
        frames: list[Frame] = []
        begin = 0
        while len(rest) >= begin + _PREFIX.size:
            kind, number, head_size, body_size = _PREFIX.unpack_from(rest, begin)
            middle = begin + _PREFIX.size + head_size
            end = middle + body_size
            if len(rest) < end:
                break
            head = json.loads(rest[begin + _PREFIX.size : middle].decode()) if head_size else {}
            frames.append(Frame(Kind(kind), number, head, bytes(rest[middle:end])))
            begin = end
        del rest[:begin]
        return frames


def answer_frame(number: int, answer: Answer) -> Frame:
    """Put an answer into a frame."""
    head = {"http_status": answer.http_status, "headers": answer.headers}
    return Frame(Kind.ANSWER, number, head, answer.body)


def failure_frame(number: int, failure: Retryable | Ambiguous) -> Frame:
    """Put the word that there is no answer into a frame."""
    head = {"code": failure.code, "message": failure.message, "http_status": failure.http_status}
    if isinstance(failure, Ambiguous):
        return Frame(Kind.AMBIGUOUS, number, head)
    more = {"retry_after_s": failure.retry_after_s, "throttled": failure.throttled}
    return Frame(Kind.RETRYABLE, number, head | more)


def fault_frame(number: int, error: Exception) -> Frame:
    """Put a bug into a frame: its kind and place, not its text, which may hold personal data."""
    place = "".join(traceback.format_tb(error.__traceback__))
    return Frame(Kind.FAULT, number, {"text": f"{type(error).__name__} in a worker process:\n{place}"})


def result_of(frame: Frame) -> Answer:
    """Give the answer in a frame.

    Raises:
        Retryable, Ambiguous: the worker's client raised it.
        WorkerFault: the worker has a bug.
    """
    match frame.kind:
        case Kind.ANSWER:
            return Answer(**frame.head, body=frame.body)
        case Kind.RETRYABLE:
            raise Retryable(**frame.head)
        case Kind.AMBIGUOUS:
            raise Ambiguous(**frame.head)
        case Kind.FAULT:
            raise WorkerFault(frame.head["text"])
    raise ValueError(f"{frame.kind.name} is no word on a request")
