"""Feature rows: put many with their log records in one script, get many in one round trip."""

from __future__ import annotations

import hashlib
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files

from precompute.errors import InvalidKey, RowRejected
from precompute.key_text import MAX_KEY_BYTES, canonical_part
from precompute.keys import log_key, row_key
from precompute.layouts import Layouts
from precompute.manifest import Project
from precompute.rows import Layout, Stamp, stamp
from precompute.store import CommandFailed, Link, Store, checked
from precompute.updates import Command, Reply, timestamp

#: Rows of one script call. 100 block the server for about 2 ms at most, and reads must get in between.
SCRIPT_ROWS = 100
#: Wide rows are fewer to a call, for the same reason.
SCRIPT_BYTES = 1 << 20
#: A log record must outlive every entry that it could make stale; two days covers the longest sensible TTL.
LOG_RETENTION_S = 48 * 3600

#: The year 2100. Microseconds taken for milliseconds would make all later events of an entity look late for ever.
MAX_EVENT_MS = 4_102_444_800_000

_EVENT = struct.Struct("<q")
_PUT = files("precompute").joinpath("put.lua").read_text()
_PUT_SHA = hashlib.sha1(_PUT.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Row:
    """One feature row to store.

    Attributes:
        entity: as it stands in a key; values that come from elsewhere go through `key_text.escape_part`.
        event_ms: when what the row says became true.
    """

    entity: str
    values: Mapping[str, object]
    event_ms: int


@dataclass(slots=True)
class PutResult:
    """What became of the rows of a put."""

    written: int = 0
    unchanged: int = 0
    late: int = 0
    deleted: int = 0
    absent: int = 0
    #: Position of the row in the batch, and why it was not stored.
    rejected: list[tuple[int, str]] = field(default_factory=list)

    def add(self, letters: bytes) -> None:
        """Counts the letters that the script returned."""
        self.written += letters.count(b"w")
        self.unchanged += letters.count(b"u")
        self.late += letters.count(b"l")
        self.deleted += letters.count(b"d")
        self.absent += letters.count(b"a")


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row as read back."""

    entity: str
    values: dict[str, object]
    stamp: Stamp


class Features:
    """Reads and writes the rows of a project's views on one server."""

    def __init__(
        self,
        store: Store,
        project: Project,
        *,
        retention_s: float = LOG_RETENTION_S,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._store = store
        self._project = project
        self._now_ms = now_ms
        self._retention_ms = int(retention_s * 1000)
        self._layouts = Layouts(project)

    def put(self, view: str, rows: Iterable[Row]) -> PutResult:
        """Stores rows, the newest event winning, and logs each change in the same step.

        A bad row is reported and costs no other row anything.

        Raises:
            UnknownView: no such view.
            StoreUnavailable: some slices may have been stored; putting the same rows again is harmless.
        """
        layout = self._layouts.current(self._project.view(view).name)
        result = PutResult()
        good = self._encoded(layout, rows, result)
        self._layouts.announce(self._store, layout)
        self._write(view, good, result)
        return result

    @contextmanager
    def writing(self, view: str) -> Iterator[RowWriter]:
        """For many batches: puts them on one connection, encoding each while the server stores the one before.

        Raises:
            UnknownView: no such view.
            StoreUnavailable: as in `put`.
        """
        layout = self._layouts.current(self._project.view(view).name)
        self._layouts.announce(self._store, layout)
        with self._store.lease() as link:
            # Learnt before the first batch: taught in between, it would let a later batch overtake an earlier one.
            link.send([("SCRIPT", "LOAD", _PUT)])
            checked(link.receive(1)[0])
            writer = RowWriter(self, view, layout, link)
            yield writer
            writer.settle()

    def delete(self, view: str, entities: Sequence[str]) -> PutResult:
        """Forgets rows; a change like any other, so predictions made from them are stale at once."""
        self._project.view(view)
        result = PutResult()
        self._write(view, [(_entity(e), b"", b"") for e in entities], result)
        return result

    def get(self, view: str, entities: Sequence[str]) -> list[StoredRow | None]:
        """Rows in the order asked, None where there is none; one round trip."""
        self._project.view(view)
        if not entities:
            return []
        names = [_entity(e) for e in entities]
        found = self._store.call("MGET", *(row_key(view, name) for name in names))
        rows = self._layouts.translate(self._store, view, found)
        layout = self._layouts.current(view)
        return [
            None if row is None else StoredRow(name, layout.decode(row), stamp(row))
            for name, row in zip(names, rows, strict=True)
        ]

    def _encoded(self, layout: Layout, rows: Iterable[Row], result: PutResult) -> list[tuple[str, bytes, bytes]]:
        good, skew_s = [], layout.view.max_skew_s
        latest_ms = min(self._now_ms() + skew_s * 1000, MAX_EVENT_MS)
        for position, row in enumerate(rows):
            try:
                event = _event(row.event_ms)
                if row.event_ms > latest_ms:
                    raise _too_early(row.event_ms, skew_s)
                good.append((_entity(row.entity), event, layout.encode(row.values)))
            except RowRejected as error:
                result.rejected.append((position, str(error)))
        return good

    def _write(self, view: str, rows: list[tuple[str, bytes, bytes]], result: PutResult) -> None:
        if not rows:
            return
        commands = self._commands(view, rows)
        self._count(commands, self._store.run(commands), result)

    def _commands(self, view: str, rows: Sequence[tuple[str, bytes, bytes]]) -> list[Command]:
        return [self._command(view, part) for part in _slices(rows)]

    def _count(self, commands: Sequence[Command], replies: Sequence[Reply], result: PutResult) -> None:
        for command, reply in zip(commands, replies, strict=True):
            result.add(self._retried(command, reply))

    def _command(self, view: str, rows: Sequence[tuple[str, bytes, bytes]]) -> Command:
        keys = [log_key(view), *(row_key(view, entity) for entity, _, _ in rows)]
        args = [piece for row in rows for piece in row]
        return ("EVALSHA", _PUT_SHA, len(keys), *keys, self._retention_ms, *args)

    def _retried(self, command: Command, reply: Reply) -> bytes:
        # A server that has restarted has forgotten the script; EVAL teaches it again.
        if isinstance(reply, CommandFailed) and str(reply).startswith("NOSCRIPT"):
            reply = self._store.call("EVAL", _PUT, *command[2:])
        letters: bytes = checked(reply)
        return letters


class RowWriter:
    """Puts batch after batch; at most one of them waits for its replies.

    Attributes:
        result: what became of the rows, once `settle` has been called.
    """

    def __init__(self, features: Features, view: str, layout: Layout, link: Link) -> None:
        self.result = PutResult()
        self._features = features
        self._view = view
        self._layout = layout
        self._link = link
        self._sent: list[Command] = []

    def put(self, rows: Iterable[Row]) -> list[tuple[int, str]]:
        """Sends a batch; the position and the reason of each row that must not be stored.

        Raises:
            StoreUnavailable: the batch before may have been stored in part.
        """
        batch = PutResult()
        commands = self._features._commands(self._view, self._features._encoded(self._layout, rows, batch))
        self.settle()
        self._link.send(commands)
        self._sent = commands
        return batch.rejected

    def settle(self) -> None:
        """Waits for what has been sent."""
        sent, self._sent = self._sent, []
        self._features._count(sent, self._link.receive(len(sent)), self.result)


def _event(event_ms: object) -> bytes:
    if not isinstance(event_ms, int) or isinstance(event_ms, bool) or abs(event_ms) > MAX_EVENT_MS:
        raise RowRejected(f"event time {event_ms!r:.40} is not in milliseconds since 1970")
    return _EVENT.pack(event_ms)


def _too_early(event_ms: int, skew_s: float) -> RowRejected:
    return RowRejected(
        f"event time {timestamp(event_ms)} lies in the future; the view allows {skew_s:g} s (max_skew_s), "
        "because no event before it would count any more"
    )


def _entity(entity: str) -> str:
    if not isinstance(entity, str):
        raise RowRejected(f"entity {entity!r:.60} is not a string")
    try:
        canonical = canonical_part(entity)
    except InvalidKey as error:
        raise RowRejected(f"entity {entity!r:.60}: {error}") from None
    if len(canonical.encode()) > MAX_KEY_BYTES:
        raise RowRejected(f"entity {entity[:40]!r}... is longer than {MAX_KEY_BYTES} bytes")
    return canonical


def _slices(rows: Sequence[tuple[str, bytes, bytes]]) -> Iterator[Sequence[tuple[str, bytes, bytes]]]:
    widest = max((len(payload) for _, _, payload in rows), default=0)
    size = max(1, min(SCRIPT_ROWS, SCRIPT_BYTES // max(1, widest)))
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
