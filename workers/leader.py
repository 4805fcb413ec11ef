"""Leading, as decided by the answers of a lease: who may act, and when to ask again.

No I/O and no clock here. A tenure ends on our own clock before it ends on the store's: it is counted from before the
request was sent, less a margin for clocks that do not run alike. Losing the store is losing the lead.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

#: Share of the tenure after which it is renewed: two more tries fit before it ends.
RENEW_AFTER = 0.33
#: Share of the tenure that is given away for clocks running at different speed.
DRIFT = 0.1
#: Share of the tenure after which a follower asks again.
ASK_AFTER = 0.2


class Step(enum.Enum):
    """What to do next."""

    TAKE = "take"
    RENEW = "renew"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Leadership:
    """Where one contender stands; times are monotonic seconds.

    Attributes:
        fence: our fencing number while we lead, else None.
        ends_s: when we stop leading if nothing happens.
        next_s: when to ask the lease again.
    """

    ttl_s: float
    fence: int | None = None
    ends_s: float = 0.0
    next_s: float = 0.0

    def leading(self, now_s: float) -> bool:
        """Whether we may act."""
        return self.fence is not None and now_s < self.ends_s

    def step(self, now_s: float) -> Step:
        """What to ask the lease now."""
        if now_s < self.next_s:
            return Step.WAIT
        return Step.RENEW if self.leading(now_s) else Step.TAKE

    def taken(self, fence: int | None, asked_s: float) -> Leadership:
        """After `TAKE`; None means that somebody else leads."""
        return self._lost(asked_s) if fence is None else self._held(fence, asked_s)

    def renewed(self, held: bool, asked_s: float) -> Leadership:
        """After `RENEW`."""
        return self._held(self.fence, asked_s) if held else self._lost(asked_s)

    def store_lost(self, now_s: float) -> Leadership:
        """After any request that got no answer."""
        return self._lost(now_s)

    def _held(self, fence: int | None, asked_s: float) -> Leadership:
        ends_s = asked_s + self.ttl_s * (1 - DRIFT)
        return replace(self, fence=fence, ends_s=ends_s, next_s=asked_s + self.ttl_s * RENEW_AFTER)

    def _lost(self, asked_s: float) -> Leadership:
        return replace(self, fence=None, ends_s=0.0, next_s=asked_s + self.ttl_s * ASK_AFTER)
