"""How long a client wants to wait."""

from __future__ import annotations

import pytest

from edge.api.oip.budget import budget_ms
from precompute.errors import InvalidRequest


def test_a_timeout_is_in_microseconds() -> None:
    """Without one, or with 0, the node's own holds."""
    assert budget_ms({"timeout": 2500}, 1000) == 2.5
    assert budget_ms({"timeout": 0}, 1000) == budget_ms({}, 1000) == 1000


@pytest.mark.parametrize("value", [-1, 60_000_001, 1.5, "5", True])
def test_anything_else_is_refused(value: str | float | bool) -> None:
    """Negative, beyond a minute, or no whole number."""
    with pytest.raises(InvalidRequest, match="in microseconds"):
        budget_ms({"timeout": value}, 1000)
