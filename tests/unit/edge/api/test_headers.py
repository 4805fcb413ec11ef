"""What an answer's headers say."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from edge.api.headers import answer_headers, cache_status, constant_headers, route_headers
from edge.ask import Answer
from edge.for_caches import tag_headers
from edge.held import Held
from edge.routing import Candidate, Choice
from edge.stats import Tier
from tests.unit.edge.rig import Rig


def held(policy: str = "") -> Held:
    """An entry of a model with this policy."""
    return Rig(policy=policy).held()


def answer(tier: Tier, memory: str = "uri-miss", *, fresh_for_ms: int = 9_900) -> Answer:
    """An answer of a tier, 2.5 seconds old."""
    entry = None if tier is Tier.DEFAULT else held()
    return Answer(b'{"a":1}', tier, memory, entry, 2500, fresh_for_ms)


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (answer(Tier.MEMORY, ""), b"nearcast-memory; hit; ttl=9"),
        (answer(Tier.REPLICA), b"nearcast-replica; hit; ttl=9, nearcast-memory; fwd=uri-miss; stored"),
        (answer(Tier.REPLICA, "stale"), b"nearcast-replica; hit; ttl=9, nearcast-memory; fwd=stale; stored"),
        (answer(Tier.LIVE), b"nearcast-replica; fwd=miss; stored, nearcast-memory; fwd=uri-miss; stored"),
        (answer(Tier.LIVE, "request"), b"nearcast-replica; fwd=miss; stored, nearcast-memory; fwd=request; stored"),
        (answer(Tier.STALE, fresh_for_ms=-1001), b"nearcast-memory; hit; ttl=-2; detail=stale"),
        (answer(Tier.STALE, fresh_for_ms=-1), b"nearcast-memory; hit; ttl=-1; detail=stale"),
        (answer(Tier.DEFAULT), b"nearcast-memory; fwd=uri-miss; detail=default"),
    ],
)
def test_cache_status_tells_where_an_answer_came_from(given: Answer, status: bytes) -> None:
    """RFC 9211: the cache nearest the origin first, each with a hit or why it went on."""
    assert cache_status(given) == status


def test_a_fresh_answer_can_be_validated_and_purged() -> None:
    """Age in whole seconds, an ETag, the policy, the dependencies, and how long it took."""
    headers = dict(answer_headers(answer(Tier.MEMORY, ""), 0.00123))

    assert headers == {
        b"content-type": b"application/json",
        b"cache-status": b"nearcast-memory; hit; ttl=9",
        b"server-timing": b"memory;dur=1.230",
        b"age": b"2",
        b"cache-control": b"public, max-age=0",
        b"etag": held().etag,
        b"surrogate-key": b"model:score thing:a place:p",
        b"cache-tag": b"model:score,thing:a,place:p",
        b"cache-groups": b'"model:score", "thing:a", "place:p"',
    }


@pytest.mark.parametrize("tier", [Tier.STALE, Tier.DEFAULT])
def test_nobody_should_keep_what_is_not_fresh(tier: Tier) -> None:
    """No store, no validator, no tags."""
    headers = dict(answer_headers(answer(tier, fresh_for_ms=-5), 0.001))

    assert headers[b"cache-control"] == b"no-store"
    assert headers.keys().isdisjoint({b"etag", b"surrogate-key", b"cache-tag", b"cache-groups"})
    assert (b"age" in headers) is (tier is Tier.STALE)


@pytest.mark.parametrize(
    ("policy", "fresh_for_s", "control"),
    [
        ("", 100, b"public, max-age=0"),
        ("max_age_s = 30.0", 100, b"public, max-age=30"),
        ("max_age_s = 30.0", 7, b"public, max-age=7"),
        ("max_age_s = 30.0", -1, b"public, max-age=0"),
        ("stale_while_revalidate_s = 5.0", 100, b"public, max-age=0, stale-while-revalidate=5"),
        (
            "max_age_s = 30.0, stale_while_revalidate_s = 5.0, stale_if_error_s = 60.0",
            100,
            b"public, max-age=30, stale-while-revalidate=5, stale-if-error=60",
        ),
    ],
)
def test_caches_outside_may_keep_what_the_policy_says(policy: str, fresh_for_s: int, control: bytes) -> None:
    """And never longer than the answer is fresh here."""
    assert held(policy).edition.for_caches.control(fresh_for_s) == control


def test_tags_are_spelled_for_each_kind_of_cache() -> None:
    """One list of dependencies, three separators."""
    assert tag_headers(held().tags) == [
        (b"surrogate-key", b"model:score thing:a place:p"),
        (b"cache-tag", b"model:score,thing:a,place:p"),
        (b"cache-groups", b'"model:score", "thing:a", "place:p"'),
    ]


@pytest.mark.parametrize("key", ["a:p", "a,b:p", "zürich:p", "New York:p", 'a:"', "a%s:p%b"])
def test_headers_of_the_lane_say_the_same_as_the_others(key: str) -> None:
    """They are put together from prepared parts."""
    entry = Rig(policy="max_age_s = 30.0").held(key)
    plain = [
        (b"cache-control", b"public, max-age=7"),
        (b"etag", entry.etag),
        *tag_headers(entry.tags),
        (b"content-length", b"%d" % len(entry.body)),
    ]

    lines = constant_headers(entry, 7).split(b"\r\n")

    assert lines[0] == b"content-type: application/json"
    assert lines[1:] == [*(b"%b: %b" % header for header in plain), b"", b""]


def test_an_age_is_never_rounded_up() -> None:
    """A cache that adds its own time to it must not expire early for nothing."""
    headers = dict(answer_headers(replace(answer(Tier.MEMORY, ""), age_ms=999), 0.0))

    assert headers[b"age"] == b"0"


@pytest.mark.parametrize(
    ("p95_ms", "fits", "said"),
    [
        (12.3456, True, b"fast;tier=live;budget=20.0;p95=12.346"),
        (32.0, False, b"fast;tier=live;budget=20.0;p95=32.000;over"),
        (None, False, b"fast;tier=live;budget=20.0;over"),
    ],
)
def test_a_routed_answer_says_how_it_was_chosen(p95_ms: float | None, fits: bool, said: bytes) -> None:
    """An item of RFC 9651: the variant, where it came from, what there was and what was expected."""
    choice = Choice(Candidate("fast", 0.7, Tier.LIVE, p95_ms), 20.0, fits=fits)

    assert route_headers(choice, b"") == [(b"nearcast-variant", said)]


def test_caches_outside_keep_the_answers_of_user_tiers_apart() -> None:
    """They differ by the header that says who asks."""
    choice = Choice(Candidate("fast", 0.7, Tier.LIVE), 20.0, fits=True)

    assert route_headers(choice, b"x-user-tier")[1:] == [(b"vary", b"x-user-tier")]
