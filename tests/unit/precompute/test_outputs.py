"""Answers: the JSON of each row is exactly what the model said, under the names the manifest gives."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from precompute.errors import PermanentError
from precompute.outputs import OutputRule, check, default_rules, render, sigmoid, softmax
from precompute.runtime import Session
from precompute.signature import Output, OutputSpec, Signature
from tests import onnx_models as models

PROBABILITIES = np.array([[0.25, 0.75], [0.5, 0.5], [0.875, 0.125]], np.float32)
MAPS = [{"no": 0.25, "yes": 0.75}, {"no": 0.875, "yes": 0.125}]


def answers(rule: OutputRule, output: Output) -> list[Any]:
    """What the rule makes of an output, parsed."""
    rows = render([rule], {rule.source: output}, len(output))
    return [json.loads(row)[rule.name] for row in rows]


def _signature(*outputs: OutputSpec) -> Signature:
    return Signature((), outputs)


def _tensor(dtype: str, *shape: int | None) -> Signature:
    return _signature(OutputSpec("p", "tensor", dtype, shape))


def test_float32_reads_back_bit_for_bit() -> None:
    """Every finite float32, tiny, huge or negative zero, survives JSON."""
    bits = np.random.default_rng(0).integers(0, 1 << 32, 20_000, dtype=np.uint32).view(np.float32)
    values = np.concatenate([bits[np.isfinite(bits)], np.array([0, -0.0, 1e-45, 3.4028235e38], np.float32)])

    parsed = np.array(answers(OutputRule("v", "v"), values), np.float64).astype(np.float32)

    assert parsed.tobytes() == values.tobytes()


def test_a_model_s_own_output_reads_back_bit_for_bit() -> None:
    """From ONNX Runtime to the client without the loss of a digit."""
    y = Session.load(models.mlp()).run({"x": np.random.default_rng(1).normal(size=(500, 32)).astype(np.float32)})["y"]

    parsed = np.array(answers(OutputRule("late", "y"), y)).astype(np.float32)

    assert parsed.tobytes() == y.tobytes()


def test_float32_is_written_with_its_shortest_text() -> None:
    """0.1 is `0.1`, not the 17 digits of its neighbour in float64; maps are no exception."""
    tenth = np.float32(0.1)

    rows = render([OutputRule("a", "t"), OutputRule("b", "m")], {"t": np.array([tenth]), "m": [{"x": float(tenth)}]}, 1)

    assert rows == [b'{"a":0.1,"b":{"x":0.1}}']


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8", "int32", "int64", "uint8", "uint64", "bool"])
def test_numbers_of_every_type(dtype: str) -> None:
    """Scalars per row keep type and value."""
    values = np.array([0, 1, 1], dtype)

    assert answers(OutputRule("v", "v"), values) == values.tolist()


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 4), (3, 2, 2), (3, 2, 1, 2), (1, 5), (2, 0), (0, 3)])
def test_rows_keep_their_shape_and_one_value_is_a_scalar(shape: tuple[int, ...]) -> None:
    """`[N]` and `[N, 1]` give scalars, more axes give nested lists."""
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)

    expected = values[:, 0] if shape[1:] == (1,) else values
    assert answers(OutputRule("v", "v"), values) == expected.tolist()


def test_views_and_transposed_outputs_are_written_in_row_order() -> None:
    """Memory layout does not matter."""
    values = np.arange(6, dtype=np.float32).reshape(2, 3).T

    assert answers(OutputRule("v", "v"), values) == [[0, 3], [1, 4], [2, 5]]


def test_text_is_escaped() -> None:
    """Quotes, commas, brackets and other alphabets come through."""
    texts = np.array(['say "hi"', "a,b],[c", "Grüße\n", ""], object)

    assert answers(OutputRule("v", "v"), texts) == texts.tolist()
    assert answers(OutputRule("v", "v"), texts.reshape(2, 2)) == texts.reshape(2, 2).tolist()


def test_what_json_cannot_say_is_null() -> None:
    """NaN and infinities become null, in tensors and in maps."""
    values = np.array([np.nan, np.inf, -np.inf, 1], np.float32)

    assert answers(OutputRule("v", "v"), values) == [None, None, None, 1]
    assert answers(OutputRule("v", "v"), [{"a": float("nan")}]) == [{"a": None}]


def test_names_may_hold_anything() -> None:
    """Output names and labels are escaped, percent signs included."""
    rule = OutputRule('100% "sure"', "p", labels=("50%", "a\\b"))

    assert answers(rule, PROBABILITIES[:1]) == [{"50%": 0.25, "a\\b": 0.75}]


def test_several_outputs_make_one_object_per_row() -> None:
    """In the order they are declared."""
    rules = [OutputRule("late", "p", pick=1), OutputRule("class", "label")]

    rows = render(rules, {"p": PROBABILITIES, "label": np.array([1, 0, 0])}, 3)

    assert rows == [b'{"late":0.75,"class":1}', b'{"late":0.5,"class":0}', b'{"late":0.125,"class":0}']


def test_labels_name_the_values() -> None:
    """Argmax gives the label, pick finds by label, everything else becomes an object."""
    labels = ("no", "yes")

    assert answers(OutputRule("v", "p", "argmax", labels=labels), PROBABILITIES) == ["yes", "no", "no"]
    assert answers(OutputRule("v", "p", pick="yes", labels=labels), PROBABILITIES) == [0.75, 0.5, 0.125]
    assert answers(OutputRule("v", "p", labels=labels), PROBABILITIES)[0] == {"no": 0.25, "yes": 0.75}


def test_argmax_without_labels_gives_the_position() -> None:
    """And nothing at all where a NaN leaves it undecided."""
    scores = np.array([[1, 3, 2], [np.nan, 1, 2]], np.float32)

    assert answers(OutputRule("v", "p", "argmax"), scores) == [1, None]
    assert answers(OutputRule("v", "p", "argmax"), scores[:1]) == [1]


def test_maps_are_objects_with_text_keys() -> None:
    """Whether the classes are text or numbers, and even if rows differ in them."""
    assert answers(OutputRule("v", "m"), [{0: 0.25, 1: 0.75}, {2: 1.0}]) == [
        {"0": 0.25, "1": 0.75},
        {"2": 1.0},
    ]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (OutputRule("v", "m", pick="yes"), [0.75, 0.125]),
        (OutputRule("v", "m", "argmax"), ["yes", "no"]),
    ],
)
def test_maps_can_be_picked_from_and_ranked(rule: OutputRule, expected: list[object]) -> None:
    """By the model's own labels."""
    assert answers(rule, MAPS) == expected


