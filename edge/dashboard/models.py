"""Models: what each variant serves, how much of the answers, and how fast when it has to compute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from edge.dashboard.document import ModelState, Warming
from precompute.durations import Durations
from precompute.keys import active_key, rollout_key, versions_key
from precompute.manifest import Project
from precompute.registry import Version
from precompute.rollout_note import RolloutNote
from precompute.snapshot import Snapshot
from precompute.store import checked
from precompute.updates import Command, Reply

#: Versions that are listed of a variant.
_LISTED = 10


def commands(project: Project) -> list[Command]:
    """What to ask; three commands for each model."""
    return [
        command
        for model in project.models
        for command in (("HGETALL", active_key(model)), ("HVALS", versions_key(model)), ("GET", rollout_key(model)))
    ]


def models(project: Project, replies: Sequence[Reply], counted: Snapshot) -> list[ModelState]:
    """All variants of all models."""
    known = (_Known.parse(*replies[3 * i : 3 * i + 3]) for i in range(len(project.models)))
    return [
        state
        for (name, model), registered in zip(project.models.items(), known, strict=True)
        for state in _variants(name, {v.name: v.quality for v in model.variants.values()}, registered, counted)
    ]


@dataclass(frozen=True, slots=True)
class _Known:
    active: Mapping[str, int]
    versions: Sequence[Version]
    note: RolloutNote | None

    @classmethod
    def parse(cls, active: Reply, versions: Reply, note: Reply) -> _Known:
        flat = checked(active)
        return cls(
            {variant.decode(): int(version) for variant, version in zip(flat[::2], flat[1::2], strict=True)},
            [msgspec.json.decode(text, type=Version) for text in checked(versions)],
            RolloutNote.parse(checked(note)),
        )


def _variants(model: str, qualities: Mapping[str, float], known: _Known, counted: Snapshot) -> Iterator[ModelState]:
    answered = {variant: _answered(counted, model, variant) for variant in qualities}
    total = sum(answered.values())
    for variant, quality in qualities.items():
        took = counted.answers.get((model, variant, "live"), Durations()).quantiles_s(0.5, 0.95, 0.99)
        p50, p95, p99 = [seconds * 1000 for seconds in took] if took else (None, None, None)
        note = known.note if known.note is not None and known.note.variant == variant else None
        numbers = [version.version for version in known.versions if version.variant == variant]
        yield ModelState(
            model=model,
            variant=variant,
            version=known.active.get(variant),
            versions=sorted(numbers, reverse=True)[:_LISTED],
            quality=quality,
            share=answered[variant] / total if total else None,
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
            rollout=None if note is None else Warming(version=note.version, warm=note.warm),
        )


def _answered(counted: Snapshot, model: str, variant: str) -> int:
    return sum(took.count for (m, v, _), took in counted.answers.items() if (m, v) == (model, variant))
