"""Predictions from rows in a real Redis, whatever happens to the rows meanwhile."""

from __future__ import annotations

import numpy as np
import orjson
import pytest

from deploy.local.redis_pair import RedisPair
from precompute.errors import FeatureMissing
from precompute.features import Features, Row
from precompute.freshness import Freshness, Verdict
from precompute.keys import log_key
from precompute.layouts import Layouts
from precompute.manifest import Project, parse
from precompute.predictor import Batch, Plan, Predictor
from precompute.registry import Registry
from precompute.store import Store
from precompute.updates import change_id
from tests import onnx_models
from tests.small_project import model, small_project

pytestmark = pytest.mark.integration

PROJECT = small_project()
VALUES = {"v": [0.5, -1.0], "temp": 1.0, "count": 1, "label": "x"}


@pytest.fixture
def predictor(store: Store) -> Predictor:
    """The small project's model, published and loaded."""
    version = Registry(store, PROJECT).publish("score", "default", model(), now_ms=1)
    return Predictor(PROJECT, Registry(store, PROJECT).load("score", version.version), Layouts(PROJECT))


def _plan(predictor: Predictor, *texts: str) -> Plan:
    return predictor.plan([predictor.servable.model.parse_key(text) for text in texts])


def _predict(store: Store, predictor: Predictor, *texts: str) -> Batch:
    plan = _plan(predictor, *texts)
    return predictor.complete(plan, store.run(plan.commands), now_ms=5)


def _verdict(store: Store, batch: Batch, entity: str) -> Verdict:
    """What a follower that has read the whole log says of a prediction made from one row."""
    freshness = Freshness(["thing"], 1 << 10)
    freshness.begin(batch.as_of.epoch)
    for record, fields in store.call("XRANGE", log_key("thing"), "-", "+"):
        freshness.tables["thing"].note(fields[1], change_id(record))
    return freshness.verdict(freshness.watch(["thing"], [entity]), batch.as_of.epoch, batch.as_of.ids[:1])


def test_a_prediction_is_fresh_until_its_row_changes(store: Store, predictor: Predictor) -> None:
    """Not a change of another row, and not an update without a change."""
    features = Features(store, PROJECT)
    features.put("thing", [Row("a", VALUES, 1), Row("b", VALUES, 1)])
    batch = _predict(store, predictor, "a")

    assert _verdict(store, batch, "a") is Verdict.FRESH
    features.put("thing", [Row("b", VALUES | {"count": 2}, 2), Row("a", VALUES, 2)])
    assert _verdict(store, batch, "a") is Verdict.FRESH
    features.put("thing", [Row("a", VALUES | {"count": 2}, 3)])
    assert _verdict(store, batch, "a") is Verdict.CHANGED


def test_a_change_between_the_ids_and_the_rows_makes_it_look_older(store: Store, predictor: Predictor) -> None:
    """The new row was read, but the as-of is from before: the error is on the safe side."""
    features = Features(store, PROJECT)
    features.put("thing", [Row("a", VALUES, 1)])
    plan = _plan(predictor, "a")

    replies = store.run(plan.commands[:2])
    features.put("thing", [Row("a", VALUES | {"v": [9.0, 9.0]}, 2)])
    replies += store.run(plan.commands[2:])
    batch = predictor.complete(plan, replies, now_ms=5)

    assert _verdict(store, batch, "a") is Verdict.CHANGED
    again = _predict(store, predictor, "a")
    assert orjson.loads(batch.entry(0).body)["outputs"] == orjson.loads(again.entry(0).body)["outputs"]


def test_a_row_that_is_deleted_cannot_be_predicted_from(store: Store, predictor: Predictor) -> None:
    """After a deletion the prediction made before is changed, and a new one says what is missing."""
    features = Features(store, PROJECT)
    features.put("thing", [Row("a", VALUES, 1)])
    before = _predict(store, predictor, "a")

    features.delete("thing", ["a"])

    assert _verdict(store, before, "a") is Verdict.CHANGED
    with pytest.raises(FeatureMissing, match="no row for thing 'a'"):
        _predict(store, predictor, "a").entry(0)


def test_primary_and_replica_give_the_same_prediction(any_redis: RedisPair, store: Store, predictor: Predictor) -> None:
    """The same rows, the same as-of, the same bytes: an edge and a worker cannot disagree."""
    Features(store, PROJECT).put("thing", [Row("a", VALUES, 1)])
    store.call("WAIT", 1, 5000)

    here, there = (_predict(s, predictor, "a") for s in (store, Store(any_redis.replica_url)))

    assert (here.bodies, here.header) == (there.bodies, there.header)


