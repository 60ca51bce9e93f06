"""The loops that a run is compared with: 64 workers that read no file and record nothing.

    python -m benchmarks.comparison_loops httpx|aiohttp URL ROWS

Prints the wall and the CPU seconds of the loop, without the start of the program.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

IN_FLIGHT = 64
_PATH = "/api/v1.1/workflows/start"

Spent = tuple[float, float]
Post = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


async def plain_httpx(url: str, rows: int) -> Spent:
    """`httpx.AsyncClient` as it comes, with a pool as large as there are workers."""
    import httpx

    limits = httpx.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=IN_FLIGHT)
    async with httpx.AsyncClient(limits=limits, timeout=30) as client:

        async def post(body: dict[str, Any]) -> dict[str, Any]:
            answer: dict[str, Any] = (await client.post(url, json=body)).json()
            return answer

        return await _loop(post, rows)


async def bare_aiohttp(url: str, rows: int) -> Spent:
    """`aiohttp.ClientSession`, with as many connections as there are workers."""
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=IN_FLIGHT)) as session:

        async def post(body: dict[str, Any]) -> dict[str, Any]:
            async with session.post(url, json=body) as response:
                answer: dict[str, Any] = await response.json()
                return answer

        return await _loop(post, rows)


async def _loop(post: Post, rows: int) -> Spent:
    bodies = _bodies(rows)
    began, cpu_began = time.perf_counter(), time.process_time()
    await asyncio.gather(*(_work(post, bodies) for _ in range(IN_FLIGHT)))
    return time.perf_counter() - began, time.process_time() - cpu_began


async def _work(post: Post, bodies: Iterator[dict[str, Any]]) -> None:
    for body in bodies:
        if (await post(body))["error"] != 0:
            raise SystemExit("The server refused a row.")


def _bodies(rows: int) -> Iterator[dict[str, Any]]:
    for n in range(rows):
        yield {
            "token": "a-token-for-benchmarks",
            "id": 3,
            "matching": "email",
            "email": f"user{n}@example.com",
            "content": {"first_name": "Anna"},
        }


if __name__ == "__main__":
    name, url, rows = sys.argv[1:]
    send = {"httpx": plain_httpx, "aiohttp": bare_aiohttp}[name]
    wall_s, cpu_s = asyncio.run(send(url + _PATH, int(rows)))
    sys.stdout.write(f"{wall_s} {cpu_s}\n")
