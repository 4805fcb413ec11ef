"""`python -m tests.bench.many_models`: 200 models with three variants each on one edge, and not memory enough for all.

One model is hot: its hits come at a constant rate. Meanwhile somebody else asks: first for variants of the hot model,
which are loaded, then for everything else, one after the other, so that each has to be loaded and another one let go
of. Said: the hot model's p99 in both cases, in turns, without anybody else for comparison, and the most memory that the
process ever held. The load has one core, the edge what is left.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from deploy.bench.generator import Generator
from deploy.local.redis_pair import RedisPair
from tests.bench.cores import LOAD_CORE, pinned, step_back
from tests.bench.latency import on_load_core
from tests.bench.world import requests
from tests.edge_process import Edge, address, edge_process
from tests.edge_project import EdgeProject
from tests.onnx_models import mlp

MODELS = 200
VARIANTS = ("default", "fast", "accurate")
#: A file of 1.1 MB, which takes about 2 MB once it is loaded: all of them would take 1.3 GB.
SIZES = (2, 512, 512, 32, 1)
#: As many different files, so that Redis need not hold them all.
_FILES = 12
MIB = 1 << 20
LIMIT_BYTES = 1024 * MIB
#: What is left of the limit is for the interpreter, the libraries, and what a load needs for a moment.
MODEL_MEMORY_BYTES, MEMORY_BYTES = 640 * MIB, 64 * MIB
HOT_KEYS = 1000
CONNECTIONS = 16
AT_MOST = 1.3


def manifest() -> str:
    """The project."""
    models = "".join(
        f'[models.m{n}]\nkey = ["thing"]\ninputs = {{ x = ["thing.a", "thing.b"] }}\n'
        f"variants = {{ {', '.join(f'{name} = {{}}' for name in VARIANTS)} }}\n"
        for n in range(MODELS)
    )
    return f'[project]\nname = "many"\n[views.thing.fields]\na = "float32"\nb = "float32"\n{models}'


def main() -> int:
    """Runs, and says how it went; 1 if it is not within the limits."""
    options = _options()
    if options.others:
        return _ask(options.others, options.loads, options.models, options.seed)
    with (
        tempfile.TemporaryDirectory(prefix="nearcast-many-") as directory,
        RedisPair.start(None, persist=False) as pair,
        _published(Path(directory), pair) as project,
        edge_process(project.settings) as edge,
        on_load_core(),
        _watched(edge) as most,
    ):
        found = _measured(edge, options)
        found["largest_rss_mib"] = most[0] / MIB
        for name in ("models_loaded", "model_loads_total", "models_let_go_total", "model_memory_bytes"):
            found[name] = edge.metric(f"nearcast_{name}")
    print(json.dumps(found, indent=1))
    fits = found["largest_rss_mib"] <= LIMIT_BYTES / MIB and found["ratio"] <= AT_MOST
    print("within the limits" if fits else "NOT within the limits")
    return 0 if fits else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.many_models", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each run (10)")
    parser.add_argument("--runs", type=int, default=7, help="of each kind, in turns (7)")
    parser.add_argument("--rate", type=float, default=4000.0, help="hits per second (4000)")
    parser.add_argument("--loads", type=float, default=20.0, help="other models asked for per second (20)")
    parser.add_argument("--others", default="", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--models", type=int, default=MODELS, help=argparse.SUPPRESS)
    return parser.parse_args()


@contextmanager
def _published(directory: Path, pair: RedisPair) -> Iterator[EdgeProject]:
    files = [mlp(SIZES, seed=seed) for seed in range(_FILES)]
    chosen = itertools.cycle(files)
    content = {(f"m{n}", variant): next(chosen) for n in range(MODELS) for variant in VARIANTS}
    began_s = time.monotonic()
    settings = {"model_memory_bytes": MODEL_MEMORY_BYTES, "memory_max_bytes": MEMORY_BYTES}
    project = EdgeProject.declare(directory, pair, manifest(), content, **settings)
    project.put("thing", [(f"t{n}", {"a": float(n), "b": 1.0}) for n in range(HOT_KEYS)])
    print(f"published {len(content)} versions in {time.monotonic() - began_s:.0f} s", flush=True)
    try:
        yield project
    finally:
        project.store.close()


@contextmanager
def _watched(edge: Edge) -> Iterator[list[int]]:
    """The most memory that the process holds meanwhile, in bytes."""
    process, most, stop = psutil.Process(edge.role.process.pid), [0], threading.Event()

    def look() -> None:
        while not stop.wait(0.1):
            most[0] = max(most[0], process.memory_info().rss)

    watch = threading.Thread(target=look)
    watch.start()
    try:
        yield most
    finally:
        stop.set()
        watch.join()


def _measured(edge: Edge, options: argparse.Namespace) -> dict[str, float]:
    url = httpx.URL(address(edge.role))
    generator = Generator(url.host, url.port or 80, requests([f"/v1/predict/m0/t{n}" for n in range(HOT_KEYS)]))
    generator.connections = CONNECTIONS
    generator.closed_loop(2.0)
    alone, loaded, loading = list[float](), list[float](), list[float]()
    for run in range(options.runs):
        alone.append(_p99_ms(generator, options))
        # Whoever asks shares a core with the generator, which alone makes answers seem late.
        for models, found in ((1, loaded), (MODELS, loading)):
            with _others(str(url), options.loads, models, seed=run):
                found.append(_p99_ms(generator, options))
    for name, found in (("alone", alone), ("beside requests", loaded), ("beside loads", loading)):
        print(f"p99 {name}, ms:", *(f"{ms:.3f}" for ms in found))
    quiet, busy = statistics.median(loaded), statistics.median(loading)
    return {
        "p99_alone_ms": statistics.median(alone),
        "p99_beside_requests_ms": quiet,
        "p99_beside_loads_ms": busy,
        "ratio": busy / quiet,
    }


def _p99_ms(generator: Generator, options: argparse.Namespace) -> float:
    outcome = generator.open_loop(options.seconds, options.rate)
    assert not outcome.failed(), outcome.statuses
    assert outcome.tiers["memory"] == outcome.statuses.total(), outcome.tiers
    (p99_ms,) = outcome.ms(0.99)
    return p99_ms


@contextmanager
def _others(url: str, per_s: float, models: int, *, seed: int) -> Iterator[None]:
    argv = [sys.executable, "-m", "tests.bench.many_models", "--others", url, "--loads", str(per_s)]
    argv += ["--models", str(models), "--seed", str(seed)]
    process = subprocess.Popen(pinned(LOAD_CORE, argv), start_new_session=True)
    # What it takes must not keep the hits waiting to be sent.
    step_back(process.pid)
    try:
        yield
        assert process.poll() is None, "nobody asked for the others"
    finally:
        process.kill()
        process.wait()


def _ask(url: str, per_s: float, models: int, seed: int) -> int:
    """Asks for all variants of so many models, over and over; what it gets is computed each time."""
    targets = [f"/v1/predict/m{n}/t1?variant={variant}" for n in range(models) for variant in VARIANTS]
    random.Random(seed).shuffle(targets)
    due_s = time.monotonic()
    with httpx.Client(base_url=url, headers={"cache-control": "no-cache"}, timeout=30.0) as client:
        for target in itertools.cycle(targets):
            time.sleep(max(0.0, due_s - time.monotonic()))
            due_s += 1 / per_s
            client.get(target).raise_for_status()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
