"""Experiments, as the dashboard has them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from edge.dashboard import experiments as module
from edge.dashboard.experiment_state import Experiments
from edge.dashboard.experiments import ENDED, RECORDS, RUNNING, ExperimentBoard
from precompute import manifest
from precompute.declared_experiments import Stored
from precompute.errors import StoreUnavailable
from precompute.exposures import Exposure, count_commands, record_command
from precompute.updates import Command, Reply
from tests.unit.edge.rig import MANIFEST

VARIANTS = "}\nvariants = { default = { quality = 0.7 }, fast = { quality = 0.6 } }"
PROJECT = manifest.parse(MANIFEST.replace("POLICY }", VARIANTS))
NOW_MS = 1_800_000_000_000


class Redis:
    """Has experiments, their answers and their records; counts what is read."""

    def __init__(self) -> None:
        self.stored: list[bytes] = []
        self.answers: dict[str, list[bytes]] = {}
        self.records: dict[str, list[tuple[bytes, list[bytes]]]] = {}
        self.reads = 0
        self.away = False

    def add(self, name: str, *, stopped_ms: int | None = None, model: str = "score", slice_: float = 0.0) -> None:
        """Declares one that takes a hundredth of its layer."""
        arms = {"control": {"variant": "default", "share": 3}, "quick": {"variant": "fast"}}
        table = {"model": model, "arms": arms, "slice": [slice_, slice_ + 0.01]}
        self.stored += [name.encode(), msgspec.json.encode(Stored(table, 1, stopped_ms))]

    def answered(self, name: str, counts: dict[tuple[str, str, bool], int], exposures: Sequence[Exposure] = ()) -> None:
        """Stores what edges would have."""
        for command in count_commands(name, counts, len(exposures)):
            if command[0] == "HINCRBY":
                self.answers.setdefault(name, []).extend([str(command[2]).encode(), b"%d" % int(str(command[3]))])
        for at, exposure in enumerate(exposures):
            command = record_command(name, exposure, 10_000)
            fields = [part for part in command[-2:] if isinstance(part, bytes)]
            self.records.setdefault(name, []).append((b"%d-0" % at, fields))

    async def run(self, commands: Sequence[Command]) -> list[Reply]:
        """One page of the records of one."""
        if self.away:
            raise StoreUnavailable("away")
        ((_, key, before, _, _, count),) = commands
        self.reads += 1
        found = list(reversed(self.records.get(str(key).split(":")[1].strip("{}"), [])))
        if before != "+":
            last = int(str(before).strip("(").split("-")[0])
            found = [record for record in found if int(record[0].split(b"-")[0]) < last]
        return [[[name, fields] for name, fields in found[: int(str(count))]]]


class Scene:
    """A dashboard, and the time."""

    def __init__(self) -> None:
        self.redis = Redis()
        self.now_ms = NOW_MS
        self.board = ExperimentBoard(self.redis, PROJECT, lambda: self.now_ms)  # type: ignore[arg-type]

    async def look(self) -> Experiments:
        """What a document says."""
        shown = self.board.shown(self.redis.stored, self.now_ms)
        names = [str(key).split(":")[1].strip("{}") for _, key in shown.commands()]
        return await self.board.experiments(shown, [self.redis.answers.get(name, []) for name in names])

    def exposures(self, control: int, quick: int) -> list[Exposure]:
        """One answer for each of so many units."""
        (declared,) = self.board.shown(self.redis.stored, self.now_ms).running
        plan = declared.experiment.fingerprint()
        arms = ["control"] * control + ["quick"] * quick
        return [
            Exposure(at_ms=n, arm=arm, unit=f"u{n}", key="k", version=1, tier="memory", took_us=500, plan=plan)
            for n, arm in enumerate(arms)
        ]


@pytest.fixture
def scene() -> Scene:
    """One experiment that runs."""
    it = Scene()
    it.redis.add("faster")
    return it


async def test_arms_have_their_answers_and_what_can_be_said_of_them(scene: Scene) -> None:
    """Shares declared and seen, hits and times between bounds, and whether units are missing."""
    counts = {("control", "memory", False): 70, ("control", "live", False): 6, ("quick", "memory", False): 24}
    scene.redis.answered("faster", {**counts, ("quick", "live", True): 2}, scene.exposures(76, 24))

    (found,) = (await scene.look()).running

    control, quick = found.arms
    assert [(arm.arm, arm.serves, arm.share, arm.answers) for arm in found.arms] == [
        ("control", "variant default", 0.75, 76),
        ("quick", "variant fast", 0.25, 24),
    ]
    assert (control.units, quick.units, quick.overrides) == (76, 24, 2)
    assert quick.seen is not None
    assert quick.seen.estimate == 0.24
    assert (quick.seen.low or 1) < 0.24 < (quick.seen.high or 0)
    assert control.mean_ms is not None
    assert control.mean_ms.estimate == pytest.approx(0.5)
    assert found.sample_ratio_p is not None
    assert found.sample_ratio_p > 0.5
    assert not found.is_mismatch
    assert found.records == 100


async def test_arms_that_lack_units_are_a_mismatch(scene: Scene) -> None:
    """As `nearcast experiment report` calls it."""
    scene.redis.answered("faster", {}, scene.exposures(100, 100))

    (found,) = (await scene.look()).running

    assert found.is_mismatch


async def test_of_an_experiment_without_records_nothing_is_said(scene: Scene) -> None:
    """Which is no zero; nobody has answered, which is one."""
    (found,) = (await scene.look()).running

    assert found.sample_ratio_p is None
    assert [(arm.answers, arm.seen, arm.hits, arm.mean_ms) for arm in found.arms] == [(0, None, None, None)] * 2


async def test_only_the_latest_records_are_read_and_not_again_at_once(scene: Scene) -> None:
    """Page by page; once some time has passed, they are read anew."""
    scene.redis.answered("faster", {}, scene.exposures(1_500, 1_000))
    first = await scene.look()
    reads = scene.redis.reads

    await scene.look()
    again = scene.redis.reads
    scene.now_ms += module._GOOD_FOR_MS
    await scene.look()

    assert first.running[0].records == RECORDS
    assert (again, scene.redis.reads) == (reads, 2 * reads)


async def test_what_cannot_be_read_is_an_error(scene: Scene) -> None:
    """The whole document is refused then, as ever."""
    scene.redis.away = True

    with pytest.raises(StoreUnavailable):
        await scene.look()


async def test_those_that_are_over_are_told_in_short() -> None:
    """The latest first, with all their answers; no records are read for them."""
    scene = Scene()
    scene.redis.add("earlier", stopped_ms=NOW_MS - 9_000)
    scene.redis.add("later", stopped_ms=NOW_MS - 1_000)
    scene.redis.answered("later", {("quick", "live", False): 5, ("quick", "memory", False): 2})

    found = await scene.look()

    assert [(it.name, it.ended_ms, it.was_stopped) for it in found.ended] == [
        ("later", NOW_MS - 1_000, True),
        ("earlier", NOW_MS - 9_000, True),
    ]
    assert found.ended[0].answers == {"control": 0, "quick": 7}
    assert (found.running, scene.redis.reads) == ([], 0)


async def test_a_document_stays_small() -> None:
    """However many run and are over: the rest is counted, and so are those that do not run for some reason."""
    scene = Scene()
    for n in range(RUNNING + 5):
        scene.redis.add(f"r{n}", slice_=n / 50)
    for n in range(ENDED + 3):
        scene.redis.add(f"e{n}", stopped_ms=NOW_MS - n)
    scene.redis.add("odd", model="nobody")

    found = await scene.look()

    assert (len(found.running), found.running_count) == (RUNNING, RUNNING + 5)
    assert (len(found.ended), found.ended_count) == (ENDED, ENDED + 3)
    assert list(found.broken) == ["odd"]


async def test_a_few_are_looked_at_for_each_document() -> None:
    """The others at the next ones, so that no document takes long."""
    scene = Scene()
    for n in range(module._LOOKS_AT_ONCE + 2):
        scene.redis.add(f"r{n}", slice_=n / 50)

    first = [it.records is not None for it in (await scene.look()).running]
    second = [it.records is not None for it in (await scene.look()).running]

    assert (sum(first), all(second)) == (module._LOOKS_AT_ONCE, True)
