"""What the state of the logs means for the tables, against logs that live in a dict."""

from __future__ import annotations

import pytest

from precompute.errors import StoreUnavailable
from precompute.freshness import Freshness, Verdict
from precompute.log_reading import NOTE_RECORDS, READ_RECORDS, LogReading
from precompute.store import CommandFailed
from precompute.updates import AsOf, Reply, stream_id
from tests.fake_logs import Log, LogServer

A, B = 0xAAAA0001, 0xBBBB0002
OTHER = "other:log"


class Scene:
    """A reader of two views and a server."""

    def __init__(self) -> None:
        self.server = LogServer("thing", "place", epoch=A)
        self.server.logs[OTHER] = Log()
        self.freshness = Freshness(["thing", "place"], slots=1 << 10)
        self.reading = LogReading(self.freshness, [OTHER])

    @classmethod
    def begun(cls, *changes: tuple[int, str]) -> Scene:
        scene = cls()
        for ms, entity in changes:
            scene.server.change("thing", ms, entity)
        scene.read_to_the_end()
        return scene

    def turn(self) -> None:
        self.take(self.ask())

    def ask(self) -> list[Reply]:
        return [self.server.reply(command) for command in self.reading.commands(block_ms=1)]

    def take(self, replies: list[Reply]) -> None:
        for _ in self.reading.take(replies):
            pass

    def read_to_the_end(self) -> None:
        for _ in range(100):
            self.turn()
            if self.reading.at_end:
                return
        raise AssertionError("never reaches the end")

    def last_change(self, entity: str, view: str = "thing") -> int:
        table = self.freshness.tables[view]
        return table.last_change(table.slot(entity)) >> 20

    def verdict(self, entity: str, known_ms: int, epoch: int = A, place_ms: int = 0) -> Verdict:
        watch = self.freshness.watch(["thing", "place"], [entity, "p"])
        return self.freshness.verdict(watch, epoch, AsOf(epoch, (known_ms << 20, place_ms << 20)).ids)

    @property
    def floor_ms(self) -> float:
        return self.freshness.tables["thing"].floor / (1 << 20)


def test_nothing_is_known_before_the_logs_have_been_read() -> None:
    """Tables that have seen half a log would call the other half unchanged."""
    scene = Scene()
    for i in range(READ_RECORDS + 1):
        scene.server.change("thing", 1000 + i, f"e{i}")
    verdicts = [scene.verdict("e0", 5000)]

    for _ in range(3):
        scene.turn()
        verdicts.append(scene.verdict("e0", 5000))

    assert verdicts == [Verdict.UNKNOWN] * 3 + [Verdict.FRESH]
    assert scene.reading.records == READ_RECORDS + 1


def test_each_log_is_read_from_its_start() -> None:
    """Entries made before this reader began are judged by changes from before, too."""
    scene = Scene.begun((1000, "a"), (2000, "b"), (3000, "a"))

    assert scene.freshness.epoch == A
    assert (scene.last_change("a"), scene.last_change("b"), scene.last_change("c")) == (3000, 2000, 0)
    assert (scene.floor_ms, scene.freshness.tables["place"].floor) == (1000, 0)
    assert scene.reading.restarts == 1


def test_later_turns_bring_the_news_of_all_logs() -> None:
    """Changes, deletions, and that something stands in another stream."""
    scene = Scene.begun((1000, "a"), (1001, "b"))
    scene.reading.others_moved()
    scene.server.change("thing", 5000, "a", b"d", b"")
    scene.server.change("place", 6000, "p")
    before = scene.reading.others_moved()
    scene.server.logs[OTHER].add(b"1-0", b"whatever")

    scene.turn()

    table = scene.freshness.tables["thing"]
    assert (scene.last_change("a"), scene.last_change("p", "place")) == (5000, 6000)
    assert (table.last_deletion(table.slot("a")) >> 20, table.last_deletion(table.slot("b"))) == (5000, 0)
    assert (before, scene.reading.others_moved(), scene.reading.others_moved()) == (False, True, False)
    assert (scene.reading.restarts, scene.reading.gaps) == (1, 0)


def test_only_a_reader_at_the_end_waits_for_news() -> None:
    """Waiting while there is more would be waiting for nothing; not waiting at the end would be spinning."""
    scene = Scene()
    first = scene.reading.commands(block_ms=7)[1]
    scene.read_to_the_end()

    assert "BLOCK" not in first
    assert scene.reading.commands(block_ms=7)[1][3:5] == ("BLOCK", 7)


def test_records_are_noted_in_slices() -> None:
    """Others get their turn in between, and find tables that speak for what has been noted so far."""
    scene = Scene.begun((1000, "a"))
    for i in range(NOTE_RECORDS + 1):
        scene.server.change("thing", 2000 + i, f"e{i}")
    turn = scene.reading.take(scene.ask())

    next(turn)

    assert (scene.last_change("e0"), scene.last_change(f"e{NOTE_RECORDS}")) == (2000, 0)
    assert scene.freshness.tables["thing"].position >> 20 == 2000 + NOTE_RECORDS - 1
    assert list(turn) == [None]
    assert scene.last_change(f"e{NOTE_RECORDS}") == 2000 + NOTE_RECORDS


