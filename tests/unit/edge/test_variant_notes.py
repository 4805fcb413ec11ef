"""What a process says of its variants."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from edge import variant_notes
from edge.breaker import FIRST_S
from edge.profiles import Profiles
from edge.runs import Runs
from edge.sleeper import Sleeper
from edge.stats import Tier
from edge.variant_notes import VariantNote, VariantNotes, encode, open_breakers, parse, read_commands
from precompute.errors import StoreUnavailable
from precompute.registry import Version
from precompute.telemetry import Source
from precompute.updates import Command, Reply
from tests.unit.edge.rig import Rig

NOW_MS = 1_800_000_000_000
NOTE = VariantNote("score", "default", 1, True, True, 500, 2.5)


class Primary:
    """Keeps what it is told, or is away."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.away = False

    async def run(self, commands: Sequence[Command]) -> list[Reply]:
        if self.away:
            raise StoreUnavailable("away")
        for _, key, value, *_ in commands:
            self.kept[str(key)] = value
        return [b"OK"] * len(commands)


class Scene:
    """A process with three versions, of which the last one only is kept ready."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.project = self.rig.project
        self.now_s = 100.0
        self.all = [self._sleeper(version) for version in (1, 2, 3)]
        self.primary, self.profiles = Primary(), Profiles()
        source = Source("here:1", 0)
        self.notes = VariantNotes(
            self,  # type: ignore[arg-type]
            self.profiles,
            source,
            self.primary,  # type: ignore[arg-type]
            lambda: NOW_MS,
            lambda: self.now_s,
        )
        (self._read,) = read_commands([source])

    def _sleeper(self, version: int) -> Sleeper:
        record = Version(version, "default", "", 1000, 0)
        model = self.rig.servable.model
        return Sleeper(self.project, record, model, lambda _: asyncio.Future(), Runs(), lambda: self.now_s)

    def variants(self, model: str) -> list[Sleeper]:
        """As `Serving.variants`."""
        return self.all[:2]

    def sleepers(self) -> list[Sleeper]:
        """As `Serving.sleepers`."""
        return self.all

    async def said(self) -> list[VariantNote]:
        """What is written now, as a dashboard reads it."""
        await self.notes.write()
        found = parse(self.primary.kept[str(self._read[1])])
        assert found is not None
        return found


async def test_what_is_loaded_is_said_with_its_memory_and_what_routing_expects() -> None:
    """What sleeps takes none."""
    scene = Scene()
    scene.all[0].wake(scene.rig.predictor, 0.5, 12_345)
    scene.profiles.observe("score", "default", Tier.LIVE, 0.002, scene.now_s)

    said = {note.version: note for note in await scene.said()}

    assert (said[1].is_loaded, said[1].memory_bytes, said[1].serves) == (True, 12_345, True)
    assert (said[2].is_loaded, said[2].memory_bytes, said[2].serves) == (False, 0, True)
    assert not said[3].serves
    assert said[1].expected_ms == pytest.approx(2.0, rel=0.1)
    assert said[1].breaker is None


async def test_an_open_breaker_is_said_with_since_when_and_why() -> None:
    """First of all; once its time is over it is on trial."""
    scene = Scene()
    scene.all[2].breaker.open("it fails" * 100, scene.now_s)
    scene.now_s += FIRST_S / 2
    first = (await scene.said())[0]
    scene.now_s += FIRST_S
    later = (await scene.said())[0]
    scene.all[2].ended = "loading it did not end"
    last = (await scene.said())[0]

    assert first.breaker is not None
    assert (first.version, first.breaker.state, first.breaker.opened) == (3, "open", 1)
    assert first.breaker.since_ms == NOW_MS - FIRST_S * 500
    assert first.breaker.why.startswith("it fails")
    assert len(first.breaker.why) == variant_notes._MOST_TEXT
    assert later.breaker is not None
    assert later.breaker.state == "trial"
    assert last.breaker is not None
    assert (last.breaker.state, last.breaker.why) == ("ended", "loading it did not end")


async def test_a_primary_that_is_away_costs_nothing_but_a_count() -> None:
    """Which is what it is for."""
    scene = Scene()
    scene.primary.away = True

    await scene.notes.write()

    assert (scene.notes.dropped, scene.primary.kept) == (1, {})


async def test_only_so_much_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is taken out stays, whatever else has to go."""
    scene = Scene()
    scene.all[2].breaker.open("it fails", scene.now_s)
    monkeypatch.setattr(variant_notes, "MOST", 2)
    two = await scene.said()
    monkeypatch.setattr(variant_notes, "MAX_BYTES", len(encode(two)) - 1)

    one = await scene.said()

    assert [note.version for note in two] == [3, 1]
    assert [note.version for note in one] == [3]


@pytest.mark.parametrize("raw", [None, b"", b"noise", encode([NOTE])[:-1], b"\x92\x63\x90"])
def test_what_is_no_note_is_nothing(raw: bytes | None) -> None:
    """Of another version, cut off, or none at all."""
    assert parse(raw) is None


def test_what_is_written_can_be_read() -> None:
    """All of it."""
    assert parse(encode([NOTE])) == [NOTE]


async def test_breakers_are_counted_by_variant() -> None:
    """A variant of which nothing is taken out counts as 0."""
    scene = Scene()
    closed = open_breakers(scene.all)
    scene.all[0].breaker.open("it fails", scene.now_s)
    scene.all[1].ended = "it hangs"

    assert closed == {("score", "default"): 0}
    assert open_breakers(scene.all) == {("score", "default"): 2}
