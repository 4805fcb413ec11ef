"""Versions of models: publish, activate, roll back.

A version is one ONNX file of one variant; its number is given out per model and never again, so it stands for model,
variant and content in every entry's key. Files travel through Redis like everything else, named by their SHA-256 and
verified by it whenever they are read. Changing what is served is one transaction that moves a pointer and appends a
record to the registry's log, which edges and workers follow.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod

import msgspec

from precompute import outputs
from precompute.errors import ModelRejected, VersionMissing
from precompute.keys import REGISTRY_LOG, active_key, blob_key, past_key, sequence_key, versions_key
from precompute.manifest import Project
from precompute.models import Feature, Model
from precompute.outputs import OutputRule
from precompute.predictor import Servable
from precompute.runtime import Session, digest
from precompute.signature import Signature, check_inputs
from precompute.store import Store, checked
from precompute.updates import Command, Reply

log = logging.getLogger(__name__)

#: A model file is one Redis value; half of what Redis allows leaves room to replicate it comfortably.
MAX_MODEL_BYTES = 256 << 20
#: Registry records kept: each is one publish or one moved pointer.
LOG_RECORDS = 10_000
#: Earlier pointers kept for rolling back.
PAST = 50
#: Stands for "no version" where a variant was put into service for the first time; numbers begin at 1.
_NONE = 0


@dataclass(frozen=True, slots=True)
class Version:
    """What the registry knows of one publish."""

    version: int
    variant: str
    sha256: str
    size: int
    published_ms: int
    note: str = ""


class Registry:
    """Publishes and finds versions on one server."""

    def __init__(self, store: Store, project: Project) -> None:
        self._store = store
        self._project = project

    def publish(
        self, model: str, variant: str, content: bytes, *, now_ms: int, note: str = "", activate: bool = True
    ) -> Version:
        """Stores a model file as the next version; the same file as the variant's newest version changes nothing.

        Raises:
            UnknownModel: no such model in the project.
            ModelRejected: no such variant, or the file does not load or does not fit the declaration.
        """
        declared = self._project.model(model)
        check(self._project, declared, variant, content)
        sha256 = digest(content)
        newest = max((v for v in self.versions(model) if v.variant == variant), key=lambda v: v.version, default=None)
        if newest is None or newest.sha256 != sha256:
            number = int(self._store.call("INCR", sequence_key(model)))
            newest = Version(number, variant, sha256, len(content), now_ms, note)
            self._store.atomically(
                [
                    ("SET", blob_key(sha256), content),
                    ("HSET", versions_key(model), number, msgspec.json.encode(asdict(newest))),
                    _record(model, "publish", variant, number),
                ]
            )
        if activate:
            self.activate(model, newest.version)
        return newest

    def activate(self, model: str, version: int) -> Version:
        """Serves this version from now on.

        Raises:
            VersionMissing: it was never published.
        """
        chosen = self.version(model, version)
        before = self.active(model).get(chosen.variant, _NONE)
        if before == version:
            return chosen
        self._store.atomically(
            [
                ("HSET", active_key(model), chosen.variant, version),
                ("LPUSH", past_key(model), msgspec.json.encode([chosen.variant, before])),
                ("LTRIM", past_key(model), 0, PAST - 1),
                _record(model, "activate", chosen.variant, version),
            ]
        )
        return chosen

    def rollback(self, model: str) -> Version:
        """Undoes the latest change of a pointer.

        Raises:
            VersionMissing: nothing was served before it.
        """
        self._project.model(model)
        latest = self._store.call("LINDEX", past_key(model), 0)
        if latest is None:
            raise VersionMissing(f"model {model!r} has no earlier pointer to go back to")
        variant, version = msgspec.json.decode(latest, type=tuple[str, int])
        if version == _NONE:
            raise VersionMissing(
                f"model {model!r}: before the latest change, variant {variant!r} served nothing to go back to"
            )
        self._store.atomically(
            [
                ("LREM", past_key(model), 1, latest),
                ("HSET", active_key(model), variant, version),
                _record(model, "rollback", variant, version),
            ]
        )
        return self.version(model, version)

    def versions(self, model: str) -> list[Version]:
        """All versions, oldest first."""
        self._project.model(model)
        flat = self._store.call("HVALS", versions_key(model))
        return sorted((msgspec.json.decode(text, type=Version) for text in flat), key=lambda v: v.version)

    def version(self, model: str, version: int) -> Version:
        """One version.

        Raises:
            VersionMissing: its text lists what exists.
        """
        self._project.model(model)
        text = self._store.call("HGET", versions_key(model), version)
        if text is None:
            known = ", ".join(str(v.version) for v in self.versions(model))
            raise VersionMissing(f"model {model!r} has no version {version}; published: {known or 'none'}")
        return msgspec.json.decode(text, type=Version)

    def active(self, model: str) -> dict[str, int]:
        """The version that each variant serves."""
        flat = self._store.call("HGETALL", active_key(model))
        return {v.decode(): int(n) for v, n in zip(flat[::2], flat[1::2], strict=True)}

    def load(self, model: str, version: int) -> Servable:
        """A version, verified, loaded and warmed up.

        Raises:
            VersionMissing: never published, or its file is gone.
            ModelRejected: the stored bytes are not what was published.
        """
        record, blob = self._store.run(load_commands(model, version, self.version(model, version).sha256))
        return load_servable(self._project, model, checked(record), checked(blob))


def load_commands(model: str, version: int, sha256: str) -> list[Command]:
    """What to read to load a version."""
    return [("HGET", versions_key(model), version), ("GET", blob_key(sha256))]


def load_servable(
    project: Project,
    model: str,
    record: Reply,
    blob: Reply,
    before_runs: Callable[[Session], None] = lambda session: None,
) -> Servable:
    """Builds a servable from what `load_commands` read; raises as `Registry.load` does.

    Args:
        before_runs: told of the session before it is warmed up, so that somebody may end that.
    """
    declared = project.model(model)
    if record is None or blob is None:
        raise VersionMissing(f"model {model!r}: the version's record or file is not in this Redis")
    version = msgspec.json.decode(record, type=Version)
    if digest(blob) != version.sha256:
        raise ModelRejected(f"model {model!r} version {version.version}: stored file does not have its SHA-256")
    session = Session.load(blob)
    _compare(project, declared, session.signature)
    before_runs(session)
    _warm_up(declared, session)
    rules = declared.outputs or outputs.default_rules(session.signature)
    return Servable(declared, version.variant, version.version, session, rules, version.sha256)


def check(project: Project, model: Model, variant: str, content: bytes) -> Sequence[OutputRule]:
    """Refuses a file that could not be served; returns how its answers will be shown.

    Raises:
        ModelRejected: with both sides of each difference.
    """
    if variant not in model.variants:
        raise ModelRejected(f"model {model.name!r} has no variant {variant!r}; declared: {', '.join(model.variants)}")
    if len(content) > MAX_MODEL_BYTES:
        raise ModelRejected(f"the file has {len(content):,} bytes; the limit is {MAX_MODEL_BYTES:,}")
    session = Session.load(content)
    _compare(project, model, session.signature)
    _warm_up(model, session)
    return model.outputs or outputs.default_rules(session.signature)


def _warm_up(model: Model, session: Session) -> None:
    try:
        session.warm_up()
    except ModelRejected as error:
        # Made-up rows prove nothing: an encoder that knows its categories refuses zeros and empty strings.
        log.warning("model %r is not warmed up, its first prediction will be slower: %s", model.name, error)


def _compare(project: Project, model: Model, signature: Signature) -> None:
    problems = check_inputs(declared_inputs(project, model), signature) + outputs.check(model.outputs, signature)
    if problems:
        raise ModelRejected(f"the file does not fit model {model.name!r}:\n  " + "\n  ".join(problems))


def declared_inputs(project: Project, model: Model) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape, without the batch axis, of what would be fed to each input."""
    fed: dict[str, tuple[str, tuple[int, ...]]] = {}
    for spec in model.inputs:
        kinds: list[str] = []
        elements, shape = 0, tuple[int, ...]()
        for feature in spec.features:
            kind, shape = _kind_and_shape(project, model, feature)
            kinds.append(kind)
            elements += prod(shape)
        fed[spec.name] = (_widest(kinds), (elements,) if spec.stacked else shape)
    return fed


def _kind_and_shape(project: Project, model: Model, feature: Feature) -> tuple[str, tuple[int, ...]]:
    if feature.view is None:
        return next(f.kind for f in model.context if f.name == feature.field), ()
    field = project.view(feature.view).of(feature.field)
    return field.kind, field.shape


_ORDER: Mapping[str, int] = {
    "bool": 0,
    "uint8": 1,
    "int32": 2,
    "int64": 3,
    "float32": 4,
    "float64": 5,
    "string": 6,
}


def _widest(kinds: Sequence[str]) -> str:
    return max(kinds, key=lambda kind: _ORDER[kind])


def _record(model: str, event: str, variant: str, version: int) -> Command:
    return (*event_command(model, event), "variant", variant, "version", version)


def event_command(model: str, event: str) -> Command:
    """Appends a record to the registry's log: everybody who follows it looks at the registry again."""
    return ("XADD", REGISTRY_LOG, "MAXLEN", "~", LOG_RECORDS, "*", "model", model, "event", event)
