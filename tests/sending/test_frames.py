"""Frames come out as they went in, wherever the bytes are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_enroll.errors import Ambiguous, AttemptError, Retryable
from batch_enroll.sending.classify import Answer
from batch_enroll.sending.frames import (
    Frame,
    Kind,
    Splitter,
    WorkerFault,
    answer_frame,
    encode,
    failure_frame,
    fault_frame,
    result_of,
)

texts = st.text(max_size=20)
heads = st.dictionaries(texts, texts | st.integers() | st.none() | st.booleans() | st.dictionaries(texts, texts))
frames = st.builds(
    Frame,
    kind=st.sampled_from(Kind),
    number=st.integers(0, 2**64 - 1),
    head=heads,
    body=st.binary(max_size=200),
)


def taken(pieces):
    splitter = Splitter()
    return [frame for piece in pieces for frame in splitter.feed(piece)]


def back(frame):
    (came,) = Splitter().feed(encode(frame))
    return result_of(came)


@given(said=st.lists(frames, max_size=5), cuts=st.lists(st.integers(0, 2000), max_size=10))
def test_frames_cut_anywhere_come_back(said, cuts):
    stream = b"".join(map(encode, said))
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    assert taken(stream[begin:end] for begin, end in pairwise(edges)) == said


def test_frames_cut_at_every_boundary_come_back():
    said = [Frame(Kind.READY), Frame(Kind.START, 7, body="Ж".encode()), Frame(Kind.ANSWER, 2**40, {"a": ["é"]}, b"\0")]
    stream = b"".join(map(encode, said))
    for cut in range(len(stream) + 1):
        assert taken([stream[:cut], stream[cut:]]) == said
    assert taken(bytes([byte]) for byte in stream) == said


def test_a_frame_is_given_as_soon_as_its_last_byte_is_there():
    stream = encode(Frame(Kind.CANCEL, 1))
    splitter = Splitter()
    assert splitter.feed(stream[:-1]) == []
    assert splitter.feed(stream[-1:] + stream[:3]) == [Frame(Kind.CANCEL, 1)]


def test_what_is_no_frame_is_not_taken_for_one():
    with pytest.raises(ValueError, match="99"):
        Splitter().feed(b"\x63" + bytes(16))
    with pytest.raises(ValueError, match="READY"):
        back(Frame(Kind.READY))


@given(http_status=st.integers(100, 599), headers=st.dictionaries(texts, texts), body=st.binary())
def test_an_answer_comes_back_to_the_byte(http_status, headers, body):
    answer = Answer(http_status=http_status, headers=headers, body=body)
    assert back(answer_frame(1, answer)) == answer


@pytest.mark.parametrize(
    "failure",
    [
        Retryable("connection_refused", "The platform’s computer refused the connection"),
        Retryable("throttled", "Slower", http_status=429, retry_after_s=1.5, throttled=True),
        Ambiguous("read_timeout", "No answer"),
        Ambiguous("answer_truncated", "Broken off", http_status=200),
    ],
)
def test_a_failure_comes_back_with_all_it_knows(failure):
    with pytest.raises(AttemptError) as caught:
        back(failure_frame(1, failure))
    assert type(caught.value) is type(failure)
    assert vars(caught.value) == vars(failure)


def test_a_fault_tells_its_kind_and_place_but_no_value():
    try:
        dict[str, str]()["john@example.com"]
    except KeyError as error:
        frame = fault_frame(1, error)
    with pytest.raises(WorkerFault, match=r"KeyError(.|\n)*test_frames.py") as caught:
        back(frame)
    assert "KeyError: 'john@example.com'" not in str(caught.value)


def test_no_repr_shows_what_a_frame_holds():
    assert "secret" not in repr(Frame(Kind.SETUP, head={"token": "secret"}, body=b"secret"))
