"""One request ranks many candidates: each as it would be predicted alone, the best first."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import httpx
import numpy as np
import pytest

from deploy.local.redis_pair import RedisPair
from precompute.features import Row
from tests import onnx_models
from tests.edge_process import Edge, edge_process
from tests.edge_project import EdgeProject, direct
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

MANY = 1000
MANIFEST = """
[project]
name = "shop"
[tiers]
premium = { budget_factor = 2.0 }
[views.user.fields]
taste = "float32"
[views.item.fields]
price = "float32"

[models.liking]
key = ["user", "item"]
inputs = { x = ["user.taste", "item.price", "context.hour"] }
context = { hour = { type = "int64", default = 12, min = 0, max = 23 } }
variants = { default = { quality = 0.7 }, better = { quality = 0.9 } }
policy = { ttl_jitter = 0.0 }

[models.patient]
key = ["user", "item"]
inputs = { x = ["user.taste", "item.price"] }
policy = { stale_while_revalidate_s = 600.0 }

[models.shares]
key = ["user", "item"]
inputs = { x = ["user.taste", "item.price"] }
[models.shares.outputs]
shares = { from = "y", transform = "softmax", labels = ["no", "yes"] }
likely = { from = "y", transform = "argmax" }

[models.broad]
key = ["user", "item"]
inputs = { x = ["user.taste", "item.price"] }
[models.wide]
key = ["user", "item"]
inputs = { x = ["user.taste", "item.price"] }

[models.unborn]
key = ["user", "item"]
inputs = { x = ["user.taste", "item.price"] }
"""
FILES = {
    ("liking", "default"): onnx_models.mlp((3, 8, 1), seed=1),
    ("liking", "better"): onnx_models.mlp((3, 8, 1), seed=6),
    ("patient", "default"): onnx_models.mlp((2, 8, 1), seed=2),
    ("shares", "default"): onnx_models.mlp((2, 8, 2), seed=3),
    ("broad", "default"): onnx_models.mlp((2, 300, 300, 1), seed=4),
    ("wide", "default"): onnx_models.mlp((2, 300, 300, 1), seed=5),
}


@dataclass(slots=True)
class Shop:
    """One edge for all tests of this file; each test has users and items of its own."""

    project: EdgeProject
    edge: Edge
    taste: dict[str, float] = field(default_factory=dict)
    price: dict[str, float] = field(default_factory=dict)

    def user(self) -> str:
        """A new one."""
        name = f"u{len(self.taste)}"
        self.set_taste(name, float(len(self.taste)))
        return name

    def set_taste(self, user: str, taste: float, *, event_ms: int = 1) -> None:
        """Stores what a user likes."""
        self.taste[user] = taste
        assert not self.project.features.put("user", [Row(user, {"taste": taste}, event_ms)]).rejected
        self.project.replicate()

    def items(self, count: int) -> list[str]:
        """New ones, with prices that differ."""
        first = len(self.price)
        new = {f"i {n}": (n * 7919 % 1000) / 100 for n in range(first, first + count)}
        rows = [Row(name.replace(" ", "~20"), {"price": price}, 1) for name, price in new.items()]
        assert self.project.features.put("item", rows).written == count
        self.project.replicate()
        self.price.update(new)
        return list(new)

    def rank(self, user: str, items: Sequence[str], model: str = "liking", **more: object) -> httpx.Response:
        """One request."""
        body = {"key": {"user": user}, "candidates": {"item": list(items)}, **more}
        return self.edge.client.post(f"/v1/rank/{model}", json=body)

    def expected(self, user: str, items: Sequence[str], hour: int = 12) -> dict[str, np.float32]:
        """What the model itself says of each, best first."""
        rows = [[self.taste[user], self.price[item], hour] for item in items]
        scores = dict(zip(items, direct(FILES["liking", "default"], rows), strict=True))
        return dict(sorted(scores.items(), key=lambda pair: -pair[1]))


@pytest.fixture(scope="module")
def shop(redis_pair: RedisPair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The pair is everybody's, so this file empties it first."""
    directory = tmp_path_factory.mktemp("rank")
    EdgeProject.declare(directory, redis_pair, MANIFEST, {}).store.call("FLUSHALL")
    project = EdgeProject.declare(directory, redis_pair, MANIFEST, FILES, budget_ms=10_000.0)
    with edge_process(project.settings) as edge:
        yield Shop(project, edge)
    project.store.close()


def ranked(response: httpx.Response) -> dict[str, np.float32]:
    """Scores by item, in the order of the answer, which must be one."""
    assert response.status_code == 200, response.text
    return {one["candidate"]["item"]: np.float32(one["score"]) for one in response.json()["ranked"]}


