"""Two processes of one node on two cores, against one process on one.

The load generator needs a core, too, and with two there is none left for it. So it shares them, both times: one process
and one wrk on one core; then two processes and two wrk, with one of each on either core, where the kernel is asked to
deal a wrk's connections to the process on its core (`SO_INCOMING_CPU`). What is measured twice is then the same but for
the second core.

Dealt as usual, by a hash, half of the connections cross from one core to the other. A crossing costs both ends some
microseconds here, in a virtual machine, and one process and its wrk on one core have none. That ratio is shown, too.
"""

from __future__ import annotations

import os
import resource
import socket
import statistics
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from deploy.local.edge_node import edge_children
from deploy.local.ports import LOOPBACK
from deploy.local.supervisor import Supervisor
from edge.listening import listening_together
from precompute.settings import Settings
from tests.bench.cores import LOAD_CORE, SERVER_CORE, Missing, Running, pinned
from tests.bench.figures import Figures, Row
from tests.bench.world import EdgeUnderTest, World, targets
from tests.bench.wrk import command, counted
from tests.waiting import wait_until

CONNECTIONS = 32
CORES = (SERVER_CORE, LOAD_CORE)
WORK = "memory hit, two processes and cores"
ANCHOR = "one process on one core"
AT_LEAST = 1.7
_ANY_CORE = -1
#: As often as other figures, times this: nothing keeps others off either core here.
_TIMES = 3
_WARM_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Node:
    """A running node, and what loads it.

    Attributes:
        cores: where its processes are, and a wrk for each.
    """

    edge: EdgeUnderTest
    pids: Sequence[int]
    cores: Sequence[int]
    load: Sequence[str]

    def run(self, seconds: float) -> float:
        """As many requests as are answered, per second."""
        argv = [*self.load, f"-d{seconds:g}s"]
        loads = [subprocess.Popen(pinned(core, argv), stdout=subprocess.PIPE, text=True) for core in self.cores]
        return sum(counted(load.communicate()[0]).per_s for load in loads)

    def warm(self, keys: int) -> None:
        """Loads it until each process has each key in memory."""

        def is_warm() -> bool:
            self.run(1.0)
            return self.edge.metric("nearcast_memory_entries") == keys * len(self.pids)

        wait_until(is_warm, _WARM_WITHIN_S, "the processes do not get warm")

    def cpu_s(self) -> float:
        """Seconds of processor time that its processes have used so far."""
        paths = [path for pid in self.pids for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
        return sum(int(path.read_text().split()[0]) for path in paths) / 1e9


@dataclass(frozen=True, slots=True)
class Run:
    """Requests per second, and the processor time that processes and generators took for each."""

    per_s: float
    cpu_us: float

    @classmethod
    def of(cls, node: Node, seconds: float) -> Self:
        """Measures it."""
        began_s = node.cpu_s() + _children_cpu_s()
        per_s = node.run(seconds)
        return cls(per_s, (node.cpu_s() + _children_cpu_s() - began_s) / (per_s * seconds) * 1e6)


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def two_processes(world: World, figures: Figures, *, seconds: float, runs: int) -> None:
    """Memory hits, as many as can be had: dealt to the wrk's own core, and by a hash."""
    try:
        with _node(world, CORES[:1]) as (one, _), _node(world, CORES) as (two, listeners):
            for node in (one, two):
                node.warm(len(world.hot))
            for work, cores in ((WORK, CORES), (f"{WORK}, by hash", [_ANY_CORE] * len(CORES))):
                _deal(listeners, cores)
                # In turns, so that whatever else runs here disturbs both.
                pairs = [(Run.of(one, seconds), Run.of(two, seconds)) for _ in range(runs * _TIMES)]
                _compare(figures, work, pairs, limited=cores is CORES)
    except Missing as reason:
        figures.add(Row(work=WORK, figure=None, unit="requests/s", anchor=ANCHOR, at_least=AT_LEAST, note=str(reason)))


@contextmanager
def _node(world: World, cores: Sequence[int]) -> Iterator[tuple[Node, list[socket.socket]]]:
    urls = {"primary_url": world.pair.primary_url, "replica_url": world.pair.replica_url}
    settings = Settings(project=world.directory / "nearcast.toml", **urls)  # type: ignore[arg-type]
    directory = world.directory / f"node-{len(cores)}"
    directory.mkdir(mode=0o700)
    with listening_together(LOOPBACK, 0, len(cores)) as listeners, (directory / "log").open("w") as log:
        children = edge_children(settings, directory, [it.fileno() for it in listeners], os.environ)
        children = [replace(it, argv=tuple(pinned(core, it.argv))) for core, it in zip(cores, children, strict=True)]
        with Supervisor(children, stream=log, together=True) as supervisor:
            edge = EdgeUnderTest(Running(listeners[0].getsockname()[1], os.getpid()))
            load = command(world.directory, edge.running, targets(world.hot), connections=CONNECTIONS)
            yield Node(edge, list(supervisor.pids().values()), cores, load), listeners


def _deal(listeners: Sequence[socket.socket], cores: Sequence[int]) -> None:
    for core, listener in zip(cores, listeners, strict=True):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_INCOMING_CPU, core)


def _compare(figures: Figures, work: str, pairs: Sequence[tuple[Run, Run]], *, limited: bool) -> None:
    one_us, two_us = (statistics.median(pair[at].cpu_us for pair in pairs) for at in (0, 1))
    figures.add(
        Row(
            work=work,
            figure=statistics.median(two.per_s for _, two in pairs),
            unit="requests/s",
            anchor=ANCHOR,
            ratio=statistics.median(two.per_s / one.per_s for one, two in pairs),
            at_least=AT_LEAST if limited else None,
            note="a wrk on each core, both times",
        )
    )
    figures.add(
        Row(
            work=f"{work}: cost",
            figure=two_us,
            unit="µs",
            anchor=ANCHOR,
            ratio=two_us / one_us,
            at_most=round(len(CORES) / AT_LEAST, 2) if limited else None,
            note="of processor for each, wrk included; what counts where others use the machine",
        )
    )