def test_a_history_that_began_again_is_another_epoch(any_redis: RedisPair, store: Store, predictor: Predictor) -> None:
    """A primary that lost its data has another replication id, so old entries are unknown."""
    before = _predict(store, predictor, "a")

    any_redis.restart_primary()
    after = _predict(store, predictor, "a")

    assert before.as_of.epoch != after.as_of.epoch


def test_a_writer_with_a_newer_declaration_is_understood(store: Store, predictor: Predictor) -> None:
    """Rows packed by a deployment that has gained a field are read by workers that have not, at once."""
    newer = parse(
        "[project]\nname='p'\n[views.thing.fields]\nextra='int64'\nv='float32[2]'\nlabel={type='string',default=''}"
    )
    Features(store, PROJECT).put("thing", [Row("a", VALUES, 1)])
    old = _predict(store, predictor, "a")

    Features(store, newer).put("thing", [Row("a", {"extra": 1, "v": VALUES["v"], "label": "x"}, 2)])
    new = _predict(store, predictor, "a")

    assert orjson.loads(old.entry(0).body)["outputs"] == orjson.loads(new.entry(0).body)["outputs"]


KINDS = parse("""
[project]
name = "kinds"
[views.thing.fields]
a = { type = "float32", missing = "nan" }
b = "float64"
c = { type = "int32", default = 5 }
d = "int64"
e = "bool"
wide = "float64[2]"
img = "uint8[28,28]"
carrier = { type = "string", default = "AA" }
x = "float32[3]"

[models.mixed]
key = ["thing"]
inputs = { a = "thing.a", b = "thing.b", c = "thing.c", d = "thing.d", e = "thing.e", wide = "thing.wide" }
[models.image]
key = ["thing"]
inputs = { img = "thing.img" }
outputs = { best = { from = "scores", transform = "argmax" }, brightness = { from = "brightness" } }
[models.code]
key = ["thing"]
inputs = { carrier = ["thing.carrier"] }
[models.fixed]
key = ["thing"]
inputs = { x = "thing.x" }
[models.scaled]
key = ["thing"]
context = { scale = "float32" }
inputs = { x = "thing.x", scale = "context.scale" }
""")


def _published(store: Store, project: Project, name: str, content: bytes) -> Predictor:
    registry = Registry(store, project)
    version = registry.publish(name, "default", content, now_ms=1)
    return Predictor(project, registry.load(name, version.version), Layouts(project))


def test_models_of_every_kind_are_fed_from_rows(store: Store) -> None:
    """Mixed types, images, strings, a fixed batch and a scalar input: each gives what the rows say, by hand."""
    rng = np.random.default_rng(5)
    images = rng.integers(0, 256, (7, 28, 28), np.uint8)
    carriers = ["UA", "DL", "AA", "XX", None, "UA", "DL"]
    rows = [
        {
            "a": 0.5 * i,
            "b": i,
            "c": None if i == 3 else i,
            "d": -i,
            "e": i % 2,
            "wide": [i, 1.5],
            "img": images[i],
            "carrier": carriers[i],
            "x": [i, i, 1],
        }
        for i in range(7)
    ]
    Features(store, KINDS).put("thing", [Row(f"t{i}", row, 1) for i, row in enumerate(rows)])
    texts = [f"t{i}" for i in range(7)]

    def answers(name: str, content: bytes, suffix: str = "") -> list[dict[str, object]]:
        batch = _predict(store, _published(store, KINDS, name, content), *(text + suffix for text in texts))
        return [orjson.loads(batch.entry(i).body)["outputs"] for i in range(7)]

    totals = [0.5 * i + i + (5 if i == 3 else i) - i + i % 2 + i + 1.5 for i in range(7)]
    assert [a["total"] for a in answers("mixed", onnx_models.mixed_inputs())] == totals
    bright = images.reshape(7, -1).mean(axis=1)
    assert np.allclose([a["brightness"] for a in answers("image", onnx_models.image())], bright, rtol=1e-5)
    assert [a["code"] for a in answers("code", onnx_models.text_lookup())] == [0, 1, 2, -1, 2, 0, 1]
    assert [a["y"] for a in answers("fixed", onnx_models.fixed_batch(4))] == [2 * i + 1 for i in range(7)]
    scaled = answers("scaled", onnx_models.shared_scalar(), "?scale=0.5")
    assert [a["y"] for a in scaled] == [[i / 2, i / 2, 0.5] for i in range(7)]