def test_trimming_behind_us_is_no_gap() -> None:
    """What has been read may go."""
    scene = Scene.begun((1000, "a"), (2000, "b"), (3000, "c"))
    scene.server.log("thing").trim(3000 << 20)
    scene.server.change("thing", 4000, "d")

    scene.turn()

    assert (scene.floor_ms, scene.reading.gaps, scene.last_change("a")) == (1000, 0, 1000)


def test_what_was_trimmed_before_it_was_read_raises_the_floor() -> None:
    """The read continues behind the gap as if nothing were missing; what is known stays known."""
    scene = Scene.begun((1000, "a"))
    scene.server.change("thing", 2000, "lost")
    scene.server.change("thing", 3000, "b")
    scene.server.log("thing").trim(3000 << 20)
    before = scene.verdict("lost", 1500)

    scene.turn()

    assert before is Verdict.FRESH
    assert scene.verdict("lost", 1500) is Verdict.UNKNOWN
    assert scene.verdict("lost", 3000) is Verdict.FRESH
    assert (scene.last_change("a"), scene.last_change("b")) == (1000, 3000)
    assert (scene.reading.restarts, scene.reading.gaps) == (1, 1)


def test_the_floor_rises_before_what_lies_behind_the_gap_is_noted() -> None:
    """Somebody may ask between two slices."""
    scene = Scene.begun((1000, "a"))
    scene.server.change("thing", 2000, "lost")
    for i in range(NOTE_RECORDS + 1):
        scene.server.change("thing", 3000 + i, f"e{i}")
    scene.server.log("thing").trim(3000 << 20)

    next(scene.reading.take(scene.ask()))

    assert scene.verdict("lost", 1500) is Verdict.UNKNOWN


def test_first_records_trimmed_unread_are_missed_as_well() -> None:
    """The log was empty when we began, and has lost its beginning since."""
    scene = Scene.begun()
    scene.server.change("thing", 2000, "lost")
    scene.server.change("thing", 3000, "b")
    scene.server.log("thing").trim(3000 << 20)

    scene.turn()

    assert scene.verdict("lost", 0) is Verdict.UNKNOWN


def test_records_that_are_all_gone_are_missed() -> None:
    """An empty log whose last id is beyond us has held something that we have not read."""
    scene = Scene.begun((1000, "a"))
    scene.server.change("thing", 2000, "lost")
    scene.server.log("thing").trim(9000 << 20)

    scene.turn()

    assert scene.verdict("lost", 1999) is Verdict.UNKNOWN
    assert scene.verdict("lost", 2000) is Verdict.FRESH


@pytest.mark.parametrize("tells_added", [True, False], ids=["Redis 7", "Redis 6"])
def test_what_is_trimmed_while_the_log_is_read_from_its_start_raises_the_floor(tells_added: bool) -> None:
    """Records gone between the look at the log and the read were never seen."""
    scene = Scene()
    scene.server.log("thing").tells_added = tells_added
    for ms in (1000, 2000, 3000):
        scene.server.change("thing", ms, f"e{ms}")
    scene.turn()
    scene.server.log("thing").trim(3000 << 20)

    scene.read_to_the_end()

    assert scene.floor_ms == 3000
    assert scene.verdict("e2000", 1500) is Verdict.UNKNOWN


def test_replies_that_were_lost_change_nothing() -> None:
    """The position moves with what has been noted, so that the next turn asks for the same again."""
    scene = Scene.begun((1000, "a"))
    scene.server.change("thing", 2000, "a")
    scene.ask()

    scene.turn()

    assert (scene.last_change("a"), scene.reading.records) == (2000, 2)


def test_another_history_starts_everything_over() -> None:
    """Ids of a promoted replica may be lower; nothing from before may be compared with them."""
    scene = Scene.begun((1000, "a"), (9000, "b"))
    scene.server.epoch = B
    scene.server.logs = {**scene.server.logs, **LogServer("thing").logs}
    scene.server.change("thing", 500, "c")

    scene.turn()
    between = [scene.verdict("b", 9000, epoch) for epoch in (A, B)]
    scene.read_to_the_end()

    assert between == [Verdict.UNKNOWN] * 2
    assert scene.freshness.epoch == B
    assert (scene.last_change("b"), scene.last_change("c")) == (0, 500)
    assert scene.verdict("c", 499, B, place_ms=0) is Verdict.CHANGED
    assert (scene.reading.restarts, scene.reading.others_moved()) == (2, True)


def test_records_of_another_history_are_not_noted_in_the_tables_of_this_one() -> None:
    """They came in the same turn in which the replication id was seen to change."""
    scene = Scene.begun((1000, "a"))
    scene.server.change("thing", 2000, "a")
    scene.server.epoch = B

    scene.turn()

    assert (scene.last_change("a"), scene.freshness.epoch) == (0, None)


