"""Refreshing by value, on short streams: no worse than not refreshing, at half the cost of always at most."""

from __future__ import annotations

import pytest

from tests.bench.simulation import Simulation
from tests.bench.streams import Shape, generate

SHORT = {"requests": 20_000, "keys": 2_000, "groups": 20}
SHAPES = {
    "plain": Shape(changes=0.02, **SHORT),
    "one-hit": Shape(one_hit=0.7, changes=0.03, **SHORT),
    "churning": Shape(churn_every_s=30, changes=0.02, **SHORT),
    "storm": Shape(changes=1.0, **SHORT),
    "bursty": Shape(bursts=6, changes=0.02, **SHORT),
    "seldom": Shape(changes=0.001, **SHORT),
}


@pytest.mark.parametrize("name", SHAPES)
def test_value_is_no_worse_than_a_reactive_cache_and_costs_half_of_always(name: str) -> None:
    """Whatever the stream looks like."""
    stream = generate(SHAPES[name], 3)

    never, always, value = (Simulation(stream, policy, 200).run() for policy in ("never", "always", "value"))

    assert value.fresh_hit_ratio >= never.fresh_hit_ratio
    assert value.rows_per_request <= always.rows_per_request / 2
    assert never.rows_per_request == 0.0


def test_most_of_what_can_be_gained_is_gained() -> None:
    """On a stream with much to gain."""
    stream = generate(SHAPES["plain"], 3)

    never, always, value = (
        Simulation(stream, policy, 200).run().fresh_hit_ratio for policy in ("never", "always", "value")
    )

    assert value - never >= 0.6 * (always - never) > 0.02


def test_where_nobody_asks_twice_nothing_is_spent() -> None:
    """Each change would have a row computed for nobody."""
    stream = generate(Shape(skew=0.0, changes=1.0, requests=20_000, keys=50_000, groups=5), 3)

    always, value = (Simulation(stream, policy, 500).run().rows_per_request for policy in ("always", "value"))

    assert always > 10.0
    assert value == 0.0


def test_a_stream_is_the_same_for_the_same_seed() -> None:
    """So that figures can be compared."""
    one, same, other = (generate(SHAPES["plain"], seed) for seed in (1, 1, 2))

    assert one.request_keys.tolist() == same.request_keys.tolist() != other.request_keys.tolist()
    assert one.change_entities.tolist() == same.change_entities.tolist()
