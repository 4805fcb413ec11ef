"""Gathers the document from one Redis server; reads only, and others get their turn while it merges."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from edge.dashboard import models, notes, traffic, views
from edge.dashboard.document import Document
from edge.link import Link
from precompute.history import History
from precompute.manifest import Project
from precompute.series import NO_WORK, Grid, Point, Series, Work, points
from precompute.snapshot import Snapshot
from precompute.telemetry import SOURCES, Source, Width, sources
from precompute.updates import Command, Reply

#: What has been merged for a range and node is kept for those who look again; of so many.
_KEPT = 4
#: Steps turned into numbers before others get their turn: about a millisecond.
_STEPS_AT_ONCE = 8


class Gatherer:
    """Makes documents, one at a time."""

    def __init__(self, link: Link, project: Project, now_ms: Callable[[], int]) -> None:
        self._link = link
        self._project = project
        self._now_ms = now_ms
        self._histories: dict[tuple[Width, str | None], History] = {}
        self._turn = asyncio.Lock()

    async def document(self, range_s: int, node: str | None = None) -> Document:
        """Everything, of the fleet or of one node.

        Raises:
            StoreUnavailable: Redis cannot be asked.
        """
        async with self._turn:
            return await self._document(range_s, node)

    async def _document(self, range_s: int, node: str | None) -> Document:
        now_ms, project = self._now_ms(), self._project
        grid = Grid.of(range_s, now_ms)
        written = sources((await self._link.run([SOURCES]))[0])
        history = await self._history(grid, node, [s for s in written if node in (None, s.node)])
        work = [NO_WORK] * grid.count
        grown, counted = await _grown(points(history.buckets, grid), work)
        replies = await self._ask(
            models.commands(project),
            views.commands(project),
            notes.hot_commands(project),
            [notes.AUDIT_COMMAND, notes.INVALIDATIONS],
        )
        return Document(
            now_ms=now_ms,
            range_s=range_s,
            step_s=grid.step_ms // 1000,
            times_ms=grid.times_ms,
            nodes=traffic.nodes(history, written, grid, now_ms),
            series=grown,
            totals=traffic.totals(counted, NO_WORK),
            models=models.models(project, replies[0], counted),
            views=views.views(project, replies[1], counted, now_ms, range_s),
            hot=notes.hot(project, replies[2]),
            jobs=[],
            runs=[],
            workers=[],
            queues=[],
            leader=None,
            breakers=[],
            audit=notes.audit(replies[3][0]),
            invalidations=notes.invalidations(replies[3][1]),
        )

    async def _ask(self, *parts: Sequence[Command]) -> list[list[Reply]]:
        """The replies to several lists of commands, in one pipeline."""
        replies = iter(await self._link.run([command for part in parts for command in part]))
        return [[next(replies) for _ in part] for part in parts]

    async def _history(self, grid: Grid, node: str | None, wanted: list[Source]) -> History:
        """What these have written, up to now."""
        name = grid.width, node
        history = self._histories.pop(name, None) or History(grid.width)
        while len(self._histories) >= _KEPT:
            del self._histories[next(iter(self._histories))]
        history.begin(grid.first_ms)
        more = bool(wanted)
        while more:
            replies = await self._link.run(history.commands(wanted))
            for _ in history.take(wanted, replies):
                await asyncio.sleep(0)
            more = history.may_have_more(replies)
        self._histories[name] = history
        return history


async def _grown(steps: Iterable[Point | None], work: Sequence[Work]) -> tuple[Series, Snapshot]:
    """The series, and what was counted in the whole range."""
    grown, counted = Series(), Snapshot()
    for at, (step, done) in enumerate(zip(steps, work, strict=True)):
        grown.add(step, done)
        counted = counted.merge(step.counted) if step is not None else counted
        if at % _STEPS_AT_ONCE == 0:
            await asyncio.sleep(0)
    return grown, counted
