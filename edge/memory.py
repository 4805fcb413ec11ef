"""The memory tier: bounded in bytes, evicting by S3-FIFO.

New keys enter a small queue; only those asked for again before they reach its end move on to the main queue, where
a key that was asked for gets another round. Keys thrown out of the small queue are remembered for a while by name
only, and go straight to the main queue when they come back. One-hit wonders, most keys of most logs, thus never
displace anything. A hit only counts up to three; nothing is moved, so hits are cheap.

Source: Yang, Zhang, Qiu, Yue, Rashmi: FIFO queues are all you need for cache eviction. SOSP 2023.
Sizes as there: a tenth of the bytes for the small queue, as many remembered names as the main queue holds keys.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, Protocol, TypeVar

import msgspec

#: What one entry costs beside its value's size and its key: node, held answer, tuples and dictionary slot, measured.
OVERHEAD_BYTES = 500
_SMALL_SHARE = 0.1
_MOST_HITS = 3
#: Remembered names and removed nodes below this number are not worth a thought.
_FEW = 100


class Sized(Protocol):
    """Anything that knows what it weighs."""

    @property
    def size(self) -> int:
        """Bytes of the parts that differ from entry to entry."""
        ...


V = TypeVar("V", bound=Sized)


class _Node(msgspec.Struct, Generic[V], eq=False, gc=False):
    """Out of the garbage collector's sight, as `Held` is: a node leads to its value, and no value to a node."""

    key: str
    value: V | None
    size: int
    hits: int = 0
    in_main: bool = False


def _weight(key: str, value: Sized) -> int:
    return value.size + len(key) + OVERHEAD_BYTES


class Memory(Generic[V]):
    """Values by key, at most `max_bytes` of them."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self.evictions = 0
        self._small_bytes = 0
        self._nodes: dict[str, _Node[V]] = {}
        # Removal needs no search: removed nodes stay queued, without a value, until they reach the front or are many.
        self._removed = 0
        self._small: deque[_Node[V]] = deque()
        self._main: deque[_Node[V]] = deque()
        self._ghosts: dict[str, None] = {}
        self._ghost_order: deque[str] = deque()

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, key: str) -> bool:
        return key in self._nodes

    def get(self, key: str) -> V | None:
        """The value, counted as a hit."""
        node = self._nodes.get(key)
        if node is None:
            return None
        if node.hits < _MOST_HITS:
            node.hits += 1
        return node.value

    def peek(self, key: str) -> V | None:
        """The value, for somebody who only looks."""
        node = self._nodes.get(key)
        return None if node is None else node.value

    def put(self, key: str, value: V) -> None:
        """Keeps a value, making room if need be; one too large for the tier is not kept."""
        if _weight(key, value) > self.max_bytes // 2:
            # What stood there before is out of date.
            self.remove(key)
            return
        node = self._nodes.get(key)
        if node is not None:
            self._replace(node, value)
        else:
            node = self._nodes[key] = _Node(key, value, _weight(key, value))
            self._enter(node)
        while self.bytes > self.max_bytes:
            self._evict()

    def remove(self, key: str) -> None:
        """Forgets a key."""
        node = self._nodes.pop(key, None)
        if node is not None:
            self._account(node, -node.size)
            node.value = None
            self._removed += 1
            if self._removed > len(self._nodes) + _FEW:
                self._sweep()

    def clear(self) -> None:
        """Forgets everything."""
        self._nodes.clear()
        self._small.clear()
        self._main.clear()
        self._ghosts.clear()
        self._ghost_order.clear()
        self.bytes = self._small_bytes = self._removed = 0

    def _sweep(self) -> None:
        self._small = deque(node for node in self._small if node.value is not None)
        self._main = deque(node for node in self._main if node.value is not None)
        self._removed = 0

    def _replace(self, node: _Node[V], value: V) -> None:
        size = _weight(node.key, value)
        self._account(node, size - node.size)
        node.value, node.size = value, size

    def _enter(self, node: _Node[V]) -> None:
        node.in_main = self._ghosts.pop(node.key, 0) is None
        (self._main if node.in_main else self._small).append(node)
        self._account(node, node.size)

    def _account(self, node: _Node[V], change: int) -> None:
        self.bytes += change
        if not node.in_main:
            self._small_bytes += change

    def _evict(self) -> None:
        if self._small and (self._small_bytes > self.max_bytes * _SMALL_SHARE or not self._main):
            self._evict_small()
        else:
            self._evict_main()

    def _evict_small(self) -> None:
        node = self._small.popleft()
        if node.value is None:
            self._removed -= 1
            return
        if node.hits > 1:
            self._account(node, -node.size)
            node.in_main, node.hits = True, 0
            self._main.append(node)
            self._account(node, node.size)
        else:
            self._drop(node)
            self._remember(node.key)

    def _evict_main(self) -> None:
        node = self._main.popleft()
        if node.value is None:
            self._removed -= 1
            return
        if node.hits:
            node.hits -= 1
            self._main.append(node)
        else:
            self._drop(node)

    def _drop(self, node: _Node[V]) -> None:
        del self._nodes[node.key]
        self._account(node, -node.size)
        node.value = None
        self.evictions += 1

    def _remember(self, key: str) -> None:
        if key not in self._ghosts:
            self._ghosts[key] = None
            self._ghost_order.append(key)
        while len(self._ghost_order) > max(len(self._main), _FEW):
            self._ghosts.pop(self._ghost_order.popleft(), None)
