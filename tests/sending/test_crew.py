"""A crew answers as one client would, and a worker that ends leaves in doubt what it carried, and nothing else."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from batch_enroll.errors import Ambiguous, AttemptError, Retryable, ServiceRefused
from batch_enroll.sending.client import Client
from batch_enroll.sending.crew import DEATHS_EACH, Crew
from batch_enroll.sending.crew_worker import Worker
from batch_enroll.sending.flight import Flight
from batch_enroll.sending.frames import Frame, Kind, Splitter, WorkerFault, encode, result_of
from tests.sending.serving import BODY, OK_BODY, TOKEN, answer, ok, reset, serving
from tests.support.workers import alive, seen_from_outside, workers_of

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="workers are found in /proc")
PATIENCE_S = 20.0


@pytest.fixture
def anyio_backend():
    return "asyncio"


def crew(url, *, processes=2, timeout_s=5.0, **more):
    return Crew(processes=processes, url=url, token=TOKEN, timeout_s=timeout_s, user_agent="batch-enroll", **more)


async def result(sender, body=BODY, flight=None):
    """What comes of one request, as a value."""
    try:
        return await sender.start(body, flight or Flight())
    except AttemptError as failure:
        return type(failure), vars(failure)


async def until(condition):
    with anyio.fail_after(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - it comes about in another process
            await anyio.sleep(0.01)


def silent_after(count):
    """Answer so many requests, and none after them."""

    async def talk(server, reader, writer):
        while True:
            await server.read(reader)
            if len(server.requests) <= count:
                writer.write(answer())

    return talk


# As with one process


async def drop(server, reader, writer):
    await server.read(reader)


async def cut(server, reader, writer):
    await server.read(reader)
    writer.write(answer()[:-5])


async def break_off(server, reader, writer):
    await server.read(reader)
    reset(writer)


async def busy(server, reader, writer):
    await server.read(reader)
    writer.write(answer(b'{"error":429}', "429 Too Many Requests", "Retry-After: 7\r\n"))


async def echo(server, reader, writer):
    request = await server.read(reader)
    writer.write(answer(request.partition(b"\r\n\r\n")[2]))


@pytest.mark.parametrize("talk", [ok, drop, cut, break_off, busy, echo, silent_after(0)])
async def test_whatever_the_platform_does_a_crew_gives_what_a_client_gives(talk):
    async with serving(talk) as server:
        async with Client(url=server.url, token=TOKEN, timeout_s=0.3) as client:
            expected = await result(client)
        async with crew(server.url, processes=1, timeout_s=0.3) as it:
            assert await result(it) == expected
        assert server.requests[0] == server.requests[1]


async def test_a_platform_that_is_not_there_is_surely_unsent():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        async with crew(url, processes=1) as it:
            kind, fields = await result(it)
    assert (kind, fields["code"]) == (Retryable, "connection_refused")


async def test_text_in_any_script_and_of_any_size_arrives():
    body = '{"id":12,"matching":"email","email":"é@пример.рф","content":{"a":"' + "Ж" * 500_000 + '"}}'
    async with serving(ok) as server, crew(server.url, processes=1) as it:
        assert (await it.start(body)).body == OK_BODY
    assert server.requests[0].endswith(body[1:].encode())


async def test_requests_are_spread_evenly():
    async with (
        serving(silent_after(0)) as server,
        crew(server.url, processes=3) as it,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(12):
            tasks.start_soon(result, it)
        await until(lambda: len(server.requests) == 12)
        assert [line.load for line in it._lines] == [4, 4, 4]
        tasks.cancel_scope.cancel()
    async with serving(ok) as server, crew(server.url, processes=2) as it:
        for _ in range(6):
            await it.start(BODY)
        assert server.connections == 2, "one after the other they take turns"


# Cancellation


async def test_cancelled_before_it_is_given_to_a_worker_it_is_surely_unsent():
    flight = Flight()
    async with serving(ok) as server, crew(server.url, processes=1) as it:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(result, it, BODY, flight)
            await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        await it.start(BODY)
    assert flight.surely_unsent
    assert len(server.requests) == 1


async def test_cancelled_on_its_way_it_is_in_doubt_and_the_worker_drops_it():
    flight, left = Flight(), anyio.Event()

    async def listen(server, reader, writer):
        await server.read(reader)
        await reader.read()
        left.set()

    async with serving(listen) as server, crew(server.url, processes=1) as it:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(result, it, BODY, flight)
            await until(lambda: server.requests)
            tasks.cancel_scope.cancel()
        with anyio.fail_after(PATIENCE_S):
            await left.wait()
    assert not flight.surely_unsent


# Workers that end


async def test_a_killed_worker_leaves_what_it_carried_in_doubt_and_another_takes_its_place():
    words, release = [], anyio.Event()

    async def talk(server, reader, writer):
        while True:
            await server.read(reader)
            await release.wait()
            writer.write(answer())

    async def send():
        words.append(await result(it))

    async with serving(talk) as server, crew(server.url) as it:
        async with anyio.create_task_group() as tasks:
            for _ in range(6):
                tasks.start_soon(send)
            await until(lambda: len(server.requests) == 6)
            victim, other = workers_of(os.getpid())
            os.kill(victim, signal.SIGKILL)
            await until(lambda: len(words) == 3)
            assert [(kind, fields["code"]) for kind, fields in words] == [(Ambiguous, "worker_died")] * 3
            release.set()
        assert [word.body for word in words[3:]] == [OK_BODY] * 3
        await until(lambda: len(it._lines) == 2)
        assert other in workers_of(os.getpid())
        assert await result(it) == await result(it) == words[-1]


async def test_while_no_worker_is_there_nothing_is_sent_and_nothing_waits():
    async with serving(ok) as server, crew(server.url, processes=1) as it:
        (pid,) = workers_of(os.getpid())
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not it._lines)
        flight = Flight()
        kind, fields = await result(it, flight=flight)
        assert (kind, fields["code"], flight.surely_unsent) == (Retryable, "no_worker", True)
        await until(lambda: it._lines)
        assert (await it.start(BODY)).body == OK_BODY


async def test_a_worker_that_hangs_keeps_no_row_for_ever():
    async with serving(ok) as server, crew(server.url, processes=1, timeout_s=0.3, margin_s=0.5) as it:
        (victim,) = workers_of(os.getpid())
        os.kill(victim, signal.SIGSTOP)
        with anyio.fail_after(5):
            kind, fields = await result(it)
        assert (kind, fields["code"]) == (Ambiguous, "worker_died")
        await until(lambda: not it._lines)
        await until(lambda: it._lines)
        assert (await it.start(BODY)).body == OK_BODY
        assert not alive([victim])


async def test_a_slow_answer_is_no_hung_worker():
    async with serving(silent_after(0)) as server, crew(server.url, processes=1, timeout_s=1.5, margin_s=0.5) as it:
        kind, fields = await result(it)
    assert (kind, fields["code"]) == (Ambiguous, "read_timeout")


async def test_workers_that_die_as_fast_as_they_are_replaced_stop_the_run():
    async with serving(ok) as server, crew(server.url, processes=1) as it:
        for _ in range(DEATHS_EACH + 1):
            await until(lambda: it._lines)
            (pid,) = workers_of(os.getpid())
            os.kill(pid, signal.SIGKILL)
            await until(lambda: not it._lines)
        await until(lambda: it._trouble)
        for _ in range(2):
            with pytest.raises(ServiceRefused, match="died 4 times within a minute; the last was ended by signal 9"):
                await it.start(BODY)
    assert not server.requests


async def test_workers_that_cannot_start_stop_the_run_before_it_begins():
    with pytest.raises(ServiceRefused, match="the last ended with exit code 1"):
        async with crew("no address", processes=1):
            pytest.fail("began")
    assert workers_of(os.getpid()) == []


# What workers heed and show


async def test_workers_end_with_the_crew():
    async with serving(ok) as server, crew(server.url) as it:
        await it.start(BODY)
        pids = workers_of(os.getpid())
        assert len(pids) == 2
    assert alive(pids) == []


async def test_signals_that_end_a_run_are_the_coordinators_business():
    async with serving(ok) as server, crew(server.url, processes=1) as it:
        (pid,) = workers_of(os.getpid())
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(pid, number)
        assert (await it.start(BODY)).body == OK_BODY
        assert workers_of(os.getpid()) == [pid]


async def test_the_token_is_not_where_others_can_read_it(monkeypatch):
    monkeypatch.setenv("BATCH_ENROLL_TOKEN", TOKEN)
    monkeypatch.setenv("OF_SOMEBODY_ELSE", f"Bearer {TOKEN}")
    async with serving(ok) as server, crew(server.url) as it:
        await it.start(BODY)
        assert TOKEN.encode() in server.requests[0]
        for pid in workers_of(os.getpid()):
            shown = seen_from_outside(pid)
            assert b"PATH" in shown
            assert TOKEN.encode() not in shown


FRUGAL = """
import sys
from batch_enroll.sending import crew_worker

