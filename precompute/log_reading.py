"""Reads the update logs of one server into the freshness tables: what to ask, and what the replies mean. No I/O.

A turn is one pipeline: whose history the server tells, what is new, whose history it still tells, and where each log
stands. The state is asked *after* the records and judged *before* they are noted, so that nothing is taken into the
tables of another history, and no record behind a gap makes the tables look complete. The history is asked on both
sides: records read just before a server changed it belong to the one before, and would move us past those to come.

1. Another history (the replication id has changed: failover, restart, restore). Ids say nothing about those before, so
   the tables forget everything and speak of no epoch, in which nothing is fresh, until every log has been read from
   its start to its end.
2. A log that begins behind where we stand: it was trimmed past us. What is known stays known, the floor rises.
3. A log that ends before where we stand. If it begins where it began, this is an earlier state of it, of a replica
   that was restored or lags behind the one we read before: we know more, and wait for it. Otherwise it was deleted and
   begun again: the floor rises above everything that we have read, and we read it from its start. Entries are unknown
   until its ids have passed that floor, or it turns out to be the log that it was, restored from before its beginning.

How long may a change of history go unnoticed? A Redis server applies nothing of a new history before it shows its
replication id (it takes the id on promotion, with the answer that lets it continue, or together with the full copy).
Entries of the new history are unknown to tables of the old one. What is left is an entry of the old history whose row
changed in the new one, under an id that we believe we have passed: fresh until the next look at the replication id.
`doubt` is for whoever looks more often than turns come.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from precompute.errors import StoreUnavailable
from precompute.freshness import Freshness
from precompute.keys import log_key
from precompute.updates import HISTORY, Command, LogState, Record, Reply, as_of_commands, parse_epoch

#: Records of one log in one turn: parsing the reply takes the event loop half a millisecond.
READ_RECORDS = 400
#: Records noted in one go: about a quarter of a millisecond.
NOTE_RECORDS = 200
_START = "0-0"


class LogReading:
    """Where one reader of one server stands.

    Attributes:
        freshness: the tables that are kept up to date.
        at_end: whether the last turn found nothing left to read.
        records: records read so far.
        damaged: those among them that could not be understood and were stepped over.
        restarts: how often the logs were read from their start, the first time included.
        gaps: how often a floor was raised, because records were trimmed unread or a log was begun again.
    """

    def __init__(self, freshness: Freshness, others: Sequence[str] = ()) -> None:
        """`others` are streams whose news matter, but not what they say."""
        self.freshness = freshness
        self.at_end = False
        self.records = self.damaged = self.restarts = self.gaps = 0
        self._views = {log_key(view): view for view in freshness.tables}
        self._positions = dict.fromkeys([*self._views, *others], _START)
        self._firsts = dict.fromkeys(freshness.tables, 0)
        #: Of logs that seem to have been begun again: where we stood, and the floor we had.
        self._replaced: dict[str, tuple[int, int]] = {}
        #: The history that is being read; the tables speak of it once they know it to its end.
        self._epoch: int | None = None
        self._others_moved = False

    def commands(self, block_ms: int) -> list[Command]:
        """What to ask in this turn; waits for news for up to `block_ms` if there was nothing left to read."""
        block: tuple[str | int, ...] = ("BLOCK", block_ms) if self.at_end else ()
        read: Command = ("XREAD", "COUNT", READ_RECORDS, *block, "STREAMS", *self._positions, *self._positions.values())
        return [HISTORY, read, *as_of_commands(list(self.freshness.tables))]

    def take(self, replies: Sequence[Reply]) -> Iterator[None]:
        """Takes in the replies to `commands`, yielding wherever others may get their turn.

        Raises:
            StoreUnavailable: the server said something else; nothing has been taken in.
        """
        before, news, after, *logs = replies
        if isinstance(news, Exception):
            raise StoreUnavailable(f"cannot read the update logs: {news}")
        epoch = parse_epoch(after)
        states = {view: LogState.parse(reply) for view, reply in zip(self.freshness.tables, logs, strict=True)}
        if not epoch == self._epoch == parse_epoch(before):
            yield from self._begin(epoch, states)
            return
        for view, state in states.items():
            self._compare(view, state)
        yield from self._note_all(news or ())
        self.at_end = all(len(records) < READ_RECORDS for _, records in news or ())
        if self.at_end and self._epoch == epoch:
            self.freshness.begin(epoch)

    def doubt(self) -> None:
        """Somebody saw another history: nothing is fresh until the logs have been read anew."""
        self._epoch = self.freshness.epoch = None
        self.at_end = False

    def others_moved(self) -> bool:
        """Whether any of the other streams had news since this was asked last."""
        moved, self._others_moved = self._others_moved, False
        return moved

    def _begin(self, epoch: int, states: dict[str, LogState]) -> Iterator[None]:
        self.doubt()
        self.restarts += 1
        self._positions = dict.fromkeys(self._positions, _START)
        self._replaced.clear()
        for view, state in states.items():
            self.freshness.tables[view].restart(floor=state.floor, position=0)
            self._firsts[view] = state.first
            yield
        self._others_moved = True
        self._epoch = epoch

    def _compare(self, view: str, state: LogState) -> None:
        table, first = self.freshness.tables[view], self._firsts[view]
        self._recognise(view, state)
        floor = table.floor
        # Before the first record is read, everything below the floor is as good as read.
        if state.has_lost(table.position or max(0, floor - 1)):
            table.raise_floor(state.floor)
        elif state.ends_before(table.position):
            if state.length and state.first <= first <= state.last:
                return
            self._replaced[view] = (table.position, self._replaced.get(view, (0, floor))[1])
            table.raise_floor(table.position + 1)
            table.position = 0
            self._positions[log_key(view)] = _START
        self._firsts[view] = state.first
        self.gaps += table.floor > floor

    def _recognise(self, view: str, state: LogState) -> None:
        """A log that has come to end with the record that was our last one had only been restored from long before."""
        position, floor = self._replaced.get(view, (0, 0))
        if position and position == state.last:
            self.freshness.tables[view].floor = floor
            del self._replaced[view]

    def _note_all(self, news: Sequence[tuple[bytes, Sequence[Record]]]) -> Iterator[None]:
        for name, records in news:
            key = name.decode()
            view = self._views.get(key)
            if view is None:
                self._others_moved = True
                self._positions[key] = records[-1][0].decode()
                continue
            for at in range(0, len(records), NOTE_RECORDS):
                part = records[at : at + NOTE_RECORDS]
                self.damaged += self.freshness.tables[view].note_all(part)
                self.records += len(part)
                self._positions[key] = part[-1][0].decode()
                yield
