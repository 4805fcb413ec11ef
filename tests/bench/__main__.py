"""`python -m tests.bench`: everything that nearcast promises about speed, beside what else could be used.

Servers are pinned to one core and the load to the other. Capacity is wrk's, the median of some runs over 10,000 keys;
latencies come from an open loop. Compare ratios from one run; on a machine that others use, run it again.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.bench import latency, million, mix, node, processes, telemetry
from tests.bench.chart import bars
from tests.bench.contest import Contest
from tests.bench.cores import SERVER_CORE
from tests.bench.figures import Figures, Row
from tests.bench.housekeeping import housekeeping_aside
from tests.bench.world import World

_FAILED = "failed:"
HOT, SHELF, COLD = 10_000, 100_000, 100_000
#: What each of ours is held against, and the least ratio.
TARGETS: dict[str, list[tuple[str, float | None]]] = {
    "nearcast, memory": [
        ("nginx return 200", 0.6),
        ("nginx + Lua, shared dict", 1.0),
        ("webdis", 2.2),
        ("Varnish, hit", None),
        ("Starlette route", 5.0),
        ("Starlette route, no log", None),
        ("tutorial, hit", 20.0),
        ("nearcast, memory, lane off", None),
    ],
    # Requests that carry a number of their own: nothing that is remembered of packets helps.
    "nearcast, memory, numbered": [("nginx return 200", None), ("nearcast, memory", None)],
    "nearcast, replica": [("webdis", 0.6), ("nginx + Lua to Redis", 0.7), ("tutorial, hit", 5.0)],
    "nearcast, live": [("tutorial, miss", 6.0)],
}


def main() -> int:
    """Measures, prints a table, and writes what was asked for."""
    options = _options()
    if (os.cpu_count() or 1) < 2:
        print("needs two cores: one for the server and one for the load", file=sys.stderr)
        return 2
    figures = Figures()
    # Whoever ends it shall have the machine back as it was.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with housekeeping_aside(SERVER_CORE) as moved:
        print(f"{moved} threads of the kernel keep off core {SERVER_CORE} meanwhile", flush=True)
        contest = _measured(options, figures)
    if options.json:
        figures.write(options.json)
    options.svg.write_text(bars("Requests per second on one core, 32 connections", _groups(contest)))
    missed = [row for row in figures.rows if row.holds is False]
    print(f"\n{len(figures.rows)} figures, {len(missed)} missed; chart: {options.svg}")
    return 1 if any(row.note.startswith(_FAILED) for row in figures.rows) else 0


def _measured(options: argparse.Namespace, figures: Figures) -> Contest:
    """Everything."""
    load = {"seconds": options.seconds, "runs": options.runs}
    with (
        tempfile.TemporaryDirectory(prefix="nearcast-bench-") as directory,
        World.make(Path(directory), hot=HOT, shelf=SHELF, cold=COLD) as world,
    ):
        contest = Contest(world, options.seconds, options.runs)
        contest.run()
        _compare(contest, figures)
        if own := contest.per_s("nearcast, memory"):
            _measure(figures, latency.memory_hits, world, capacity_per_s=own, **load)
        _measure(figures, mix.mixed, world, **load)
        _measure(figures, node.cold_callers, world)
        _measure(figures, node.warm_start, world)
        _measure(figures, million.pauses, world)
        _measure(figures, telemetry.hits, world, **load)
        _measure(figures, processes.two_processes, world, **load)
    _measure(figures, million.hits, **load)
    return contest


def _measure(figures: Figures, work: Callable[..., None], *world: World, **load: float) -> None:
    """One kind of work; if it goes wrong, the others are measured all the same."""
    try:
        work(*world, figures, **load)
    except Exception as error:
        traceback.print_exc()
        name = f"{work.__module__.rpartition('.')[2]}: {work.__name__}"
        figures.add(Row(work=name, figure=None, unit="", note=f"{_FAILED} {error!r:.200}"))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there")
    parser.add_argument("--svg", type=Path, metavar="FILE", default=Path("bench.svg"), help="the chart (bench.svg)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each run (3)")
    parser.add_argument("--runs", type=int, default=3, help="of each figure, whose median counts (3)")
    return parser.parse_args()


def _compare(contest: Contest, figures: Figures) -> None:
    print()
    for ours, others in TARGETS.items():
        for name, at_least in others:
            figures.against(
                f"{ours}, c=32",
                contest.per_s(ours),
                "requests/s",
                name,
                contest.ratio(ours, name),
                at_least=at_least,
                note=contest.missing.get(name, ""),
            )


def _groups(contest: Contest) -> list[tuple[str, list[tuple[str, float]]]]:
    works = {
        "A hit in memory": [name for name, _ in TARGETS["nearcast, memory"]] + ["nearcast, memory"],
        "A hit in Redis": [name for name, _ in TARGETS["nearcast, replica"]] + ["nearcast, replica"],
        "Computed on demand": ["nearcast, live", "tutorial, miss"],
    }
    return [(work, [(n, it.per_s) for n in names if (it := contest.found(n))]) for work, names in works.items()]


if __name__ == "__main__":
    sys.exit(main())
