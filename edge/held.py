"""An entry as an edge holds it: with everything that answering from it needs, worked out once."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
import xxhash

from precompute.entry import Entry
from precompute.freshness import Freshness, Verdict, Watch
from precompute.models import Key
from precompute.predictions import lifetime_ms
from precompute.predictor import Servable
from precompute.updates import milliseconds

#: An update id and what is watched for it: two integers and a tuple, measured.
_ID_BYTES = 120
#: The kept headers of a hit beside the tags, which stand in them three times.
_WIRE_BYTES = 250
_NO_TAG = re.compile(r"[^ -~]|,")


class Held(msgspec.Struct, eq=False, gc=False):
    """A prediction in this process; made by `hold`.

    The garbage collector does not look at these: a million of them would hold up everybody for half a second, and
    nothing in them leads back to them.

    Attributes:
        as_of: one id for each of `watch`.
        judged: what had been learned of changes when it was last found fresh, by `moves`.
        wire: the constant headers of a hit's response, once somebody has needed them; accounted for from the start.
    """

    servable: Servable
    body: bytes
    epoch: int
    as_of: tuple[int, ...]
    computed_ms: int
    fresh_until_ms: int
    watch: Watch
    etag: bytes
    tags: bytes
    wire: bytes | None = None
    judged: int = -1

    @property
    def size(self) -> int:
        """Bytes that differ from entry to entry."""
        return len(self.body) + 4 * len(self.tags) + _WIRE_BYTES + _ID_BYTES * len(self.as_of)

    def verdict(self, freshness: Freshness) -> Verdict:
        """What the rule says, TTL aside."""
        moves = freshness.known.moves
        if self.judged == moves:
            # Nothing has been learned since; looking at all dependencies again takes a quarter of a hit's time.
            return Verdict.FRESH
        verdict = freshness.verdict(self.watch, self.epoch, self.as_of)
        if verdict is Verdict.FRESH:
            self.judged = moves
        return verdict

    def is_deleted(self, freshness: Freshness) -> bool:
        """Whether a row that it was made from may have been deleted since."""
        return freshness.is_deleted(self.watch, self.as_of)

    def stale_for_ms(self, freshness: Freshness, now_ms: int) -> int:
        """How long ago it stopped being fresh, 0 if it has not; where that cannot be known, since it was computed."""
        verdict = self.verdict(freshness)
        since_ms = min(self.fresh_until_ms, now_ms)
        if verdict is Verdict.UNKNOWN:
            since_ms = self.computed_ms
        if verdict is Verdict.CHANGED:
            since_ms = min(since_ms, milliseconds(freshness.changed_at(self.watch, self.as_of)))
        return max(0, now_ms - since_ms)


def hold(servable: Servable, key: Key, entry: Entry, freshness: Freshness) -> Held:
    """An entry with everything that answering from it needs."""
    model = servable.model
    return Held(
        servable,
        entry.body,
        entry.epoch,
        # One order may be about the whole model, another about this key: two slots, one log.
        (*entry.as_of, *entry.as_of[-1:]),
        entry.computed_ms,
        entry.computed_ms + lifetime_ms(model.policy, key.text),
        freshness.watch(model.watched_views, model.watched(key)),
        b'"' + xxhash.xxh3_64_hexdigest(entry.body).encode() + b'"',
        _tags(servable, model.entities(key)),
    )


def _tags(servable: Servable, entities: Sequence[str]) -> bytes:
    """The dependencies as surrogate keys, separated by spaces; keys hold none.

    What a tag cannot hold is written `~XX`, as in keys: commas separate the tags of `Cache-Tag`, and `Cache-Groups` is
    ASCII.
    """
    model = servable.model
    named = [f"{d.view}:{entity}" for d, entity in zip(model.dependencies, entities, strict=True)]
    text = " ".join([f"model:{model.name}", *named])
    return _NO_TAG.sub(lambda m: "".join(f"~{b:02X}" for b in m[0].encode()), text).encode()
