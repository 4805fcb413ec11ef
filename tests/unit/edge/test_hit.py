"""The door of the lane: which hits it answers, and with which bytes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edge.api.headers import answer_headers
from edge.hit import HitDoor
from edge.memory import MOST_HITS
from edge.stats import Tier
from precompute.hot_counter import HotCounter, Window
from precompute.keys import entry_key
from tests.unit.edge.rig import EPOCH, NOW_MS, Rig, at

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
        self.counter = HotCounter()
        self.serving = FakeServing(self.rig)
        self.hits = HitDoor(
            self.rig.ladder,
            self.serving,  # type: ignore[arg-type]
            self.rig.stats,
            {"score": self.counter}.__getitem__,
            lambda: self.rig.now_ms * 1_000_000,
            lambda: self.rig.now_ms / 1000,
        )

    async def warm(self) -> None:
        """One ask brings the entry into memory."""
        self.rig.store(13.0)
        await self.rig.answer()

    def answer(self, target: bytes = TARGET) -> bytes | None:
        """What a GET gets from the door."""
        return self.hits.answer(target, self.rig.now_ms / 1000)

    def hot(self) -> dict[str, int]:
        """Requests by key since the last call."""
        window = self.counter.drain()
        parsed = Window.parse(window) if window is not None else None
        return dict(parsed.counts) if parsed is not None else {}

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


async def test_not_only_the_first_hit_of_a_millisecond_knows_what_time_it_is(door: Door) -> None:
    """It counts seconds, and expires, for those that follow as well."""
    second = b"/v1/predict/score/b:p"
    door.rig.store(7.0, key="b:p", computed_ms=50)
    await door.rig.answer("b:p")
    ages: list[bytes] = []

    for ms in (900, 1050, 99_000, 100_000):
        door.rig.now_ms = NOW_MS + ms
        answer = door.answer(second)
        assert answer is not None
        assert b"7.0" in answer
        ages.append((door.answer() or b"").partition(b"\r\nage: ")[2].partition(b"\r")[0])

    assert ages == [b"0", b"1", b"99", b""]


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


def _replace(door: Door) -> None:
    door.rig.memory.put(entry_key("score", 1, "a:p"), door.rig.held(outputs=b'{"sum":99.0}'))


@pytest.mark.parametrize(
    ("happens", "answered"),
    [
        (lambda door: None, b"13.0"),
        (lambda door: door.rig.see("thing", "b", 1), b"13.0"),
        (lambda door: door.rig.see("thing", "a", 1), None),
        (lambda door: door.rig.see("thing", "a", 1, gone=True), None),
        (lambda door: door.rig.freshness.tables["place"].raise_floor(at(1)), None),
        (lambda door: door.rig.freshness.begin(EPOCH + 1), None),
        (lambda door: setattr(door.rig, "now_ms", NOW_MS + 99_999), b"13.0"),
        (lambda door: setattr(door.rig, "now_ms", NOW_MS + 100_000), None),
        (lambda door: door.rig.memory.remove(entry_key("score", 1, "a:p")), None),
        (_replace, b"99.0"),
        (lambda door: setattr(door.serving, "generation", 1), b"13.0"),
        (lambda door: (setattr(door.serving, "generation", 1), setattr(door.serving, "version", 2)), None),
        (lambda door: (setattr(door.serving, "generation", 1), setattr(door.serving, "version", None)), None),
    ],
    ids=[
        "nothing", "another row", "the row", "the row is gone", "a floor", "another history", "time",
        "its time is over", "it is removed", "it is replaced", "news of others", "another version",
        "no version any more",
    ],
)  # fmt: skip
async def test_what_is_remembered_of_a_target_is_never_believed(
    door: Door, happens: Callable[[Door], object], answered: bytes | None
) -> None:
    """Whatever happens between two hits in the same millisecond shows in the second."""
    meaning = door.hits.meaning(TARGET)
    assert meaning is not None
    before = [door.hits.again(meaning, door.rig.now_ms / 1000) for _ in range(2)]

    happens(door)
    after = door.hits.again(meaning, door.rig.now_ms / 1000)

    assert all(b"13.0" in (answer or b"") for answer in before)
    assert (after is None) if answered is None else answered in (after or b"")


async def test_a_replica_that_falls_behind_is_noticed_in_the_next_millisecond(door: Door) -> None:
    """The lag is asked for once in each."""
    meaning = door.hits.meaning(TARGET)
    assert meaning is not None
    door.hits.again(meaning, door.rig.now_ms / 1000)

    door.rig.lag_s = 11.0
    door.rig.now_ms += 1

    assert door.hits.again(meaning, door.rig.now_ms / 1000) is None


async def test_hits_of_a_remembered_target_keep_its_entry_in_memory(door: Door) -> None:
    """They count for eviction like any others, up to the same number."""
    meaning = door.hits.meaning(TARGET)
    assert meaning is not None
    held = door.rig.memory.peek(meaning.name)
    assert held is not None
    held.hits = 0

    for _ in range(10):
        door.hits.again(meaning, door.rig.now_ms / 1000)

    assert held.hits == MOST_HITS


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
    assert door.hot() == {"a:p": 3}
    assert histogram.count == 3
    assert 0 < histogram.total_s < 1


async def test_hits_of_the_next_window_are_counted_anew(door: Door) -> None:
    """Of a target that is remembered over the flush."""
    door.answer()
    first = door.hot()

    door.answer()
    door.answer()

    assert (first, door.hot(), door.hot()) == ({"a:p": 1}, {"a:p": 2}, {})


async def test_a_slow_answer_says_at_most_a_millisecond(door: Door) -> None:
    """The numbers are ready-made."""
    answer = door.hits.answer(TARGET, door.rig.now_ms / 1000 - 5.0)

    assert b"server-timing: memory;dur=0.999\r\n" in (answer or b"")


@pytest.mark.parametrize("policy", ["", "max_age_s = 30.0, stale_while_revalidate_s = 5.0"])
@pytest.mark.parametrize("name", ["a:p", "b~3Ac:p", "ä:p"])
async def test_what_the_replica_has_is_answered_with_the_headers_of_everybody(name: str, policy: str) -> None:
    """Whether the tags are those of a key that is known already or not."""
    door = Door(policy=policy)
    door.rig.store(13.0, key=name)
    key = door.rig.servable.model.parse_key(name)
    answer = await door.rig.answer(name)
    assert answer.held is not None
    edition = answer.held.edition
    facts = edition.facts(key)

    tags = [facts.tag_lines(), facts.tag_lines(), edition.for_caches.tag_lines(key.text)]
    responses = {door.hits.response(answer, answer.held, lines, 0.0012) for lines in tags}

    assert answer.tier is Tier.REPLICA
    (response,) = responses
    lines = b"".join(b"%b: %b\r\n" % header for header in answer_headers(answer, 0.0012))
    assert set(lines.splitlines()) < set(response.partition(b"\r\n\r\n")[0].splitlines())
