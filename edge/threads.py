"""Runs something in a thread that nobody has to wait for: neither with patience, nor when the process ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

T = TypeVar("T")

#: A seventieth of what the event loop gets where there is not enough for both; with a tenth, hits still waited for it.
_NICE = 19

_under_way: set[threading.Thread] = set()


def in_thread(name: str, work: Callable[[], T]) -> asyncio.Future[T]:
    """What `work` brings, from a daemon thread of its own; executors wait for theirs when a process ends.

    It makes way for the event loop: where both want one core, a request would wait for it by milliseconds.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        _make_way()
        try:
            result = work()
        except BaseException as error:
            _settle(loop, future, partial(future.set_exception, error))
        else:
            _settle(loop, future, partial(future.set_result, result))
        finally:
            _under_way.discard(threading.current_thread())

    thread = threading.Thread(target=run, name=name, daemon=True)
    _under_way.add(thread)
    thread.start()
    return future


def _make_way() -> None:
    # Linux takes a thread for a process here; other systems refuse its number.
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + _NICE)


def unfinished() -> list[str]:
    """The names of threads that are under way.

    An interpreter that ends while one of them is in a library of C++ aborts: whoever wants a clean end must not let it
    come that far.
    """
    return [thread.name for thread in list(_under_way) if thread.is_alive()]


def _settle(loop: asyncio.AbstractEventLoop, future: asyncio.Future[T], settle: Callable[[], None]) -> None:
    def unless_done() -> None:
        if not future.done():
            settle()

    with contextlib.suppress(RuntimeError):  # The loop has ended, and nobody waits any more.
        loop.call_soon_threadsafe(unless_done)