def tiers(response: httpx.Response) -> set[str]:
    """Where the ranked ones came from."""
    return {one["tier"] for one in response.json()["ranked"]}


def test_a_thousand_candidates_are_ranked_as_the_model_ranks_them(shop: Shop) -> None:
    """Computed together, then from memory, then by another edge from its replica: the same ten, bit for bit."""
    user, items = shop.user(), shop.items(MANY)
    rows, batches = (shop.edge.metric(f"nearcast_live_{what}_total") for what in ("rows", "batches"))
    written = shop.edge.metric("nearcast_write_backs_total")

    live, memory = shop.rank(user, items, k=10), shop.rank(user, items, k=MANY)
    shop.edge.wait_for_metric("nearcast_write_backs_total", written + MANY)
    shop.project.replicate()
    with edge_process(shop.project.settings.model_copy(update={"warm_keys": 0})) as another:
        replica = Shop(shop.project, another).rank(user, items, k=10)

    expected = shop.expected(user, items)
    assert list(ranked(memory).items()) == list(expected.items())
    assert list(ranked(live).items()) == list(ranked(replica).items()) == list(expected.items())[:10]
    assert (tiers(live), tiers(memory), tiers(replica)) == ({"live"}, {"memory"}, {"replica"})
    assert shop.edge.metric("nearcast_live_rows_total") == rows + MANY
    assert shop.edge.metric("nearcast_live_batches_total") <= batches + 4


def test_a_ranked_prediction_is_the_one_that_a_get_gives(shop: Shop) -> None:
    """Byte for byte, under the key that composing it by hand gives."""
    user, items = shop.user(), shop.items(3)

    answer = shop.rank(user, items, context={"hour": "07"}, k=1)
    (first,) = answer.json()["ranked"]
    got = shop.edge.get(f"/v1/predict/liking/{first['prediction']['key']}")

    assert first["prediction"]["key"] == f"{user}:{first['candidate']['item'].replace(' ', '~20')}?hour=7"
    assert got.headers["cache-status"].startswith("nearcast-memory; hit")
    assert got.content in answer.content


def test_the_answer_says_what_was_ranked(shop: Shop) -> None:
    """Model, version, variant, the output and how many there were, those asked for twice included."""
    user, items = shop.user(), shop.items(3)

    body = shop.rank(user, [*items, items[0]], order="ascending").json()

    assert list(ranked_of(body)) == list(reversed(shop.expected(user, items)))
    assert {name: value for name, value in body.items() if name not in ("ranked", "unranked")} == {
        "model": "liking",
        "version": 1,
        "variant": "default",
        "output": "y",
        "order": "ascending",
        "candidates": 4,
        "duplicates": 1,
        "over_budget": False,
    }
    assert body["unranked"] == []
    assert all(one["age_s"] >= 0 for one in body["ranked"])


def ranked_of(body: dict[str, list[dict[str, dict[str, str]]]]) -> list[str]:
    """Items of an answer, in order."""
    return [one["candidate"]["item"] for one in body["ranked"]]


def test_a_candidate_that_cannot_be_predicted_is_named(shop: Shop) -> None:
    """With the reason that it would have alone; the others are ranked, and all are counted."""
    user, items = shop.user(), shop.items(2)
    errors = shop.edge.metric("nearcast_errors_total", model="liking")

    answer = shop.rank(user, ["nobody sells this", *items, ""])

    assert list(ranked(answer)) == list(shop.expected(user, items))
    unranked = answer.json()["unranked"]
    assert [(one["candidate"], one["status"]) for one in unranked] == [
        ({"item": "nobody sells this"}, 422),
        ({"item": ""}, 404),
    ]
    assert (unranked[0]["problem"]["view"], unranked[0]["problem"]["entity"]) == ("item", "nobody~20sells~20this")
    assert shop.edge.metric("nearcast_errors_total", model="liking") == errors + 2


def test_without_any_candidate_the_reason_is_the_answer(shop: Shop) -> None:
    """Nobody can be ranked for a user that is not there."""
    answer = shop.rank("nobody", shop.items(3))

    assert (answer.status_code, answer.json()["view"]) == (422, "user")
    assert answer.json()["type"] == "urn:nearcast:problem:feature-missing"


def test_a_change_changes_the_ranking(shop: Shop) -> None:
    """Of the user all candidates depend on: none is answered from before."""
    user, items = shop.user(), shop.items(20)
    shop.rank(user, items)
    shop.set_taste(user, 900.0, event_ms=2)

    answer = wait_until(lambda: _unless_memory(shop.rank(user, items, k=20)))

    assert list(ranked(answer).items()) == list(shop.expected(user, items).items())