class Client(crew_worker.Client):
    async def start(self, body):
        loaded = set(sys.modules)
        answer = await super().start(body)
        assert loaded == set(sys.modules)
        return answer

crew_worker.Client = Client
crew_worker.main()
"""


def first_word_of(code, url):
    """Be the coordinator of one worker for one request."""
    setup = {"url": url, "token": TOKEN, "timeout_s": 5.0}
    ours, theirs = socket.socketpair()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code], stdin=theirs.fileno(), env=environment), ours, theirs:
        theirs.close()
        ours.sendall(encode(Frame(Kind.SETUP, head=setup)))
        assert Splitter().feed(ours.recv(65536)) == [Frame(Kind.READY)]
        ours.sendall(encode(Frame(Kind.START, 7, body=BODY.encode())))
        (word,) = Splitter().feed(ours.recv(65536))
    return word


async def test_a_worker_is_ready_when_nothing_is_left_to_load():
    """A first request that waits for an import leaves together with the next ones, and the pace is lost."""
    async with serving(ok) as server:
        word = await anyio.to_thread.run_sync(first_word_of, FRUGAL, server.url)
    assert (word.number, result_of(word).body) == (7, OK_BODY)


async def test_a_fault_in_a_worker_is_told_as_a_fault():
    class Broken:
        async def start(self, body):
            raise KeyError(body)

    class Transport(asyncio.Transport):
        written = b""

        def write(self, data):
            self.written += data

    transport = Transport()
    worker = Worker(asyncio.get_running_loop(), Broken())  # type: ignore[arg-type]
    worker.connection_made(transport)
    worker.data_received(encode(Frame(Kind.START, 7, body=BODY.encode())))
    await until(lambda: len(Splitter().feed(transport.written)) == 2)
    ready, fault = Splitter().feed(transport.written)
    assert (ready.kind, fault.kind, fault.number) == (Kind.READY, Kind.FAULT, 7)
    with pytest.raises(WorkerFault, match="KeyError") as caught:
        result_of(fault)
    assert "john@example.com" not in str(caught.value)
