"""The demo from start to end: a whole stack on this machine, a real day through it, and the figures."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TextIO

import uvloop

from deploy.demo.auditing import Audit, auditing
from deploy.demo.events import Day
from deploy.demo.features import Features as KnownFeatures
from deploy.demo.figures import figures
from deploy.demo.probes import Prober, Probes
from deploy.demo.replay import MODEL, Replay, SimulatedClock, put_events
from deploy.demo.tables import Window
from deploy.load.http_client import Connection
from deploy.local.child import Child, StackFailed
from deploy.local.stack import Stack, local_stack
from deploy.local.supervisor import Supervisor
from edge.link import Link
from precompute import manifest
from precompute.errors import ConfigError, NearcastError
from precompute.features import Features
from precompute.manifest import Project
from precompute.registry import Registry
from precompute.settings import from_environment
from precompute.store import Store
from workers import tallies
from workers.jobs import Jobs
from workers.key_sources import AllKeys
from workers.task_queue import open_queue

HERE = Path(__file__).parent
#: The first departures of a day leave around five; before that nobody asks.
FIRST_MIN = 5 * 60
#: A simulated day passes fast, so what is hot must be noticed fast, and what changes be recomputed soon: waiting 50 ms
#: for changes that come together, a minute of that day, made 4 more of 100 requests wait for the model.
_FAST_CLOCK = {
    "NEARCAST_HOT_FLUSH_S": "1",
    "NEARCAST_HOT_HALF_LIFE_S": "15",
    "NEARCAST_LOOK_EVERY_S": "1",
    "NEARCAST_COALESCE_MS": "10",
}
#: Longest that precomputing a day may take; it takes a second or two.
_JOB_LIMIT_S = 120.0
_LINK_TIMEOUT_S = 2.0
_TURN_S = 0.0005


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What a person may choose."""

    day: date
    for_s: float | None = None
    #: Simulated minutes in a real second.
    speed: float = 20.0
    rate: float = 400.0
    host: str = "127.0.0.1"
    port: int = 8300


@dataclass(frozen=True, slots=True)
class Shown:
    """What there is to show while the demo runs."""

    replay: Replay
    counted: Mapping[str, int]
    probes: Probes
    audited: Mapping[str, Any] | None
    url: str


Show = Callable[[Shown], None]


def run_demo(options: DemoOptions, say: Callable[[str], None], show: Show | None) -> dict[str, object]:
    """Runs the demo and returns its figures.

    Args:
        say: told what is going on before the replay.
        show: called a few times a second while it runs.

    Raises:
        NearcastError: it could not be started, or a part of it failed for good.
    """
    known = KnownFeatures(Window.read())
    day = Day(known, options.day)
    if not day.departures():
        raise ConfigError(f"the demo has no flights on {options.day}; see deploy/demo/MODEL_CARD.md for its days")
    with _running_stack(options, say) as place:
        features = Features(place.store, place.project)
        say(f"storing features of {len(day.departures())} flights, their planes, the weather and the queues")
        put_events(features, day.initial())
        put_events(features, [e for e in day.events() if e.minute < day.start_min + FIRST_MIN])
        say("computing every prediction of the day ahead of time")
        _precompute(place.store, place.project, place.stack)
        say(f"serving on {place.stack.url}")
        with _audited(place) as audit, _short_turns():
            clock = SimulatedClock(day.start_min + FIRST_MIN, options.speed)
            replay = Replay(features, day.events(), day.departures(), clock, options.rate)
            probes = uvloop.run(_replayed(replay, place, day.stop_min, options, audit, show))
            return figures(replay, tallies.read(place.store), probes, audit.final())


async def _replayed(
    replay: Replay, place: _Place, stop_min: float, options: DemoOptions, audit: Audit, show: Show | None
) -> Probes:
    until_s = time.monotonic() + options.for_s if options.for_s else float("inf")
    host, port = place.stack.where.host, place.stack.where.port
    prober = await _prober(place)

    def picture() -> None:
        if show is not None:
            counted = tallies.read(place.store)
            show(Shown(replay, counted, prober.probes, audit.latest(), place.stack.url))

    showing = asyncio.create_task(_shown(picture))
    try:
        await replay.run(host, port, stop_min=stop_min, until_s=until_s, stop=showing.done, prober=prober)
    finally:
        showing.cancel()
        await prober.close()
        await asyncio.gather(showing, return_exceptions=True)
    return prober.probes


