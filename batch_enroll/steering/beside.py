"""Work with somebody who keeps watch beside it.

In: the work, and a watch that never ends. Out: what the work gives. Never: a watch that outlives the work.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Never, TypeVar

import anyio

T = TypeVar("T")


async def beside(work: Callable[[], Awaitable[T]], watch: Callable[[], Coroutine[Any, Any, Never]]) -> T:
    """Keep watch for as long as the work takes. What the work raises comes out as itself, not in a group."""
    done: list[T] = []
    failure: Exception | KeyboardInterrupt | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        try:
            done.append(await work())
        except (Exception, KeyboardInterrupt) as error:
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return done[0]
