"""Work beside answering, and its end."""

from __future__ import annotations

import asyncio

from edge.background import Background


async def test_it_goes_on_until_its_end() -> None:
    """Which waits until the work has left off."""
    background, seen = Background(), list[str]()

    async def work() -> None:
        try:
            seen.append("begun")
            await asyncio.Event().wait()
        finally:
            seen.append("left off")

    background.begin(work())
    await asyncio.sleep(0)
    begun = list(seen)

    assert await background.end()
    assert (begun, seen) == (["begun"], ["begun", "left off"])


async def test_what_has_not_begun_has_no_end() -> None:
    """An edge may be stopped before it has started."""
    assert not await Background().end()


async def test_what_failed_ends_in_peace() -> None:
    """Its error has been nobody's business for long."""
    background = Background()

    async def fails() -> None:
        raise ValueError

    background.begin(fails())
    await asyncio.sleep(0)

    assert await background.end()
