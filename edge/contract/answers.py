"""What an edge answers, as types; unknown members are ignored, so that a newer edge can say more."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Tier = Literal["memory", "replica", "live", "stale", "default"]
#: As JSON and TOML have it.
Scalar = str | int | float | bool

_Time = Annotated[datetime, Meta(tz=True)]
_Tier = Annotated[Tier, Meta(description="Where the answer came from: the nearest tier that had something fresh.")]
_Age = Annotated[int, Meta(description="Seconds since the prediction was computed.", ge=0)]
_Version = Annotated[int, Meta(description="The model's version, which every publish counts up.", ge=1)]


class Prediction(Struct, frozen=True, kw_only=True):
    """A prediction, as it was computed; the body of a GET."""

    model: str
    version: _Version
    variant: str
    key: Annotated[str, Meta(description="The key in its one spelling, with context behind `?`.")]
    outputs: Annotated[dict[str, Any], Meta(description="Values by name, as the project declares them.")]
    as_of: Annotated[
        _Time | None, Meta(description="The newest change of a feature that it knows of; null for a default.")
    ]
    computed_at: Annotated[_Time | None, Meta(description="When it was computed; null for a default.")]
    stale: Annotated[bool, Meta(description="Whether a feature behind it has changed, or its time is over.")] = False


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong (RFC 9457)."""

    type: Annotated[str, Meta(description="`urn:nearcast:problem:` and a name that does not change.")]
    title: str
    status: int
    detail: Annotated[str, Meta(description="A sentence made for people.")] = ""
    request_id: Annotated[str, Meta(description="What the edge's log calls this request.")] = ""
    models: Annotated[list[str], Meta(description="Of `unknown-model`: those that exist.")] = []
    view: Annotated[str, Meta(description="Of `feature-missing`: where the value should be.")] = ""
    entity: str = ""
    field: str = ""

    @property
    def name(self) -> str:
        """The last part of `type`."""
        return self.type.rpartition(":")[2]


class Part(Struct, frozen=True, kw_only=True):
    """An answer's part in an experiment."""

    name: Annotated[str, Meta(description="The experiment's.")]
    arm: Annotated[str, Meta(description="Whose variant or version it is of.")]
    override: Annotated[bool, Meta(description="Whether the request asked for this arm.")] = False


class Answer(Struct, frozen=True, kw_only=True):
    """A prediction and where it came from."""

    tier: _Tier
    age_s: _Age
    prediction: Prediction
    over_budget: Annotated[bool, Meta(description="Whether no variant was expected to answer in time.")] = False
    experiment: Annotated[Part | None, Meta(description="Which experiment decided about the variant, if one did.")] = (
        None
    )
    status: Literal[200] = 200

    @property
    def key(self) -> str:
        """The prediction's."""
        return self.prediction.key

    @property
    def outputs(self) -> dict[str, Any]:
        """The prediction's."""
        return self.prediction.outputs

    @property
    def stale(self) -> bool:
        """Whether it is known not to be fresh."""
        return self.prediction.stale


class Failure(Struct, frozen=True, kw_only=True):
    """A key of several that has no prediction."""

    status: Annotated[int, Meta(description="The HTTP status that it would have had alone.", ge=400, le=599)]
    key: Annotated[str | dict[str, str | int], Meta(description="As the request wrote it.")]
    problem: Problem


class Place(Struct, frozen=True, kw_only=True):
    """A candidate among the best."""

    candidate: Annotated[dict[str, Scalar], Meta(description="As the request wrote it.")]
    score: float
    tier: _Tier
    age_s: _Age
    prediction: Prediction


class Unranked(Struct, frozen=True, kw_only=True):
    """A candidate that has no prediction, or no number in it."""

    candidate: Annotated[dict[str, Scalar], Meta(description="As the request wrote it.")]
    status: Annotated[int, Meta(description="The HTTP status that it would have had alone.", ge=400, le=599)]
    problem: Problem


class Ranking(Struct, frozen=True, kw_only=True):
    """The best of some candidates."""

    model: str
    version: _Version
    variant: str
    output: Annotated[str, Meta(description="What they are ranked by.")]
    order: Literal["descending", "ascending"]
    candidates: Annotated[int, Meta(description="How many there were, duplicates included.")]
    duplicates: Annotated[int, Meta(description="Those with the key of an earlier one; not ranked again.")]
    over_budget: Annotated[bool, Meta(description="Of `auto`: whether no variant was expected to answer in time.")]
    ranked: Annotated[list[Place], Meta(description="The best first; equals in the order of the request.")]
    unranked: list[Unranked]
