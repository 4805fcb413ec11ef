"""An edge's versions, followed on a real replica."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.local.redis_pair import RedisPair
from edge import model_files
from edge.link import Link
from edge.replica import Replica
from edge.serving import Serving
from precompute.errors import VersionMissing
from precompute.keys import blob_key
from precompute.predictor import Servable
from precompute.registry import load_servable
from tests import onnx_models
from tests.edge_project import EdgeProject
from tests.waiting import until

pytestmark = pytest.mark.integration


def another(seed: int) -> bytes:
    """Another file for the model `patient`."""
    return onnx_models.mlp((2, 8, 1), seed=seed)


class Watched:
    """A `Serving` and what it told of."""

    def __init__(self, project: EdgeProject, link: Link) -> None:
        self.project = project
        self.switches: list[int] = []
        self.serving = Serving(project.project, Replica(link), on_switch=self._switched)

    def _switched(self, servable: Servable) -> None:
        self.switches.append(servable.version)

    def version(self, model: str = "patient") -> int:
        """What answers now."""
        return self.serving.predictor(model).servable.version

    async def becomes(self, version: int) -> None:
        """Waits until that version answers."""

        async def answers() -> bool:
            return self.version() == version

        await until(answers, message=f"version {version} does not serve")

    async def has_ready(self, *versions: int) -> None:
        """Waits until exactly these are loaded."""

        async def loaded() -> bool:
            return self.serving.ready("patient") == list(versions)

        await until(loaded, message=f"not ready: {versions}")


@pytest.fixture
async def watched(tmp_path: Path, clean_redis: RedisPair) -> AsyncIterator[Watched]:
    """Follows the published project; `patient` has one version."""
    project = EdgeProject.publish(tmp_path, clean_redis)
    link = Link(clean_redis.replica_url, timeout_s=10.0)
    await link.open()
    it = Watched(project, link)
    await it.serving.refresh()
    it.serving.start()
    yield it
    await it.serving.stop()
    await link.close()
    project.store.close()


def publish(watched: Watched, seed: int, *, activate: bool) -> int:
    """One more version of `patient`, on the replica, of which the edge is told."""
    made = watched.project.registry.publish("patient", "default", another(seed), now_ms=1, activate=activate)
    tell(watched)
    return made.version


def tell(watched: Watched) -> None:
    """As the follower does when the registry's log has news."""
    watched.project.replicate()
    watched.serving.look()


async def test_a_new_version_is_loaded_before_it_serves(watched: Watched) -> None:
    """Publishing is enough; activating it then only moves a pointer."""
    publish(watched, 11, activate=False)
    await watched.has_ready(1, 2)
    before = watched.version()

    watched.project.registry.activate("patient", 2)
    tell(watched)
    await watched.becomes(2)

    assert before == 1
    assert watched.switches == [2]


async def test_the_version_before_stays_ready_for_a_rollback(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Going back loads nothing, even at an edge where nothing could be loaded."""
    publish(watched, 11, activate=True)
    await watched.becomes(2)
    await watched.has_ready(1, 2)
    monkeypatch.setattr(model_files, "load_servable", None)

    watched.project.registry.rollback("patient")
    tell(watched)
    await watched.becomes(1)

    assert watched.switches == [2, 1]


async def test_a_rollback_does_not_wait_for_a_version_that_is_loading(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large model takes seconds, and going back must not."""
    publish(watched, 11, activate=True)
    await watched.becomes(2)
    loop, gate = asyncio.get_running_loop(), asyncio.Event()

    def slow(*args: object) -> Servable:
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result(30.0)
        return load_servable(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(model_files, "load_servable", slow)
    publish(watched, 12, activate=False)
    watched.project.registry.rollback("patient")
    tell(watched)
    await watched.becomes(1)

    assert 3 not in watched.serving.ready("patient")
    gate.set()
    await watched.has_ready(1, 3)


async def test_older_versions_are_let_go(watched: Watched) -> None:
    """However many are served one after the other, two are loaded."""
    for seed in range(11, 15):
        await watched.becomes(publish(watched, seed, activate=True))

    await watched.has_ready(4, 5)


async def test_a_version_that_does_not_load_leaves_the_one_before(watched: Watched) -> None:
    """The reason is there for people, and goes when the version does."""
    made = watched.project.registry.publish("patient", "default", another(11), now_ms=1, activate=False)
    watched.project.store.call("SET", blob_key(made.sha256), b"broken")
    watched.project.registry.activate("patient", 2)
    tell(watched)

    async def failed() -> bool:
        return ("patient", 2) in watched.serving.failures

    await until(failed)
    assert watched.version() == 1

    watched.project.registry.rollback("patient")
    watched.project.registry.publish("patient", "default", another(12), now_ms=1)
    tell(watched)
    await watched.becomes(3)
    assert watched.serving.failures == {}


async def test_a_model_without_a_version_is_missing_until_it_has_one(watched: Watched) -> None:
    """Its first publish serves as soon as it is loaded."""
    with pytest.raises(VersionMissing):
        watched.version("unborn")

    watched.project.registry.publish("unborn", "default", onnx_models.mlp((1, 8, 1), seed=5), now_ms=1)
    tell(watched)

    async def born() -> bool:
        return bool(watched.serving.ready("unborn")) and watched.serving.default_version("unborn") == 1

    await until(born)