def test_a_history_that_changes_while_it_is_read_is_not_believed() -> None:
    """The tables stay without an epoch until the new one has been read."""
    scene = Scene()
    scene.server.change("thing", 1000, "a")
    scene.turn()
    scene.server.epoch = B

    scene.turn()
    between = scene.freshness.epoch
    scene.turn()

    assert (between, scene.freshness.epoch) == (None, B)


def test_a_doubt_counts_until_the_logs_have_been_read_anew() -> None:
    """Replies that were under way when somebody saw another history do not take it back."""
    scene = Scene.begun((1000, "a"))
    scene.server.change("thing", 2000, "a")
    turn = scene.reading.take(scene.ask())
    next(turn)
    scene.reading.doubt()
    seen = [scene.freshness.epoch]
    list(turn)
    seen.append(scene.freshness.epoch)

    scene.turn()
    seen.append(scene.freshness.epoch)
    scene.turn()

    assert (seen, scene.freshness.epoch) == ([None, None, None], A)
    assert scene.reading.restarts == 2


def test_a_replica_that_went_back_makes_nothing_fresh_again() -> None:
    """It was restored from an earlier state of the same log: what we know of later changes still holds."""
    scene = Scene.begun((1000, "a"), (2000, "b"), (3000, "a"))
    earlier = LogServer("thing")
    earlier.change("thing", 1000, "a")
    later, scene.server.logs = scene.server.logs, {**scene.server.logs, **earlier.logs}

    scene.turn()
    behind = scene.verdict("a", 2500), scene.verdict("b", 2500)
    scene.server.logs = later
    scene.server.change("thing", 4000, "b")
    scene.turn()

    assert behind == (Verdict.CHANGED, Verdict.FRESH)
    assert scene.last_change("b") == 4000
    assert (scene.reading.restarts, scene.reading.gaps, scene.reading.records) == (1, 0, 4)


@pytest.mark.parametrize("again_ms", [None, 500, 2500])
def test_a_log_that_was_begun_again_is_read_anew_above_a_floor(again_ms: int | None) -> None:
    """Deleted, its ids may start anywhere: what was known before them says nothing until they have passed it."""
    scene = Scene.begun((1000, "a"), (3000, "a"))
    scene.server.logs = {**scene.server.logs, **LogServer("thing").logs}
    if again_ms:
        scene.server.change("thing", again_ms, "b")

    scene.turn()
    at_once = [scene.verdict("b", ms) for ms in (0, 2000, 3000)]
    scene.server.change("thing", 4000, "c")
    scene.turn()
    scene.turn()

    assert at_once == [Verdict.UNKNOWN] * 3
    assert scene.verdict("b", 4000) is Verdict.FRESH
    assert scene.last_change("b") == (again_ms or 0)
    assert (scene.reading.restarts, scene.reading.gaps > 0) == (1, True)


def test_a_log_that_ends_before_its_last_id_is_read_to_its_end() -> None:
    """Records can be deleted by hand; waiting for them would be waiting for ever."""
    scene = Scene()
    scene.server.change("thing", 1000, "a")
    scene.server.change("thing", 2000, "gone")
    del scene.server.log("thing").records[1], scene.server.log("thing").ids[1]

    scene.read_to_the_end()
    scene.turn()

    assert (scene.freshness.epoch, scene.reading.restarts) == (A, 1)


def test_a_sequence_beyond_twenty_bits_is_no_reason_to_begin_again() -> None:
    """A clock set back keeps the milliseconds and counts the sequence up; ids are then rounded, in both directions."""
    scene = Scene.begun((1000, "a"))
    scene.server.log("thing").add(b"2000-2000000", b"b")

    scene.turn()
    scene.turn()

    assert (scene.reading.restarts, scene.reading.gaps, scene.last_change("b")) == (1, 0, 2001)


@pytest.mark.parametrize("fields", [[], [b"e"], [b"x", b"a"], None], ids=repr)
def test_damaged_records_are_stepped_over_and_counted(fields: list[bytes] | None) -> None:
    """One bad record must not stop the news."""
    scene = Scene.begun((1000, "a"))
    scene.server.log("thing").add_raw(stream_id(2000 << 20).encode(), fields)  # type: ignore[arg-type]
    scene.server.change("thing", 3000, "b")
    scene.server.log("thing").add_raw(stream_id(4000 << 20).encode(), fields)  # type: ignore[arg-type]

    scene.turn()
    scene.turn()

    assert (scene.reading.damaged, scene.last_change("b"), scene.last_change("a")) == (2, 3000, 1000)
    assert scene.freshness.tables["thing"].position == 4000 << 20
    assert scene.reading.records == 4


@pytest.mark.parametrize("broken", range(4))
def test_an_error_reply_takes_nothing_in(broken: int) -> None:
    """Half a picture would be worse than none."""
    scene = Scene.begun((1000, "a"))
    scene.server.change("thing", 2000, "a")
    replies = scene.ask()
    replies[broken] = CommandFailed("LOADING Redis is loading the dataset in memory")

    with pytest.raises(StoreUnavailable):
        scene.take(replies)

    assert (scene.last_change("a"), scene.freshness.epoch) == (1000, A)
