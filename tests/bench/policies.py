"""What the memory tier is held against: how many of a stream's requests others would have answered.

Each takes the requested keys, what each of them weighs, and the room for them, and returns hits per request.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence


def fifo(requests: Sequence[str], weights: Sequence[int], room: int) -> float:
    """What came first goes first."""
    return _queue(requests, weights, room, lambda kept, key: None)


def lru(requests: Sequence[str], weights: Sequence[int], room: int) -> float:
    """What was asked for longest ago goes first."""
    return _queue(requests, weights, room, OrderedDict.move_to_end)


def sieve(requests: Sequence[str], weights: Sequence[int], room: int) -> float:
    """A hand goes from the oldest key to the newest, and throws out the first that was not asked for since it passed.

    Source: Zhang, Yang, Yue, Vigfusson, Rashmi: SIEVE is simpler than LRU. NSDI 2024.
    """
    kept: dict[str, int] = {}
    asked: set[str] = set()
    #: What the hand has still to pass, oldest first.
    ahead: deque[str] = deque()
    used = hits = 0
    for key, weight in zip(requests, weights, strict=True):
        if key in kept:
            hits += 1
            asked.add(key)
            continue
        while kept and used + weight > room:
            ahead = ahead or deque(kept)
            victim = ahead.popleft()
            if victim in asked:
                asked.remove(victim)
            else:
                used -= kept.pop(victim)
        kept[key] = weight
        ahead.append(key)
        used += weight
    return hits / len(requests)


def optimum(requests: Sequence[str], weights: Sequence[int], room: int) -> float:
    """Whoever is asked for last in the future goes first, or is not kept at all.

    With weights that are all the same nobody can do better. With different ones somebody might; what the most is then
    is too hard to work out, and this is still a good deal more than anybody gets who does not know the future.

    Source: Belady, "A study of replacement algorithms for a virtual-storage computer", 1966; here with bypass.
    """
    never, next_at, seen = len(requests), [0] * len(requests), dict[str, int]()
    for at in range(len(requests) - 1, -1, -1):
        next_at[at] = seen.get(requests[at], never)
        seen[requests[at]] = at
    kept: dict[str, int] = {}
    latest: list[tuple[int, str, int]] = []
    used = hits = 0
    for key, weight, due in zip(requests, weights, next_at, strict=True):
        if key in kept:
            hits += 1
        else:
            used += weight
        kept[key] = due
        heapq.heappush(latest, (-due, key, weight))
        while used > room:
            negated, victim, freed = heapq.heappop(latest)
            # What has been asked for since stands in the heap again, with another time.
            if kept.get(victim) == -negated:
                del kept[victim]
                used -= freed
    return hits / len(requests)


def _queue(
    requests: Sequence[str],
    weights: Sequence[int],
    room: int,
    on_hit: Callable[[OrderedDict[str, int], str], None],
) -> float:
    kept: OrderedDict[str, int] = OrderedDict()
    used = hits = 0
    for key, weight in zip(requests, weights, strict=True):
        if key in kept:
            hits += 1
            on_hit(kept, key)
            continue
        kept[key] = weight
        used += weight
        while used > room:
            used -= kept.popitem(last=False)[1]
    return hits / len(requests)
