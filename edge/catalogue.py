"""Reads the registry: what each model serves and has served, and what is known of these versions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from edge.pointers import COMMANDS, NO_POINTERS, Pointers, pointer_commands
from edge.replica import Replica
from precompute.keys import layout_key, versions_key
from precompute.layouts import Layouts
from precompute.manifest import Project
from precompute.registry import Version
from precompute.store import checked
from precompute.updates import Command, Reply, parse_epoch
from precompute.withdrawals import parse_withdrawn, withdrawn_command

#: Models that are read about at once; requests are being answered meanwhile.
_SLICE = 32
#: A version of a model.
Loadable = tuple[str, int]


class Catalogue:
    """The registry of one project, as one replica has it."""

    def __init__(self, project: Project, replica: Replica, layouts: Layouts, node: str) -> None:
        """`layouts` learn those that are announced; `node` is whose service models may be taken out of."""
        self._node = node
        #: Models that somebody has taken out of it; of these there are no pointers.
        self.withdrawn: frozenset[str] = frozenset()
        self._project = project
        self._replica = replica
        self._layouts = layouts

    async def read(self, pinned: Iterable[Loadable] = ()) -> tuple[dict[str, Pointers], dict[Loadable, Version]]:
        """All pointers by model, and the records of the versions that they are about, or that are pinned.

        Raises:
            StoreUnavailable: the replica cannot be asked.
        """
        await self._read_heads()
        found = await self._pointers()
        return found, await self._records(found, pinned)

    async def _read_heads(self) -> None:
        views = list(self._project.views)
        replies = await self._replica.run(
            [
                ("INFO", "replication"),
                withdrawn_command(self._node),
                *(("HGETALL", layout_key(view)) for view in views),
            ]
        )
        parse_epoch(replies[0])  # Refuses a replica that is still empty.
        self.withdrawn = parse_withdrawn(replies[1])
        for view, flat in zip(views, replies[2:], strict=True):
            for number, text in zip(checked(flat)[::2], checked(flat)[1::2], strict=True):
                self._layouts.learn(view, int(number), text)

    async def _pointers(self) -> dict[str, Pointers]:
        found = {}
        for models in _slices(list(self._project.models)):
            replies = await self._replica.run([command for model in models for command in pointer_commands(model)])
            for i, model in enumerate(models):
                pointers = Pointers.parse(*replies[COMMANDS * i : COMMANDS * (i + 1)])
                found[model] = NO_POINTERS if model in self.withdrawn else pointers
        return found

    async def _records(self, found: Mapping[str, Pointers], pinned: Iterable[Loadable]) -> dict[Loadable, Version]:
        numbers = {model: set(pointers.known()) for model, pointers in found.items() if pointers.last}
        for model, version in pinned:
            if model in numbers:
                numbers[model].add(version)
        records = {}
        for models in _slices(list(numbers)):
            asked: list[Command] = [("HMGET", versions_key(model), *numbers[model]) for model in models]
            for model, reply in zip(models, await self._replica.run(asked), strict=True):
                records.update({(model, r.version): r for r in map(_decoded, checked(reply)) if r is not None})
        return records


def _slices(models: Sequence[str]) -> Iterator[Sequence[str]]:
    return (models[at : at + _SLICE] for at in range(0, len(models), _SLICE))


def _decoded(text: Reply) -> Version | None:
    return None if text is None else msgspec.json.decode(text, type=Version)
