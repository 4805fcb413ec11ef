"""What all entries of one model version have in common, worked out once.

So an entry in memory needs little more than its bytes, and what is not kept with it is made from here again.
"""

from __future__ import annotations

import struct

from edge.for_caches import ForCaches
from edge.held import COMPUTED_BYTES, Held
from edge.key_facts import KeyFacts
from edge.unchanged import unchanged
from precompute.entry import Entry, header, header_bytes, identity_prefix, split
from precompute.errors import EntryCorrupt
from precompute.freshness import Freshness
from precompute.keys import ORDERS
from precompute.models import Key, ordered_key
from precompute.predictions import lifetime_ms
from precompute.predictor import Servable
from precompute.updates import AsOf

#: Where the history and the time of the computation begin in a stored header, and where the update ids do.
_HISTORY, _COMPUTED, _IDS = 2, 6, 14
#: Where the time of the computation begins in `Held.marks`; slots follow it.
_MARKED = 4
#: Versions that may be served at a time on one node are far fewer.
_REMEMBERED = 1024


class Edition:
    """A servable, as entries in memory refer to it; made by `Editions`.

    Attributes:
        unpack: reads `Held.marks`: the history, a slot for each dependency, and then an update id for each.
        ids_at: where the update ids begin in what it returns.
        unchanged: says of the same whether all rows are as they were.
        orders: the table of what people order by hand, which is about no row.
        for_caches: what caches outside are told of entries.
    """

    def __init__(self, servable: Servable, freshness: Freshness) -> None:
        model = servable.model
        self.servable = servable
        self.policy = model.policy
        watched = len(model.watched_views)
        marks = struct.Struct(f"<I6x{watched}I{watched}Q")
        self.unpack, self.ids_at = marks.unpack, 1 + watched
        rows = len(model.dependencies)
        orders = watched - rows
        self.unchanged = unchanged(f"<10x{rows}I{4 * orders}x{rows}Q{8 * orders}x", rows)
        self.orders = freshness.tables[ORDERS]
        self._head_bytes = header_bytes(watched - 1)
        self._prefix = identity_prefix(model.name, servable.version, servable.variant)
        # As `Model.watched`, whose names are slots here.
        self._entity_slots = [(freshness.tables[d.view].slot, d.entity_of) for d in model.dependencies]
        self._model_name, self._order_slot = model.name, self.orders.slot
        self._model_slot = self.orders.slot(model.name)
        self._slots = struct.Struct(f"<{watched}I")
        self._slots_at = _MARKED + COMPUTED_BYTES
        self._slots_end = self._slots_at + self._slots.size
        self.for_caches = ForCaches(model)

    def of_key(self, key: Key) -> tuple[bytes, int]:
        """Slots and lifetime of all entries of a key, as `KeyFacts` has them."""
        parts = key.parts
        slots = [slot(entity_of(parts)) for slot, entity_of in self._entity_slots]
        # One order may be about the whole model, another about this key: two slots, one log.
        slots += self._model_slot, self._order_slot(ordered_key(self._model_name, key.text))
        return self._slots.pack(*slots), lifetime_ms(self.policy, key.text)

    def as_before(self, before: Held | None, key: Key) -> tuple[bytes, int]:
        """The same, from an entry of that key that is at hand, if it is one of ours; a tenth of the work."""
        if before is None or before.edition is not self:
            return self.of_key(key)
        marks = before.marks
        computed_ms = int.from_bytes(marks[_MARKED : _MARKED + COMPUTED_BYTES], "little")
        return marks[self._slots_at : self._slots_end], before.fresh_until_ms - computed_ms

    def facts(self, key: Key) -> KeyFacts:
        """What all entries of a key have in common."""
        slots, lifetime_ms = self.of_key(key)
        return KeyFacts(self, self._prefix + key.text.encode() + b'",', slots, lifetime_ms)

    def read(self, facts: KeyFacts, value: bytes) -> Held:
        """A stored entry of a key.

        Raises:
            EntryCorrupt: it does not parse, is another key's, or was made under another declaration.
        """
        head, body = split(value, facts.begins)
        return self.hold(facts.slots, facts.lifetime_ms, head, body)

    def hold(self, slots: bytes, lifetime_ms: int, head: bytes, body: bytes) -> Held:
        """An entry that has just been made or read, of a key with these slots and this lifetime.

        Args:
            head: what stands before its body in the store.

        Raises:
            EntryCorrupt: made under another declaration, with other dependencies.
        """
        if len(head) != self._head_bytes:
            raise EntryCorrupt(f"entry has {head[1]} update ids, the model has {len(self._entity_slots) + 1} logs")
        computed = head[_COMPUTED : _COMPUTED + COMPUTED_BYTES]
        marks = b"".join((head[_HISTORY:_COMPUTED], computed, slots, head[_IDS:], head[-8:]))
        return Held(self, body, marks, int.from_bytes(computed, "little") + lifetime_ms)

    def entry(self, key: Key, entry: Entry) -> Held:
        """An entry that is parsed already."""
        head = header(AsOf(entry.epoch, entry.as_of), entry.computed_ms)
        return self.hold(*self.of_key(key), head, entry.body)

    def key(self, body: bytes) -> str:
        """Whose entry it is, as it stands in the body."""
        start = len(self._prefix)
        return body[start : body.index(b'"', start)].decode()


class Editions:
    """The editions of one edge."""

    def __init__(self, freshness: Freshness) -> None:
        self.freshness = freshness
        self._known: dict[int, Edition] = {}

    def of(self, servable: Servable) -> Edition:
        """The one edition of a servable."""
        # By identity: comparing two servables means comparing all that was declared.
        edition = self._known.get(id(servable))
        if edition is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            edition = self._known[id(servable)] = Edition(servable, self.freshness)
        return edition
