"""Versions in a real Redis: publish, activate, roll back, and never serve a file that is not what was published."""

from __future__ import annotations

import numpy as np
import pytest

from precompute.errors import ModelRejected, UnknownModel, VersionMissing
from precompute.keys import REGISTRY_LOG, blob_key, versions_key
from precompute.registry import Registry
from precompute.store import Store
from tests.small_project import model, small_project

pytestmark = pytest.mark.integration

PROJECT = small_project()
FIRST, SECOND, THIRD = model(0), model(1), model(2)


@pytest.fixture
def registry(store: Store) -> Registry:
    """The registry of the emptied primary."""
    return Registry(store, PROJECT)


def _events(store: Store) -> list[tuple[str, str, int]]:
    records = [dict(zip(f[::2], f[1::2], strict=True)) for _, f in store.call("XRANGE", REGISTRY_LOG, "-", "+")]
    return [(r[b"event"].decode(), r[b"variant"].decode(), int(r[b"version"])) for r in records]


def test_a_published_version_is_served(registry: Registry, store: Store) -> None:
    """Its record, its file and the pointer are there, and two records tell everybody."""
    version = registry.publish("score", "default", FIRST, now_ms=5, note="first")

    servable = registry.load("score", 1)

    assert (version.version, version.variant, version.size, version.note) == (1, "default", len(FIRST), "first")
    assert registry.versions("score") == [registry.version("score", 1)] == [version]
    assert registry.active("score") == {"default": 1}
    assert (servable.version, servable.variant) == (1, "default")
    assert servable.session.run({"x": np.zeros((3, 2), np.float32)})["y"].shape == (3, 1)
    assert _events(store) == [("publish", "default", 1), ("activate", "default", 1)]


def test_the_same_file_again_changes_nothing(registry: Registry, store: Store) -> None:
    """Publishing is idempotent; another variant or another file is another version."""
    registry.publish("score", "default", FIRST, now_ms=5)
    events = _events(store)

    again = registry.publish("score", "default", FIRST, now_ms=9)

    assert (again.version, again.published_ms) == (1, 5)
    assert _events(store) == events
    assert registry.publish("score", "other", FIRST, now_ms=9).version == 2
    assert registry.publish("score", "default", SECOND, now_ms=9).version == 3
    assert registry.publish("score", "default", FIRST, now_ms=9).version == 4


def test_a_version_may_wait_before_it_is_served(registry: Registry) -> None:
    """A warm rollout publishes first, precomputes, and flips the pointer last."""
    registry.publish("score", "default", FIRST, now_ms=5)
    registry.publish("score", "default", SECOND, now_ms=6, activate=False)

    assert registry.active("score") == {"default": 1}
    assert registry.load("score", 2).version == 2
    registry.activate("score", 2)
    assert registry.active("score") == {"default": 2}


def test_rolling_back_undoes_the_latest_change(registry: Registry, store: Store) -> None:
    """One change at a time, newest first, whichever variant it was of, until there is nothing earlier."""
    registry.publish("score", "default", FIRST, now_ms=1)
    registry.publish("score", "other", FIRST, now_ms=2)
    registry.publish("score", "default", SECOND, now_ms=3)
    registry.publish("score", "other", THIRD, now_ms=4)

    undone = [registry.rollback("score") for _ in range(2)]

    assert [(v.variant, v.version) for v in undone] == [("other", 2), ("default", 1)]
    assert registry.active("score") == {"default": 1, "other": 2}
    assert _events(store)[-2:] == [("rollback", "other", 2), ("rollback", "default", 1)]
    with pytest.raises(VersionMissing, match="variant 'other' served nothing"):
        registry.rollback("score")
    assert registry.active("score") == {"default": 1, "other": 2}


def test_a_new_variant_is_not_rolled_back_by_undoing_another(registry: Registry) -> None:
    """If the latest change put a variant into service, an older change of another one is left alone."""
    registry.publish("score", "default", FIRST, now_ms=1)
    registry.publish("score", "default", SECOND, now_ms=2)
    registry.publish("score", "other", FIRST, now_ms=3)

    with pytest.raises(VersionMissing, match="variant 'other' served nothing"):
        registry.rollback("score")

    assert registry.active("score") == {"default": 2, "other": 3}


def test_there_may_be_nothing_to_go_back_to(registry: Registry) -> None:
    """Nothing published, nothing earlier, no such version: each says so."""
    with pytest.raises(VersionMissing, match="no earlier pointer"):
        registry.rollback("score")
    with pytest.raises(VersionMissing, match="has no version 1; published: none"):
        registry.activate("score", 1)
    registry.publish("score", "default", FIRST, now_ms=1)
    with pytest.raises(VersionMissing, match="has no version 7; published: 1"):
        registry.load("score", 7)


def test_activating_what_is_active_is_no_change(registry: Registry, store: Store) -> None:
    """Twice the same pointer is one record and one step back."""
    registry.publish("score", "default", FIRST, now_ms=1)
    events = _events(store)

    registry.activate("score", 1)

    assert _events(store) == events


def test_a_tampered_file_is_never_served(registry: Registry, store: Store) -> None:
    """Neither other bytes nor another good model under the same name get past the SHA-256."""
    version = registry.publish("score", "default", FIRST, now_ms=1)

    for content in (b"", FIRST[:-1], FIRST + b"\0", SECOND):
        store.call("SET", blob_key(version.sha256), content)
        with pytest.raises(ModelRejected, match="does not have its SHA-256"):
            registry.load("score", 1)

    store.call("DEL", blob_key(version.sha256))
    with pytest.raises(VersionMissing, match="not in this Redis"):
        registry.load("score", 1)


def test_a_refused_file_leaves_no_trace(registry: Registry, store: Store) -> None:
    """What does not fit its declaration is not stored and takes no number."""
    from tests.onnx_models import mlp

    with pytest.raises(ModelRejected, match="does not fit model 'score'"):
        registry.publish("score", "default", mlp(), now_ms=1)
    with pytest.raises(ModelRejected, match="no variant 'best'"):
        registry.publish("score", "best", FIRST, now_ms=1)
    with pytest.raises(UnknownModel):
        registry.publish("store", "default", FIRST, now_ms=1)

    assert store.call("DBSIZE") == 0


def test_numbers_are_never_given_out_twice(registry: Registry, store: Store) -> None:
    """A version's number stands in its entries' keys, so it outlives even its record."""
    registry.publish("score", "default", FIRST, now_ms=1)
    store.call("DEL", versions_key("score"))

    assert registry.publish("score", "default", SECOND, now_ms=2).version == 2
