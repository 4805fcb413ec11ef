"""Gathers the document from one Redis server; reads only, and others get their turn while it merges."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from edge.dashboard import jobs, models, notes, roles, traffic, views
from edge.dashboard.document import Document
from edge.link import Link
from precompute import role_notes, work_log
from precompute.history import History
from precompute.manifest import Project
from precompute.series import Grid, Series, Work
from precompute.snapshot import Snapshot
from precompute.snapshot_sum import SnapshotSum
from precompute.telemetry import SOURCES, Source, Width, sources
from precompute.updates import Command, Reply

#: What has been merged for a range and node is kept for those who look again; of so many.
_KEPT = 4
#: Steps turned into numbers before others get their turn: about a millisecond.
_STEPS_AT_ONCE = 3


#: Streams that are read in one pipeline.
_STREAMS_AT_ONCE = 8


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
        replies = await self._ask(
            models.commands(project),
            views.commands(project),
            notes.hot_commands(project),
            [notes.AUDIT_COMMAND, notes.INVALIDATIONS],
            jobs.COMMANDS,
            [role_notes.NAMES],
            # What workers do is done for all nodes.
            work_log.read_commands(grid) if node is None else [],
        )
        work = work_log.steps(grid, replies[6])
        grown, counted = await _grown(history, grid, work)
        declared, job_ids = jobs.declared(project, replies[4])
        names = role_notes.names(replies[5][0])
        past, progress, said = await self._ask(
            jobs.past_commands(declared), jobs.progress_commands(job_ids), role_notes.read_commands(names)
        )
        latest, told = jobs.progress(progress), role_notes.notes(names, said)
        return Document(
            now_ms=now_ms,
            range_s=range_s,
            step_s=grid.step_ms // 1000,
            times_ms=grid.times_ms,
            nodes=traffic.nodes(history, written, grid, now_ms),
            series=grown,
            totals=traffic.totals(counted, Work(sum(step.rows for step in work))),
            models=models.models(project, replies[0], counted),
            views=views.views(project, replies[1], counted, now_ms, range_s),
            hot=notes.hot(project, replies[2]),
            jobs=jobs.jobs(declared, past, latest, now_ms),
            runs=jobs.runs(latest),
            workers=roles.workers(told, now_ms),
            queues=roles.queues(told, now_ms),
            leader=roles.leader(told, now_ms),
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
            more = False
            for at in range(0, len(wanted), _STREAMS_AT_ONCE):
                part = wanted[at : at + _STREAMS_AT_ONCE]
                replies = await self._link.run(history.commands(part))
                for _ in history.take(part, replies):
                    await asyncio.sleep(0)
                more = more or history.may_have_more(replies)
        self._histories[name] = history
        return history


async def _grown(history: History, grid: Grid, work: Sequence[Work]) -> tuple[Series, Snapshot]:
    """The series, and what was counted in the whole range."""
    grown, counted = Series(), SnapshotSum()
    for at, (begin_ms, done) in enumerate(zip(grid.times_ms, work, strict=True)):
        grown.add(history.step(begin_ms, grid.step_ms), done)
        for part in history.parts(begin_ms, grid.step_ms):
            counted.add(part)
        if at % _STEPS_AT_ONCE == 0:
            await asyncio.sleep(0)
    return grown, counted.total()
