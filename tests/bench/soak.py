"""`python -m tests.bench.soak`: one edge under constant load for minutes, and whether anything grows meanwhile.

Its memory tier holds fewer entries than are asked for, so that it evicts all the time; rows change, so that entries
become stale, are computed again and written back; connections come and go. Load, updates and the primary have one
core, the edge and its replica the other. Memory is the process's own figure and does not mind other users of the
machine; latencies do.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from deploy.bench.generator import Generator
from deploy.bench.latencies import Outcome
from tests.bench.chart import curves
from tests.bench.cores import LOAD_CORE, pinned
from tests.bench.latency import on_load_core, open_loop
from tests.bench.trend import Trend, trend
from tests.bench.world import EdgeUnderTest, World, requests, targets

HOT, SHELF = 10_000, 50_000
#: All hot entries and a tenth of the shelf.
MEMORY_BYTES = 8 << 20
SLICE_S = 5.0
#: Asked as fast as it goes before anything is counted, so that everything that is bounded has been full; then the load
#: goes on for so long uncounted, because some things are bounded by time.
WARM_REQUESTS = 3_000_000
SETTLE_S = 330.0
_WARM_AT_MOST_S = 300.0
CONNECTIONS = 32
UPDATES_PER_S = 100
#: Requests before they repeat.
_ROUND = 200_000
_MIX = (90, 9, 1)


@dataclass(frozen=True, slots=True)
class Sample:
    """What one slice of the load was like, and the edge after it."""

    at_s: float
    rss_mb: float
    p50_us: float
    p99_us: float
    p999_us: float
    slowest_us: float
    #: Answers other than 200; and requests that were due and not answered, because something else has the processor.
    failed: int
    unanswered: int
    #: Microseconds of processor for each request, everything that the edge does in the background included.
    cpu_us: float
    descriptors: int
    entries: int
    memory_mb: float
    evictions: int
    live_rows: int
    write_backs: int
    changes: int
    lag_ms: float


def main() -> int:
    """Runs, prints a table, and writes what was asked for."""
    options = _options()
    with (
        tempfile.TemporaryDirectory(prefix="nearcast-soak-") as directory,
        World.make(Path(directory), hot=HOT, shelf=SHELF, cold=0) as world,
        on_load_core(),
        world.edge(memory_max_bytes=MEMORY_BYTES) as edge,
        _updating(world),
    ):
        generator = Generator("127.0.0.1", edge.running.port, _requests(world), CONNECTIONS)
        _warm(generator)
        # With its looks at the metrics, because the first of them take memory for good.
        settling = list(_samples(edge, generator, SETTLE_S, options.rate))
        print(f"settled after {settling[-1].at_s:.0f} s", flush=True)
        samples = list(_samples(edge, generator, options.minutes * 60, options.rate))
    at_s = [it.at_s for it in samples]
    trends = {name: trend(at_s, [getattr(it, name) for it in samples]) for name in _WATCHED}
    _report(samples, trends)
    options.svg.write_text(_chart(samples))
    if options.json:
        options.json.write_text(json.dumps(_document(options.rate, samples, trends), indent=1) + "\n")
    failed = sum(it.failed for it in samples)
    print(f"{failed} failed, {sum(it.unanswered for it in samples)} not answered; chart: {options.svg}")
    return 1 if failed or any(trends[name].verdict == "grows" for name in _JUDGED) else 0


#: The processor's time for a request, and with it what half of them take, goes up and down with what others do on the
#: machine.
_JUDGED = ("rss_mb", "p99_us")
_WATCHED = {"rss_mb": "RSS, MB", "p99_us": "p99, µs", "p50_us": "p50, µs", "cpu_us": "processor, µs each"}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long, after warming up for seven (10)")
    parser.add_argument("--rate", type=float, default=4000.0, help="requests per second (4000)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write samples and trends there")
    parser.add_argument("--svg", type=Path, metavar="FILE", default=Path("soak.svg"), help="the chart (soak.svg)")
    options = parser.parse_args()
    if options.minutes * 60 < 4 * SLICE_S:
        parser.error("a trend needs some samples")
    return options


def _warm(generator: Generator) -> None:
    began_s, asked = time.monotonic(), 0
    while asked < WARM_REQUESTS and time.monotonic() - began_s < _WARM_AT_MOST_S:
        asked += generator.closed_loop(SLICE_S).statuses.total()
    print(f"warmed up with {asked:,} requests in {time.monotonic() - began_s:.0f} s", flush=True)


@contextmanager
def _updating(world: World) -> Iterator[None]:
    argv = [sys.executable, "-m", "tests.bench.updating", world.pair.primary_url]
    argv += [str(world.directory / "nearcast.toml"), str(UPDATES_PER_S)]
    process = subprocess.Popen(pinned(LOAD_CORE, argv), stdin=subprocess.PIPE, text=True)
    try:
        assert process.stdin is not None
        process.stdin.write("\n".join(world.hot))
        process.stdin.close()
        yield
        assert process.poll() is None, "updates stopped"
    finally:
        process.kill()
        process.wait()


def _requests(world: World) -> list[bytes]:
    """The hot keys' requests are the same bytes each time; the others carry a number, as traces do."""
    chosen = random.Random(0)
    hot = requests(targets(world.hot))
    kinds = chosen.choices(("hot", "shelf", "live"), _MIX, k=_ROUND)
    shelf, live = targets(world.shelf), targets(world.hot, "fleeting")
    found = []
    for at, kind in enumerate(kinds):
        if kind == "hot":
            found.append(chosen.choice(hot))
        else:
            path = chosen.choice(shelf if kind == "shelf" else live)
            found.append(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Request-Id: {at}\r\n\r\n".encode())
    return found


def _samples(edge: EdgeUnderTest, generator: Generator, seconds: float, rate_per_s: float) -> Iterator[Sample]:
    began_s = time.monotonic()
    last: Sample | None = None
    while time.monotonic() - began_s < seconds:
        cpu_s = edge.running.cpu_s()
        outcome = open_loop(generator, SLICE_S, rate_per_s)
        cpu_us = (edge.running.cpu_s() - cpu_s) * 1e6 / max(1, len(outcome.latencies_s))
        sample = replace(_look(edge, outcome, time.monotonic() - began_s), cpu_us=cpu_us)
        if last is None or sample.at_s // 60 > last.at_s // 60:
            _print(sample)
        last = sample
        yield sample


def _look(edge: EdgeUnderTest, outcome: Outcome, at_s: float) -> Sample:
    p50, p99, p999, slowest = (ms * 1000 for ms in outcome.ms(0.5, 0.99, 0.999, 1.0))
    # All from one page: it costs the edge a few milliseconds, between two slices.
    page = dict(line.rsplit(" ", 1) for line in edge.get("/metrics").text.splitlines() if not line.startswith("#"))
    metric = {name.removeprefix("nearcast_"): float(value) for name, value in page.items()}
    return Sample(
        at_s=at_s,
        rss_mb=edge.rss_bytes() / 1e6,
        p50_us=p50,
        p99_us=p99,
        p999_us=p999,
        slowest_us=slowest,
        failed=outcome.failed() - outcome.unanswered,
        unanswered=outcome.unanswered,
        cpu_us=0.0,
        descriptors=len(list(Path(f"/proc/{edge.running.session}/fd").iterdir())),
        entries=int(metric["memory_entries"]),
        memory_mb=metric["memory_bytes"] / 1e6,
        evictions=int(metric["memory_evictions_total"]),
        live_rows=int(metric["live_rows_total"]),
        write_backs=int(metric["write_backs_total"]),
        changes=int(metric["log_records_total"]),
        lag_ms=metric["replica_lag_seconds"] * 1000,
    )


def _print(it: Sample) -> None:
    print(
        f"{it.at_s:5.0f} s  {it.rss_mb:6.1f} MB  p50 {it.p50_us:5.0f}  p99 {it.p99_us:6.0f}  p99.9 {it.p999_us:6.0f} µs"
        f"  {it.cpu_us:5.1f} µs each  {it.descriptors} files  {it.entries:,} entries  {it.evictions:,} evicted"
        f"  {it.live_rows:,} live  {it.write_backs:,} written back  {it.changes:,} changes",
        flush=True,
    )


def _report(samples: Sequence[Sample], trends: dict[str, Trend]) -> None:
    _print(samples[-1])
    print(f"\n{'':<20}{'mean':>10}{'slope per hour':>18}{'± standard error':>20}")
    for name, it in trends.items():
        print(f"{_WATCHED[name]:<20}{it.mean:>10,.1f}{it.per_hour:>18,.2f}{it.error_per_hour:>20,.2f}   {it.verdict}")


def _document(rate_per_s: float, samples: Sequence[Sample], trends: dict[str, Trend]) -> dict[str, object]:
    return {
        "rate_per_s": rate_per_s,
        "trends": {name: {**asdict(it), "verdict": it.verdict} for name, it in trends.items()},
        "samples": [asdict(it) for it in samples],
    }


def _chart(samples: Sequence[Sample]) -> str:
    at = [it.at_s for it in samples]
    panels = [(label, [getattr(it, name) for it in samples]) for name, label in _WATCHED.items()]
    return curves("One edge under constant load, by seconds", at, panels)


if __name__ == "__main__":
    sys.exit(main())
