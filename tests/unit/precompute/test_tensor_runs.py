"""Rows of several callers in one run of the model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from precompute.errors import PermanentError
from precompute.outputs import default_rules
from precompute.runtime import Session
from precompute.signature import Array
from precompute.tensor_runs import run_together
from tests import onnx_models

ENCODER = Session.load(onnx_models.strict_one_hot())
SCALED = Session.load(onnx_models.shared_scalar())


def ran(session: Session, *callers: dict[str, Array]) -> list[Any]:
    """What each is answered."""
    return run_together(session, default_rules(session.signature), callers)


def carriers(*names: str) -> dict[str, Array]:
    """Text, one row each."""
    return {"carrier": np.array(names, object)}


def test_everybody_gets_their_own_rows() -> None:
    """However many each has."""
    found = ran(ENCODER, carriers("UA"), carriers("DL", "UA"), carriers("DL"))

    assert [outcome["hot"].tolist() for outcome in found] == [[[1, 0]], [[0, 1], [1, 0]], [[0, 1]]]


@pytest.mark.parametrize("bad", [0, 1, 2, 3, 4])
def test_a_row_that_the_model_refuses_is_its_caller_s_affair(bad: int) -> None:
    """Whoever it is, the others are answered."""
    callers = [carriers("UA") for _ in range(5)]
    callers[bad] = carriers("UA", "XX")

    found = ran(ENCODER, *callers)

    assert [isinstance(outcome, PermanentError) for outcome in found] == [i == bad for i in range(5)]


def test_callers_with_different_scalars_are_not_mixed() -> None:
    """What holds for all rows of one does not hold for another's."""
    rows = np.ones((2, 3), np.float32)

    found = ran(SCALED, *({"x": rows, "scale": np.full(2, scale, np.float32)} for scale in (2, 5)))

    assert [outcome["y"].tolist() for outcome in found] == [[[2.0] * 3] * 2, [[5.0] * 3] * 2]
    assert [outcome["twice"].tolist() for outcome in found] == [[4.0, 4.0], [10.0, 10.0]]
