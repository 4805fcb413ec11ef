"""What one call of the command works with: settings, project, servers; each made when a command first needs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

    from precompute.manifest import Project
    from precompute.settings import Settings
    from precompute.store import Store


class Invocation:
    """The options of the command line that say where things are, and what follows from them."""

    def __init__(self, project: Path | None, primary_url: str | None, replica_url: str | None) -> None:
        self._said: dict[str, object] = {}
        self.also(project=project, primary_url=primary_url, replica_url=replica_url)

    def also(self, **settings: object) -> None:
        """Takes in settings that a command has options for; None means not said."""
        self._said |= {name: value for name, value in settings.items() if value is not None}

    @cached_property
    def own_settings(self) -> Settings:
        """Command line over environment over defaults.

        Raises:
            ConfigError: a variable does not parse.
        """
        from precompute.settings import from_environment

        return from_environment(**self._said)

    @cached_property
    def settings(self) -> Settings:
        """Like `own_settings`; but where nobody says which Redis, the stack that runs beside the project file is meant.

        Raises:
            ConfigError: a variable does not parse.
        """
        from deploy.local.running_stack import find_running_stack
        from precompute.settings import from_environment

        own = self.own_settings
        stack = None if "primary_url" in own.model_fields_set else find_running_stack(own.project)
        if stack is None:
            return own
        found: dict[str, object] = {"primary_url": stack.primary_url, "replica_url": stack.replica_url}
        if not {"host", "port"} & own.model_fields_set:
            found |= {"host": stack.host, "port": stack.port}
        return from_environment(**(found | self._said))

    @cached_property
    def project(self) -> Project:
        """The project.

        Raises:
            ConfigError: the file cannot be read, or has mistakes.
        """
        from precompute.manifest import load

        return load(self.settings.project)

    @property
    def edge_url(self) -> str:
        """Where the edge of these settings answers."""
        host = self.settings.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.settings.port}"

    @contextmanager
    def primary(self) -> Iterator[Store]:
        """The primary, once its version has been checked.

        Raises:
            StoreUnavailable: it cannot be reached.
            ConfigError: it is too old, or refuses our password.
        """
        with checked_store(self.settings.primary_url) as store:
            yield store


@contextmanager
def checked_store(url: str) -> Iterator[Store]:
    """A server, once its version has been checked; raises as `Invocation.primary` does."""
    from precompute.store import Store

    store = Store(url)
    try:
        store.check_version()
        yield store
    finally:
        store.close()


def invocation(ctx: typer.Context) -> Invocation:
    """What the root command has put into the context."""
    found = ctx.find_object(Invocation)
    assert found is not None  # noqa: S101 - the root command always runs first
    return found
