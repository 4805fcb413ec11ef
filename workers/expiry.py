"""Which hot predictions to recompute before they expire.

Pure: told what is hot and what is left of each entry, it says which to look at and which to refresh. It remembers
when each key is worth looking at again, so that a look costs one command per key that is near its end, not per key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from precompute.models import Policy

#: What was asked for is looked at again after this, or a quarter of its TTL; twice as long each time nothing comes
#: of it.
PATIENCE_S = 10.0
MAX_PATIENCE_S = 600.0
#: A key with more life than this is looked at sooner all the same: its entry may be evicted or deleted.
LONGEST_TRUST_S = 30.0


def margin_s(policy: Policy, look_every_s: float) -> float:
    """Life left at which a prediction is refreshed: time for some looks and a queue, without wasting the TTL."""
    return min(policy.ttl_s / 2, max(3 * look_every_s, min(60.0, policy.ttl_s * 0.05)))


def pays(policy: Policy, requests_per_s: float) -> bool:
    """Whether somebody is likely to ask before the refreshed prediction expires."""
    if policy.refresh == "never":
        return False
    return policy.refresh == "always" or requests_per_s * policy.ttl_s >= 1.0


def left_s(pttl_ms: int, policy: Policy) -> float | None:
    """Freshness left of an entry whose Redis key lives that long; None if there is none."""
    if pttl_ms == -2:
        return None
    return pttl_ms / 1000 - (policy.keep_s - policy.ttl_s) if pttl_ms >= 0 else float("inf")


def shortest(lives: Sequence[float | None]) -> float | None:
    """What is left of a key's entries of several versions, as far as they are all there."""
    known = [life_s for life_s in lives if life_s is not None]
    return min(known) if len(known) == len(lives) else None


@dataclass(slots=True)
class _Watched:
    look_s: float
    asked: int = 0


class Watchlist:
    """The hot keys of one model, as computed with some of its versions."""

    def __init__(self, policy: Policy, look_every_s: float) -> None:
        self._policy = policy
        self._margin_s = margin_s(policy, look_every_s)
        self._patience_s = min(PATIENCE_S, policy.ttl_s / 4)
        self._watched: dict[str, _Watched] = {}

    def due(self, hot: Mapping[str, float], now_s: float) -> list[str]:
        """Keys to look at now, hottest first if `hot` is; forgets those that are hot no more."""
        known = self._watched
        self._watched = {
            key: known.get(key) or _Watched(now_s) for key, rate in hot.items() if pays(self._policy, rate)
        }
        return [key for key, watched in self._watched.items() if watched.look_s <= now_s]

    def near_end(self, keys: Sequence[str], left: Sequence[float | None], now_s: float) -> list[str]:
        """Those of the keys that should be refreshed, given the life left of each."""
        return [key for key, life_s in zip(keys, left, strict=True) if self._near_end(key, life_s, now_s)]

    def asked(self, keys: Sequence[str], now_s: float) -> None:
        """These were queued; a key that never gets an entry is asked for less and less often."""
        for key in keys:
            watched = self._watched[key]
            watched.look_s = now_s + min(self._patience_s * 2.0**watched.asked, MAX_PATIENCE_S)
            watched.asked = min(watched.asked + 1, 16)

    def _near_end(self, key: str, life_s: float | None, now_s: float) -> bool:
        if life_s is None or life_s < self._margin_s:
            return True
        watched = self._watched[key]
        watched.asked = 0
        watched.look_s = now_s + min(life_s - self._margin_s, LONGEST_TRUST_S)
        return False
