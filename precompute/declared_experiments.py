"""Declared experiments: those of the project file, those added by command, and which of them were stopped. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec

from precompute.errors import ManifestError
from precompute.experiments import Experiment, Layers
from precompute.keys import EXPERIMENTS
from precompute.manifest import Project, parse_experiment
from precompute.store import checked
from precompute.updates import Command, Reply

#: Asks for what `DeclaredExperiments` reads.
READ: Command = ("HGETALL", EXPERIMENTS)


class Stored(msgspec.Struct, frozen=True):
    """What `experiments` holds of one.

    Attributes:
        table: as in `[experiments.NAME]`; None for one of the project file.
        stopped_ms: when it was stopped; None if it was not.
    """

    table: dict[str, Any] | None
    added_ms: int
    stopped_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Declared:
    """A declared experiment; that it was stopped is in its end."""

    experiment: Experiment
    origin: Literal["manifest", "command"]
    stopped_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Declarations:
    """All declared experiments by name; `broken` ones, with the reason, do not go with the project or the others."""

    experiments: Mapping[str, Declared]
    broken: Mapping[str, str]

    def running(self, now_ms: int) -> dict[str, list[Experiment]]:
        """What runs at a time, by model."""
        found: dict[str, list[Experiment]] = {}
        for declared in self.experiments.values():
            if declared.experiment.runs(now_ms):
                found.setdefault(declared.experiment.model, []).append(declared.experiment)
        return found

    def next_change_ms(self, now_ms: int) -> int | None:
        """When something begins or ends next; None if nothing ever will."""
        moments = [
            moment
            for declared in self.experiments.values()
            for moment in (declared.experiment.start_ms, declared.experiment.end_ms)
            if moment is not None and moment > now_ms
        ]
        return min(moments, default=None)


class DeclaredExperiments:
    """Reads what is declared again and again; what has not changed since is not parsed again."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._parsed: dict[bytes, tuple[bytes, Stored, Experiment | str | None]] = {}

    def read(self, reply: Reply, now_ms: int) -> Declarations:
        """Everything that is declared, from the reply to `READ`.

        The project file comes first, then what was added first. One that is over makes room for others.
        """
        flat = checked(reply)
        self._parsed = {
            name: known if (known := self._parsed.get(name)) and known[0] == raw else (raw, *self._parse(name, raw))
            for name, raw in zip(flat[::2], flat[1::2], strict=True)
        }
        stored = {_text(name): (of, experiment) for name, (_, of, experiment) in self._parsed.items()}
        layers, found, broken = Layers(), dict[str, Declared](), dict[str, str]()
        for name, experiment in self._project.experiments.items():
            stop = stored[name][0].stopped_ms if name in stored else None
            found[name] = Declared(_stopped(experiment, stop), "manifest", stop)
            if not found[name].experiment.is_over(now_ms):
                layers.add(found[name].experiment)
        for name, (of, added) in sorted(stored.items(), key=lambda item: (item[1][0].added_ms, item[0])):
            if name in found or added is None:
                continue
            if isinstance(added, str):
                broken[name] = added
                continue
            experiment = _stopped(added, of.stopped_ms)
            if not experiment.is_over(now_ms):
                if objection := layers.objection(experiment):
                    broken[name] = " ".join(objection)
                    continue
                layers.add(experiment)
            found[name] = Declared(experiment, "command", of.stopped_ms)
        return Declarations(found, broken)

    def _parse(self, name: bytes, raw: bytes) -> tuple[Stored, Experiment | str | None]:
        """One, and what it means: nothing where only a stop is stored; text for what is wrong with it."""
        try:
            stored = msgspec.json.decode(raw, type=Stored)
        except msgspec.MsgspecError as error:
            return Stored(None, 0), f"cannot be read: {error}"
        if stored.table is None:
            return stored, None
        try:
            return stored, parse_experiment(self._project, _text(name), stored.table, "command")
        except ManifestError as error:
            return stored, "; ".join(f"{problem.key}: {problem.message}" for problem in error.problems)


def _text(name: bytes) -> str:
    # What is no text is no name either, which is found out like that of any other wrong name.
    return name.decode(errors="replace")


def _stopped(experiment: Experiment, stop_ms: int | None) -> Experiment:
    if stop_ms is None or experiment.is_over(stop_ms):
        return experiment
    return replace(experiment, end_ms=stop_ms)
