"""Gathers the document from one Redis server; reads only, and others get their turn while it merges."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from edge import variant_notes
from edge.dashboard import breakers, jobs, models, notes, roles, traffic, views
from edge.dashboard.document import Document
from edge.dashboard.experiments import ExperimentBoard
from edge.link import Link
from edge.variant_notes import VariantNote
from precompute import declared_experiments, role_notes, work_log
from precompute.history import History
from precompute.manifest import Project
from precompute.series import Grid, Series, Work
from precompute.snapshot import Snapshot
from precompute.snapshot_sum import SnapshotSum
from precompute.telemetry import SILENT_MS, SOURCES, Source, Width, sources
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
        self._experiments = ExperimentBoard(link, project, now_ms)
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
        wanted = [source for source in written if node in (None, source.node)]
        history = await self._history(grid, node, wanted)
        replies = await self._ask(
            models.commands(project),
            views.commands(project),
            notes.hot_commands(project),
            [notes.AUDIT_COMMAND, notes.INVALIDATIONS],
            jobs.COMMANDS,
            [role_notes.NAMES],
            # What workers do is done for all nodes.
            work_log.read_commands(grid) if node is None else [],
            [declared_experiments.READ],
        )
        work = work_log.steps(grid, replies[6])
        grown, counted = await _grown(history, grid, work)
        declared, job_ids = jobs.declared(project, replies[4])
        names = role_notes.names(replies[5][0])
        running = self._experiments.shown(replies[7][0], now_ms)
        past, progress, said, answers = await self._ask(
            jobs.past_commands(declared),
            jobs.progress_commands(job_ids),
            role_notes.read_commands(names),
            running.commands(),
        )
        on_variants = await self._on_variants([s for s in wanted if now_ms - written[s] <= SILENT_MS])
        listed, left_out = models.models(project, replies[0], counted, list(on_variants.values()))
        latest, told = jobs.progress(progress), role_notes.notes(names, said)
        return Document(
            now_ms=now_ms,
            range_s=range_s,
            step_s=grid.step_ms // 1000,
            times_ms=grid.times_ms,
            nodes=traffic.nodes(history, written, grid, now_ms),
            series=grown,
            totals=traffic.totals(counted, Work(sum(step.rows for step in work))),
            models=listed,
            models_left_out=left_out,
            experiments=await self._experiments.experiments(running, answers),
            views=views.views(project, replies[1], counted, now_ms, range_s),
            hot=notes.hot(project, replies[2]),
            jobs=jobs.jobs(declared, past, latest, now_ms),
            runs=jobs.runs(latest),
            workers=roles.workers(told, now_ms),
            queues=roles.queues(told, now_ms),
            leader=roles.leader(told, now_ms),
            breakers=breakers.breakers(on_variants),
            audit=notes.audit(replies[3][0]),
            invalidations=notes.invalidations(replies[3][1]),
        )

    async def _ask(self, *parts: Sequence[Command]) -> list[list[Reply]]:
        """The replies to several lists of commands, in one pipeline."""
        replies = iter(await self._link.run([command for part in parts for command in part]))
        return [[next(replies) for _ in part] for part in parts]

    async def _on_variants(self, sources: Sequence[Source]) -> dict[Source, list[VariantNote]]:
        """What processes say of their variants."""
        found: dict[Source, list[VariantNote]] = {}
        for at in range(0, len(sources), _STREAMS_AT_ONCE):
            part = sources[at : at + _STREAMS_AT_ONCE]
            replies = await self._link.run(variant_notes.read_commands(part))
            for source, reply in zip(part, replies, strict=True):
                if (said := variant_notes.parse(reply)) is not None:
                    found[source] = said
                await asyncio.sleep(0)
        return found

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