def _unless_memory(answer: httpx.Response) -> httpx.Response | None:
    return None if "memory" in tiers(answer) else answer


def test_a_stale_candidate_says_so(shop: Shop) -> None:
    """Within the time that the policy allows, while it is computed anew."""
    user, items = shop.user(), shop.items(3)
    shop.rank(user, items, "patient")
    shop.set_taste(user, 800.0, event_ms=2)

    answer = wait_until(lambda: _unless_memory(shop.rank(user, items, "patient")))

    assert tiers(answer) == {"stale"}
    assert all(one["prediction"]["stale"] is True for one in answer.json()["ranked"])


def test_candidates_may_differ_in_context(shop: Shop) -> None:
    """One item at each hour: when does the user like it best?"""
    user, (item,) = shop.user(), shop.items(1)
    body = {"key": {"user": user, "item": item}, "candidates": {"hour": list(range(25))}, "k": 24}

    answer = shop.edge.client.post("/v1/rank/liking", json=body).json()

    scores = {hour: shop.expected(user, [item], hour)[item] for hour in range(24)}
    assert [one["candidate"]["hour"] for one in answer["ranked"]] == sorted(scores, key=lambda hour: -scores[hour])
    assert [(one["candidate"]["hour"], one["status"]) for one in answer["unranked"]] == [(24, 400)]


def test_one_of_several_values_may_be_ranked_by(shop: Shop) -> None:
    """By its label; the share of one class, and of the other in the other order."""
    user, items = shop.user(), shop.items(10)

    yes = ranked(shop.rank(user, items, "shares", output="shares", pick="yes"))
    no = ranked(shop.rank(user, items, "shares", output="shares", pick="no", order="ascending"))

    assert list(yes) == list(no)
    assert list(yes.values()) == sorted(yes.values(), reverse=True)


def test_equal_scores_keep_the_order_of_the_request(shop: Shop) -> None:
    """Every time, however they came in."""
    user, items = shop.user(), shop.items(12)

    likely = shop.rank(user, items, "shares", output="likely", k=12).json()["ranked"]

    places = [(-one["score"], items.index(one["candidate"]["item"])) for one in likely]
    assert places == sorted(places)


def test_what_is_not_computed_in_time_costs_the_rest_nothing(shop: Shop) -> None:
    """What memory has is ranked; the others are named as late, and nothing in time is an answer by itself."""
    user, (known, *new) = shop.user(), shop.items(3)
    shop.rank(user, [known])

    some = shop.rank(user, [known, *new], budget_ms=0.0001)
    none = shop.rank(user, shop.items(1), budget_ms=0.0001)

    assert list(ranked(some)) == [known]
    assert [one["status"] for one in some.json()["unranked"]] == [504, 504]
    assert (none.status_code, none.headers["retry-after"]) == (504, "1")


def test_ranked_keys_count_as_asked_for(shop: Shop) -> None:
    """What is ranked often is hot, and the counters balance."""
    user, items = shop.user(), shop.items(5)
    asked = shop.edge.metric("nearcast_requests_total", model="liking")

    shop.rank(user, items, k=1)

    assert shop.edge.metric("nearcast_requests_total", model="liking") == asked + 5


class TestAuto:
    @staticmethod
    def measure(shop: Shop, user: str, item: str) -> None:
        """Has each variant compute once, so that it is known how long it takes."""
        for variant in ("default", "better"):
            path = f"/v1/predict/liking/{user}:{item.replace(' ', '~20')}?variant={variant}"
            assert shop.edge.get(path, cache_control="no-cache").status_code == 200

    def test_all_candidates_are_ranked_by_one_variant(self, shop: Shop) -> None:
        """The best that fits, whatever lies ready of others: scores of two models cannot be compared."""
        user, items = shop.user(), shop.items(5)
        self.measure(shop, user, items[0])
        shop.rank(user, items[:3])

        body = shop.rank(user, items, variant="auto", budget_ms=10_000.0).json()

        assert (body["variant"], body["over_budget"], len(body["ranked"])) == ("better", False, 5)
        assert {place["prediction"]["variant"] for place in body["ranked"]} == {"better"}

    def test_what_fits_no_budget_says_so(self, shop: Shop) -> None:
        """And comes all the same."""
        user, items = shop.user(), shop.items(5)
        self.measure(shop, user, items[0])

        body = shop.rank(user, items, variant="auto", budget_ms=0.0001).json()

        assert (body["over_budget"], len(body["ranked"])) == (True, 5)

    def test_an_unknown_user_tier_is_refused(self, shop: Shop) -> None:
        """As for a single prediction."""
        body = {"key": {"user": "u"}, "candidates": {"item": ["i"]}, "variant": "auto"}

        refused = shop.edge.client.post("/v1/rank/liking", json=body, headers={"x-user-tier": "royal"})

        assert (refused.status_code, "no tier 'royal'" in refused.json()["detail"]) == (400, True)


