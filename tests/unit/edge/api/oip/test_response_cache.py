"""Answers by content."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge.api.oip.response_cache import ResponseCache, digest
from precompute.models import Model
from precompute.predictor import Servable
from tests.unit.edge.rig import Rig

SERVABLE = replace(Rig().servable, sha256="f" * 64)
OTHER_MODEL: Model = replace(SERVABLE.model, name="other")
FEEDS = {"x": np.array([[1, 2]], np.float32), "y": np.array([["ab", "c"]], object)}


def test_the_same_question_has_the_same_digest() -> None:
    """Wherever its elements lie."""
    apart = {"x": np.array([[1, 9, 2]], np.float32)[:, ::2], "y": FEEDS["y"].copy()}

    assert digest(SERVABLE, ["sum"], FEEDS) == digest(SERVABLE, ["sum"], apart)


CHANGED: dict[str, tuple[Servable, list[str], dict[str, Any]]] = {
    "model": (replace(SERVABLE, model=OTHER_MODEL), ["sum"], FEEDS),
    "version": (replace(SERVABLE, version=2), ["sum"], FEEDS),
    "variant": (replace(SERVABLE, variant="fast"), ["sum"], FEEDS),
    "file": (replace(SERVABLE, sha256="0" * 64), ["sum"], FEEDS),
    "outputs": (SERVABLE, ["sum", "checked"], FEEDS),
    "order of outputs": (SERVABLE, ["checked", "sum"], FEEDS),
    "no outputs": (SERVABLE, [], FEEDS),
    "element": (SERVABLE, ["sum"], {**FEEDS, "x": np.array([[1, 3]], np.float32)}),
    "sign of zero": (SERVABLE, ["sum"], {**FEEDS, "x": np.array([[1, -0.0]], np.float32)}),
    "zero": (SERVABLE, ["sum"], {**FEEDS, "x": np.array([[1, 0.0]], np.float32)}),
    "shape": (SERVABLE, ["sum"], {**FEEDS, "x": np.array([[1], [2]], np.float32)}),
    "type": (SERVABLE, ["sum"], {**FEEDS, "x": np.array([[1, 2]], np.float32).view(np.int32)}),
    "name": (SERVABLE, ["sum"], {"z": FEEDS["x"], "y": FEEDS["y"]}),
    "where a text ends": (SERVABLE, ["sum"], {**FEEDS, "y": np.array([["a", "bc"]], object)}),
    "texts in another input": (SERVABLE, ["sum"], {"x": FEEDS["y"], "y": FEEDS["x"]}),
}


def test_any_other_question_has_another_digest() -> None:
    """All of them differ from each other."""
    digests = {name: digest(*changed) for name, changed in CHANGED.items()}
    digests["itself"] = digest(SERVABLE, ["sum"], FEEDS)

    assert len(set(digests.values())) == len(digests), digests


def test_what_is_kept_is_a_copy() -> None:
    """Of a batch of a thousand rows, one is kept, and nobody else's can change it."""
    cache = ResponseCache(1 << 20)
    batch = np.arange(1000, dtype=np.float32)

    cache.put("a", {"y": batch[5:6]})
    batch[5] = 0

    found = cache.get("a")
    assert found is not None
    assert found["y"].tolist() == [5]
    assert found["y"].base is None


@pytest.mark.parametrize("values", [np.zeros(2000, np.float32), np.array(["x" * 2000] * 4, object)])
def test_it_holds_no_more_bytes_than_it_may(values: Any) -> None:
    """Text is weighed by what it takes."""
    cache = ResponseCache(100_000)

    for i in range(100):
        cache.put(str(i), {"y": values})

    assert 2 <= len(cache.memory) <= 12
    assert cache.memory.bytes <= 100_000
