"""No request gets another one's prediction: not another model's, version's, variant's, key's or context's.

Two models share views, keys and context, and differ in their weights only, so that a number tells whose it is; entities
are called what could be taken for something else. Everything is asked at once, by each door and from each tier.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest

from deploy.local.redis_pair import RedisPair
from precompute.features import Row
from precompute.key_text import escape_part, join_parts
from tests import onnx_models
from tests.edge_process import Edge, edge_process, tier
from tests.edge_project import EdgeProject, direct
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

MODELS, VARIANTS, HOURS = ("red", "blue"), ("default", "fast"), (3, 12)
USERS = ["a", "a:b", "a?hour=3", "a~3Ab", "a%3Ab", "A", "a ", "a/b", "red", "a&variant=fast", "a?", "á"]
ITEMS = ["b", "c", "b:c", "c:1:a", "b?hour=3", "blue", "b#x", "..", "1"]
MANIFEST = """
[project]
name = "twins"
[views.user.fields]
u = "float32"
[views.item.fields]
i = "float32"
""" + "".join(
    f"""
[models.{name}]
key = ["user", "item"]
inputs = {{ x = ["user.u", "item.i", "context.hour"] }}
context = {{ hour = {{ type = "int64", default = 12, min = 0, max = 23 }} }}
variants = {{ default = {{}}, fast = {{}} }}
policy = {{ ttl_jitter = 0.0 }}
"""
    for name in MODELS
)


def graph(model: str, variant: str, version: int) -> bytes:
    """Weights of their own for each."""
    seed = 100 * MODELS.index(model) + 10 * VARIANTS.index(variant) + version
    return onnx_models.mlp((3, 8, 1), seed=seed)


@dataclass(frozen=True, slots=True)
class Asked:
    """One prediction that somebody wants."""

    model: str
    variant: str
    user: str
    item: str
    hour: int

    @property
    def key(self) -> str:
        """Its key as the store spells it."""
        return f"{join_parts([self.user, self.item])}?hour={self.hour}"

    def expected(self, version: int) -> np.float32:
        """What the model itself says."""
        row = [float(USERS.index(self.user)), float(ITEMS.index(self.item)) / 2, self.hour]
        found: np.float32 = direct(graph(self.model, self.variant, version), [row])[0]
        return found


ALL = [Asked(*one) for one in product(MODELS, VARIANTS, USERS, ITEMS, HOURS)]


@pytest.fixture(scope="module")
def project(redis_pair: RedisPair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeProject]:
    """The pair is everybody's, so this file empties it first."""
    directory = tmp_path_factory.mktemp("confusion")
    EdgeProject.declare(directory, redis_pair, MANIFEST, {}).store.call("FLUSHALL")
    files = {(model, variant): graph(model, variant, 1) for model in MODELS for variant in VARIANTS}
    settings = {"budget_ms": 20_000.0, "max_write_backs": 10_000, "warm_keys": 0}
    found = EdgeProject.declare(directory, redis_pair, MANIFEST, files, **settings)
    users = [Row(escape_part(name), {"u": float(n)}, 1) for n, name in enumerate(USERS)]
    items = [Row(escape_part(name), {"i": n / 2}, 1) for n, name in enumerate(ITEMS)]
    assert not found.features.put("user", users).rejected + found.features.put("item", items).rejected
    found.replicate()
    yield found
    found.store.close()


def get(edge: Edge, asked: Asked, name: str = "") -> httpx.Response:
    """One GET, in a spelling that says the key and nothing else; `name` is what the client calls its request."""
    key = quote(join_parts([asked.user, asked.item]), safe="")
    query = f"hour={asked.hour}&variant={asked.variant}"
    return edge.client.get(f"/v1/predict/{asked.model}/{key}?{query}", headers={"x-request-id": name} if name else {})


def check(asked: Asked, prediction: dict[str, Any], version: int) -> None:
    """The prediction is the one that was asked for."""
    assert (prediction["model"], prediction["variant"], prediction["key"]) == (asked.model, asked.variant, asked.key)
    assert np.float32(prediction["outputs"]["y"]) == asked.expected(version), asked


def versions(edge: Edge) -> dict[tuple[str, str], int]:
    """What the edge serves."""
    return {(m["model"], m["variant"]): m["version"] for m in edge.get("/readyz").json()["models"]}


def get_all(edge: Edge, name: str = "") -> set[str]:
    """Asks for everything at once, in any order; the tiers that answered."""
    order = random.Random(1).sample(ALL, len(ALL))
    with ThreadPoolExecutor(32) as threads:
        answers = list(threads.map(lambda asked: get(edge, asked, name), order))
    for asked, answer in zip(order, answers, strict=True):
        check(asked, answer.json(), 1)
    return {tier(answer) for answer in answers}


