"""Precomputing many keys into a real Redis."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnxruntime
import orjson
import pytest

from precompute import sweep as sweep_module
from precompute.entry import Entry
from precompute.errors import EntryCorrupt, StoreUnavailable
from precompute.features import Features, Row
from precompute.keys import entry_key
from precompute.layouts import Layouts
from precompute.manifest import parse
from precompute.predictions import lifetime_ms, read
from precompute.predictor import Predictor
from precompute.registry import Registry
from precompute.store import Store
from precompute.sweep import SweepResult, parse_keys, sweep
from tests import onnx_models

pytestmark = pytest.mark.integration

PROJECT = parse("""
[project]
name = "p"
[views.user.fields]
x = "float32[30]"
[views.shop.fields]
y = { type = "float32[2]", default = 0.5 }
[models.score]
key = ["user", "shop"]
inputs = { x = ["user.x", "shop.y"] }
[models.score.policy]
ttl_s = 600
stale_if_error_s = 60
""")
MLP = onnx_models.mlp()
MODEL = PROJECT.model("score")
RNG = np.random.default_rng(11)
NOW_MS = 1_700_000_000_000


def _now() -> int:
    return NOW_MS


@pytest.fixture
def predictor(store: Store) -> Predictor:
    """The model, published and loaded."""
    registry = Registry(store, PROJECT)
    version = registry.publish("score", "default", MLP, now_ms=1)
    return Predictor(PROJECT, registry.load("score", version.version), Layouts(PROJECT))


def _put(store: Store, users: int, shops: int = 3) -> tuple[np.ndarray, np.ndarray]:
    x, y = RNG.normal(size=(users, 30)).astype(np.float32), RNG.normal(size=(shops, 2)).astype(np.float32)
    features = Features(store, PROJECT)
    features.put("user", [Row(f"u{i}", {"x": row}, 1) for i, row in enumerate(x)])
    features.put("shop", [Row(f"s{i}", {"y": row}, 1) for i, row in enumerate(y)])
    return x, y


def test_ten_thousand_entries_equal_a_direct_run_bit_for_bit(store: Store, predictor: Predictor) -> None:
    """What is read back from Redis has the numbers of ONNX Runtime on the same rows, every bit of them."""
    x, y = _put(store, users=10_000)
    texts = [f"u{i}:s{i % 3}" for i in range(10_000)]

    result = sweep(store, predictor, [MODEL.parse_key(text) for text in texts], _now)

    assert (result.written, result.failed) == (10_000, 0)
    entries = read(store, predictor.servable, texts)
    served = np.array([orjson.loads(e.body)["outputs"]["y"] for e in entries if isinstance(e, Entry)], np.float32)
    rows = np.concatenate((x, y[np.arange(10_000) % 3]), axis=1)
    direct = onnxruntime.InferenceSession(MLP).run(["y"], {"x": rows})[0].reshape(-1)
    assert served.tobytes() == direct.tobytes()


def test_an_entry_holds_what_decides_about_it(store: Store, predictor: Predictor) -> None:
    """As-of of both views, the time of computing, and a life in Redis as long as it may be served stale."""
    _put(store, users=1)

    sweep(store, predictor, [MODEL.parse_key("u0:s0")], _now)

    (entry,) = read(store, predictor.servable, ["u0:s0"])
    assert isinstance(entry, Entry)
    assert entry.computed_ms == NOW_MS
    assert min(entry.as_of[:2]) > 0
    ttl_ms = store.call("PTTL", entry_key("score", 1, "u0:s0"))
    life_ms = lifetime_ms(MODEL.policy, "u0:s0") + 60_000
    assert life_ms - 60_000 < ttl_ms <= life_ms


def test_keys_that_fail_are_named_and_cost_no_other(store: Store, predictor: Predictor) -> None:
    """Missing rows and misspelt keys are counted with their reasons; all others are written."""
    _put(store, users=2500)
    texts = [f"u{i}:s0" for i in range(2500)]
    texts[7:7] = ["gone:s0", "nonsense", "a:b:c"]
    result = SweepResult()
    keys = parse_keys(predictor, texts, result)

    swept = sweep(store, predictor, keys, _now)

    assert (swept.written, swept.failed) == (2500, 1)
    assert swept.failures == [("gone:s0", "no row for user 'gone'")]
    assert [text for text, _ in result.failures] == ["nonsense", "a:b:c"]
    assert "expected <user>:<shop>" in result.failures[0][1]
    assert read(store, predictor.servable, ["gone:s0", "u2499:s0"])[0] is None


def test_failures_are_counted_beyond_those_that_are_named() -> None:
    """A job over the wrong data does not fill the memory with reasons."""
    result = SweepResult()

    for i in range(sweep_module.NAMED_FAILURES + 5):
        result.fail(f"u{i}", "no row")

    assert (result.failed, len(result.failures)) == (sweep_module.NAMED_FAILURES + 5, sweep_module.NAMED_FAILURES)


def test_a_missing_row_with_a_default_is_no_failure(store: Store, predictor: Predictor) -> None:
    """The policy says what stands for it, and the prediction is the one of that value."""
    x, _ = _put(store, users=1)

    result = sweep(store, predictor, [MODEL.parse_key("u0:unknown")], _now)

    (entry,) = read(store, predictor.servable, ["u0:unknown"])
    assert result.written == 1
    assert isinstance(entry, Entry)
    row = np.concatenate((x[:1], np.full((1, 2), 0.5, np.float32)), axis=1)
    direct = onnxruntime.InferenceSession(MLP).run(["y"], {"x": row})[0]
    assert np.float32(orjson.loads(entry.body)["outputs"]["y"]) == direct[0, 0]


def test_nothing_to_do_is_done(store: Store, predictor: Predictor) -> None:
    """No keys, nothing written, no failure."""
    assert sweep(store, predictor, [], _now) == SweepResult()


def test_doing_it_again_is_harmless(store: Store, predictor: Predictor) -> None:
    """A job that runs twice leaves what it leaves when it runs once."""
    _put(store, users=100)
    keys = [MODEL.parse_key(f"u{i}:s0") for i in range(100)]
    sweep(store, predictor, keys, _now)
    before = read(store, predictor.servable, [key.text for key in keys])

    sweep(store, predictor, keys, _now)

    assert read(store, predictor.servable, [key.text for key in keys]) == before


def test_large_rows_are_read_in_smaller_batches(
    store: Store, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch is bounded in bytes, down to one key at a time, and nothing is left out."""
    _put(store, users=20)
    keys = [MODEL.parse_key(f"u{i}:s0") for i in range(20)]
    sizes = []
    plan = predictor.plan
    monkeypatch.setattr(predictor, "plan", lambda some: (sizes.append(len(some)), plan(some))[1])

    for limit, expected in [(3 * predictor.row_bytes, [3] * 6 + [2]), (1, [1] * 20)]:
        sizes.clear()
        monkeypatch.setattr(sweep_module, "BATCH_BYTES", limit)
        assert sweep(store, predictor, keys, _now).written == 20
        assert sizes == expected


