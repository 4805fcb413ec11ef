"""A model of Redis servers that replicate, fail over and are restored, each command and each applied write one step.

A *history* is what one primary has written, in order; a promoted replica begins a new one with what it has of the old.
A server holds the first `offset` writes of one history, and shows that history's replication id.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field

from precompute.keys import ORDERS, row_key
from precompute.updates import SEQUENCE_BITS, Command, Reply, stream_id
from tests.fake_logs import LogServer

VIEWS = ("flight", "weather")
LOGS = (*VIEWS, ORDERS)


@dataclass(frozen=True, slots=True)
class Change:
    """A row put or deleted, or an order given."""

    log: str
    entity: str
    record_id: bytes
    number: int
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Trim:
    """A log forgets its beginning."""

    log: str
    keep_from: int


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry written, or expired."""

    name: str
    value: bytes | None


Write = Change | Trim | Stored


@dataclass
class History:
    """What one primary has written."""

    epoch: int
    parent: History | None = None
    #: How many of the parent's writes it begins with.
    inherited: int = 0
    writes: list[Write] = field(default_factory=list)
    #: Positions of the changes of each entity, and of its deletions.
    changes: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    deletions: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))

    def branch(self, epoch: int, offset: int) -> History:
        """The history of a server promoted with so many of our writes."""
        new = History(epoch, self, offset)
        for write in self.writes[:offset]:
            new.append(write)
        return new

    def append(self, write: Write) -> None:
        """One write more."""
        if isinstance(write, Change):
            self.changes[write.log, write.entity].append(len(self.writes))
            if write.gone:
                self.deletions[write.log, write.entity].append(len(self.writes))
        self.writes.append(write)

    def shared(self, other: History) -> int:
        """How many writes both begin with."""
        ours: dict[int, int] = {}
        history, common = self, len(self.writes)
        while True:
            ours[history.epoch] = common
            if history.parent is None:
                break
            common = min(common, history.inherited)
            history = history.parent
        history, common = other, len(other.writes)
        while history.epoch not in ours:
            assert history.parent is not None
            common = min(common, history.inherited)
            history = history.parent
        return min(common, ours[history.epoch])


class Server(LogServer):
    """One server; whether it is a primary is for the world to know."""

    def __init__(self, history: History, clock_ms: int) -> None:
        super().__init__(*LOGS)
        self.clock_ms = clock_ms
        #: Whether it writes to its history, or did until another took over.
        self.was_primary = False
        #: Whether it is a Redis 7.
        self.tells_added = True
        self._show(history, 0)

    def _show(self, history: History, offset: int) -> None:
        """Becomes a copy of the first writes of a history."""
        self.history, self.epoch, self.offset = history, history.epoch, 0
        self.rows: dict[str, bytes] = {}
        self.entries: dict[str, bytes] = {}
        self.logs = LogServer(*LOGS).logs
        self.apply(offset)

    def apply(self, count: int) -> None:
        """Takes in the next writes of its history, as far as there are any."""
        for write in self.history.writes[self.offset : self.offset + count]:
            self.offset += 1
            match write:
                case Change(log, entity, record_id, number, gone):
                    self.log(log).tells_added = self.tells_added
                    self.log(log).add(record_id, entity.encode(), *((b"d", b"") if gone else ()))
                    self._set(self.rows, row_key(log, entity), None if gone else b"%d" % number)
                case Trim(log, keep_from):
                    self.log(log).trim(keep_from)
                case Stored(name, value):
                    self._set(self.entries, name, value)

    @staticmethod
    def _set(values: dict[str, bytes], name: str, value: bytes | None) -> None:
        if value is None:
            values.pop(name, None)
        else:
            values[name] = value

    def write(self, write: Write) -> None:
        """As a primary does: writes and has it at once."""
        assert self.offset == len(self.history.writes)
        self.history.append(write)
        self.apply(1)

    def next_id(self, log: str) -> bytes:
        """What `XADD *` would give: the clock, or one more than the last if the clock is behind."""
        ms, sequence = map(int, self.log(log).last.split(b"-"))
        return b"%d-0" % self.clock_ms if self.clock_ms > ms else b"%d-%d" % (ms, sequence + 1)

    def promote(self, epoch: int) -> None:
        """Becomes the primary of a new history."""
        self.history = self.history.branch(epoch, self.offset)
        self.epoch, self.was_primary = epoch, True

    def follow(self, primary: Server) -> None:
        """Becomes a replica of another: goes on where the histories agree so far, else copies everything."""
        self.was_primary = False
        if self.offset <= primary.history.shared(self.history):
            self.history, self.epoch = primary.history, primary.epoch
        else:
            self._show(primary.history, primary.offset)

    def restore(self, offset: int) -> None:
        """Starts again from an earlier state of its own."""
        self._show(self.history, offset)

    def reply(self, command: Command) -> Reply:
        """Also rows, which are the number of the change that made them."""
        match command:
            case ("MGET", *keys):
                return [self.rows.get(str(key)) for key in keys]
            case ("HGETALL", _):
                return []
        return super().reply(command)


def latest_before(positions: list[int], end: int) -> int | None:
    """The last of some positions that lies before another."""
    at = bisect_left(positions, end)
    return positions[at - 1] if at else None


def record_id(ms: int) -> bytes:
    """An id of a whole millisecond."""
    return stream_id(ms << SEQUENCE_BITS).encode()
