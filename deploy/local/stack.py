"""The whole of nearcast on one machine: what `nearcast up` runs, and in which order.

    primary, replica    embedded, unless a primary is configured
    worker              computes predictions
    scheduler           says which, and when
    refresher           says which have changed
    edge                answers

Every part is a process of its own, `nearcast PART`, and is told everything through environment variables, just as
where each runs on a machine of its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.local.child import Child
from deploy.local.embedded_redis import embedded_redis, redis_children
from deploy.local.ports import free_port, is_free
from deploy.local.readiness import answers_http
from deploy.local.running_stack import RunningStack, announced
from precompute.errors import ConfigError
from precompute.settings import Settings

#: Exit status of a part whose configuration is wrong: starting it again cannot help.
_WRONG_CONFIGURATION = 2
#: Redis tells every step of its start; warnings are what a log of six processes has room for.
_QUIET = ("--loglevel", "warning")
#: A worker finishes the chunk it is at before it ends.
_WORKER_GRACE_S = 15.0
#: Parts that show their metrics at a port of their own, if asked to; in this order.
_WITH_METRICS = ("worker", "scheduler", "refresher")
#: What is done ahead of time makes way for the edge, where somebody is waiting.
_NICE = 10


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack that can be started."""

    children: list[Child]
    where: RunningStack

    @property
    def url(self) -> str:
        """Where the edge answers."""
        host = self.where.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.where.port}"


@contextmanager
def local_stack(
    settings: Settings, data: Path, *, environ: Mapping[str, str] | None = None, persist: bool = True
) -> Iterator[Stack]:
    """Plans the stack and holds its data directory and ports' names as long as the block lasts.

    Port 0 takes a free one. `environ` is what the parts inherit; ours if None. `persist` is about the embedded Redis.

    Raises:
        ConfigError: a port is taken, no server program, or a data directory that cannot be used.
    """
    port = _edge_port(settings)
    with ExitStack() as resources:
        children: list[Child] = []
        primary_url, replica_url = settings.primary_url, settings.replica_url
        if not is_configured(settings):
            pair = resources.enter_context(embedded_redis(data, persist=persist))
            children += [replace(child, argv=(*child.argv, *_QUIET)) for child in redis_children(pair)]
            primary_url, replica_url = pair.primary.url, pair.replica.url
        where = RunningStack(primary_url=primary_url, replica_url=replica_url, host=settings.host, port=port)
        stack = Stack(children, where)
        environment = _environment(settings, where, os.environ if environ is None else environ)
        children += _parts(stack.url, environment, settings.metrics_port)
        resources.enter_context(announced(where, settings.project))
        yield stack


def is_configured(settings: Settings) -> bool:
    """Whether somebody has said which Redis to use."""
    return "primary_url" in settings.model_fields_set


def _edge_port(settings: Settings) -> int:
    if settings.port and not is_free(settings.port):
        raise ConfigError(f"port {settings.port} on {settings.host} is taken; choose another with --port (0: any free)")
    return settings.port or free_port()


def _environment(settings: Settings, where: RunningStack, environ: Mapping[str, str]) -> dict[str, str]:
    said = {
        "NEARCAST_PROJECT": str(settings.project.resolve()),
        "NEARCAST_PRIMARY_URL": where.primary_url,
        "NEARCAST_HOST": where.host,
        "NEARCAST_PORT": str(where.port),
        "NEARCAST_PROCESSES": str(settings.processes),
        "PYTHONUNBUFFERED": "1",
    }
    if where.replica_url:
        said["NEARCAST_REPLICA_URL"] = where.replica_url
    return {**environ, **said}


def _parts(url: str, environment: Mapping[str, str], metrics_port: int | None) -> list[Child]:
    def part(name: str, **more: object) -> Child:
        argv = (sys.executable, "-m", "deploy.cli", name, *_metrics(name, metrics_port))
        return Child(name=name, argv=argv, env=environment, final_statuses=(_WRONG_CONFIGURATION,), **more)  # type: ignore[arg-type]

    return [
        part("worker", stop_grace_s=_WORKER_GRACE_S, nice=_NICE),
        part("scheduler", nice=_NICE),
        part("refresher", nice=_NICE),
        part("edge", ready=answers_http(f"{url}/readyz")),
    ]


def _metrics(name: str, port: int | None) -> tuple[str, ...]:
    """Where a part shows its metrics: each at a port of its own, one after the other."""
    if port is None or name not in _WITH_METRICS:
        return ()
    return "--metrics-port", str(port and port + _WITH_METRICS.index(name))
