"""When experiments run, and which of them go together."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from precompute.experiments import Arm, Experiment, Layers, Place, first_fit, overlaps

ARMS = (Arm("a", "default", None, 1.0), Arm("b", "fast", None, 3.0))


def experiment(name: str = "x", **said: object) -> Experiment:
    """One of model `m`."""
    given_: dict[str, object] = {"model": "m", "layer": "l", "arms": ARMS, "salt": name, **said}
    return Experiment(name=name, **given_)  # type: ignore[arg-type]


def test_it_runs_from_its_start_until_before_its_end() -> None:
    """And without an end for ever."""
    bounded, endless = experiment(start_ms=10, end_ms=20), experiment(start_ms=10)

    assert [bounded.runs(ms) for ms in (9, 10, 19, 20)] == [False, True, True, False]
    assert [endless.runs(ms) for ms in (9, 10, 1 << 50)] == [False, True, True]
    assert bounded.is_over(20) and not bounded.is_over(19)


def test_two_meet_if_any_moment_is_in_both() -> None:
    """Not where one ends when the other begins."""
    assert experiment(end_ms=10).meets(experiment(start_ms=9))
    assert not experiment(end_ms=10).meets(experiment(start_ms=10))
    assert experiment().meets(experiment(start_ms=10, end_ms=20))


def test_the_fingerprint_is_about_who_gets_what() -> None:
    """It stays the same when the end comes nearer, and changes with the shares."""
    it = experiment()

    assert it.fingerprint() == replace(it, end_ms=5, override=Place("query", "x")).fingerprint()
    other_arm = replace(it, arms=(ARMS[0], Arm("b", None, 7, 3.0)))
    others = [
        replace(it, arms=ARMS[:1]),
        other_arm,
        replace(it, salt="y"),
        replace(it, slice=(0.0, 0.5)),
        replace(it, sample=0.5),
    ]
    assert len({it.fingerprint(), *(other.fingerprint() for other in others)}) == 6


slices = st.tuples(st.integers(0, 9), st.integers(1, 10)).map(lambda pair: (pair[0] / 10, (pair[0] + pair[1]) / 10))
experiments = st.builds(
    lambda number, part, layer, model, start, length: experiment(
        f"e{number}", slice=part, layer=layer, model=model, start_ms=start, end_ms=start + length
    ),
    st.integers(),
    slices,
    st.sampled_from(["k", "l"]),
    st.sampled_from(["m", "n"]),
    st.integers(0, 20),
    st.integers(1, 20),
)


@given(st.lists(experiments, max_size=12))
def test_whatever_is_taken_in_never_meets_in_one_slice(offered: list[Experiment]) -> None:
    """Nor are there two layers for a model at one time; and what is refused would break that."""
    layers, taken = Layers(), list[Experiment]()

    for one in offered:
        conflicts = [
            other
            for other in taken
            if one.meets(other)
            and (one.layer == other.layer or one.model == other.model)
            and (one.layer != other.layer or overlaps(one.slice, other.slice))
        ]
        assert (layers.objection(one) is not None) == bool(conflicts)
        if not conflicts:
            layers.add(one)
            taken.append(one)

    for one, other in combinations(taken, 2):
        assert not (one.meets(other) and one.layer == other.layer and overlaps(one.slice, other.slice))


def test_the_first_gap_that_is_large_enough_is_found() -> None:
    """Between what others take at that time; sums of shares do not miss by a rounding error."""
    layers = Layers()
    for name, part in (("a", (0.1, 0.4)), ("b", (0.5, 0.7)), ("c", (0.7, 0.9))):
        layers.add(experiment(name, slice=part))
    layers.add(experiment("other", layer="k", slice=(0.0, 1.0), model="n"))

    gaps = layers.free(experiment("new"))

    assert gaps == [(0.0, 0.1), (0.4, 0.5), (0.9, 1.0)]
    assert first_fit(gaps, 0.1) == (0.0, 0.1)
    assert first_fit([(0.1 + 0.2, 0.6)], 0.3) == (0.1 + 0.2, 0.6)
    assert first_fit(gaps, 0.2) is None
