"""The processes of one node, as one of them sees the others: all of them answer `/metrics` for the node.

1. Each process writes down what it has counted, four times a second and whenever another one knocks at its socket.
2. Whoever is asked writes down its own, knocks at the others' at the same time, and reads what they wrote.
3. One that does not open in time counts with what it wrote last, and is counted as silent. If nobody is there any
   more, then only what stays true counts.
4. A process takes over the count of the one before it in its slot.

Nothing is shown that has not been written down before, by whoever counted it; so no total ever goes backwards,
whichever process is asked and whichever is killed. What a killed one had counted since it last wrote is lost:
at most a quarter of a second.

Files, not memory mapped by all: a reader must never see one half written, so they are replaced as a whole. They lie in
memory where the system has such a place, since a disk may keep the event loop waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from precompute.snapshot import MAX_BYTES, Snapshot

log = logging.getLogger(__name__)

#: A scrape may take a while, but not wait for a process that is stuck.
KNOCK_S = 0.2
#: What a killed process takes with it at most; writing takes 30 µs.
_WRITE_EVERY_S = 0.25
_READY, _NOT_READY = b"r", b"n"

_NOTHING = Snapshot()
#: What is added to the last known numbers of a process, by what became of the knock.
_PRESENT = _NOTHING
_STUCK = Snapshot(sums={"processes": -1, "processes_silent": 1})
_GONE = Snapshot(sums={"processes_silent": 1})


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One process's place among the processes of a node.

    Attributes:
        directory: where they find each other; nobody else may enter it.
        listeners: the sockets that the node listens on, as file descriptors; the one at `number` is its own.
        parent: process id of whoever started it.
    """

    number: int
    directory: Path
    listeners: tuple[int, ...]
    parent: int

    @property
    def others(self) -> list[int]:
        """The slots of the other processes."""
        return [number for number in range(len(self.listeners)) if number != self.number]


def counts_file(directory: Path, number: int) -> Path:
    """Where the process of a slot writes down what it has counted."""
    return directory / f"{number}.counts"


def knocker(directory: Path, number: int) -> Path:
    """The socket of the process of a slot."""
    return directory / f"{number}.socket"


def says_ready(directory: Path, number: int) -> bool:
    """Whether the process of a slot says that it takes traffic; for whoever started it."""
    with socket.socket(socket.AF_UNIX) as door:
        door.settimeout(KNOCK_S)
        try:
            door.connect(str(knocker(directory, number)))
            return door.recv(1) == _READY
        except OSError:
            return False


class Siblings:
    """Writes down what this process has counted, and adds up what all have."""

    def __init__(self, slot: Slot, census: Callable[[], Snapshot], is_ready: Callable[[], bool]) -> None:
        self._slot = slot
        self._census = census
        self._is_ready = is_ready
        before = _read(slot.directory, slot.number)
        #: Whether to answer before it is ready: while a node starts, one process says that it lives.
        self.answers_first = slot.number == 0 and before is None
        self._before = before.history() if before else Snapshot()
        self._server: asyncio.Server | None = None
        self._writing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """From now on others may knock."""
        path = knocker(self._slot.directory, self._slot.number)
        path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._opened, str(path))
        self._writing = asyncio.create_task(self._write_on())

    async def close(self) -> None:
        """Writes down the last of it. If whoever started us is gone, nobody else will tidy up."""
        if self._server is None or self._writing is None:
            return
        self._writing.cancel()
        await asyncio.gather(self._writing, return_exceptions=True)
        self._server.close()
        self._write()
        knocker(self._slot.directory, self._slot.number).unlink(missing_ok=True)
        if os.getppid() != self._slot.parent:
            shutil.rmtree(self._slot.directory, ignore_errors=True)

    async def totals(self) -> Snapshot:
        """What all processes of the node have counted, those before them included."""
        total = self._write()
        for found in await asyncio.gather(*map(self._ask, self._slot.others)):
            total = total.merge(found)
        return total

    async def _ask(self, number: int) -> Snapshot:
        known_as = _GONE
        try:
            async with asyncio.timeout(KNOCK_S):
                await self._knock(number)
            known_as = _PRESENT
        except TimeoutError:
            known_as = _STUCK
        except OSError:
            pass
        known = _read(self._slot.directory, number)
        if known is None or known_as is _GONE:
            return (known or _NOTHING).history().merge(_GONE)
        return known.merge(known_as)

    async def _knock(self, number: int) -> None:
        reader, writer = await asyncio.open_unix_connection(str(knocker(self._slot.directory, number)))
        try:
            if not await reader.read(1):
                raise ConnectionResetError("it ended before it had written anything down")
        finally:
            writer.close()

    async def _opened(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._write()
        writer.write(_READY if self._is_ready() else _NOT_READY)
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()

    async def _write_on(self) -> None:
        while True:
            self._write()
            await asyncio.sleep(_WRITE_EVERY_S)

    def _write(self) -> Snapshot:
        snapshot = self._before.merge(self._census())
        path = counts_file(self._slot.directory, self._slot.number)
        new = path.with_suffix(".new")
        try:
            new.write_bytes(snapshot.encode())
            new.replace(path)
        except OSError as error:
            log.warning("what this process has counted could not be written down: %s", error)
        return snapshot


def _read(directory: Path, number: int) -> Snapshot | None:
    try:
        with counts_file(directory, number).open("rb") as file:
            return Snapshot.decode(file.read(MAX_BYTES + 1))
    except OSError:
        return None