@pytest.mark.parametrize("refuse", [("maxmemory", 1, 0), ("min-replicas-to-write", 3, 0)])
def test_a_server_that_refuses_writes_is_an_error(
    store: Store, predictor: Predictor, refuse: tuple[str, int, int]
) -> None:
    """Nothing is counted as written that Redis has not taken, and when it takes writes again all is well."""
    setting, on, off = refuse
    _put(store, users=2500)
    keys = [MODEL.parse_key(f"u{i}:s0") for i in range(2500)]
    store.call("CONFIG", "SET", setting, on)
    try:
        with pytest.raises(StoreUnavailable, match=r"Redis refused 1000 of 1000 entries: (OOM|NOREPLICAS)"):
            sweep(store, predictor, keys, _now)
    finally:
        store.call("CONFIG", "SET", setting, off)
    assert read(store, predictor.servable, ["u0:s0"]) == [None]

    assert sweep(store, predictor, keys, _now).written == 2500


def test_a_server_that_fills_up_on_the_way_is_an_error(store: Store, predictor: Predictor) -> None:
    """Entries refused in the last batch are noticed too, though nothing is sent after them."""
    _put(store, users=3000)
    keys = [MODEL.parse_key(f"u{i}:s0") for i in range(3000)]

    def fill_up_at(batch: int) -> Callable[[], int]:
        asked = iter(range(10))

        def now() -> int:
            if next(asked) == batch:
                store.call("CONFIG", "SET", "maxmemory", 1)
            return NOW_MS

        return now

    try:
        with pytest.raises(StoreUnavailable, match="OOM"):
            sweep(store, predictor, keys, fill_up_at(2))
    finally:
        store.call("CONFIG", "SET", "maxmemory", 0)


def test_an_entry_under_a_foreign_key_is_not_given_out(store: Store, predictor: Predictor) -> None:
    """Swapped or damaged values are reported key by key, and the others are read."""
    _put(store, users=3)
    texts = ["u0:s0", "u1:s0", "u2:s0"]
    sweep(store, predictor, [MODEL.parse_key(text) for text in texts], _now)
    store.call("COPY", entry_key("score", 1, "u0:s0"), entry_key("score", 1, "u1:s0"), "REPLACE")

    found = read(store, predictor.servable, [*texts, "u9:s0"])

    assert [type(each) for each in found] == [Entry, EntryCorrupt, Entry, type(None)]
    assert read(store, predictor.servable, []) == []
