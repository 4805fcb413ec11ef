"""Entries as an edge holds them."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable

import pytest

from edge.held import Held
from edge.memory import Memory
from precompute.freshness import Freshness, Verdict
from precompute.predictions import lifetime_ms
from tests.unit.edge.rig import EPOCH, NOW_MS, Rig, at


def test_it_judges_itself_by_its_dependencies() -> None:
    """Whichever of them changes, and no other."""
    rig = Rig()
    entry = rig.held()
    seen = [entry.verdict(rig.freshness)]
    for view, entity in (("place", "elsewhere"), ("thing", "p"), ("place", "p")):
        rig.see(view, entity, 1)
        seen.append(entry.verdict(rig.freshness))

    assert seen == [Verdict.FRESH, Verdict.FRESH, Verdict.FRESH, Verdict.CHANGED]


def test_its_lifetime_is_the_one_everybody_works_out() -> None:
    """Jitter depends on the key alone, so that all processes agree when an entry expires."""
    rig = Rig(policy="refresh = 'always'")
    model = rig.servable.model

    assert rig.held().fresh_until_ms == NOW_MS + lifetime_ms(model.policy, "a:p") == NOW_MS + 100_000


@pytest.mark.parametrize(
    ("now_ms", "changed_ms", "epoch", "stale_ms"),
    [
        (50_000, None, EPOCH, 0),
        (130_000, None, EPOCH, 30_000),
        (50_000, 20_000, EPOCH, 30_000),
        (130_000, 20_000, EPOCH, 110_000),
        (130_000, 120_000, EPOCH, 30_000),
        (50_000, None, EPOCH + 1, 50_000),
    ],
)
def test_staleness_counts_from_whatever_ended_freshness_first(
    now_ms: int, changed_ms: int | None, epoch: int, stale_ms: int
) -> None:
    """The TTL or a change; where nobody can know, the computation itself."""
    rig = Rig()
    entry = rig.held(epoch=epoch)
    if changed_ms is not None:
        rig.see("thing", "a", changed_ms)

    assert entry.stale_for_ms(rig.freshness, NOW_MS + now_ms) == stale_ms


@pytest.mark.parametrize("name", ["a:p", "b~3Ac:p"])
def test_what_follows_from_a_key_is_taken_over_from_its_entry(name: str) -> None:
    """Its slots and its lifetime; not from what another edition made."""
    rig = Rig()
    key, before = rig.servable.model.parse_key(name), rig.held(key=name)
    edition = before.edition

    assert edition.as_before(before, key) == edition.of_key(key)
    assert edition.as_before(Rig().held(key="c:q"), key) == edition.of_key(key)


def test_it_knows_that_a_row_behind_it_was_deleted() -> None:
    """A change alone is none, a deletion before the computation is none either."""
    rig = Rig()
    rig.see("place", "p", 5, gone=True)
    before, after = rig.held(as_of_ms=4), rig.held(as_of_ms=5)
    rig.see("thing", "a", 6)

    assert before.is_deleted(rig.freshness)
    assert not after.is_deleted(rig.freshness)


def test_its_tag_changes_with_its_body() -> None:
    """A strong validator: the same for equal bodies, another for any other."""
    rig = Rig()

    tags = [rig.held(outputs=body).etag for body in (b'{"a":1}', b'{"a":1}', b'{"a":2}')]

    assert tags[0] == tags[1] != tags[2]
    assert tags[0].startswith(b'"')
    assert tags[0].endswith(b'"')


@pytest.mark.parametrize(
    ("key", "tags"),
    [
        ("a:p", b"model:score thing:a place:p"),
        ("a,b:p", b"model:score thing:a~2Cb place:p"),
        ("zürich:p", b"model:score thing:z~C3~BCrich place:p"),
        ("New York:p", b"model:score thing:New~20York place:p"),
    ],
)
def test_dependencies_become_tags_that_every_cache_can_read(key: str, tags: bytes) -> None:
    """Spaces and commas separate tags, and structured fields are ASCII: neither may stand in an entity's."""
    rig = Rig()

    assert rig.held(key).tags == tags


def test_an_entry_watches_what_its_model_names() -> None:
    """Rows and orders alike; an edition has the slots at hand, and must not have others."""
    rig = Rig()
    held, model = rig.held("a:p"), rig.project.model("score")

    assert held.watch == rig.freshness.watch(model.watched_views, model.watched(model.parse_key("a:p")))


def test_what_an_entry_takes_in_memory_is_what_is_accounted_for() -> None:
    """The tier's limit is about the process' real memory, not about the bodies."""
    rig = Rig()
    count = 2000
    memory: Memory[Held] = Memory(1 << 30)
    gc.collect()
    tracemalloc.start()
    began = tracemalloc.get_traced_memory()[0]

    for i in range(count):
        key = f"thing-number-{i:06}:p"
        entry = rig.held(key, as_of_ms=i, outputs=b"%90d" % i)
        memory.put(f"p:score:1:{key}", entry)
    gc.collect()
    took = tracemalloc.get_traced_memory()[0] - began
    tracemalloc.stop()

    assert 0.8 < took / memory.bytes < 1.2


@pytest.mark.parametrize(
    "learn",
    [
        lambda f: f.tables["thing"].note(b"a", at(1)),
        lambda f: f.tables["thing"].note_all([(b"%d-0" % (NOW_MS + 1), [b"e", b"a"])]),
        lambda f: f.tables["place"].raise_floor(at(1)),
        lambda f: f.tables["thing"].restart(floor=at(1), position=0),
        lambda f: f.begin(EPOCH + 1),
        lambda f: setattr(f, "epoch", None),
    ],
    ids=["a change", "changes", "a floor", "a restart", "another history", "no history"],
)
def test_a_verdict_is_remembered_only_while_nothing_is_learned(learn: Callable[[Freshness], object]) -> None:
    """Whatever may make it another one makes it be looked up again."""
    rig = Rig()
    kept = rig.held()
    before = [kept.verdict(rig.freshness), kept.verdict(rig.freshness)]

    learn(rig.freshness)

    assert before == [Verdict.FRESH] * 2
    assert kept.verdict(rig.freshness) is not Verdict.FRESH


def test_a_look_that_finds_nothing_new_leaves_verdicts_as_they_are() -> None:
    """A follower looks several times a second; judging everything again each time would be work for nothing."""
    rig = Rig()
    before = rig.freshness.known.moves

    rig.freshness.begin(EPOCH)
    rig.freshness.tables["thing"].floor = rig.freshness.tables["thing"].floor

    assert rig.freshness.known.moves == before
