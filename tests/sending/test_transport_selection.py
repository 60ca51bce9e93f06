"""Which way starts take: our own connections wherever they can do the work, httpx's for what only they can."""

from __future__ import annotations

import pytest

from batch_enroll.sending.client import Client
from batch_enroll.sending.http11_connections import Http11Connections
from batch_enroll.sending.httpx_transport import SingleConnectionTransports

URL = "https://ru.altkraft.com"


def chosen(url: str = URL, **more) -> type:
    client = Client(url=url, token="t", timeout_s=1.0, **more)
    return type(client._direct or client._transport)


@pytest.mark.parametrize("url", [URL, "http://127.0.0.1:8080", "https://[::1]"])
def test_own_transport_is_the_default(url):
    assert chosen(url) is Http11Connections


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_own_transport_is_the_default_in_a_running_program(anyio_backend):
    assert chosen() is Http11Connections


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_httpx_is_used_under_trio(anyio_backend):
    assert chosen() is SingleConnectionTransports


def test_httpx_is_used_for_a_proxy(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://p:3128")
    assert chosen() is SingleConnectionTransports
    assert chosen("http://127.0.0.1") is Http11Connections  # no proxy sees what does not leave the machine
    monkeypatch.setenv("NO_PROXY", "altkraft.com")
    assert chosen() is Http11Connections
