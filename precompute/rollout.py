"""How warm a version is: the share of the hot keys' requests that its stored predictions would answer fresh.

Measured where rows and entries are both exact, on the primary: an entry counts if none of the rows behind it has
changed since its as-of, by the rows' own stamps. Orders by hand are not looked at; edges do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from precompute.entry import decode, identity
from precompute.errors import EntryCorrupt, PermanentError
from precompute.keys import entry_key, row_key
from precompute.models import Key, Model
from precompute.registry import Version
from precompute.rows import STAMP, stamp
from precompute.store import Store, checked
from precompute.updates import parse_epoch

#: Keys of one read: a fraction of a millisecond of the server's time.
SLICE = 200


@dataclass(slots=True)
class Warmth:
    """What has been found.

    Attributes:
        keys: hot keys looked at.
        warm: of these, how many have a fresh prediction.
        weight, warm_weight: the same by requests per second.
        cold: the others, hottest first.
    """

    keys: int = 0
    warm: int = 0
    weight: float = 0.0
    warm_weight: float = 0.0
    cold: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        """The warm share of the weight; 1 where nothing is hot."""
        return self.warm_weight / self.weight if self.weight > 0 else 1.0

    def count(self, key: str, rate: float, *, warm: bool) -> None:
        """One hot key."""
        self.keys += 1
        self.weight += rate
        if warm:
            self.warm += 1
            self.warm_weight += rate
        else:
            self.cold.append(key)


def measure(store: Store, model: Model, version: Version, hot: Sequence[tuple[str, float]]) -> Warmth:
    """How warm a version is for these keys and their requests per second; what is no key any more is left out.

    Raises:
        StoreUnavailable: Redis is away.
    """
    warmth = Warmth()
    epoch = parse_epoch(store.call("INFO", "replication"))
    known = [(key, rate) for text, rate in hot if (key := _parsed(model, text)) is not None]
    for at in range(0, len(known), SLICE):
        part = known[at : at + SLICE]
        fresh = _fresh(store, model, version, [key for key, _ in part], epoch)
        for (key, rate), warm in zip(part, fresh, strict=True):
            warmth.count(key.text, rate, warm=warm)
    return warmth


def _parsed(model: Model, text: str) -> Key | None:
    try:
        return model.parse_key(text)
    except PermanentError:
        return None  # Counted under a declaration that has changed since.


def _fresh(store: Store, model: Model, version: Version, keys: Sequence[Key], epoch: int) -> list[bool]:
    rows = [row_key(d.view, d.entity_of(key.parts)) for key in keys for d in model.dependencies]
    # Entries first: a change that comes in between makes one look older than it is.
    entries, *stamps = store.run(
        [
            ("MGET", *(entry_key(model.name, version.version, key.text) for key in keys)),
            *(("GETRANGE", row, 0, STAMP.size - 1) for row in rows),
        ]
    )
    changes = [stamp(found).update_id if (found := checked(reply)) else 0 for reply in stamps]
    width = len(model.dependencies)
    return [
        is_warm(value, model, version, key, changes[width * i : width * (i + 1)], epoch)
        for i, (key, value) in enumerate(zip(keys, checked(entries), strict=True))
    ]


def is_warm(value: bytes | None, model: Model, version: Version, key: Key, changes: Sequence[int], epoch: int) -> bool:
    """Whether a stored prediction knows of the latest changes of its rows.

    Args:
        changes: update ids of the rows behind it, in the order of the model's dependencies; 0 where there is no row,
            which the entry is taken to know.
    """
    if value is None:
        return False
    try:
        entry = decode(value, identity(model.name, version.version, version.variant, key.text))
    except EntryCorrupt:
        return False
    return entry.epoch == epoch and all(c <= known for c, known in zip(changes, entry.as_of, strict=False))