def test_numbers_tell_whose_they_are() -> None:
    """Or the other tests would see nothing."""
    numbers = [float(asked.expected(version)) for asked in ALL for version in (1, 2)]

    assert len(set(numbers)) > 0.99 * len(numbers)


def test_every_door_and_tier_gives_what_was_asked_for(project: EdgeProject) -> None:
    """Computed, remembered, read by another edge: one by one, many at a time, and ranked."""
    with edge_process(project.settings) as edge:
        assert get_all(edge) == {"live"}
        assert get_all(edge) == {"memory"}
        edge.wait_for_metric("nearcast_write_backs_total", len(ALL))
    project.replicate()
    with edge_process(project.settings) as another:
        assert get_all(another) == {"replica"}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("model", MODELS)
def test_many_at_a_time_and_ranked(project: EdgeProject, model: str, variant: str) -> None:
    """Raw parts beside context of their own, in one request; candidates that look like other keys."""
    wanted = [asked for asked in ALL if (asked.model, asked.variant) == (model, variant)]
    keys = [{"key": {"user": a.user, "item": a.item}, "context": {"hour": a.hour}} for a in wanted]
    with edge_process(project.settings) as edge:
        many = edge.post(model, keys, variant=variant).json()["predictions"]
        ranked = [
            edge.client.post(
                f"/v1/rank/{model}",
                json={
                    "key": {"user": user},
                    "candidates": {"item": ITEMS},
                    "context": {"hour": 3},
                    "variant": variant,
                    "k": len(ITEMS),
                },
            ).json()["ranked"]
            for user in USERS
        ]

    for asked, answer in zip(wanted, many, strict=True):
        check(asked, answer["prediction"], 1)
    for user, places in zip(USERS, ranked, strict=True):
        assert {place["candidate"]["item"] for place in places} == set(ITEMS)
        for place in places:
            asked = Asked(model, variant, user, place["candidate"]["item"], 3)
            check(asked, place["prediction"], 1)
            assert np.float32(place["score"]) == asked.expected(1)


def test_what_a_client_calls_its_request_is_no_part_of_a_key(project: EdgeProject) -> None:
    """The same name for different requests mixes nothing up, and different names for the same are one entry."""
    with edge_process(project.settings) as edge:
        get_all(edge, "same")
        asked = ALL[0]
        answers = [get(edge, asked, f"request-{n}") for n in range(5)]

    assert {tier(answer) for answer in answers} == {"memory"}
    assert [answer.headers["x-request-id"] for answer in answers] == [f"request-{n}" for n in range(5)]
    assert len({answer.content for answer in answers}) == 1


def test_a_text_that_looks_like_context_stays_in_its_part(project: EdgeProject) -> None:
    """The first `?` that is not escaped ends a key, and one inside a part is always escaped."""
    with edge_process(project.settings) as edge:
        inside = edge.get("/v1/predict/red/a:b~3Fhour=3").json()
        behind = edge.get("/v1/predict/red/a:b%3Fhour=3").json()
        beside = edge.get("/v1/predict/red/a:b?hour=3").json()

    check(Asked("red", "default", "a", "b?hour=3", 12), inside, 1)
    check(Asked("red", "default", "a", "b", 3), behind, 1)
    assert behind == beside


def test_versions_keep_to_themselves(project: EdgeProject) -> None:
    """Rolled out and rolled back while everybody asks: each answer is all of one version."""
    published: dict[tuple[str, str], int] = {}
    some = [asked for asked in ALL if asked.hour == 3]

    def asked_of(edge: Edge, asked: Asked) -> tuple[Asked, dict[str, Any]]:
        found: dict[str, Any] = get(edge, asked).json()
        return asked, found

    with edge_process(project.settings) as edge, ThreadPoolExecutor(16) as threads:
        first = versions(edge)
        for model, variant in product(MODELS, VARIANTS):
            published[model, variant] = project.registry.publish(
                model, variant, graph(model, variant, 2), now_ms=2
            ).version
        under_way = [threads.submit(asked_of, edge, asked) for asked in some]
        wait_until(lambda: versions(edge) == published, 30.0)
        after = list(threads.map(lambda asked: asked_of(edge, asked), some))
        for model, _ in product(MODELS, VARIANTS):
            project.registry.rollback(model)
        wait_until(lambda: versions(edge) == first, 30.0)
        back = list(threads.map(lambda asked: asked_of(edge, asked), some))

    for asked, prediction in after:
        assert prediction["version"] == published[asked.model, asked.variant]
        check(asked, prediction, 2)
    for asked, prediction in back:
        assert prediction["version"] == first[asked.model, asked.variant]
        check(asked, prediction, 1)
    for asked, prediction in (future.result() for future in under_way):
        check(asked, prediction, 1 if prediction["version"] == first[asked.model, asked.variant] else 2)
