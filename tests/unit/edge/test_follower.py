"""The follower, against logs that live in a dict."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from edge.follower import BLOCK_MS, PING_S, Follower, _missed, _replica_lag_s
from precompute.errors import StoreUnavailable
from precompute.keys import HEARTBEAT, REGISTRY_LOG, log_key
from precompute.store import CommandFailed
from precompute.updates import Command, LogState, Reply, as_of_id, change_id
from tests.waiting import until

EPOCH, OTHER = 0xAAAA0001, 0xBBBB0002


@dataclass
class Log:
    """A stream: records by id, and the last id ever given out."""

    records: list[tuple[bytes, list[bytes]]] = field(default_factory=list)
    last: bytes = b"0-0"

    def add(self, ms: int, entity: str, *more: bytes) -> None:
        self.last = b"%d-0" % ms
        self.records.append((self.last, [b"e", entity.encode(), *more]))

    def after(self, position: str, count: int) -> list[tuple[bytes, list[bytes]]]:
        return [r for r in self.records if change_id(r[0]) > change_id(position)][:count]


class FakeLink:
    """Answers a follower from logs; `before_reply` may change the world between two round trips."""

    def __init__(self, *views: str) -> None:
        self.logs = {log_key(view): Log() for view in views}
        self.registry = Log()
        self.epoch = EPOCH
        self.info = b"role:slave\r\nmaster_link_status:up\r\nmaster_last_io_seconds_ago:0\r\n"
        self.heartbeat: Reply = b"1234"
        self.error: Exception | None = None
        self.before_reply: list[object] = []
        self.reads = 0

    def log(self, view: str) -> Log:
        return self.logs[log_key(view)]

    async def run(self, commands: Sequence[Command]) -> list[Reply]:
        await asyncio.sleep(0)
        if self.before_reply:
            action = self.before_reply.pop(0)
            if callable(action):
                action()
        if self.error is not None:
            raise self.error
        return [self._reply(command) for command in commands]

    def _reply(self, command: Command) -> Reply:
        match command:
            case ("INFO", "replication"):
                return self.info + b"master_replid:%08x%032d\r\n" % (self.epoch, 0)
            case ("XINFO", "STREAM", key):
                return self._state(self.logs[str(key)])
            case ("GET", key) if key == HEARTBEAT:
                return self.heartbeat
            case ("XREAD", "COUNT", count, *rest):
                names = rest[rest.index("STREAMS") + 1 :]
                return self._read(int(count), names[: len(names) // 2], names[len(names) // 2 :])
        raise AssertionError(f"not expected: {command}")

    def _state(self, log: Log) -> Reply:
        if log.last == b"0-0":
            return CommandFailed("ERR no such key")
        first = list(log.records[0]) if log.records else None
        return [b"length", len(log.records), b"last-generated-id", log.last, b"first-entry", first]

    def _read(self, count: int, keys: Sequence[object], positions: Sequence[object]) -> Reply:
        self.reads += 1
        assert self.reads < 1000, "the follower reads for ever"
        found = []
        for key, position in zip(keys, positions, strict=True):
            name = key.decode() if isinstance(key, bytes) else str(key)
            log = self.registry if name == REGISTRY_LOG else self.logs[name]
            if records := log.after(str(position), count):
                found.append([name.encode(), records])
        return found or None


class Scene:
    """A follower of two views that has begun."""

    def __init__(self) -> None:
        self.link = FakeLink("thing", "place")
        self.news = 0
        self.follower = Follower(self.link, ["thing", "place"], self._hear)  # type: ignore[arg-type]
        self.freshness = self.follower.freshness

    def _hear(self) -> None:
        self.news += 1

    @classmethod
    async def begun(cls, *changes: tuple[int, str]) -> Scene:
        scene = cls()
        for ms, entity in changes:
            scene.link.log("thing").add(ms, entity)
        await scene.follower._begin()
        return scene

    def last_change(self, entity: str, view: str = "thing") -> int:
        table = self.freshness.tables[view]
        return table.last_change(table.slot(entity)) >> 20


async def test_nothing_counts_as_known_before_the_logs_have_been_read() -> None:
    """An edge that has just begun must not call anything fresh."""
    scene = Scene()

    assert scene.freshness.epoch is None
    assert scene.follower.lag_s() == float("inf")


async def test_it_reads_each_log_from_its_start() -> None:
    """Entries made before this edge began are judged by changes from before, too."""
    scene = await Scene.begun((1000, "a"), (2000, "b"), (3000, "a"))

    assert scene.freshness.epoch == EPOCH
    assert (scene.last_change("a"), scene.last_change("b"), scene.last_change("c")) == (3000, 2000, 0)
    assert scene.freshness.tables["thing"].floor == 1000 << 20
    assert scene.freshness.tables["place"].floor == 0
    assert (scene.follower.lag_s(), scene.follower.heartbeat_ms) == (0.0, 1234)


async def test_a_log_longer_than_one_read_is_read_to_its_end() -> None:
    """Only then is the edge ready to judge."""
    scene = await Scene.begun(*((i, f"e{i}") for i in range(1, 1001)))

    assert scene.last_change("e1000") == 1000
    assert scene.follower.records == 1000


async def test_it_notes_what_changes_from_then_on() -> None:
    """A step brings the news of all logs, and of the registry."""
    scene = await Scene.begun((1000, "a"))
    scene.link.log("thing").add(5000, "a")
    scene.link.log("place").add(6000, "p")
    scene.link.registry.add(1, "whatever")

    await scene.follower._step()

    assert (scene.last_change("a"), scene.last_change("p", "place")) == (5000, 6000)
    assert scene.news == 1
    assert scene.follower.restarts == 1


async def test_it_notes_deletions() -> None:
    """They are changes, and more than that."""
    scene = await Scene.begun((1000, "a"), (1001, "b"))
    scene.link.log("thing").add(5000, "a", b"d", b"")

    await scene.follower._step()

    table = scene.freshness.tables["thing"]
    assert scene.last_change("a") == 5000
    assert (table.last_deletion(table.slot("a")) >> 20, table.last_deletion(table.slot("b"))) == (5000, 0)


async def test_a_step_without_news_changes_nothing() -> None:
    """Nor does a view that nobody has ever written to."""
    scene = await Scene.begun((1000, "a"))

    await scene.follower._step()

    assert (scene.follower.restarts, scene.freshness.epoch) == (1, EPOCH)


async def test_trimming_behind_us_is_no_gap() -> None:
    """What has been read may go."""
    scene = await Scene.begun((1000, "a"), (2000, "b"), (3000, "c"))
    del scene.link.log("thing").records[:2]
    scene.link.log("thing").add(4000, "d")

    await scene.follower._step()

    assert scene.follower.restarts == 1
    assert scene.last_change("a") == 1000


async def test_a_gap_that_the_read_itself_jumps_over_is_noticed() -> None:
    """Records were added and trimmed before we read them; the read continues behind them as if nothing were missing.

    Where the position stands after the read, nothing looks wrong any more. The floor rises above everything that
    the lost records could have made stale.
    """
    scene = await Scene.begun((1000, "a"))
    log = scene.link.log("thing")
    log.add(2000, "lost")
    log.add(3000, "b")
    del log.records[:2]

    await scene.follower._step()

    assert scene.follower.restarts == 2
    assert scene.freshness.tables["thing"].floor == 3000 << 20
    assert scene.freshness.epoch == EPOCH


async def test_a_gap_while_the_connection_was_away_is_noticed() -> None:
    """Beginning again keeps what is known only where nothing can have been missed."""
    scene = await Scene.begun((1000, "a"))
    await scene.follower._begin()
    kept = scene.follower.restarts
    scene.link.log("thing").add(2000, "lost")
    scene.link.log("thing").add(3000, "b")
    del scene.link.log("thing").records[:2]

    await scene.follower._begin()

    assert (kept, scene.follower.restarts) == (1, 2)


async def test_a_gap_is_not_forgotten_when_the_connection_fails_right_after_the_read() -> None:
    """The read has moved our position past the gap; the look at the log comes after the reconnect."""
    scene = await Scene.begun((1000, "a"))
    log = scene.link.log("thing")
    log.add(2000, "lost")
    log.add(3000, "b")
    del log.records[:2]
    scene.link.before_reply = [None, lambda: setattr(scene.link, "error", StoreUnavailable("away"))]
    with pytest.raises(StoreUnavailable):
        await scene.follower._step()
    scene.link.error = None

    await scene.follower._begin()

    assert scene.follower.restarts == 2


async def test_another_history_of_the_primary_starts_everything_over() -> None:
    """Ids of a promoted replica may be lower; nothing from before may be compared with them."""
    scene = await Scene.begun((1000, "a"), (9000, "b"))
    scene.link.epoch = OTHER
    scene.link.logs[log_key("thing")] = Log()
    scene.link.log("thing").add(500, "c")

    await scene.follower._step()

    assert scene.freshness.epoch == OTHER
    assert (scene.last_change("b"), scene.last_change("c")) == (0, 500)
    assert scene.freshness.tables["thing"].position == 500 << 20


async def test_a_history_that_changes_while_it_is_read_is_not_believed() -> None:
    """The tables stay without an epoch, and the next attempt reads again."""
    scene = Scene()
    scene.link.log("thing").add(1000, "a")
    scene.link.before_reply = [None, None, lambda: setattr(scene.link, "epoch", OTHER)]

    with pytest.raises(StoreUnavailable):
        await scene.follower._begin()
    between = scene.freshness.epoch
    await scene.follower._begin()

    assert (between, scene.freshness.epoch) == (None, OTHER)


async def test_what_is_trimmed_while_it_is_read_raises_the_floor() -> None:
    """Records gone between the look at the log and the read were never seen."""
    scene = Scene()
    log = scene.link.log("thing")
    for ms in (1000, 2000, 3000):
        log.add(ms, f"e{ms}")
    scene.link.before_reply = [None, lambda: log.records.__delitem__(slice(0, 2))]

    await scene.follower._begin()

    assert scene.freshness.tables["thing"].floor == 3000 << 20


async def test_a_log_that_ends_before_its_last_id_is_read_to_its_end() -> None:
    """Records can be deleted by hand; waiting for them would be waiting for ever."""
    scene = Scene()
    log = scene.link.log("thing")
    log.add(1000, "a")
    log.add(2000, "gone")
    log.records.pop()

    await scene.follower._begin()
    await scene.follower._step()

    assert scene.freshness.epoch == EPOCH
    assert scene.follower.restarts == 1


async def test_a_sequence_beyond_twenty_bits_is_no_reason_to_begin_again() -> None:
    """A clock set back keeps the milliseconds and counts the sequence up; ids are then rounded, in both directions."""
    scene = await Scene.begun((1000, "a"))
    log = scene.link.log("thing")
    log.last = b"2000-2000000"
    log.records.append((log.last, [b"e", b"b"]))

    await scene.follower._step()
    await scene.follower._step()

    assert scene.follower.restarts == 1
    assert scene.last_change("b") == 2001


async def test_damaged_records_are_stepped_over_and_counted() -> None:
    """One bad record must not stop the news."""
    scene = await Scene.begun((1000, "a"))
    log = scene.link.log("thing")
    log.last = b"3000-0"
    log.records += [(b"2000-0", []), (b"3000-0", [b"e", b"b"])]

    await scene.follower._step()

    assert (scene.follower.damaged, scene.last_change("b")) == (1, 3000)


async def test_a_heartbeat_that_is_no_number_is_none() -> None:
    """Or one that is not there."""
    scene = await Scene.begun()
    seen = []
    for heartbeat in (None, b"soon", b"42"):
        scene.link.heartbeat = heartbeat
        await scene.follower._step()
        seen.append(scene.follower.heartbeat_ms)

    assert seen == [None, None, 42]


@pytest.mark.parametrize("error", [StoreUnavailable("away"), ZeroDivisionError("a bug")], ids=["away", "bug"])
async def test_it_follows_on_after_any_failure(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """A follower that ended would leave the tables as they were, and what changes later would stay fresh for ever."""
    scene = Scene()
    scene.link.log("thing").add(1000, "a")
    scene.link.reads = -(10**9)
    scene.follower.start()
    await scene.follower.caught_up()
    scene.link.error = error
    await until(lambda: _true(bool(caplog.records)))
    scene.link.log("thing").add(2000, "a")
    scene.link.error = None

    await until(lambda: _true(scene.last_change("a") == 2000))

    await scene.follower.stop()
    assert str(error) in caplog.text


async def test_it_says_how_long_it_has_heard_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence beyond two waits counts as lag, on top of what the replica says."""
    scene = await Scene.begun((1000, "a"))
    began = scene.follower._spoke_at
    lags = []
    for silent_s in (0.0, 2 * BLOCK_MS / 1000, 7.5):
        monkeypatch.setattr("edge.follower.time.monotonic", lambda now=began + silent_s: now)
        lags.append(scene.follower.lag_s())

    assert lags == pytest.approx([0.0, 0.0, 7.0])


