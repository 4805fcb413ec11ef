"""Declared outputs as tensors: the same values that answers show as JSON."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from precompute.errors import PermanentError
from precompute.output_tensors import AnswerSpec, answer_specs, declared, from_json
from precompute.outputs import OutputRule, render
from precompute.signature import Output, OutputSpec, Signature, TensorSpec

SPECS = {
    "flat": OutputSpec("flat", "tensor", "float32", (None,)),
    "one": OutputSpec("one", "tensor", "float64", (None, 1)),
    "three": OutputSpec("three", "tensor", "float32", (None, 3)),
    "half": OutputSpec("half", "tensor", "float16", (None, 3)),
    "grid": OutputSpec("grid", "tensor", "uint8", (None, 2, 2)),
    "flags": OutputSpec("flags", "tensor", "bool", (None, 2)),
    "text": OutputSpec("text", "tensor", "string", (None, 1)),
    "numbers": OutputSpec("numbers", "tensor", "int64", (None,)),
    "shared": OutputSpec("shared", "tensor", "float32", (2,), batched=False),
    "maps": OutputSpec("maps", "maps", "float32", (None,), keys="string"),
    "counts": OutputSpec("counts", "maps", "float32", (None,), keys="int64"),
}
SIGNATURE = Signature((TensorSpec("x", "float32", (None, 1)),), tuple(SPECS.values()))
RAW: dict[str, Output] = {
    "flat": np.array([0.1, -0.0], np.float32),
    "one": np.array([[0.1], [1e-300]]),
    "three": np.array([[0.1, 3, 2], [-1, -2, -0.5]], np.float32),
    "half": np.array([[0.1, 3, 2], [-1, -2, -0.5]], np.float16),
    "grid": np.arange(8, dtype=np.uint8).reshape(2, 2, 2),
    "flags": np.array([[True, False], [False, False]]),
    "text": np.array([["a"], ["Zürich"]], object),
    "numbers": np.array([2**53 + 1, -5]),
    "shared": np.broadcast_to(np.array([1, 2], np.float32), (2, 2)),
    "maps": [{"a": 0.25, "b": 0.75}, {"a": 1.0, "b": 0.0}],
    "counts": [{3: 0.25, 4: 0.75}, {3: 1.0, 4: 0.0}],
}
LABELS = ("low", "mid", "high")
RULES = [
    *(OutputRule(name, name) for name in SPECS),
    OutputRule("soft", "three", "softmax"),
    OutputRule("soft_half", "half", "softmax"),
    OutputRule("sig", "one", "sigmoid"),
    OutputRule("best", "three", "argmax"),
    OutputRule("best_label", "three", "argmax", labels=LABELS),
    OutputRule("picked", "three", pick=1),
    OutputRule("picked_label", "three", "softmax", pick="high", labels=LABELS),
    OutputRule("labelled", "three", labels=LABELS),
    OutputRule("best_map", "maps", "argmax"),
    OutputRule("map_pick", "maps", pick="b"),
    OutputRule("best_count", "counts", "argmax"),
    OutputRule("count_pick", "counts", pick=4),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_an_answer_s_json_is_the_same_tensor(rule: OutputRule) -> None:
    """Computed as a tensor or read back from what is stored as JSON: type, shape and every bit."""
    (spec,) = answer_specs([rule], SIGNATURE)

    made = declared([rule], RAW, 2)[rule.name]
    texts = [msgspec.json.decode(text, type=dict[str, msgspec.Raw]) for text in render([rule], RAW, 2)]
    read = np.concatenate([from_json(spec, bytes(text[rule.name])) for text in texts])

    assert made.dtype == read.dtype == spec.numpy_dtype
    assert made.shape == read.shape
    assert made.tolist() == read.tolist()
    assert tuple(made.shape[1:]) == tuple(spec.row_shape)


def test_what_is_not_transformed_is_not_even_copied() -> None:
    """So no bit can change."""
    assert declared([OutputRule("y", "three")], RAW, 2)["y"] is RAW["three"]


def test_labels_are_told_where_values_have_some() -> None:
    """In their order; whether a row has its own, too."""
    labelled, shared, best = answer_specs(
        [
            OutputRule("y", "three", labels=LABELS),
            OutputRule("s", "shared"),
            OutputRule("b", "three", "argmax", labels=LABELS),
        ],
        SIGNATURE,
    )

    assert (labelled.labels, labelled.batched) == (LABELS, True)
    assert (shared.labels, shared.batched) == (None, False)
    assert (best.labels, best.dtype) == (None, "string")


def test_nan_and_what_it_leaves_undecided() -> None:
    """NaN stays one; the greatest of it and others is nobody."""
    raw: dict[str, Output] = {"three": np.array([[np.nan, 1, 2], [0, 1, 0]], np.float32)}
    rules = [
        OutputRule("y", "three"),
        OutputRule("at", "three", "argmax"),
        OutputRule("name", "three", "argmax", labels=LABELS),
    ]

    made = declared(rules, raw, 2)

    assert np.isnan(made["y"][0, 0])
    assert made["at"].tolist() == [-1, 1]
    assert made["name"].tolist() == ["", "mid"]


@pytest.mark.parametrize(
    ("dtype", "text", "value"),
    [("float32", b"null", np.nan), ("int64", b"null", -1), ("string", b"null", ""), ("float64", b"[null,1]", np.nan)],
)
def test_null_is_nothing_of_its_type(dtype: str, text: bytes, value: Any) -> None:
    """As what it stands for was computed."""
    found = from_json(AnswerSpec("y", dtype, (2,) if b"[" in text else ()), text).reshape(-1)[0]

    assert str(found) == str(value)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (AnswerSpec("y", "float32", ()), b'"low"'),
        (AnswerSpec("y", "string", ()), b"1"),
        (AnswerSpec("y", "float32", (3,)), b"[1,2]"),
        (AnswerSpec("y", "float32", (3,)), b"1"),
        (AnswerSpec("y", "uint8", ()), b"300"),
        (AnswerSpec("y", "float32", (3,), labels=LABELS), b'{"low":1}'),
        (AnswerSpec("y", "float32", (2,)), b"[[1],2]"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(spec: AnswerSpec, text: bytes) -> None:
    """A declared default may be anything."""
    with pytest.raises(PermanentError, match="output 'y'"):
        from_json(spec, text)


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (OutputRule("y", "flat"), "has 2 rows, not 3"),
        (OutputRule("y", "three", labels=("a",)), "1 labels for 3 values|rows, not 3"),
    ],
)
def test_an_output_of_other_rows_is_refused(rule: OutputRule, says: str) -> None:
    """Whoever asked for three is not given two."""
    with pytest.raises(PermanentError, match=says):
        declared([rule], RAW, 3)


def test_a_class_that_is_not_there_cannot_be_picked() -> None:
    """The text says what is."""
    with pytest.raises(PermanentError, match="no 'c' among"):
        declared([OutputRule("y", "maps", pick="c")], RAW, 2)
