"""What the memory tier threw out, and what it learns from those that come back.

Names thrown out of the small queue are remembered for as many throwings-out as the main queue holds keys; those of
the main queue only for as many as a tenth of all keys. Whoever comes back meanwhile was worth keeping. If that is
within a tenth of all keys, a somewhat longer queue would have had it still: so the small queue gets a little more room
for each that it threw out too soon, at the main queue's cost, and the other way round. Where the same keys stay popular
the small queue shrinks to a hundredth; where keys are asked for in bursts, or soon again and then never, it grows, and
the tier behaves much as LRU does. Those that come back later count a fiftieth: enough to leave a tenth where every key
comes twice, and nothing else says in which direction.

Source of the idea: the paper's own variant for logs where a tenth is too short (S3-FIFO-D), and ARC, which moves its
boundary by each such hit, as here: Megiddo and Modha, FAST 2003. On 62 generated rows a fixed tenth was worse than LRU
by up to 0.05 hits a request, this by up to 0.007. Steps of a third and of three times the size, and windows of half and
of one and a half times the size, changed the mean by less than 0.001.
"""

from __future__ import annotations

from edge.ghosts import Ghosts

#: So many names are remembered at least.
_FEW = 10
#: Who comes back within so many throwings-out, as a share of all keys, was only just thrown out.
_NEAR = 0.1
_STEP, _LATE_STEP = 0.003, 0.003 / 50
_LEAST_SHARE, _MOST_SHARE = 0.01, 0.9


class Regrets:
    """Names of keys that were thrown out, of about `most` that there is room for.

    Attributes:
        small_share: how much of all bytes the small queue should have; a tenth in the beginning, as in the paper.
    """

    def __init__(self, most: int) -> None:
        self.small_share = 0.1
        self._small, self._main = Ghosts(most), Ghosts(max(_FEW, most // 4))

    def add(self, name: str, *, of_main: bool) -> None:
        """Remembers what one of the queues threw out."""
        (self._main if of_main else self._small).add(name)

    def take(self, name: str, keys: int, main_keys: int) -> bool:
        """Whether a newcomer was thrown out not long ago; learns from it.

        Args:
            keys: how many there are in the tier.
            main_keys: how many of them stand in the main queue.
        """
        near = max(1, keys * _NEAR)
        small, main = self._small.take(name), self._main.take(name)
        if small is not None and small < max(main_keys, near, _FEW):
            self._lengthen(_STEP if small < near else _LATE_STEP)
            return True
        if main is not None and main < near:
            self._lengthen(-_STEP)
            return True
        return False

    def _lengthen(self, share: float) -> None:
        self.small_share = min(_MOST_SHARE, max(_LEAST_SHARE, self.small_share + share))
