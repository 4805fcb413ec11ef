"""Every kind of ONNX model a user may bring: published, fed, and answered over HTTP, live and from memory.

Each answer is compared with what ONNX Runtime itself makes of the same row, value for value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
import pytest

from deploy.local.redis_pair import RedisPair
from precompute.errors import ModelRejected
from precompute.features import Row
from tests import onnx_models
from tests.edge_process import Edge, edge_process
from tests.edge_project import EdgeProject

pytestmark = pytest.mark.integration

Values = Mapping[str, Any]

MANIFEST = """
[project]
name = "kinds"

[views.mixed.fields]
a = "float32"
b = "float64"
c = "int32"
d = "int64"
e = "bool"
wide = "float64[2]"
[models.mixed]
key = ["mixed"]
inputs = { a = "mixed.a", b = "mixed.b", c = "mixed.c", d = "mixed.d", e = "mixed.e", wide = "mixed.wide" }

[models.narrowed]
key = ["mixed"]
inputs = { a = "mixed.a", b = "mixed.a", c = "mixed.d", d = "mixed.c", e = "mixed.e", wide = ["mixed.a", "mixed.b"] }

[views.flown.fields]
carrier = "string"
[models.lookup]
key = ["flown"]
inputs = { carrier = "flown.carrier" }
[models.one_hot]
key = ["flown"]
inputs = { carrier = "flown.carrier" }

[views.triple.fields]
v = "float32[3]"
scale = "float32"
count = "int64"
[models.fixed]
key = ["triple"]
inputs = { x = "triple.v" }
[models.scaled]
key = ["triple"]
inputs = { x = "triple.v", scale = "triple.scale" }
[models.scalars]
key = ["triple"]
inputs = { a = "triple.scale", b = "triple.count" }

[views.photo.fields]
pixels = "uint8[28,28]"
[models.image]
key = ["photo"]
inputs = { img = "photo.pixels" }
[models.seen]
key = ["photo"]
inputs = { img = "photo.pixels" }
outputs = { digit = { from = "scores", transform = "argmax" }, light = { from = "brightness" } }

[views.iris.fields]
x = "float32[4]"
[models.classified]
key = ["iris"]
inputs = { x = "iris.x" }
[models.named]
key = ["iris"]
inputs = { x = "iris.x" }
[models.named.outputs]
best = { from = "output_probability", transform = "argmax" }
b = { from = "output_probability", pick = "b" }
"""
FILES = {
    "mixed": onnx_models.mixed_inputs(),
    "narrowed": onnx_models.mixed_inputs(),
    "lookup": onnx_models.text_lookup(),
    "one_hot": onnx_models.strict_one_hot(),
    "fixed": onnx_models.fixed_batch(4),
    "scaled": onnx_models.shared_scalar(),
    "scalars": onnx_models.only_scalars(),
    "image": onnx_models.image(),
    "seen": onnx_models.image(),
    "classified": onnx_models.sklearn_classifier((0, 1, 2)),
    "named": onnx_models.sklearn_classifier(("a", "b", "c")),
}
_RNG = np.random.default_rng(5)


def _mixed(i: int) -> Values:
    return {"a": i / 3, "b": i / 7, "c": -i, "d": i * 2**40, "e": i % 2 == 0, "wide": [i + 0.1, 0.5]}


def _triple(i: int) -> Values:
    return {"v": _RNG.normal(size=3).astype(np.float32), "scale": 0.5 + i, "count": i}


#: Seven rows of each view: more than a fixed batch, and no multiple of it.
ROWS: dict[str, list[Values]] = {
    "mixed": [_mixed(i) for i in range(7)],
    "flown": [{"carrier": carrier} for carrier in ("UA", "DL", "UA", "DL", "DL", "UA", "UA")],
    "triple": [_triple(i) for i in range(7)],
    "photo": [{"pixels": _RNG.integers(0, 256, (28, 28)).astype(np.uint8)} for _ in range(7)],
    "iris": [{"x": _RNG.normal(size=4).astype(np.float32)} for _ in range(7)],
}
Feeds = Callable[[Values], Mapping[str, Any]]


def _array(dtype: str, *values: object) -> Any:
    return np.array(values, dtype)


def _mixed_feeds(row: Values) -> Mapping[str, Any]:
    kinds = {"a": "f4", "b": "f8", "c": "i4", "d": "i8", "e": "?", "wide": "f8"}
    return {name: _array(kind, row[name]) for name, kind in kinds.items()}


@dataclass(frozen=True)
class Kind:
    """A model whose answer is every output under its own name.

    Attributes:
        feeds: what to give ONNX Runtime for one row.
        by_row: whether the model takes no more than one row at a time, as far as ONNX Runtime is concerned.
    """

    model: str
    view: str
    feeds: Feeds
    by_row: bool = False

    def direct(self, row: Values) -> dict[str, Any]:
        """ONNX Runtime's own outputs for one row, the batch axis taken off where there is one."""
        results = self._run(self.feeds(row))
        return {name: value if np.ndim(value) == 0 else value[0] for name, value in results.items()}

    def direct_all(self) -> list[dict[str, Any]]:
        """The same for all rows of the view; run together, for the last bit may depend on the size of a batch."""
        if self.by_row:
            return [self.direct(row) for row in ROWS[self.view]]
        feeds = [self.feeds(row) for row in ROWS[self.view]]
        results = self._run({name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]})
        return [{name: value[i] for name, value in results.items()} for i in range(len(feeds))]

    def _run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        session = onnxruntime.InferenceSession(FILES[self.model], providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, dict(feeds)), strict=True))


