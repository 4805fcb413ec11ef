from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.data_directory import DataDirectory, can_follow
from deploy.local.redis_binary import RedisBinary, Version
from precompute.errors import ConfigError


def server(product: str, *version: int) -> RedisBinary:
    """A server of that product and version."""
    major, minor, patch = version
    return RedisBinary(Path("/usr/bin/server"), product, (major, minor, patch))


@pytest.mark.parametrize(
    ("binary", "product", "version", "expected"),
    [
        (server("redis", 7, 0, 15), "redis", (7, 0, 15), True),
        (server("redis", 7, 0, 2), "redis", (7, 0, 15), True),
        (server("redis", 7, 2, 0), "redis", (6, 2, 14), True),
        (server("redis", 6, 2, 14), "redis", (7, 0, 15), False),
        (server("valkey", 8, 0, 1), "redis", (7, 2, 4), True),
        (server("valkey", 8, 0, 1), "redis", (7, 4, 0), False),
        (server("redis", 8, 0, 0), "valkey", (8, 0, 0), False),
    ],
)
def test_a_server_reads_what_its_ancestors_wrote(
    binary: RedisBinary, product: str, version: Version, *, expected: bool
) -> None:
    """Newer releases read older data, patch releases do not matter, and the two products split after 7.2."""
    answer = can_follow(binary, product, version)

    assert answer is expected


def test_a_directory_has_one_owner(tmp_path: Path) -> None:
    """Two servers on one append-only file would destroy it, so the second owner is refused."""
    with (
        DataDirectory(tmp_path, server("redis", 7, 0, 15)),
        pytest.raises(ConfigError, match="in use by another nearcast"),
    ):
        DataDirectory(tmp_path, server("redis", 7, 0, 15))


def test_a_closed_directory_is_free_again(tmp_path: Path) -> None:
    """The lock goes with its owner."""
    DataDirectory(tmp_path, server("redis", 7, 0, 15)).close()

    with DataDirectory(tmp_path, server("redis", 7, 2, 0)) as directory:
        assert directory.path == tmp_path


def test_an_older_server_is_refused_and_the_directory_stays_free(tmp_path: Path) -> None:
    """An older server would start empty, as if all data were lost; it is refused before it starts."""
    DataDirectory(tmp_path, server("redis", 7, 0, 15)).close()

    with pytest.raises(ConfigError, match=r"was written by redis 7\.0\.15, which redis 6\.2\.14"):
        DataDirectory(tmp_path, server("redis", 6, 2, 14))

    DataDirectory(tmp_path, server("redis", 7, 0, 15)).close()


def test_a_place_that_cannot_be_a_directory_is_one_clear_line(tmp_path: Path) -> None:
    """A file in the way is reported with its path and the system's reason."""
    file = tmp_path / "file"
    file.touch()

    with pytest.raises(ConfigError, match=r"data directory .*/file: File exists"):
        DataDirectory(file, server("redis", 7, 0, 15))
