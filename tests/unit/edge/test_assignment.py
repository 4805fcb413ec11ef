"""Who gets which arm: shares, layers, stickiness, audiences and overrides."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.assignment import ModelExperiments, choose, is_sampled, place_in, share_out
from precompute.errors import InvalidRequest
from precompute.experiments import Arm, Audience, Experiment, Place
from precompute.manifest import parse

PROJECT = parse(
    """
[project]
name = "shop"
[views.item.fields]
price = "float32"
[models.rank]
key = ["item", "user"]
views = { item = "{item}" }
inputs = { x = ["item.price", "context.hour"] }
context = { hour = { type = "int64", default = 12 } }
variants = { default = {}, fast = {} }
"""
)
MODEL = PROJECT.model("rank")
UNITS = [f"U{n}".encode() for n in range(10_000)]
#: For 50 experiments and some arms; chance alone goes beyond it in one of 700,000 draws.
BOUND_SD = 5.0


def experiment(name: str = "x", shares: Sequence[float] = (1.0, 1.0), **said: object) -> Experiment:
    """One with arms a, b, c, ..."""
    arms = tuple(Arm("abcdefgh"[i], "default", None, share) for i, share in enumerate(shares))
    given_: dict[str, object] = {"model": "rank", "layer": "rank", "salt": name, "arms": arms, **said}
    return Experiment(name=name, **given_)  # type: ignore[arg-type]


def arms_of(it: Experiment, units: Sequence[bytes] = UNITS) -> list[str]:
    """The arm of each unit."""
    shares = share_out(it)
    return [choose(shares, unit).name for unit in units]


def bits(chosen: Iterable[bool]) -> int:
    """Units as the bits of a number: 1,225 pairs of 10,000 units are looked at."""
    return int("".join("01"[one] for one in chosen), 2)


def within(found: int, of: int, share: float) -> bool:
    """Whether so many of a binomial sample are nothing to wonder at."""
    return abs(found - of * share) <= BOUND_SD * math.sqrt(of * share * (1 - share)) + 1


SHARES: list[tuple[float, ...]] = [(0.5, 0.5), (0.9, 0.1), (1, 1, 1), (0.2, 0.3, 0.5), (70, 20, 5, 5)]


def test_arms_get_their_shares_in_each_of_fifty_experiments() -> None:
    """10,000 units; within five standard deviations of a binomial."""
    for number in range(50):
        it = experiment(f"e{number}", SHARES[number % len(SHARES)])
        counts = Counter(arms_of(it))
        for arm, share in it.shares.items():
            assert within(counts[arm], len(UNITS), share), (it, counts)


def test_experiments_know_nothing_of_each_other() -> None:
    """Of any two, whoever is in an arm of one is in each arm of the other as often as everybody is; chi-square."""
    found = [bits(arm == "a" for arm in arms_of(experiment(f"e{number}"))) for number in range(50)]
    statistics = []
    for one, other in combinations(found, 2):
        both, first, second = (one & other).bit_count(), one.bit_count(), other.bit_count()
        expected = first * second / len(UNITS)
        spread = first * (len(UNITS) - first) * second * (len(UNITS) - second) / len(UNITS) ** 3
        statistics.append((both - expected) ** 2 / spread)

    # 1,225 pairs: the largest of so many chi-squares of one degree lies above 25 once in 1,400 times.
    assert max(statistics) < 25.0
    # And their mean is 1, give or take sqrt(2 / pairs).
    assert abs(sum(statistics) / len(statistics) - 1.0) < 5 * math.sqrt(2 / len(statistics))


def test_layers_know_nothing_of_each_other() -> None:
    """Where a unit stands in one says nothing about where it stands in another, nor about its arm."""
    places = [[place_in(f"layer-{number}", unit) for unit in UNITS] for number in range(50)]
    in_half = [bits(place < 0.5 for place in layer) for layer in places]

    for layer in in_half:
        assert within(layer.bit_count(), len(UNITS), 0.5)
    for one, other in combinations(in_half, 2):
        assert within((one & other).bit_count(), len(UNITS), 0.25)
    arms = bits(arm == "a" for arm in arms_of(experiment("layer-0")))
    assert within((arms & in_half[0]).bit_count(), len(UNITS), 0.25)


def test_places_are_spread_evenly() -> None:
    """Twenty slices of a layer hold as many units each."""
    counts = Counter(int(place_in("any", unit) * 20) for unit in UNITS)

    assert sorted(counts) == list(range(20))
    assert all(within(count, len(UNITS), 0.05) for count in counts.values())


def test_a_restart_changes_nothing() -> None:
    """Another process, with another seed for its hashes, deals the same arms."""
    code = (
        "from tests.unit.edge.test_assignment import UNITS, arms_of, experiment;"
        "print(''.join(arms_of(experiment('sticky', (1, 2, 3)), UNITS[:500])))"
    )

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout

    assert said.strip() == "".join(arms_of(experiment("sticky", (1, 2, 3)), UNITS[:500]))


def test_what_was_dealt_once_stays_dealt() -> None:
    """Written down: units keep their arms over releases, or running experiments would be spoilt."""
    assert "".join(arms_of(experiment("forever", (1, 1, 2)), UNITS[:32])) == "bcbccbbccccbcaccabaccaacabcaabca"
    assert [round(place_in("forever", unit), 6) for unit in UNITS[:3]] == [0.70632, 0.859837, 0.999305]


@given(st.lists(st.integers(1, 100), min_size=2, max_size=6), st.integers(0, 5), st.integers(1, 100))
@settings(max_examples=60, deadline=None)
def test_an_arm_that_grows_only_takes(shares: list[int], which: int, more: int) -> None:
    """Nobody moves between the others, and nobody leaves it; read backwards, an arm that shrinks only gives."""
    which %= len(shares)
    grown = [share + more * (i == which) for i, share in enumerate(shares)]

    before, after = (arms_of(experiment("x", of), UNITS[:400]) for of in (shares, grown))

    assert all(old == new or new == "abcdefgh"[which] for old, new in zip(before, after, strict=True))


def test_no_more_units_move_than_must() -> None:
    """Two arms: those of the difference. More: at most 2d/(1+d) for shares at a distance of d."""
    for old, new in (((50, 50), (60, 40)), ((33, 33, 34), (50, 30, 20)), ((10, 20, 30, 40), (40, 30, 20, 10))):
        distance = sum(abs(a - b) for a, b in zip(old, new, strict=True)) / 200
        limit = distance if len(old) == 2 else 2 * distance / (1 + distance)
        moved = sum(a != b for a, b in zip(arms_of(experiment("x", old)), arms_of(experiment("x", new)), strict=True))
        assert moved / len(UNITS) <= limit + BOUND_SD * math.sqrt(limit / len(UNITS))


def test_an_arm_without_a_share_gets_nobody() -> None:
    """It is drained, not gone."""
    assert set(arms_of(experiment("x", (1, 0, 1)))) == {"a", "c"}


def assigned(
    running: Sequence[Experiment], key: str = "i:u", headers: Mapping[str, str] | None = None, **query: str
) -> tuple[str, str, str, bool] | None:
    """Experiment, arm, unit and whether it was asked for."""
    fields = [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    found = ModelExperiments(MODEL, running).assign(MODEL.parse_key(key), fields, query)
    return None if found is None else (found.experiment.name, found.arm.name, found.unit, found.is_override)


def test_nobody_is_in_two_experiments_of_a_layer() -> None:
    """Each slice gets its share, those that no slice holds get none, and that of a unit is where it stands."""
    parts = {"low": (0.0, 0.2), "mid": (0.2, 0.5), "high": (0.7, 1.0)}
    running = [experiment(name, slice=part) for name, part in parts.items()]
    index = ModelExperiments(MODEL, running)
    counts: Counter[str] = Counter()

    for unit in UNITS:
        key = MODEL.parse_key(f"i:{unit.decode()}")
        found = index.assign(key, (), {})
        name = found.experiment.name if found else "none"
        counts[name] += 1
        low, high = parts.get(name, (0.5, 0.7))
        assert low <= place_in("rank", b"i:" + unit) < high

    for name, (low, high) in {**parts, "none": (0.5, 0.7)}.items():
        assert within(counts[name], len(UNITS), high - low)


@given(st.lists(st.integers(1, 99), max_size=12, unique=True), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_nor_across_the_models_of_a_layer(cuts: list[int], dice: Random) -> None:
    """However it is cut into slices, and whichever model each of them is for."""
    ends = [0.0, *(cut / 100 for cut in sorted(cuts)), 1.0]
    parts: dict[str, list[Experiment]] = {}
    for low, high in pairwise(ends):
        of = dice.choice(["one", "two", "nobody"])
        parts.setdefault(of, []).append(experiment(f"{of}-{low}", slice=(low, high), layer="home"))
    indexes = [ModelExperiments(MODEL, parts[of]) for of in ("one", "two") if of in parts]

    for unit in UNITS[:200]:
        key = MODEL.parse_key(f"i:{unit.decode()}")
        taken = [found.experiment for index in indexes if (found := index.assign(key, (), {})) is not None]
        place = place_in("home", b"i:" + unit)
        slices = [e.slice for of in ("one", "two") for e in parts.get(of, []) if e.slice[0] <= place < e.slice[1]]
        assert [it.slice for it in taken] == slices
        assert len(taken) <= 1


def test_the_unit_may_be_a_part_of_the_key_or_a_header() -> None:
    """Whoever shows the same value gets the same arm, whatever else is asked for; who shows none takes no part."""
    by_user = [experiment(unit=Place("key", "user"))]
    by_header = [experiment(unit=Place("header", "x-user"))]
    by_key = [experiment()]

    assert len({assigned(by_key, f"i:u?hour={n}") for n in range(20)}) == 1
    assert len({assigned(by_user, f"i{n}:u") for n in range(20)}) == 1
    assert assigned(by_user, "i:New~20York") == assigned(by_header, headers={"x-user": "New York"})
    assert len({str(assigned(by_user, f"i:u{n}"))[:10] for n in range(40)}) == 2
    assert len({assigned(by_header, f"i{n}:u{n}", {"x-user": "bob"}) for n in range(20)}) == 1
    assert assigned(by_header, headers={"x-user": " bob "}) == assigned(by_header, headers={"x-user": "bob"})
    for headers in ({}, {"x-user": ""}, {"x-user": "b" * 600}):
        assert assigned(by_header, headers=headers) is None


def test_only_the_audience_takes_part() -> None:
    """By part, header and context, all of which must fit."""
    audience = Audience({"item": frozenset("ij")}, {"x-country": frozenset({"de"})}, {"hour": frozenset({3, 4})})
    running = [experiment(audience=audience)]
    german = {"x-country": "de"}

    assert assigned(running, "i:u?hour=3", german)
    assert assigned(running, "j:u?hour=04", german)
    assert assigned(running, "k:u?hour=3", german) is None
    assert assigned(running, "i:u?hour=5", german) is None
    assert assigned(running, "i:u?hour=3", {"x-country": "fr"}) is None
    assert assigned(running, "i:u?hour=3") is None


def test_testers_choose_their_arm() -> None:
    """Whatever their unit, and the audience; an arm that there is not is named, with those that there are."""
    by_query = experiment(override=Place("query", "arm"), slice=(0.0, 0.001), unit=Place("header", "x-user"))
    by_header = replace(by_query, override=Place("header", "x-arm"))

    assert assigned([by_query]) is None
    assert assigned([by_query], arm="b") == ("x", "b", "i:u", True)
    assert assigned([by_header], headers={"x-arm": "a", "x-user": "bob"}) == ("x", "a", "bob", True)
    with pytest.raises(InvalidRequest, match=r"^arm: no arm 'z'; there are: x=a, a, x=b, b$"):
        assigned([by_query], arm="z")


def test_experiments_may_share_a_parameter_for_testers() -> None:
    """Where an arm alone may be several, the experiment is named as well."""
    place = Place("header", "x-arm")
    running = [experiment("one", slice=(0, 0.5), override=place), experiment("two", slice=(0.5, 1), override=place)]

    assert assigned(running, headers={"x-arm": "two=b"}) == ("two", "b", "i:u", True)
    with pytest.raises(InvalidRequest, match=r"no arm 'b'; there are: one=a, one=b, two=a, two=b"):
        assigned(running, headers={"x-arm": "b"})


def test_whole_units_are_sampled() -> None:
    """As many as asked for, and independently of the arm."""
    it = experiment(sample=0.25)
    sampled = [is_sampled(it, unit.decode()) for unit in UNITS]
    arms = [arm == "a" for arm in arms_of(it)]

    assert within(sum(sampled), len(UNITS), 0.25)
    assert within(sum(map(bool.__and__, sampled, arms)), len(UNITS), 0.125)
    assert all(is_sampled(experiment(), unit.decode()) for unit in UNITS[:100])


def test_caches_are_told_which_headers_matter() -> None:
    """Those of unit, audience and override."""
    running = experiment(
        unit=Place("header", "x-user"),
        audience=Audience(header={"x-country": frozenset({"de"})}),
        override=Place("header", "x-arm"),
    )

    assert ModelExperiments(MODEL, [running]).vary == ("x-arm", "x-country", "x-user")
    assert ModelExperiments(MODEL, [experiment()]).vary == ()
