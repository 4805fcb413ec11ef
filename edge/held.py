"""An entry as an edge holds it: its bytes, and what decides whether they may be sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import xxhash

from precompute.freshness import Freshness, Verdict, Watch
from precompute.updates import milliseconds

if TYPE_CHECKING:
    from edge.edition import Edition
    from precompute.predictor import Servable


#: Looking a member up takes 0.05 µs.
_FRESH = Verdict.FRESH
#: Milliseconds of ten thousand years; with two bytes more, an entry with one dependency takes 16 more.
COMPUTED_BYTES = 6


class Held(msgspec.Struct, eq=False, gc=False):
    """A prediction in this process; made by an `Edition`.

    The garbage collector does not look at these: a million of them would hold up everybody for half a second, and
    nothing in them leads back to them. Numbers that only a change of freshness asks for are packed, because each of
    them would be an object of its own.

    Attributes:
        marks: history, time of the computation, slots and update ids, packed by the edition.
        judged: what had been learned of changes when it was last found fresh, by `moves`.
        hits: for the memory tier.
    """

    edition: Edition
    body: bytes
    marks: bytes
    fresh_until_ms: int
    judged: int = -1
    hits: int = 0

    @property
    def size(self) -> int:
        """Bytes that differ from entry to entry."""
        return len(self.body) + len(self.marks)

    @property
    def servable(self) -> Servable:
        """What computed it."""
        return self.edition.servable

    @property
    def epoch(self) -> int:
        """The history that its update ids belong to."""
        return int.from_bytes(self.marks[:4], "little")

    @property
    def computed_ms(self) -> int:
        """When it was computed, ms since 1970."""
        return int.from_bytes(self.marks[4 : 4 + COMPUTED_BYTES], "little")

    @property
    def as_of(self) -> tuple[int, ...]:
        """One id for each of `watch`."""
        return self.edition.unpack(self.marks)[self.edition.ids_at :]

    @property
    def watch(self) -> Watch:
        """The slots of what it depends on."""
        return self.edition.unpack(self.marks)[1 : self.edition.ids_at]

    @property
    def etag(self) -> bytes:
        """A strong validator: another for any other body."""
        return b'"' + xxhash.xxh3_64_hexdigest(self.body).encode() + b'"'

    @property
    def tags(self) -> bytes:
        """The dependencies as surrogate keys, separated by spaces."""
        return self.edition.for_caches.tags(self.edition.key(self.body))

    def verdict(self, freshness: Freshness) -> Verdict:
        """What the rule says, TTL aside."""
        known, judged = freshness.known, self.judged
        moves = known.moves
        if judged == moves:
            # Nothing has been learned since.
            return _FRESH
        edition = self.edition
        if judged >= known.raised and judged >= edition.orders.moved:
            # Only rows can have changed since it was found fresh: less than half of what there is to look at.
            if not edition.unchanged(known.slots, self.marks):
                return Verdict.CHANGED
            self.judged = moves
            return _FRESH
        marks, at = edition.unpack(self.marks), edition.ids_at
        verdict = freshness.verdict(marks[1:at], marks[0], marks, at)
        if verdict is _FRESH:
            self.judged = moves
        return verdict

    def is_deleted(self, freshness: Freshness) -> bool:
        """Whether a row that it was made from may have been deleted since."""
        return freshness.known.has_deletions and freshness.is_deleted(self.watch, self.as_of)

    def stale_for_ms(self, freshness: Freshness, now_ms: int) -> int:
        """How long ago it stopped being fresh, 0 if it has not; where that cannot be known, since it was computed."""
        verdict = self.verdict(freshness)
        since_ms = min(self.fresh_until_ms, now_ms)
        if verdict is Verdict.UNKNOWN:
            since_ms = self.computed_ms
        if verdict is Verdict.CHANGED:
            since_ms = min(since_ms, milliseconds(freshness.changed_at(self.watch, self.as_of)))
        return max(0, now_ms - since_ms)
