"""The door of the lane: which hits it answers, and with which bytes."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from edge.api.headers import answer_headers
from edge.hit import HitDoor
from edge.stats import Tier
from tests.unit.edge.rig import NOW_MS, Rig

TARGET = b"/v1/predict/score/a:p"


class FakeServing:
    """Serves the rig's model in one version."""

    def __init__(self, rig: Rig) -> None:
        self.project = rig.project
        self.generation = 0
        self.version: int | None = 1

    def default_version(self, model: str) -> int | None:
        return self.version if model == "score" else None


class Door:
    """A door to a rig whose memory holds `a:p`."""

    def __init__(self, *, policy: str = "") -> None:
        self.rig = Rig(policy=policy)
        self.counts: Counter[str] = Counter()
        self.serving = FakeServing(self.rig)
        self.hits = HitDoor(
            self.rig.ladder,
            self.serving,  # type: ignore[arg-type]
            self.rig.stats,
            lambda model: lambda key: self.counts.update([f"{model}/{key}"]),
            lambda: self.rig.now_ms * 1_000_000,
        )

    async def warm(self) -> None:
        """One ask brings the entry into memory."""
        self.rig.store(13.0)
        await self.rig.answer()

    def answer(self, target: bytes = TARGET) -> bytes | None:
        """What a GET gets from the door."""
        return self.hits.answer(target, time.perf_counter())

    def headers(self) -> dict[bytes, bytes]:
        """Of a hit."""
        answer = self.answer()
        assert answer is not None
        lines = answer.partition(b"\r\n\r\n")[0].split(b"\r\n")
        return {name: value for name, _, value in (line.partition(b": ") for line in lines[1:])}


@pytest.fixture
async def door() -> Door:
    """A door to a warm rig."""
    made = Door()
    await made.warm()
    return made


@pytest.mark.parametrize("policy", ["", "max_age_s = 60.0", "max_age_s = 60.5, stale_if_error_s = 5.0"])
async def test_it_says_what_the_plain_way_says(policy: str) -> None:
    """The same headers, at any age, whether others may keep the answer or not."""
    door = Door(policy=policy)
    await door.warm()
    for passed_ms in (0, 1, 999, 1000, 39_000, 40_000, 55_000, 99_999):
        door.rig.now_ms = NOW_MS + passed_ms
        answer = door.rig.ladder.from_memory(door.rig.ask())
        assert answer is not None
        plain = dict(answer_headers(answer, 0.0))

        headers = door.headers()

        assert headers.pop(b"content-length") == b"%d" % len(answer.body)
        del headers[b"date"], headers[b"server-timing"], plain[b"server-timing"]
        assert headers == plain
        assert (door.answer() or b"").endswith(b"\r\n\r\n" + answer.body)


async def test_a_changed_feature_closes_the_door(door: Door) -> None:
    """From the moment the follower has read of it."""
    before = door.answer()

    door.rig.change(1, v=[5.0, 5.0])

    assert before is not None
    assert door.answer() is None


async def test_an_expired_entry_is_not_for_the_door(door: Door) -> None:
    """To the millisecond."""
    door.rig.now_ms = NOW_MS + 99_999
    before = door.answer()

    door.rig.now_ms = NOW_MS + 100_000

    assert before is not None
    assert door.answer() is None


async def test_a_replica_too_far_behind_closes_the_door(door: Door) -> None:
    """And opens it again."""
    door.rig.lag_s = 10.1
    door.rig.now_ms += 1
    behind = door.answer()

    door.rig.lag_s = 9.9
    door.rig.now_ms += 1

    assert behind is None
    assert door.answer() is not None


async def test_a_history_that_is_not_ours_closes_the_door(door: Door) -> None:
    """While a follower reads the logs again nothing is known to be fresh."""
    door.rig.freshness.epoch = None

    assert door.answer() is None


async def test_another_version_has_entries_of_its_own(door: Door) -> None:
    """The door follows the pointer at once, back and forth."""
    before = door.answer()
    door.serving.version, door.serving.generation = 2, 1
    other = door.answer()
    door.serving.version, door.serving.generation = None, 2
    none = door.answer()

    door.serving.version, door.serving.generation = 1, 3

    assert before is not None
    assert (other, none) == (None, None)
    assert door.answer() is not None


@pytest.mark.parametrize(
    "target",
    [
        b"/v1/predict/score/a:q",
        b"/v1/predict/score/%61:p",
        b"/v1/predict/score/a:p?",
        b"/v1/predict/score/a:p#x",
        b"/v1/predict/score/a:p/",
        b"/v1/predict/score//a:p",
        b"/v1/predict/score/\xc3\xa4:p",
        b"/v1/predict/score/\xff:p",
        b"/v1/predict/\xff/a:p",
        b"/v1/predict/other/a:p",
        b"/v1/predict/score",
        b"/v1/predict/",
        b"/metrics",
        b"*",
        b"",
    ],
)
async def test_anything_else_is_not_for_the_door(door: Door, target: bytes) -> None:
    """The plain way answers it, whatever it is."""
    assert door.answer(target) is None


@pytest.mark.parametrize("query", ["word=a~20b", "variant=fast", "a=1&budget_ms=5"])
async def test_a_query_is_not_taken_for_a_key(door: Door, query: str) -> None:
    """Behind the `?` of a URL these mean something else than behind the `?` of a key."""
    held = door.rig.memory.get("p:score:1:a:p")
    assert held is not None
    for text in (query, "hour=3"):
        door.rig.memory.put(f"p:score:1:a:p?{text}", held)

    assert door.answer(TARGET + b"?" + query.encode()) is None
    assert door.answer(TARGET + b"?hour=3") is not None


async def test_the_date_changes_with_the_second(door: Door) -> None:
    """At its beginning, and not before."""
    dates = []
    for passed_ms in (0, 999, 1000):
        door.rig.now_ms = NOW_MS + passed_ms
        dates.append(door.headers()[b"date"])

    assert dates == [b"Fri, 15 Jan 2027 08:00:00 GMT"] * 2 + [b"Fri, 15 Jan 2027 08:00:01 GMT"]


async def test_hits_are_counted_and_timed(door: Door) -> None:
    """By key, for the hot keys, and by tier; what is not answered here is counted elsewhere."""
    for _ in range(3):
        door.answer()
    door.answer(b"/v1/predict/score/a:q")

    histogram = door.rig.stats.all_answers()["score", "default", Tier.MEMORY]
    assert door.counts == {"score/a:p": 3}
    assert histogram.count == 3
    assert 0 < histogram.total_s < 1


async def test_a_slow_answer_says_at_most_a_millisecond(door: Door) -> None:
    """The numbers are ready-made."""
    answer = door.hits.answer(TARGET, time.perf_counter() - 5.0)

    assert b"server-timing: memory;dur=0.999\r\n" in (answer or b"")