def test_a_model_that_was_never_loaded_is_ranked_by(shop: Shop) -> None:
    """Which outputs it has is found out when somebody wants to rank by one."""
    user, items = shop.user(), shop.items(3)
    # Room for one of the two large ones.
    settings = shop.project.settings.model_copy(update={"model_memory_bytes": 3 << 20})

    with edge_process(settings) as small:
        for model in ("broad", "wide"):
            response = Shop(shop.project, small).rank(user, items, model)
            assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "must be JSON like"),
        (b"{}", 400, "`candidates`"),
        (b'{"candidates": {}}', 400, "1 to 1000 candidates, this one 0"),
        (b'{"candidates": {"item": []}, "key": {"user": "u"}}', 400, "this one 0"),
        (b'{"candidates": {"item": "i"}, "key": {"user": "u"}}', 400, "Expected `array`"),
        (b'{"candidates": {"item": ["i"]}, "key": {"user": null}}', 400, "Expected `int | str`"),
        (b'{"candidates": {"item": ["i"]}}', 404, "'user' is missing"),
        (b'{"candidates": {"item": ["i"]}, "key": {"user": "u", "item": "i"}}', 404, "it can be one of them"),
        (b'{"candidates": {"item": ["i"], "size": [1]}, "key": {"user": "u"}}', 400, "'size' is neither"),
        (b'{"candidates": {"item": ["i"], "hour": [1, 2]}, "key": {"user": "u"}}', 400, "differ in length"),
        (b'{"candidates": {"item": ["i"]}, "key": {"user": "u"}, "context": {"hour": 24}}', 400, "outside [0, 23]"),
        (b'{"candidates": {"item": ["i"]}, "key": {"user": "u"}, "k": 0}', 400, "k must be 1 to 1000"),
        (b'{"candidates": {"item": ["i"]}, "key": {"user": "u"}, "k": 1001}', 400, "k must be 1 to 1000"),
        (b'{"candidates": {"item": ["i"]}, "key": {"user": "u"}, "output": "z"}', 400, "no output 'z'; it has: y"),
        (b'{"candidates": {"item": ["i"]}, "key": {"user": "u"}, "order": "best"}', 400, "Invalid enum value"),
        (b'{"candidates": {"item": ["i"]}, "key": {"user": "u"}, "variant": "fast"}', 400, "no variant 'fast'"),
        (b'{"candidates": {"item": ["i"]}, "key": {"user": "u"}, "budget_ms": 0}', 400, "budget_ms must be"),
        (b'{"candidates": {"item": ["i"]}, "key": {"user": "u"}, "top": 3}', 400, "unknown field `top`"),
        (json.dumps({"candidates": {"item": ["i"] * 1001}, "key": {"user": "u"}}).encode(), 400, "this one 1001"),
        (b'{"candidates": {"item": ["' + b"x" * (1 << 20) + b'"]}}', 413, "the limit is"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(shop: Shop, body: bytes, status: int, said: str) -> None:
    """With a sentence that says what to change."""
    answer = shop.edge.client.post("/v1/rank/liking", content=body)

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert said in answer.json()["detail"]


def test_other_doors_are_shut(shop: Shop) -> None:
    """Unknown models, those without a version, other paths and methods."""
    body = {"candidates": {"item": ["i"]}, "key": {"user": "u"}}
    post, several = shop.edge.client.post, {"output": None, "pick": None}

    assert post("/v1/rank/nope", json=body).status_code == 404
    assert post("/v1/rank/unborn", json=body).status_code == 503
    assert post("/v1/rank/liking/more", json=body).status_code == 400
    assert shop.edge.get("/v1/rank/liking").status_code == 405
    assert "it has: shares, likely" in post("/v1/rank/shares", json={**body, **several}).json()["detail"]


def test_a_candidate_of_any_size_can_be_named(shop: Shop) -> None:
    """An integer that no machine word holds is told back as it came."""
    user = shop.user()
    body = b'{"key": {"user": "%s"}, "candidates": {"item": [%s]}}' % (user.encode(), b"9" * 30)

    answer = shop.edge.client.post("/v1/rank/liking", content=body)

    assert (answer.status_code, answer.json()["entity"]) == (422, "9" * 30)