UP = b"role:slave\r\nmaster_link_status:up\r\nmaster_last_io_seconds_ago:"
DOWN = b"role:slave\r\nmaster_link_status:down\r\nmaster_last_io_seconds_ago:-1\r\nmaster_link_down_since_seconds:"


@pytest.mark.parametrize(
    ("info", "lag_s"),
    [
        (b"role:master\r\nconnected_slaves:0\r\n", 0.0),
        (UP + b"0\r\n", 0.0),
        (UP + b"9\r\n", 0.0),
        (UP + b"25\r\n", 25 - PING_S),
        (DOWN + b"17\r\n", 17.0),
        (DOWN + b"-1\r\n", None),
        (b"role:slave\r\nmaster_link_status:down\r\n", None),
    ],
)
def test_a_replica_says_how_far_behind_it_is(info: bytes, lag_s: float | None) -> None:
    """Down since it began means that nobody knows; up but silent for longer than pings take is behind."""
    assert _replica_lag_s(info) == lag_s


def state(first: int, last: int, length: int = 1) -> LogState:
    """A log's beginning, end and length."""
    return LogState(first, last, length, first)


@pytest.mark.parametrize(
    ("position", "log", "missed"),
    [
        (0, state(0, 0, 0), False),
        (0, state(5, 9), False),
        (9, state(5, 9), False),
        (7, state(5, 9), False),
        (5, state(5, 9), False),
        (4, state(5, 9), True),
        (9, state(0, 9, 0), False),
        (9, state(5, 8), True),
        (9, state(0, 0, 0), True),
        (change_id("7-2000000"), state(5, as_of_id("7-2000000")), False),
        (change_id("8-1"), state(5, as_of_id("7-2000000")), True),
    ],
)
def test_a_gap_is_told_from_a_log_that_was_only_trimmed(position: int, log: LogState, missed: bool) -> None:
    """Lost before we read it, or ending before where we stand: both mean that something may be missing."""
    assert _missed(position, log) is missed


async def _true(answer: bool) -> bool:
    return answer
