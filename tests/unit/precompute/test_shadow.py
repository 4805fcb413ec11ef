"""How far apart two versions are."""

from __future__ import annotations

import math

import pytest

from precompute.errors import PermanentError
from precompute.shadow import NAMED, Comparison, OutputDifference, distance

FAILED = PermanentError("the model refuses it")


def body(outputs: str) -> bytes:
    """As much of a prediction's body as is read."""
    return b'{"outputs":%s}' % outputs.encode()


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        (1, 1.5, 0.5),
        ([1.0, 2.0], [1.0, 5.0], 3.0),
        ([[1.0], [2.0]], [[0.0], [2.0]], 1.0),
        ({"a": 1.0, "b": 0.0}, {"a": 0.75, "b": 0.0}, 0.25),
        ([], [], 0.0),
        ("late", "late", 0.0),
        ("late", "early", math.inf),
        (True, True, 0.0),
        (True, 1, math.inf),
        (None, None, 0.0),
        (None, 0.5, math.inf),
        ([1.0], [1.0, 2.0], math.inf),
        ({"a": 1.0}, {"b": 1.0}, math.inf),
        (1.0, [1.0], math.inf),
    ],
)
def test_a_distance_is_the_largest_difference(one: object, other: object, apart: float) -> None:
    """Whatever cannot be subtracted is equal or as far apart as can be; the order does not matter."""
    assert distance(one, other) == distance(other, one) == apart


def test_outputs_are_summed_up_one_by_one() -> None:
    """Mean and maximum over numbers, and how many keys are beyond the tolerance."""
    comparison = Comparison(tolerance=0.1)
    for n, (p, label) in enumerate([("0.5", "a"), ("0.75", "a"), ("0.55", "b")]):
        comparison.add(f"k{n}", body('{"p":0.5,"label":"a"}'), body(f'{{"p":{p},"label":"{label}"}}'))

    p, label = comparison.outputs["p"], comparison.outputs["label"]
    assert (p.compared, p.unlike, p.beyond) == (3, 0, 1)
    assert (p.mean, p.largest) == (pytest.approx(0.1), 0.25)
    assert (label.unlike, label.beyond, label.mean) == (1, 1, 0.0)
    assert comparison.share_beyond == pytest.approx(2 / 3)


def test_the_keys_that_differ_most_are_named() -> None:
    """As many as can be looked at, and none that agree."""
    comparison = Comparison(tolerance=0.0)
    for n in range(3 * NAMED):
        comparison.add(f"k{n}", body('{"p":0}'), body(f'{{"p":{n}}}'))

    assert sorted(w.key for w in comparison.worst) == sorted(f"k{n}" for n in range(2 * NAMED, 3 * NAMED))

    alike = Comparison(tolerance=0.0)
    alike.add("k", body('{"p":1}'), body('{"p":1}'))
    assert (alike.worst, alike.share_beyond) == ([], 0.0)


def test_failures_are_told_apart() -> None:
    """A key that only the candidate fails is what one wants to know of."""
    comparison = Comparison(tolerance=0.0)
    comparison.add("a", body('{"p":1}'), FAILED)
    comparison.add("b", FAILED, body('{"p":1}'))
    comparison.add("c", FAILED, FAILED)

    assert (comparison.broken, comparison.mended, comparison.failed) == (1, 1, 1)
    assert comparison.reasons == [("a", "the model refuses it")]
    assert comparison.share_beyond == 0.0


def test_an_output_that_only_one_version_has_cannot_be_compared() -> None:
    """Renaming an output is a difference."""
    comparison = Comparison(tolerance=1.0)

    comparison.add("k", body('{"p":1}'), body('{"q":1}'))

    assert {name: o.unlike for name, o in comparison.outputs.items()} == {"p": 1, "q": 1}
    assert OutputDifference().mean == OutputDifference().share_beyond == 0.0