@pytest.mark.parametrize("pick", [1, "1"])
def test_numbered_classes_are_picked_by_number_or_text(pick: int | str) -> None:
    """A manifest may write either."""
    assert answers(OutputRule("v", "m", pick=pick), [{0: 0.25, 1: 0.75}]) == [0.75]


def test_softmax_is_stable_and_stays_in_float32() -> None:
    """Large logits do not overflow, and the shares add up to one."""
    logits = np.array([[1000, 1001, 999], [-1e30, 0, 0], [0, 0, -np.inf]], np.float32)

    shares = softmax(logits)

    assert shares.dtype == np.float32
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(shares[0], [0.24472848, 0.66524094, 0.09003057], rtol=1e-6)
    assert answers(OutputRule("v", "p", "softmax"), np.array([[np.inf, 0]], np.float32)) == [[None, None]]


def test_sigmoid_is_stable_and_stays_in_float32() -> None:
    """No overflow at either end, and no digits lost near zero."""
    values = np.array([-200, -50, 0, 50, 200], np.float32)

    result = sigmoid(values)

    assert result.dtype == np.float32
    np.testing.assert_allclose(result, [0, 1.9287499e-22, 0.5, 1, 1], rtol=1e-6)
    assert answers(OutputRule("v", "p", "sigmoid", pick=1), np.zeros((1, 2), np.float32)) == [0.5]


def test_an_output_of_another_length_is_refused() -> None:
    """Rows must never be paired with other keys."""
    with pytest.raises(PermanentError, match="output 'p' has 3 rows, not 2"):
        render([OutputRule("v", "p")], {"p": PROBABILITIES}, 2)


@pytest.mark.parametrize(
    ("rule", "output"),
    [
        (OutputRule("v", "p", labels=("a", "b", "c")), PROBABILITIES),
        (OutputRule("v", "p", "argmax", labels=("a",)), PROBABILITIES),
        (OutputRule("v", "p", pick=2), PROBABILITIES),
        (OutputRule("v", "p", pick="perhaps"), MAPS),
    ],
)
def test_sizes_left_open_by_the_model_are_checked_when_it_runs(rule: OutputRule, output: Output) -> None:
    """What `check` could not know must not come out as nonsense."""
    with pytest.raises(PermanentError, match="output 'v'"):
        answers(rule, output)


