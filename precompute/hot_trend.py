"""Which hot keys are on the rise: their share of the requests lately, beside their share over the usual ten minutes.

The rates of `hotkeys` fade slowly, so that precomputing does not follow every whim. Here those of the hottest keys are
averaged once more with a short half-life. A trend is the ratio of two shares, not of two rates: when all traffic grows,
or a fleet has only just begun and slow averages lag behind fast ones, no key is on the rise. No I/O.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import msgspec

from precompute.updates import Reply

HALF_LIFE_S = 60.0
#: Keys that are followed, hottest first; nobody looks at more.
FOLLOWED = 100
_PER_REQUEST = math.log(2) / HALF_LIFE_S


class Recent(msgspec.Struct, frozen=True):
    """Requests per second lately, of a model's hottest keys and of all of its keys."""

    at_ms: int
    total_per_s: float
    rates: dict[str, float]

    @classmethod
    def parse(cls, reply: Reply) -> Recent | None:
        """What `encode` made; None if there is nothing, or it cannot be understood."""
        try:
            return None if reply is None else msgspec.json.decode(reply, type=cls)
        except msgspec.DecodeError:
            return None

    def encode(self) -> bytes:
        """For `parse`."""
        return msgspec.json.encode(self)

    def followed(self, hottest: Iterable[str], counts: Mapping[str, int], total: int, now_ms: int) -> Recent:
        """After so many requests more."""
        fade = math.exp2(-max(0, now_ms - self.at_ms) / 1000 / HALF_LIFE_S)
        rates = {key: self.rates.get(key, 0.0) * fade + counts.get(key, 0) * _PER_REQUEST for key in hottest}
        return Recent(now_ms, self.total_per_s * fade + total * _PER_REQUEST, rates)

    def trend(self, key: str, rate_per_s: float, total_per_s: float) -> float | None:
        """The key's share lately by its share by slower averages; None for a key that is not followed."""
        recent = self.rates.get(key)
        if recent is None or not self.total_per_s or not rate_per_s or not total_per_s:
            return None
        return (recent / self.total_per_s) / (rate_per_s / total_per_s)
