"""What a target means, and the answer that was put together for it last."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from edge.api.headers import constant_headers
from edge.held import Held
from edge.key_facts import KeyFacts
from precompute.hot_counter import HotCounter
from precompute.models import Key


@dataclass(frozen=True, slots=True)
class Served:
    """What follows from a model's name while nothing else is published.

    Attributes:
        counter: counts what is asked for.
        took_us: hits by whole microseconds.
    """

    model: str
    generation: int
    prefix: str
    max_age_s: float
    max_lag_s: float
    counter: HotCounter
    variant: str
    took_us: list[int]


class Meaning(msgspec.Struct, eq=False, gc=False):
    """What a target asks for: the entry's name in memory, and the key.

    The garbage collector does not look at these: there are thousands of them, each looked at for the first time since
    it was made, which held up everybody for 10 ms. They lead back to themselves only through the counter of a model,
    which hands over what it watches.

    Attributes:
        is_kept: whether it is there for the next time; then it counts itself.
        asked: how often, since hot keys were counted last.
        held: the entry that it was answered with last.
        constant: headers of that answer that stay the same while others may keep it for their full time.
        text: the answer, all but its beginning; its numbers count seconds, and are right until `until_ms`.
        parsed: for those who have to compute it.
        facts: about the key, for those who ask the replica; of the version that was read last.
    """

    served: Served
    name: str
    key: str
    is_kept: bool = False
    asked: int = 0
    held: Held | None = None
    constant: bytes = b""
    text: bytes = b""
    until_ms: int = 0
    parsed: Key | None = None
    facts: KeyFacts | None = None

    def count(self) -> None:
        """It is asked for."""
        if not self.is_kept:
            self.served.counter.hit(self.key)
            return
        self.asked += 1
        if self.asked == 1:
            self.served.counter.watch(self)

    def write(self, held: Held, now_ms: int) -> None:
        """Puts the answer together, all but its beginning."""
        left_ms, age_ms = held.fresh_until_ms - now_ms, max(0, now_ms - held.computed_ms)
        if self.held is not held or left_ms < self.served.max_age_s * 1000 + 1000:
            self.held, self.constant = held, constant_headers(held, left_ms // 1000)
            # In memory from now on; the replica is not asked for a while.
            self.facts = None
        self.text = b"cache-status: nearcast-memory; hit; ttl=%d\r\nage: %d\r\n%b%b" % (
            left_ms // 1000,
            age_ms // 1000,
            self.constant,
            held.body,
        )
        # Whichever of the two numbers changes first, and not beyond its end.
        self.until_ms = now_ms + min(left_ms % 1000 + 1, 1000 - age_ms % 1000, left_ms)
