"""What a thousand experiments cost a request, in processor time: `make bench-core`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import hiredis
import orjson
import pytest

from edge.api.arms import experiment_headers
from edge.breaker import Breaker
from edge.experiments import Experiments
from edge.exposures import MOST_GATHERED, Exposures
from edge.sleeper import Sleeper
from precompute.manifest import Project, parse
from precompute.models import Key

pytestmark = pytest.mark.bench

EXPERIMENTS = 1000
REQUESTS = 20_000
ROUNDS = 7
#: Promised for a request, with this many of them active.
LIMIT_US = 5.0
USER = [(b"host", b"edge.test"), (b"accept", b"*/*"), (b"user-agent", b"bench"), (b"x-user", b"user-4711")]


def project(models: int) -> Project:
    """So many models, with two variants each."""
    text = '[project]\nname = "bench"\n[views.item.fields]\nprice = "float32"\n'
    for number in range(models):
        text += f'[models.m{number}]\nkey = ["item", "user"]\nviews = {{ item = "{{item}}" }}\n'
        text += 'inputs = { x = ["item.price"] }\nvariants = { default = {}, fast = {} }\n'
    return parse(text)


class Primary:
    """Packs whatever it is sent, as a connection does."""

    def run(self, commands: list[Any]) -> asyncio.Future[list[object]]:
        for command in commands:
            hiredis.pack_command(command)
        future: asyncio.Future[list[object]] = asyncio.get_running_loop().create_future()
        future.set_result([b"1-0"] * len(commands))
        return future


class Ready:
    """A replica with experiments, and serving that has all of their arms."""

    def __init__(self, models: int, **more: object) -> None:
        self.project = project(models)
        self.reply: list[bytes] = []
        self.breaker, self.ended = Breaker(), ""
        each = EXPERIMENTS // models
        for number in range(EXPERIMENTS):
            model, at = divmod(number, each)
            table = {
                "model": f"m{model}",
                "arms": {"a": {"variant": "default"}, "b": {"variant": "fast", "share": 0.5}},
                "slice": [at / each, (at + 1) / each],
                **more,
            }
            self.reply += [b"e%d" % number, orjson.dumps({"table": table, "added_ms": 1})]

    async def run(self, _: object) -> list[object]:
        return [self.reply]

    generation = 0

    def arm(self, model: str, variant: str | None, version: int | None) -> Any:
        return self

    is_out = Sleeper.is_out

    def experiment_on(self, models: object, versions: object) -> None:
        pass

    def deal(self) -> Callable[[str, Key], object]:
        """What a request is dealt, once all is known."""
        experiments = Experiments(self, self, Exposures(Primary(), max_waiting=1, kept=1), lambda: 5)  # type: ignore[arg-type]
        asyncio.run(experiments.refresh())
        assert experiments.running == EXPERIMENTS
        return lambda model, key: experiments.deal(model, key, USER, {})


def us_per_request(ask: Callable[[str, Key], object], models: int, declared: Project) -> tuple[float, float]:
    """The median of some rounds, the loop itself left out; and the share of requests that took part."""
    keys = [
        (f"m{n % models}", declared.model(f"m{n % models}").parse_key(f"item{n % 97}:user{n}")) for n in range(REQUESTS)
    ]
    taken = sum(ask(model, key) is not None for model, key in keys) / REQUESTS
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for model, key in keys:
            ask(model, key)
        whole = time.process_time() - began
        began = time.process_time()
        for _ in keys:
            pass
        rounds.append((whole - (time.process_time() - began)) / REQUESTS * 1e6)
    return median(rounds), taken


AUDIENCE = {"key": {"item": [f"item{n}" for n in range(80)]}, "header": {"x-user": "user-4711"}}
CASES: dict[str, tuple[int, dict[str, object]]] = {
    "one for each of 1,000 models": (1000, {"unit": "key.user"}),
    "1,000 in the layer of one model": (1, {"unit": "key.user"}),
    "4 for each of 250 models, unit in a header": (250, {"unit": "header.x-user"}),
    "1,000 of one model, with an audience": (1, {"unit": "key.user", "audience": AUDIENCE}),
    "1,000 of one model, testers may choose": (1, {"unit": "key.user", "override": "header.x-arm"}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_request_finds_its_experiment_among_a_thousand(case: str) -> None:
    """Assignment, and that all arms of it can answer."""
    models, more = CASES[case]
    ready = Ready(models, **more)

    cost_us, taken = us_per_request(ready.deal(), models, ready.project)

    print(f"\n{case}: {cost_us:.2f} µs a request, {taken:.0%} of them in an experiment (limit {LIMIT_US:g})")
    assert taken > 0.5
    assert cost_us < LIMIT_US


def test_all_that_an_experiment_adds_to_an_answer() -> None:
    """Assignment, the header, and the record, which leaves with those of others."""
    ready = Ready(1, unit="key.user")
    declared = ready.project.model("m0")
    keys = [declared.parse_key(f"item:user{n}") for n in range(REQUESTS)]

    async def rounds() -> list[float]:
        exposures = Exposures(Primary(), max_waiting=REQUESTS * ROUNDS, kept=1)  # type: ignore[arg-type]
        experiments = Experiments(ready, ready, exposures, lambda: 5)  # type: ignore[arg-type]
        await experiments.refresh()
        found = []
        for _ in range(ROUNDS):
            began = time.process_time()
            for key in keys:
                dealt = experiments.deal("m0", key, USER, {})
                if dealt is not None:
                    experiment_headers(dealt.assigned, experiments.vary("m0"))
                    exposures.offer(dealt.assigned, key.text, 1, "memory", 0.0001, 5)
            found.append((time.process_time() - began) / REQUESTS * 1e6)
            await asyncio.sleep(0)
        assert exposures.written >= REQUESTS * ROUNDS - MOST_GATHERED
        assert exposures.dropped == 0
        return found

    cost_us = median(asyncio.run(rounds()))

    print(f"\nassignment, header and record: {cost_us:.2f} µs a request (limit {LIMIT_US:g})")
    assert cost_us < LIMIT_US


def test_an_edge_learns_of_a_thousand_at_once() -> None:
    """How long the event loop stands still, the first time and when one more is added."""
    ready = Ready(1, unit="key.user")
    experiments = Experiments(ready, ready, Exposures(Primary(), max_waiting=1, kept=1), lambda: 5)  # type: ignore[arg-type]
    times_ms = []
    for _ in range(2):
        began = time.process_time()
        asyncio.run(experiments.refresh())
        times_ms.append((time.process_time() - began) * 1e3)
        ready.reply[1] = ready.reply[1].replace(b'"share":0.5', b'"share":0.6')
    print(f"\nlearning of {EXPERIMENTS:,}: {times_ms[0]:.0f} ms; of a change to one: {times_ms[1]:.0f} ms")
