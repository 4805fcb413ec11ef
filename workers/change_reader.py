"""Reads all update logs of the primary from where they end now."""

from __future__ import annotations

from collections.abc import Sequence

from precompute.keys import log_key
from precompute.store import Store, checked
from precompute.updates import ENTITY_FIELD, LogState, read_command, stream_id

#: Records of one log in one read; decoding them takes about a millisecond.
READ_RECORDS = 1000


class ChangeReader:
    """Follows the logs of some views; not a consumer group, so what changes while nobody reads is not seen."""

    def __init__(self, store: Store, views: Sequence[str]) -> None:
        self._store = store
        self._views = {log_key(view).encode(): view for view in views}
        self._positions: dict[str, str] = {}

    def align(self) -> None:
        """Goes to the end of each log that is new, or shorter than what was read: another history.

        Raises:
            StoreUnavailable: Redis is away.
        """
        replies = self._store.run([("XINFO", "STREAM", name) for name in self._views])
        for view, reply in zip(self._views.values(), replies, strict=True):
            end = stream_id(LogState.parse(reply).last)
            at = self._positions.get(view)
            if at is None or _order(at) > _order(end):
                self._positions[view] = end

    def read(self, block_ms: int | None) -> list[tuple[str, str]]:
        """Changed (view, entity) pairs, after at most `block_ms`; at once if None.

        Raises:
            StoreUnavailable: Redis is away; nothing is skipped.
        """
        found = []
        reply = checked(self._store.call(*read_command(self._positions, READ_RECORDS, block_ms)))
        for name, records in reply or ():
            view = self._views[name]
            for _, fields in records:
                found += [(view, value.decode()) for value in _values(fields)]
            self._positions[view] = records[-1][0].decode()
        return found


def _values(fields: Sequence[bytes] | None) -> list[bytes]:
    """The entities of a record; a record that is not ours has none."""
    pairs = zip(fields[::2], fields[1::2], strict=False) if fields else ()
    return [value for name, value in pairs if name == ENTITY_FIELD]


def _order(stream: str) -> tuple[int, ...]:
    return tuple(map(int, stream.split("-")))
