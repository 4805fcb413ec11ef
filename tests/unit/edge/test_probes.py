"""Variants measured in the background."""

from __future__ import annotations

import asyncio

from edge.probes import ASLEEP_S, EVERY_S, SHARE, Pace, Probes
from edge.profiles import Profiles
from edge.stats import Tier
from tests.unit.edge.rig import Rig


def test_a_variant_is_due_a_second_after_it_was_measured() -> None:
    """One that never was comes first, then the one measured longest ago."""
    pace = Pace()

    a, b, c = ("a", 10.0, EVERY_S), ("b", 9.5, EVERY_S), ("c", None, EVERY_S)

    assert pace.pick([a, b], 10.4) is None
    assert pace.pick([a, b], 11.2) == "b"
    assert pace.pick([a, b, c], 11.2) == "c"
    assert pace.pick([a], 10.0 + EVERY_S) == "a"


def test_what_would_have_to_be_loaded_is_measured_seldom() -> None:
    """Once it has been measured at all."""
    pace = Pace()

    assert pace.pick([("a", 10.0, ASLEEP_S)], 10.0 + ASLEEP_S - 1) is None
    assert pace.pick([("a", 10.0, ASLEEP_S)], 10.0 + ASLEEP_S) == "a"
    assert pace.pick([("a", None, ASLEEP_S)], 10.0) == "a"


def test_one_at_a_time() -> None:
    """Until it has ended."""
    pace = Pace(is_under_way=True)
    assert pace.pick([("a", None, EVERY_S)], 1000.0) is None

    pace.end(0.0, 1000.0)

    assert pace.pick([("a", None, EVERY_S)], 1001.0) == "a"


def test_probes_take_a_tenth_of_the_time() -> None:
    """Always due, each as long as it likes: no more than the share of an hour goes to them."""
    pace, now_s, spent_s = Pace(), 0.0, 0.0
    for turn in range(36_000):
        now_s = max(now_s, turn * 0.1)
        if pace.pick([("a", None, EVERY_S)], now_s) is not None:
            took_s = 0.001 * (turn % 900 + 1)
            now_s += took_s
            spent_s += took_s
            pace.end(took_s, now_s)

    assert 0.05 < spent_s / now_s <= SHARE


async def ended(probes: Probes) -> None:
    """Waits for the probe under way."""
    assert probes._task is not None
    await asyncio.wait_for(asyncio.shield(probes._task), 5.0)


async def test_a_probe_measures_and_keeps_what_it_brings() -> None:
    """The key that it computed is in memory afterwards."""
    rig, profiles = Rig(), Profiles()
    probes = Probes(rig.ladder.live, profiles)

    probes.consider([rig.predictor], rig.ask().key)
    await ended(probes)

    assert profiles.measured_s("score", "default", Tier.LIVE) is not None
    assert rig.ladder.from_memory(rig.ask()) is not None
    assert (probes.begun, probes.failed) == (1, 0)


async def test_a_key_that_cannot_be_computed_tells_nothing() -> None:
    """Counted, not measured."""
    rig, profiles = Rig(), Profiles()
    probes = Probes(rig.ladder.live, profiles)

    probes.consider([rig.predictor], rig.ask("nobody:p").key)
    await ended(probes)

    assert profiles.measured_s("score", "default", Tier.LIVE) is None
    assert (probes.begun, probes.failed) == (1, 1)


async def test_nobody_is_probed_while_many_wait() -> None:
    """Live answers that somebody waits for come first."""
    rig = Rig()
    probes = Probes(rig.ladder.live, Profiles())
    rig.ladder.live.waiting = 1000

    probes.consider([rig.predictor], rig.ask().key)

    assert probes.begun == 0


async def test_a_stop_leaves_off() -> None:
    """Even one that would never end."""
    rig = Rig()
    rig.replica.gate.clear()
    probes = Probes(rig.ladder.live, Profiles())
    probes.consider([rig.predictor], rig.ask().key)

    await probes.stop()

    assert probes._task is not None
    assert probes._task.cancelled()
    rig.replica.gate.set()
