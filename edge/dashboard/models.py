"""Models: what each variant serves, how much of the answers, how fast, and how routing and memory deal with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from edge.dashboard.model_state import ModelState, Warming
from edge.variant_notes import VariantNote
from precompute.durations import Durations
from precompute.keys import active_key, rollout_key, versions_key
from precompute.manifest import Project
from precompute.models import Model
from precompute.registry import Version
from precompute.rollout_note import RolloutNote
from precompute.series import TIERS
from precompute.snapshot import Snapshot
from precompute.store import checked
from precompute.updates import Command, Reply

#: Versions that are listed of a variant.
_LISTED = 10
#: Variants of all models that are listed: half a kilobyte each.
MOST = 300


def commands(project: Project) -> list[Command]:
    """What to ask; three commands for each model."""
    return [
        command
        for model in project.models
        for command in (("HGETALL", active_key(model)), ("HVALS", versions_key(model)), ("GET", rollout_key(model)))
    ]


def models(
    project: Project, replies: Sequence[Reply], counted: Snapshot, notes: Sequence[Sequence[VariantNote]] = ()
) -> tuple[list[ModelState], int]:
    """The variants of all models that are asked for most, in the project's order, and how many others there are.

    Args:
        notes: what each process says of its variants.
    """
    known = _Everything.of(counted, notes)
    names = list(project.models)
    order = sorted(names, key=lambda name: -sum(known.answered.get(name, {}).values()))
    room, listed = MOST, set()
    for name in order:
        room -= len(project.models[name].variants)
        if room < 0:
            break
        listed.add(name)
    states = [
        state
        for i, name in enumerate(names)
        if name in listed
        for state in _variants(project.models[name], _Registered.parse(*replies[3 * i : 3 * i + 3]), known)
    ]
    return states, sum(len(model.variants) for model in project.models.values()) - len(states)


@dataclass(slots=True)
class _Everything:
    """What was counted and said, by model and variant."""

    took: dict[tuple[str, str], dict[str, Durations]] = field(default_factory=dict)
    #: By model, then variant.
    answered: dict[str, dict[str, int]] = field(default_factory=dict)
    routed: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    notes: dict[tuple[str, str], list[VariantNote]] = field(default_factory=dict)

    @classmethod
    def of(cls, counted: Snapshot, notes: Sequence[Sequence[VariantNote]]) -> _Everything:
        it = cls(routed=counted.routed)
        for (model, variant, tier), took in counted.answers.items():
            it.took.setdefault((model, variant), {})[tier] = took
            counts = it.answered.setdefault(model, {})
            counts[variant] = counts.get(variant, 0) + took.count
        for said in notes:
            for note in said:
                if not note.serves:
                    continue
                it.notes.setdefault((note.model, note.variant), []).append(note)
        return it


@dataclass(frozen=True, slots=True)
class _Registered:
    active: Mapping[str, int]
    versions: Sequence[Version]
    note: RolloutNote | None

    @classmethod
    def parse(cls, active: Reply, versions: Reply, note: Reply) -> _Registered:
        flat = checked(active)
        return cls(
            {variant.decode(): int(version) for variant, version in zip(flat[::2], flat[1::2], strict=True)},
            [msgspec.json.decode(text, type=Version) for text in checked(versions)],
            RolloutNote.parse(checked(note)),
        )


def _variants(model: Model, registered: _Registered, known: _Everything) -> Iterator[ModelState]:
    answered = known.answered.get(model.name, {})
    total = sum(answered.values())
    for variant in model.variants.values():
        name = model.name, variant.name
        took, said = known.took.get(name, {}), known.notes.get(name, [])
        p50, p95, p99 = _ms(took.get("live"), 0.5, 0.95, 0.99)
        rollout = registered.note if registered.note is not None and registered.note.variant == variant.name else None
        numbers = [version.version for version in registered.versions if version.variant == variant.name]
        yield ModelState(
            model=model.name,
            variant=variant.name,
            version=registered.active.get(variant.name),
            versions=sorted(numbers, reverse=True)[:_LISTED],
            quality=variant.quality,
            share=answered.get(variant.name, 0) / total if total else None,
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
            tier_p95_ms={tier: _ms(took.get(tier), 0.95)[0] for tier in TIERS},
            expected_ms=max((note.expected_ms for note in said if note.expected_ms is not None), default=None),
            chosen=known.routed.get((*name, "chosen"), 0),
            over_budget=known.routed.get((*name, "over_budget"), 0),
            loaded_in=sum(note.is_loaded for note in said) if said else None,
            told_by=len(said),
            memory_bytes=sum(note.memory_bytes for note in said) if said else None,
            rollout=None if rollout is None else Warming(version=rollout.version, warm=rollout.warm),
        )


def _ms(took: Durations | None, *shares: float) -> list[float | None]:
    found = took.quantiles_s(*shares) if took is not None else None
    return [float(f"{seconds * 1000:.5g}") for seconds in found] if found else [None] * len(shares)
