"""What is said of outputs is true of what is rendered."""

from __future__ import annotations

import json

import jsonschema_rs
import numpy as np
import pytest

from edge.openapi.outputs import Outputs
from edge.scores import Score
from precompute.outputs import OutputRule, check, render
from precompute.signature import Output, OutputSpec, Signature

N = 3
LABELS = ("a", "b")
NAN = np.array([[np.nan, 1.0], [0.5, np.inf], [0.1, 0.9]], np.float32)
PAIRS = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
MAPS: list[dict[object, float]] = [{0: 0.5, 1: 0.5}] * N


def _tensor(values: np.ndarray, dtype: str = "") -> OutputSpec:
    return OutputSpec("y", "tensor", dtype or str(values.dtype), (None, *values.shape[1:]))


@pytest.mark.parametrize(
    ("rule", "spec", "raw", "score"),
    [
        (OutputRule("o", "y"), _tensor(PAIRS[:, 0]), PAIRS[:, 0], Score("o")),
        (OutputRule("o", "y"), _tensor(PAIRS[:, :1]), PAIRS[:, :1], Score("o")),
        (OutputRule("o", "y"), _tensor(NAN), NAN, Score("o", 0)),
        (OutputRule("o", "y"), OutputSpec("y", "tensor", "float32", (None, None)), NAN, None),
        (OutputRule("o", "y"), OutputSpec("y", "tensor", "float32", (None, None)), NAN[:, :1], None),
        (OutputRule("o", "y", "softmax", 1), _tensor(NAN), NAN, Score("o")),
        (OutputRule("o", "y", "sigmoid", None, LABELS), _tensor(PAIRS), PAIRS, Score("o", "a")),
        (OutputRule("o", "y", "identity", "b", LABELS), _tensor(PAIRS), PAIRS, Score("o")),
        (OutputRule("o", "y", "argmax"), _tensor(NAN), NAN, Score("o")),
        (OutputRule("o", "y", "argmax", None, LABELS), _tensor(NAN), NAN, None),
        (OutputRule("o", "y"), _tensor(PAIRS.astype(np.int64)), PAIRS.astype(np.int64), Score("o", 0)),
        (OutputRule("o", "y"), _tensor(PAIRS.astype(bool)[:, 0]), PAIRS.astype(bool)[:, 0], None),
        (OutputRule("o", "y"), _tensor(PAIRS.astype(object)[:, 0], "string"), np.array(["a"] * N, object), None),
        (OutputRule("o", "y"), _tensor(np.zeros((N, 2, 2), np.float32)), np.zeros((N, 2, 2), np.float32), None),
        (OutputRule("o", "y"), OutputSpec("y", "maps", "float32", (None,), keys="int64"), MAPS, None),
        (OutputRule("o", "y", pick=1), OutputSpec("y", "maps", "float32", (None,), keys="int64"), MAPS, Score("o")),
        (OutputRule("o", "y", "argmax"), OutputSpec("y", "maps", "float32", (None,), keys="int64"), MAPS, Score("o")),
    ],
)
def test_rendered_outputs_fit_their_schema(
    rule: OutputRule, spec: OutputSpec, raw: Output, score: Score | None
) -> None:
    """Numbers, lists, labels and maps, with NaN in them; and what can be ranked by has a number there."""
    signature = Signature((), (spec,))
    assert check([rule], signature) == []
    outputs = Outputs((rule,), signature)

    bodies = render((rule,), {"y": raw}, N)

    validator = jsonschema_rs.validator_for(outputs.schema())
    for body in bodies:
        validator.validate(json.loads(body))
    assert outputs.score() == score
    if score is not None:
        assert isinstance(score.of(b'{"outputs":%b}' % bodies[-1]), int | float)
