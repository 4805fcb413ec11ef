"""The memory tier: bounded in bytes, evicting by S3-FIFO.

New keys enter a small queue; only those asked for again before they reach its end move on to the main queue, where
a key that was asked for gets another round. Keys thrown out are remembered for a while by name only, and go straight to
the main queue when they come back. One-hit wonders, most keys of most logs, thus never displace anything. A hit only
counts up to three; nothing is moved, so hits are cheap.

Source: Yang, Zhang, Qiu, Yue, Rashmi: FIFO queues are all you need for cache eviction. SOSP 2023.
As there: a tenth of the bytes for the small queue in the beginning, as many remembered names as the main queue holds
keys. As in the authors' later code: until the tier is full for the first time, what finds the small queue full goes to
the main queue. Otherwise than there:

- How the bytes are shared follows from who comes back (`edge/regrets.py`). Where the small queue has grown beyond a
  quarter, popularity does not last: then a key in the main queue gets one more round, however often it was asked for.
- One hit is enough to move on, where the paper's code asks for two: better by up to 0.025 hits a request where half the
  keys come once, worse by 0.01 at most.
- Who puts an entry looks at 64 others at most to make room: where all of a million have been asked for, looking for one
  that has not would hold up everybody for a second. No generated stream noticed.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from edge.arrivals import Arrivals
from edge.regrets import Regrets

#: What one entry costs beside its value's size and its key: held answer, three objects' heads, dictionary and queue
#: slots; measured.
OVERHEAD_BYTES = 260
#: A hit of a value that is at hand is counted as `get` does it, up to this in these bits of `hits`.
MOST_HITS = 3
#: Set in `hits` of a value that stands in the main queue.
_IN_MAIN = 4
#: In `hits` of a value that stands here no longer.
GONE = 8
#: The small queue's share of all bytes from which on popularity does not last.
_FLEETING = 0.25
_MOST_LOOKS = 64
#: Entries are spread over so many dictionaries, by hash of the key: when one of a million entries grows, it holds up
#: everybody for 50 ms.
_SHARDS = 1 << 12


class Kept(Protocol):
    """What can be kept: it knows what it weighs, and has room for a mark of ours, 0 in the beginning."""

    hits: int

    @property
    def size(self) -> int:
        """Bytes of the parts that differ from entry to entry, always the same."""
        ...


V = TypeVar("V", bound=Kept)


def _weight(key: str, value: Kept) -> int:
    return value.size + len(key) + OVERHEAD_BYTES


class Memory(Generic[V]):
    """Values by key, at most `max_bytes` of them."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.evictions = 0
        self._shards: list[dict[str, V]] = [{} for _ in range(_SHARDS)]
        self._small, self._main = Arrivals(), Arrivals()
        self._regrets = Regrets(max_bytes // OVERHEAD_BYTES)

    def __len__(self) -> int:
        return len(self._small) + len(self._main)

    def __contains__(self, key: str) -> bool:
        return key in self._shards[hash(key) % _SHARDS]

    @property
    def bytes(self) -> int:
        """What everything weighs."""
        return self._small.bytes + self._main.bytes

    def get(self, key: str) -> V | None:
        """The value, counted as a hit."""
        value = self._shards[hash(key) % _SHARDS].get(key)
        if value is not None and value.hits & MOST_HITS != MOST_HITS:
            value.hits += 1
        return value

    def peek(self, key: str) -> V | None:
        """The value, for somebody who only looks."""
        return self._shards[hash(key) % _SHARDS].get(key)

    def put(self, key: str, value: V) -> None:
        """Keeps a value, making room if need be; one too large for the tier is not kept."""
        size = value.size
        weight = size + len(key) + OVERHEAD_BYTES
        if weight > self.max_bytes // 2:
            # What stood there before is out of date.
            self.remove(key)
            return
        shard = self._shards[hash(key) % _SHARDS]
        before = shard.get(key)
        shard[key] = value
        if before is not None:
            if before is not value:
                value.hits, before.hits = before.hits, GONE
            self._queue(value).bytes += size - before.size
        else:
            value.hits = _IN_MAIN if self._belongs_to_main(key) else 0
            queue = self._queue(value)
            queue.append(key)
            queue.bytes += weight
        looks = 0
        while self.bytes > self.max_bytes:
            looks += 1
            self._look(spare=looks <= _MOST_LOOKS)

    def remove(self, key: str) -> None:
        """Forgets a key."""
        value = self._shards[hash(key) % _SHARDS].pop(key, None)
        if value is not None:
            queue = self._queue(value)
            queue.bytes -= _weight(key, value)
            queue.remove(key)
            value.hits = GONE

    def _queue(self, value: V) -> Arrivals:
        return self._main if value.hits & _IN_MAIN else self._small

    def _belongs_to_main(self, key: str) -> bool:
        if not self.evictions:
            return self._small_is_full()
        return self._regrets.take(key, len(self), len(self._main))

    def _small_is_full(self) -> bool:
        return self._small.bytes > self.max_bytes * self._regrets.small_share

    def _look(self, *, spare: bool) -> None:
        """Throws the next one out, unless it has been asked for and such are to be spared."""
        if self._small and (self._small_is_full() or not self._main):
            self._look_at_small(spare)
        else:
            self._look_at_main(spare)

    def _look_at_small(self, spare: bool) -> None:
        key = self._small.pop()
        value = self._shards[hash(key) % _SHARDS][key]
        weight = _weight(key, value)
        self._small.bytes -= weight
        if value.hits and spare:
            value.hits = _IN_MAIN
            self._main.append(key)
            self._main.bytes += weight
        else:
            self._drop(key, of_main=False)

    def _look_at_main(self, spare: bool) -> None:
        key = self._main.pop()
        value = self._shards[hash(key) % _SHARDS][key]
        if value.hits > _IN_MAIN and spare:
            value.hits = _IN_MAIN if self._regrets.small_share > _FLEETING else value.hits - 1
            self._main.append(key)
        else:
            self._main.bytes -= _weight(key, value)
            self._drop(key, of_main=True)

    def _drop(self, key: str, *, of_main: bool) -> None:
        self._shards[hash(key) % _SHARDS].pop(key).hits = GONE
        self._regrets.add(key, of_main=of_main)
        self.evictions += 1
