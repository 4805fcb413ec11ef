"""A small project for edges, and every server program that can be found on the machine, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.redis_binary import RedisBinary, look_at_candidates
from deploy.local.redis_pair import RedisPair
from precompute.store import Store
from tests.edge_project import EdgeProject

_BINARIES = {".".join(map(str, binary.version)): binary for binary in look_at_candidates()[0]}


@pytest.fixture(scope="session", params=_BINARIES.values(), ids=_BINARIES)
def any_redis(request: pytest.FixtureRequest) -> Iterator[RedisPair]:
    """A primary and its replica, of each version that there is."""
    binary: RedisBinary = request.param
    with RedisPair.start(None, persist=False, binary=binary) as pair:
        yield pair


@pytest.fixture
def store(any_redis: RedisPair) -> Iterator[Store]:
    """The emptied primary."""
    opened = Store(any_redis.primary_url)
    opened.call("FLUSHALL")
    yield opened
    opened.close()


@pytest.fixture
def project(clean_redis: RedisPair, tmp_path: Path) -> EdgeProject:
    """One flight and one airport; modules that need more have a project of their own."""
    published = EdgeProject.publish(tmp_path, clean_redis)
    published.put_flights(["F1"], [1.0])
    published.put_weather({"EWR": 3.0})
    return published