KINDS = [
    Kind("mixed", "mixed", _mixed_feeds),
    Kind("lookup", "flown", lambda row: {"carrier": _array("O", [row["carrier"]])}),
    Kind("one_hot", "flown", lambda row: {"carrier": _array("O", row["carrier"])}),
    Kind("fixed", "triple", lambda row: {"x": np.stack([row["v"]] * 4)}, by_row=True),
    Kind("scaled", "triple", lambda row: {"x": row["v"][None], "scale": np.array(row["scale"], "f4")}, by_row=True),
    Kind(
        "scalars",
        "triple",
        lambda row: {"a": np.array(row["scale"], "f4"), "b": np.array(row["count"], "i8")},
        by_row=True,
    ),
    Kind("image", "photo", lambda row: {"img": row["pixels"][None]}),
    Kind("classified", "iris", lambda row: {"x": row["x"][None]}),
]


@pytest.fixture(scope="module")
def project(redis_pair: RedisPair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeProject]:
    """All models published and all rows put."""
    files = {(model, "default"): content for model, content in FILES.items()}
    directory = tmp_path_factory.mktemp("kinds")
    EdgeProject.declare(directory, redis_pair, MANIFEST, {}).store.call("FLUSHALL")
    project = EdgeProject.declare(directory, redis_pair, MANIFEST, files)
    for view, rows in ROWS.items():
        put = project.features.put(view, [Row(f"k{i}", row, 1) for i, row in enumerate(rows)])
        assert put.written == len(rows)
    project.replicate()
    yield project
    project.store.close()


@pytest.fixture(scope="module")
def edge(project: EdgeProject) -> Iterator[Edge]:
    """One edge that serves them all."""
    with edge_process(project.settings) as edge:
        yield edge


def same(answer: Any, raw: Any) -> bool:
    """Whether JSON holds exactly what the model gave."""
    if isinstance(raw, dict):
        return {str(k): np.float32(v) for k, v in raw.items()} == {k: np.float32(v) for k, v in answer.items()}
    raw = np.asarray(raw)
    got = np.asarray(answer, raw.dtype)
    # The model's [1, 1] is a plain value in an answer.
    return bool(np.array_equal(got.reshape(raw.shape), raw))


def ask(edge: Edge, model: str, keys: Sequence[str], tier: str) -> list[dict[str, Any]]:
    """The outputs for some keys, all from one tier."""
    found = edge.post(model, list(keys)).json()["predictions"]
    assert [(answer["status"], answer.get("tier")) for answer in found] == [(200, tier)] * len(keys), found
    return [answer["prediction"]["outputs"] for answer in found]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.model)