def test_without_rules_every_output_is_answered_under_its_own_name() -> None:
    """Also those of scikit-learn."""
    session = Session.load(models.sklearn_classifier(("no", "yes")))
    raw = session.run({"x": np.zeros((2, 4), np.float32)})

    rows = [json.loads(row) for row in render(default_rules(session.signature), raw, 2)]

    assert set(rows[0]) == {"output_label", "output_probability"}
    assert rows[0]["output_label"] == max(rows[0]["output_probability"], key=rows[0]["output_probability"].get)
    assert check(default_rules(session.signature), session.signature) == []


@pytest.mark.parametrize(
    ("rule", "model", "says"),
    [
        (
            OutputRule("v", "q"),
            _tensor("float32", None, 2),
            "the model has no output 'q'; it has p: float32[N, 2]",
        ),
        (OutputRule("v", "p", pick=2), _tensor("float32", None, 2), "pick = 2 is out of range"),
        (OutputRule("v", "p", pick=-1), _tensor("float32", None, 2), "pick = -1 is out of range"),
        (OutputRule("v", "p", pick=0), _tensor("float32", None), "needs several values per row"),
        (
            OutputRule("v", "p", pick="a"),
            _tensor("float32", None, 2),
            "is none of the labels (none are declared)",
        ),
        (
            OutputRule("v", "p", labels=("a",)),
            _tensor("float32", None, 2),
            "there are 1 labels for the 2 values",
        ),
        (OutputRule("v", "p", labels=("a", "a")), _tensor("float32", None, 2), "a label is listed twice"),
        (
            OutputRule("v", "p", labels=("a", "b")),
            _tensor("float32", None, 3, 2),
            "labels need one list of values",
        ),
        (OutputRule("v", "p", "softmax"), _tensor("int64", None, 2), "softmax needs floats"),
        (
            OutputRule("v", "p", "softmax"),
            _tensor("float32", None, 1),
            "softmax of a single value is always the same",
        ),
        (OutputRule("v", "p", "argmax"), _tensor("string", None, 2), "argmax needs numbers"),
        (OutputRule("v", "p", "argmax", pick=1), _tensor("float32", None, 2), "there is nothing to pick"),
    ],
)
def test_rules_that_cannot_work_are_explained(rule: OutputRule, model: Signature, says: str) -> None:
    """Publishing fails with a sentence that names the output and shows what the model has."""
    problems = check([rule], model)

    assert len(problems) == 1
    assert problems[0].startswith("output 'v': ")
    assert says in problems[0]


@pytest.mark.parametrize(
    ("rule", "keys", "says"),
    [
        (OutputRule("v", "p", "softmax"), "string", "softmax needs a tensor of floats"),
        (OutputRule("v", "p", labels=("a", "b")), "string", "which has its own"),
        (OutputRule("v", "p", pick=1), "string", "pick = 1 is no label"),
        (OutputRule("v", "p", pick="yes"), "int64", "pick = 'yes' is no integer"),
    ],
)
def test_rules_for_maps_are_explained(rule: OutputRule, keys: str, says: str) -> None:
    """Maps have labels of their own; rules must fit them."""
    model = _signature(OutputSpec("p", "maps", "float32", (None,), keys=keys))

    assert [says in problem for problem in check([rule], model)] == [True]


def test_a_name_given_twice_is_a_problem() -> None:
    """An answer has each name once."""
    rules = [OutputRule("v", "p"), OutputRule("v", "p", pick=1)]

    assert check(rules, _tensor("float32", None, 2)) == ["output 'v': declared more than once"]


@pytest.mark.parametrize(
    "rule",
    [
        OutputRule("v", "p"),
        OutputRule("v", "p", pick=1),
        OutputRule("v", "p", "softmax", pick="b", labels=("a", "b")),
        OutputRule("v", "p", "argmax", labels=("a", "b")),
        OutputRule("v", "p", "sigmoid"),
    ],
)
@pytest.mark.parametrize("size", [2, None])
def test_rules_that_work_have_no_problems(rule: OutputRule, size: int | None) -> None:
    """And render without one."""
    assert check([rule], _tensor("float32", None, size)) == []
    assert len(answers(rule, PROBABILITIES)) == 3
