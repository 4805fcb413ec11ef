"""Reading and writing large tensors takes milliseconds: done in a thread, between whose steps others get a turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

#: What is smaller is done in less time than a thread costs others.
LARGE_BYTES = 64 << 10

P = ParamSpec("P")
T = TypeVar("T")


async def elsewhere(large: bool, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What some work brings; done in a thread if it is large."""
    if large:
        return await asyncio.to_thread(work, *args, **kwargs)
    return work(*args, **kwargs)
