"""Which versions an edge has to have loaded: what is active, and what may be at any moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from precompute.keys import active_key, hot_state_key, past_key, sequence_key
from precompute.registry import Version
from precompute.store import checked
from precompute.updates import Command, Reply

#: Latest publishes among which a variant's newest is looked for, and earlier pointers among which its last one is.
_LATEST = 8
COMMANDS = 4


def pointer_commands(model: str) -> list[Command]:
    """What to ask for a model's `Pointers`; so many commands as `COMMANDS` says."""
    return [
        ("HGETALL", active_key(model)),
        ("LRANGE", past_key(model), 0, _LATEST - 1),
        ("GET", sequence_key(model)),
        ("HGET", hot_state_key(model), "total_per_s"),
    ]


@dataclass(frozen=True, slots=True)
class Pointers:
    """What the registry says of one model.

    Attributes:
        active: the version each variant serves.
        past: variants with the versions they served before, newest first; 0 for none.
        last: the last version number given out.
        rate_per_s: how often the model is asked for, on all edges.
    """

    active: Mapping[str, int]
    past: Sequence[tuple[str, int]]
    last: int
    rate_per_s: float = 0.0

    @classmethod
    def parse(cls, active: Reply, past: Reply, last: Reply, rate_per_s: Reply = None) -> Pointers:
        """Reads the replies to `pointer_commands`."""
        flat = checked(active)
        return cls(
            {variant.decode(): int(version) for variant, version in zip(flat[::2], flat[1::2], strict=True)},
            [msgspec.json.decode(text, type=tuple[str, int]) for text in checked(past)],
            int(checked(last) or 0),
            float(checked(rate_per_s) or 0),
        )

    def known(self) -> list[int]:
        """The numbers of all versions that may be loaded."""
        return sorted({*self.latest(), *self.active.values(), *(version for _, version in self.past if version)})

    def latest(self) -> list[int]:
        """The numbers of the latest publishes."""
        return list(range(self.last, max(0, self.last - _LATEST), -1))


#: Of a model that is not to be served.
NO_POINTERS = Pointers({}, [], 0)


def standby(pointers: Pointers, latest: Iterable[Version]) -> list[int]:
    """Versions to keep ready beside the active ones: at most two for each variant.

    Args:
        latest: records of the latest publishes.
    """
    ready: dict[int, None] = {}
    before: dict[str, int] = {}
    for variant, version in pointers.past:
        if version and version != pointers.active.get(variant):
            before.setdefault(variant, version)
    newest: dict[str, int] = {}
    for record in latest:
        newest[record.variant] = max(newest.get(record.variant, 0), record.version)
    for variant, version in [*before.items(), *newest.items()]:
        if version != pointers.active.get(variant):
            ready[version] = None
    return list(ready)
