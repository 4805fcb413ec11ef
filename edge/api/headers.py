"""What the headers of an answer say to caches and to people.

`Cache-Status` (RFC 9211) lists our tiers from the one nearest the model to the one nearest the client. `Age` counts
from the computation. A shared cache must ask again each time (`max-age=0` with an `ETag`) unless the model's policy
gives it leave, because nobody tells it of a changed feature; the dependencies stand in `Surrogate-Key`, `Cache-Tag`
and `Cache-Groups` (RFC 9875) for caches that are told.
"""

from __future__ import annotations

from edge.api.wire import JSON, Header
from edge.ask import Answer
from edge.for_caches import tag_headers
from edge.held import Held
from edge.routing import Choice
from edge.stats import Tier

_CONTENT_TYPE: Header = (b"content-type", JSON)
_CONSTANT = b"content-type: application/json\r\ncache-control: %b\r\netag: %b\r\n%bcontent-length: %d\r\n\r\n"


def answer_headers(answer: Answer, took_s: float) -> list[Header]:
    """All headers of a single answer, Content-Length aside."""
    headers = [
        _CONTENT_TYPE,
        (b"cache-status", cache_status(answer)),
        (b"server-timing", b"%s;dur=%.3f" % (answer.tier.encode(), took_s * 1000)),
    ]
    held = answer.held
    if held is None:
        return [*headers, (b"cache-control", b"no-store")]
    age = (b"age", b"%d" % (answer.age_ms // 1000))
    if answer.tier is Tier.STALE:
        # The body differs from the fresh one, so it has no ETag of its own, and nobody should keep it.
        return [*headers, age, (b"cache-control", b"no-store")]
    control = held.edition.for_caches.control(answer.fresh_for_ms // 1000)
    return [*headers, age, (b"cache-control", control), (b"etag", held.etag), *tag_headers(held.tags)]


def cache_status(answer: Answer) -> bytes:
    """The tiers' part in this answer."""
    ttl_s, why = answer.fresh_for_ms // 1000, answer.memory.encode()
    match answer.tier:
        case Tier.REPLICA:
            return b"nearcast-replica; hit; ttl=%d, nearcast-memory; fwd=%b; stored" % (ttl_s, why)
        case Tier.LIVE:
            return b"nearcast-replica; fwd=miss; stored, nearcast-memory; fwd=%b; stored" % why
        case Tier.MEMORY:
            return b"nearcast-memory; hit; ttl=%d" % ttl_s
        case Tier.STALE:
            return b"nearcast-memory; hit; ttl=%d; detail=stale" % ttl_s
        case _:
            return b"nearcast-memory; fwd=%b; detail=default" % why


def route_headers(choice: Choice, varies_by: bytes) -> list[Header]:
    """Which variant was chosen and why, as an item of RFC 9651; and by which request header it differs, if by any.

    `p95` is what was to be expected and `budget` what there was, both in ms; `over` says that nothing fits, and the
    fastest variant was taken. RFC 9211 is about caches: what a router thought has no place in `Cache-Status`.
    """
    chosen = choice.candidate
    item = b"%b;tier=%b;budget=%.1f" % (chosen.variant.encode(), chosen.tier.encode(), choice.budget_ms)
    if chosen.p95_ms is not None:
        item += b";p95=%.3f" % chosen.p95_ms
    route = (b"nearcast-variant", item if choice.fits else item + b";over")
    return [route, (b"vary", varies_by)] if varies_by else [route]


def constant_headers(held: Held, fresh_for_s: int) -> bytes:
    """The headers of a fresh answer that depend on its entry and how long others may keep it only; to the end."""
    edition, body = held.edition, held.body
    caches = edition.for_caches
    return _CONSTANT % (caches.control(fresh_for_s), held.etag, caches.tag_lines(edition.key(body)), len(body))
