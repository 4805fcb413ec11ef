"""Never stale as fresh, in whatever order things happen; and what takes a safeguard away is found out.

`NEARCAST_SCHEDULES=1000000 pytest tests/unit/interleaving` looks longer. A violation names its seed: see
`World(seed).run(60)`.
"""

from __future__ import annotations

import os

import pytest

from tests.unit.interleaving.mutations import MUTATIONS, Mutation
from tests.unit.interleaving.world import World, first_violation

#: About 0.9 ms each.
SCHEDULES = int(os.environ.get("NEARCAST_SCHEDULES", "10000"))
#: Schedules in which a missing safeguard must show.
BUDGET = 20_000


def test_nothing_stale_is_ever_called_fresh() -> None:
    """Over all schedules: no change that an edge knows is missing in what it calls fresh, and life goes on."""
    found = first_violation(range(SCHEDULES))

    assert found is None, str(found)


def test_a_seed_gives_the_same_schedule_each_time() -> None:
    """What was found once can be looked at again."""
    worlds = [World(7), World(7)]
    for world in worlds:
        world.run(60)

    one, other = ([(s.epoch, s.offset, s.rows, s.entries) for s in world.servers] for world in worlds)

    assert one == other


def test_schedules_get_into_every_corner() -> None:
    """A model in which nothing fails proves nothing: some edge must have met each of these."""
    worlds = [World(seed) for seed in range(300)]
    for world in worlds:
        world.run(60)

    readings = [edge.reading for world in worlds for edge in world.edges]
    assert max(reading.restarts for reading in readings) > 3
    assert sum(reading.gaps > 0 for reading in readings) > 20
    assert sum(bool(reading._replaced) for reading in readings) > 0
    assert sum(len(edge.held) > 2 for world in worlds for edge in world.edges) > 50


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_missing_safeguard_shows(mutation: Mutation) -> None:
    """Each one is needed: without it, some schedule breaks a promise."""
    with mutation.applied():
        found = first_violation(range(mutation.first_seed, mutation.first_seed + BUDGET))

    assert found is not None


def test_a_mutation_leaves_no_trace() -> None:
    """Tests that come later run the product as it is."""
    before = [mutation.function.__code__ for mutation in MUTATIONS]
    for mutation in MUTATIONS:
        with mutation.applied():
            assert mutation.function.__code__ is not before[MUTATIONS.index(mutation)]

    assert [mutation.function.__code__ for mutation in MUTATIONS] == before
