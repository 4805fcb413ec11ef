"""What an edge says of the models that it serves, as types."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct


class Latency(Struct, frozen=True, kw_only=True):
    """How long answers took."""

    count: int
    average_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class Variant(Struct, frozen=True, kw_only=True):
    """One file of a model: what it promises and how it does."""

    variant: str
    quality: Annotated[float, Meta(description="As declared.")]
    version: Annotated[int | None, Meta(description="What answers; null if nothing has been published.")]
    loaded: Annotated[bool, Meta(description="Whether it can compute at once; else it is loaded when needed.")]
    taken_out: Annotated[str | None, Meta(description="Why it is not asked for a while; null if it is.")]
    memory_bytes: Annotated[int | None, Meta(description="What it takes when loaded, as measured or to be expected.")]
    recent_live: Annotated[
        Latency | None, Meta(description="Of this process, over some seconds: what routing decides by.")
    ]
    answers: Annotated[dict[str, Latency], Meta(description="Of the whole node, since it started, by tier.")]


class Version(Struct, frozen=True, kw_only=True):
    """One publish."""

    version: int
    variant: str
    active: Annotated[bool, Meta(description="Whether it answers.")]
    loaded: Annotated[bool, Meta(description="Whether it could answer at once.")]
    file_bytes: int
    sha256: str
    published_at: Annotated[datetime, Meta(tz=True)]
    note: str


class LoadFailure(Struct, frozen=True, kw_only=True):
    """A version that cannot be served."""

    version: int
    reason: str


class Model(Struct, frozen=True, kw_only=True):
    """A model of the project."""

    name: str
    ready: Annotated[bool, Meta(description="Whether anything answers.")]
    key: Annotated[str, Meta(description="The shape of its keys, for people.")]
    default_variant: str
    routing: Annotated[str, Meta(description="`auto` if requests that name no variant get the one that suits.")]
    variants: list[Variant]
    failures: list[LoadFailure]


class ModelDetails(Model, frozen=True, kw_only=True):
    """A model with its history."""

    versions: Annotated[list[Version], Meta(description="The newest first.")]


class Models(Struct, frozen=True, kw_only=True):
    """All models of the project."""

    models: list[Model]