def test_a_model_of_any_kind_is_answered_as_it_computes(edge: Edge, kind: Kind) -> None:
    """Seven keys in one batch, live; the same from memory; each output of each row as ONNX Runtime has it."""
    keys = [f"k{i}" for i in range(7)]
    wanted = kind.direct_all()

    live, memory = ask(edge, kind.model, keys, "live"), ask(edge, kind.model, keys, "memory")

    assert live == memory
    for answer, raw in zip(live, wanted, strict=True):
        assert answer.keys() == raw.keys()
        assert all(same(answer[name], raw[name]) for name in raw), (answer, raw)


def test_the_rows_really_differ(edge: Edge) -> None:
    """Or an answer given to the wrong row would not show."""
    for kind in KINDS:
        answers = [str(kind.direct(row)) for row in ROWS[kind.view]]
        assert len(set(answers)) == (2 if kind.view == "flown" else 7), kind.model


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.model)
def test_a_key_alone_gets_what_it_gets_in_a_batch(project: EdgeProject, edge: Edge, kind: Kind) -> None:
    """Padding, slices and shared scalars change nothing."""
    path = f"/v1/predict/{kind.model}/k3"

    alone = edge.get(path, cache_control="no-cache")

    raw = kind.direct(ROWS[kind.view][3])
    assert "nearcast-replica; fwd=miss" in alone.headers["cache-status"]
    assert all(same(alone.json()["outputs"][name], raw[name]) for name in raw)


def test_types_may_widen_and_integers_narrow_while_they_fit(edge: Edge) -> None:
    """int64 rows feed an int32 input, float32 rows a float64 one, two numbers a vector; what does not fit is refused.

    Wrapped around silently, 2^40 would be 0, and the answer would look like any other.
    """
    fine = edge.outputs("narrowed", "k0")
    refused = edge.get("/v1/predict/narrowed/k1")

    assert fine == {"total": 0.0 + 0.0 + 0 + 0 + 1 + 0.0 + 0.0}
    assert refused.status_code == 422
    assert "mixed.d of 'k1'" in refused.json()["detail"]
    assert "int32" in refused.json()["detail"]


def test_a_value_that_the_model_refuses_costs_its_neighbours_nothing(project: EdgeProject, edge: Edge) -> None:
    """An encoder that fails for an unknown category fails for that key alone."""
    project.features.put("flown", [Row("odd", {"carrier": "ZZ"}, 1)])
    project.replicate()

    found = edge.post("one_hot", ["k0", "odd", "k1"]).json()["predictions"]

    assert [answer["status"] for answer in found] == [200, 422, 200]
    assert found[0]["prediction"]["outputs"]["hot"] == [1.0, 0.0]
    assert found[2]["prediction"]["outputs"]["hot"] == [0.0, 1.0]


def test_outputs_are_shaped_as_declared(edge: Edge) -> None:
    """argmax of an image's scores; the most likely label of scikit-learn's maps, and one label's probability."""
    photo, iris = ROWS["photo"][2], ROWS["iris"][2]
    scores = Kind("image", "photo", lambda row: {"img": row["pixels"][None]}).direct(photo)
    maps = Kind("named", "iris", lambda row: {"x": row["x"][None]}).direct(iris)["output_probability"]

    seen, named = edge.outputs("seen", "k2"), edge.outputs("named", "k2")

    assert seen == {"digit": int(scores["scores"].argmax()), "light": pytest.approx(scores["brightness"], rel=1e-7)}
    assert named["best"] == max(maps, key=maps.get)
    assert np.float32(named["b"]) == np.float32(maps["b"])


def test_a_model_that_does_not_fit_is_refused_with_both_sides(project: EdgeProject) -> None:
    """Before anything is stored; the message shows what is declared beside what the file takes."""
    with pytest.raises(ModelRejected) as refusal:
        project.registry.publish("image", "default", onnx_models.mlp(), now_ms=1)

    assert "uint8[N, 28, 28]" in str(refusal.value)
    assert "float32[N, 32]" in str(refusal.value)


def test_a_truncated_file_is_refused(project: EdgeProject) -> None:
    """In one line."""
    with pytest.raises(ModelRejected, match="cannot load the model") as refusal:
        project.registry.publish("image", "default", FILES["image"][:500], now_ms=1)

    assert "\n" not in str(refusal.value)
