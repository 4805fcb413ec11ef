"""How far behind the primary an edge may be, from what its replica says. No I/O; time is passed in.

The larger of the first two counts; the third comes on top, because what was said is that old:

- The replica's own link: how long it has been down, or how long nothing has come through it.
- The heartbeat, the primary side's clock written into the store: while it moves, its age beyond the smallest age ever
  seen is how long it took to get here. A replica that works off a backlog shows nothing else. Clocks need not agree,
  only run alike; and a heartbeat that stands still says nothing, because nobody may be there to write it.
- How long ago we had read the replica's logs to their end: it may not talk to us, or we may not keep up.
"""

from __future__ import annotations

import re

from precompute.updates import Reply

#: A healthy primary says something at least this often (`repl-ping-replica-period`).
PING_S = 10.0
#: Reading takes its time: what is younger is not called lag.
TURN_S = 0.5
#: A heartbeat that has not moved for so long is nobody's.
HEARTBEAT_GONE_S = 2.0
#: The smallest age ever seen grows by this share of time: a clock that was set, or another host's, is forgotten.
_FORGET = 0.01

_FIELDS = re.compile(
    rb"^(role|master_link_status|master_last_io_seconds_ago|master_link_down_since_seconds):(\S+)", re.MULTILINE
)


class Lag:
    """What one edge knows of its distance."""

    def __init__(self) -> None:
        #: What the replica and the heartbeat said last; infinite while nobody knows.
        self._said_s = float("inf")
        self._complete_s = 0.0
        #: The primary side's wall clock when it last gave a sign of life.
        self.heartbeat_ms: int | None = None
        self._moved_s = 0.0
        self._delay_s = 0.0
        self._smallest_s: float | None = None

    def hear(self, info: Reply, heartbeat: Reply, now_s: float, wall_ms: int) -> None:
        """Takes in replies to `INFO replication` and to `GET` of the heartbeat; `now_s` never jumps, `wall_ms` may."""
        beat = int(heartbeat) if isinstance(heartbeat, bytes) and heartbeat.isdigit() else None
        if beat is not None and beat != self.heartbeat_ms:
            self._beat((wall_ms - beat) / 1000, now_s)
        elif now_s - self._moved_s > HEARTBEAT_GONE_S:
            self._delay_s = 0.0
        self.heartbeat_ms = beat
        link_s = link_lag_s(info)
        self._said_s = float("inf") if link_s is None else max(link_s, self._delay_s - TURN_S)

    def _beat(self, age_s: float, now_s: float) -> None:
        smallest_s = age_s if self._smallest_s is None else self._smallest_s + _FORGET * (now_s - self._moved_s)
        self._smallest_s = min(smallest_s, age_s)
        self._delay_s = age_s - self._smallest_s
        self._moved_s = now_s

    def complete(self, asked_s: float) -> None:
        """Everything the replica had when it was asked has been read."""
        self._complete_s = asked_s

    def unread_s(self, now_s: float) -> float:
        """How long ago everything had been read, beyond what reading takes anyway; infinite until it was once."""
        return max(0.0, now_s - self._complete_s - TURN_S) if self._complete_s else float("inf")

    def lag_s(self, now_s: float) -> float:
        """Seconds; infinite if nobody knows."""
        unread_s = now_s - self._complete_s - TURN_S
        return self._said_s + unread_s if unread_s > 0 else self._said_s


def link_lag_s(info: Reply) -> float | None:
    """What a replica says of its link; 0 for a primary, None for a replica that has never heard of its primary."""
    fields = dict(_FIELDS.findall(info))
    if fields.get(b"role") == b"master":
        return 0.0
    if fields.get(b"master_link_status") == b"up":
        # A network that swallows everything leaves the link up for a minute.
        return max(0.0, float(fields.get(b"master_last_io_seconds_ago", b"0")) - PING_S)
    down = int(fields.get(b"master_link_down_since_seconds", b"-1"))
    return float(down) if down >= 0 else None
