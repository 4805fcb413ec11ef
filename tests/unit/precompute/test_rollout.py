"""Which predictions of a version count as warm."""

from __future__ import annotations

import pytest

from precompute.entry import header, identity, tail
from precompute.models import Key
from precompute.registry import Version
from precompute.rollout import Warmth, is_warm
from precompute.updates import AsOf
from tests.unit.precompute.test_orders import PROJECT

EPOCH = 7
MODEL = PROJECT.model("late")
VERSION = Version(2, "default", "", 0, 0)
KEY = MODEL.parse_key("UA1:EWR")


def entry(*as_of: int, key: Key = KEY, version: int = 2) -> bytes:
    """A stored prediction; the last id is that of the orders log."""
    known = AsOf(EPOCH, (*as_of, 0))
    return header(known, 1) + identity("late", version, "default", key.text) + b'"outputs":{}' + tail(known, 1)


@pytest.mark.parametrize(
    ("value", "changes", "warm"),
    [
        (entry(10, 20), [10, 20], True),
        (entry(10, 20), [3, 0], True),
        (entry(10, 20), [11, 20], False),
        (entry(10, 20), [10, 21], False),
        (None, [10, 20], False),
        (b"rubbish", [10, 20], False),
        (entry(10, 20, version=1), [10, 20], False),
        (entry(10, 20, key=MODEL.parse_key("UA2:EWR")), [10, 20], False),
    ],
)
def test_a_prediction_is_warm_if_it_knows_its_rows(value: bytes | None, changes: list[int], warm: bool) -> None:
    """Stored under the right name, and no older than any row behind it."""
    assert is_warm(value, MODEL, VERSION, KEY, changes, EPOCH) is warm


def test_another_history_of_the_primary_proves_nothing() -> None:
    """Ids of different histories do not compare."""
    assert not is_warm(entry(10, 20), MODEL, VERSION, KEY, [1, 1], EPOCH + 1)


def test_the_share_is_one_of_requests() -> None:
    """One hot key is worth many that are hardly asked for."""
    warmth = Warmth()
    warmth.count("a", 9.0, warm=True)
    warmth.count("b", 1.0, warm=False)

    assert (warmth.share, warmth.keys, warmth.warm, warmth.cold) == (0.9, 2, 1, ["b"])
    assert Warmth().share == 1.0
