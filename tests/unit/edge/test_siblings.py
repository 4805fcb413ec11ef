"""What the processes of a node tell each other; both run in this one here."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge.siblings import Siblings, Slot, counts_file, knocker, says_ready
from precompute.snapshot import Snapshot


class Process:
    """One process that has counted something."""

    def __init__(self, directory: Path, number: int, count: int, *, ready: bool = True) -> None:
        self.count = count
        slot = Slot(number=number, directory=directory, listeners=(8, 9), parent=os.getppid())
        self.siblings = Siblings(slot, self._census, lambda: ready)

    def _census(self) -> Snapshot:
        return Snapshot(counters={"rows": self.count}, sums={"processes": 1, "entries": 10}, peaks={"lag": self.count})

    async def totals(self) -> tuple[int, int, int, int]:
        """Rows, entries, processes, and how many are silent."""
        found = await self.siblings.totals()
        return found.counters["rows"], *(
            found.sums.get(name, 0) for name in ("entries", "processes", "processes_silent")
        )


@asynccontextmanager
async def running(*processes: Process) -> AsyncIterator[None]:
    """They are there, as long as the block lasts."""
    for process in processes:
        await process.siblings.open()
    try:
        yield
    finally:
        for process in processes:
            await process.siblings.close()


async def test_whoever_is_asked_tells_the_same(tmp_path: Path) -> None:
    """The counts of this moment, of both."""
    a, b = Process(tmp_path, 0, 1), Process(tmp_path, 1, 2)
    async with running(a, b):
        b.count = 5

        assert await a.totals() == await b.totals() == (6, 20, 2, 0)


async def test_one_that_has_ended_leaves_its_counts_and_nothing_else(tmp_path: Path) -> None:
    """What it held is gone with it, and it is counted as silent."""
    a, b = Process(tmp_path, 0, 1), Process(tmp_path, 1, 2)
    async with running(a):
        async with running(b):
            pass

        assert await a.totals() == (3, 10, 1, 1)


async def test_one_that_never_was_there_counts_for_nothing(tmp_path: Path) -> None:
    """The node has just begun."""
    a = Process(tmp_path, 0, 1)
    async with running(a):
        assert await a.totals() == (1, 10, 1, 1)


async def test_a_successor_goes_on_counting(tmp_path: Path) -> None:
    """From where the one before it was; it does not inherit what that one held."""
    a, b = Process(tmp_path, 0, 1), Process(tmp_path, 1, 2)
    async with running(a):
        async with running(b):
            pass
        async with running(Process(tmp_path, 1, 40)):
            first = await a.totals()
        async with running(Process(tmp_path, 1, 100)) as _:
            second = await a.totals()

    assert first == (43, 20, 2, 0)
    assert second == (143, 20, 2, 0)


async def test_one_that_does_not_open_counts_with_what_it_wrote_last(tmp_path: Path) -> None:
    """It is there and stuck: what it holds counts, too."""
    a, b = Process(tmp_path, 0, 1), Process(tmp_path, 1, 2)
    async with running(a):
        async with running(b):
            pass
        stuck = await asyncio.start_unix_server(_never_answers, str(knocker(tmp_path, 1)))
        async with stuck:
            found = await a.totals()

    assert found == (3, 20, 1, 1)


async def test_nothing_is_shown_that_has_not_been_written_down(tmp_path: Path) -> None:
    """So that it still counts when its process is killed right after."""
    a, b = Process(tmp_path, 0, 1), Process(tmp_path, 1, 2)
    async with running(a, b):
        a.count, b.count = 10, 20

        await a.siblings.totals()

        written = [Snapshot.decode(counts_file(tmp_path, number).read_bytes()) for number in (0, 1)]
    assert [it.counters["rows"] for it in written if it] == [10, 20]


async def test_a_damaged_file_is_no_reason_to_fail(tmp_path: Path) -> None:
    """Its counts are lost; those of the others are not."""
    counts_file(tmp_path, 1).write_bytes(b"half a")
    a = Process(tmp_path, 0, 1)
    async with running(a):
        assert await a.totals() == (1, 10, 1, 1)


@pytest.mark.parametrize("ready", [True, False])
async def test_it_says_whether_it_is_ready(tmp_path: Path, *, ready: bool) -> None:
    """To whoever started it."""
    process = Process(tmp_path, 0, 1, ready=ready)
    async with running(process):
        said = await asyncio.to_thread(says_ready, tmp_path, 0)

    assert said is ready
    assert says_ready(tmp_path, 0) is False


def test_one_process_answers_before_anybody_is_ready(tmp_path: Path) -> None:
    """While a node starts, somebody has to say that it lives; a successor leaves that to the others."""
    beginners = [Process(tmp_path, number, 0).siblings.answers_first for number in (0, 1)]
    counts_file(tmp_path, 0).write_bytes(Snapshot().encode())
    successor = Process(tmp_path, 0, 0).siblings.answers_first

    assert (beginners, successor) == ([True, False], False)


async def _never_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.close()
