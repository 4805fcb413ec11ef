"""What `nearcast up` would start."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from deploy.local.ports import LOOPBACK
from deploy.local.stack import local_stack
from precompute.errors import ConfigError
from precompute.settings import Settings


def test_a_configured_primary_takes_the_place_of_the_embedded_redis(tmp_path: Path) -> None:
    """Then only our own parts are started, each told where to go."""
    settings = Settings(project=tmp_path / "p.toml", primary_url="redis://core/0", replica_url="redis://near/0", port=0)

    with local_stack(settings, tmp_path / "data", environ={"PATH": "/bin"}) as stack:
        environments = [dict(child.env or {}) for child in stack.children]

    assert [child.name for child in stack.children] == ["worker", "scheduler", "refresher", "edge"]
    assert not (tmp_path / "data").exists()
    for environment in environments:
        assert environment["PATH"] == "/bin"
        assert environment["NEARCAST_PRIMARY_URL"] == "redis://core/0"
        assert environment["NEARCAST_REPLICA_URL"] == "redis://near/0"
        assert environment["NEARCAST_PORT"] == str(stack.where.port)


def test_the_embedded_redis_comes_first_and_everybody_is_told_its_urls(tmp_path: Path) -> None:
    """Edges get the replica."""
    with local_stack(Settings(project=tmp_path / "p.toml", port=0), tmp_path / "data", environ={}) as stack:
        names = [child.name for child in stack.children]
        environment = dict(stack.children[-1].env or {})

    assert names == ["primary", "replica", "worker", "scheduler", "refresher", "edge"]
    assert environment["NEARCAST_PRIMARY_URL"] == stack.where.primary_url
    assert environment["NEARCAST_REPLICA_URL"] == stack.where.replica_url != stack.where.primary_url


def test_what_is_done_ahead_of_time_makes_way(tmp_path: Path) -> None:
    """Whoever waits for the edge or for Redis does not wait for the worker too."""
    settings = Settings(project=tmp_path / "nearcast.toml", port=0)

    with local_stack(settings, tmp_path / "redis") as stack:
        nice = {child.name: child.nice for child in stack.children}
        batch = [child.name for child in stack.children if child.batch]

    assert nice["worker"] == nice["scheduler"] == nice["refresher"] > 0
    assert nice["edge"] == nice["primary"] == nice["replica"] == 0
    assert batch == ["replica"]


def test_a_taken_port_is_told_before_anything_starts(tmp_path: Path) -> None:
    """The complaint names it and the way out."""
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]

        with (
            pytest.raises(ConfigError, match=f"port {port} on 127.0.0.1 is taken; choose another with --port"),
            local_stack(Settings(project=tmp_path / "p.toml", port=port), tmp_path / "data"),
        ):
            pass

    assert not (tmp_path / "data").exists()


def test_an_address_of_the_sixth_version_is_written_in_brackets(tmp_path: Path) -> None:
    """A URL would be ambiguous otherwise."""
    settings = Settings(project=tmp_path / "p.toml", primary_url="redis://core/0", host="::1", port=0)

    with local_stack(settings, tmp_path / "data", environ={}) as stack:
        assert stack.url == f"http://[::1]:{stack.where.port}"


def test_the_edge_is_told_how_many_processes_it_shall_have(tmp_path: Path) -> None:
    """What `nearcast up` was told."""
    settings = Settings(project=tmp_path / "p.toml", port=0, processes=3)

    with local_stack(settings, tmp_path / "data", environ={}) as stack:
        environment = dict(stack.children[-1].env or {})

    assert environment["NEARCAST_PROCESSES"] == "3"


@pytest.mark.parametrize(("port", "told"), [(None, []), (0, ["0", "0", "0"]), (9300, ["9300", "9301", "9302"])])
def test_parts_that_answer_no_requests_show_their_metrics_at_ports_one_after_the_other(
    tmp_path: Path, port: int | None, told: list[str]
) -> None:
    """If somebody names the first; the edge shows its own where it answers."""
    settings = Settings(project=tmp_path / "p.toml", primary_url="redis://core/0", port=0, metrics_port=port)

    with local_stack(settings, tmp_path / "data", environ={}) as stack:
        commands = [child.argv for child in stack.children]

    assert [argv[-1] for argv in commands if "--metrics-port" in argv] == told