async def _prober(place: _Place) -> Prober:
    where, model = place.stack.where, place.project.model(MODEL)
    version = Registry(place.store, place.project).active(MODEL)[model.default_variant]
    edge = await Connection.open(where.host, where.port)
    links = [
        Link(url, timeout_s=_LINK_TIMEOUT_S) for url in (where.primary_url, where.replica_url or where.primary_url)
    ]
    for link in links:
        await link.open()
    return Prober(model, version, edge, *links)


@contextmanager
def _short_turns() -> Iterator[None]:
    """While rows are packed in a thread, answers must not wait for its turn to end: by default that is 5 ms.

    Brought the p99 of answers from memory, as the client sees it, from 3.2 ms to 1.0 ms.
    """
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before_s)


def _audited(place: _Place) -> AbstractContextManager[Audit]:
    output = place.project_file.with_name("audit.log")
    return auditing(MODEL, place.stack.url, place.stack.where.primary_url, place.project_file, output)


async def _shown(show: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(0.25)
        await asyncio.to_thread(show)


@dataclass(frozen=True, slots=True)
class _Place:
    stack: Stack
    project_file: Path
    project: Project
    store: Store


@contextmanager
def _running_stack(options: DemoOptions, say: Callable[[str], None]) -> Iterator[_Place]:
    """The stack in a directory of its own, with the demo's models published."""
    with ExitStack() as resources:
        directory = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="nearcast-demo-")))
        project_file = directory / "nearcast.toml"
        shutil.copy(HERE / "nearcast.toml", project_file)
        project = manifest.load(project_file)
        settings = from_environment(project=project_file, host=options.host, port=options.port)
        environ = {**os.environ, **_FAST_CLOCK}
        say("starting Redis primary and replica, worker, scheduler, refresher and edge")
        stack = resources.enter_context(local_stack(settings, directory / "redis", environ=environ, persist=False))
        log = resources.enter_context((directory / "stack.log").open("w"))
        resources.enter_context(_supervised(_publishing_first(stack, project), log, say))
        store = Store(stack.where.primary_url)
        resources.callback(store.close)
        yield _Place(stack, project_file, project, store)


def _publishing_first(stack: Stack, project: Project) -> list[Child]:
    """The children of the stack; whoever comes after Redis finds the models published."""
    first, *others = stack.children

    def publish() -> None:
        store = Store(stack.where.primary_url)
        registry = Registry(store, project)
        for variant in project.model(MODEL).variants:
            content = (HERE / "models" / f"{variant}.onnx").read_bytes()
            registry.publish(MODEL, variant, content, now_ms=int(time.time() * 1000), note="demo")
        store.close()

    return [first.then(publish), *others]


@contextmanager
def _supervised(children: list[Child], log: TextIO, say: Callable[[str], None]) -> Iterator[None]:
    """Keeps the children running; if one fails for good, its last words are told."""
    try:
        with Supervisor(children, stream=log) as supervisor:
            yield
        if supervisor.failure:
            raise supervisor.failure
    except StackFailed as failed:
        for line in failed.last_lines:
            say(f"{failed.name}: {line}")
        raise


def _precompute(store: Store, project: Project, stack: Stack) -> None:
    settings = from_environment(primary_url=stack.where.primary_url)
    queue = open_queue(settings)
    jobs = Jobs(store, project, queue, chunk_keys=settings.chunk_keys, keep_s=settings.job_keep_s)
    job = jobs.start(MODEL, AllKeys())
    began = time.monotonic()
    for _ in jobs.watch(job.id, poll_s=0.1):
        if time.monotonic() - began > _JOB_LIMIT_S:
            raise NearcastError(f"precomputing the day took more than {_JOB_LIMIT_S:g} s")
    queue.close()
