"""The form of an experiment, as a person writes it in `[experiments.NAME]` or by command, and what it means."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, field_validator, model_validator

from precompute.experiments import WHOLE, Arm, Audience, Experiment, Place, Slice
from precompute.views import Scalar

#: Enough for any comparison; each arm's predictions of the hot keys are computed.
MAX_ARMS = 16
MAX_VALUES = 1000
#: RFC 9110, 5.6.2.
TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")


_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
_Share = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
_OfAll = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


def _moment(value: object) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value!r:.60} is no date and time; write 2026-03-01T09:00:00Z") from None
    if isinstance(value, datetime) and value.tzinfo is not None:
        try:
            return value.astimezone(UTC)
        except OverflowError:
            raise ValueError(f"{value.isoformat()} is out of range") from None
    raise ValueError("must be a date and time with its zone, such as 2026-03-01T09:00:00Z")


def _values(value: object) -> tuple[Scalar, ...]:
    given = value if isinstance(value, list) else [value]
    if not 0 < len(given) <= MAX_VALUES or not all(isinstance(one, str | int | float) for one in given):
        raise ValueError(f"must be a value, or a list of 1 to {MAX_VALUES}")
    return tuple(given)


def _place(text: str) -> Place:
    kind, dot, name = text.partition(".")
    if kind == "header" and name and TOKEN.issuperset(name.lower()):
        return Place("header", name.lower())
    if kind == "query" and name and name.isascii() and name.replace("_", "").replace("-", "").isalnum():
        return Place("query", name)
    if kind == "key" and bool(dot) == bool(name):
        return Place("key", name)
    raise ValueError(f"{text!r:.80} must be key, key.PART, header.NAME or query.NAME")


_Moment = Annotated[datetime, PlainValidator(_moment)]
_Values = Annotated[tuple[Scalar, ...], PlainValidator(_values)]


def _list_of_two(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ArmTable(_Table):
    """`[experiments.NAME.arms]`, one entry."""

    variant: str | None = None
    version: Annotated[int, Field(ge=1)] | None = None
    share: _Share = 1.0

    @model_validator(mode="after")
    def _is_one_thing(self) -> ArmTable:
        if (self.variant is None) == (self.version is None):
            raise ValueError("must name a variant or a version, and not both")
        return self


class AudienceTable(_Table):
    """`[experiments.NAME.audience]`."""

    key: dict[str, _Values] = Field(default_factory=dict)
    header: dict[str, _Values] = Field(default_factory=dict)
    context: dict[str, _Values] = Field(default_factory=dict)


class ExperimentTable(_Table):
    """`[experiments.NAME]`."""

    model: str
    arms: dict[_Name, ArmTable]
    layer: _Name | None = None
    slice: Annotated[tuple[_OfAll, _OfAll], BeforeValidator(_list_of_two)] = WHOLE
    unit: str = "key"
    audience: AudienceTable = AudienceTable()
    salt: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    start: _Moment | None = None
    end: _Moment | None = None
    override: str | None = None
    sample: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 1.0

    @field_validator("arms")
    @classmethod
    def _can_be_compared(cls, arms: dict[str, ArmTable]) -> dict[str, ArmTable]:
        if not 2 <= len(arms) <= MAX_ARMS:
            raise ValueError(f"must be 2 to {MAX_ARMS}, not {len(arms)}")
        return arms

    @field_validator("unit", "override")
    @classmethod
    def _is_place(cls, text: str | None) -> str | None:
        if text is not None:
            _place(text)
        return text

    @field_validator("unit")
    @classmethod
    def _is_unit(cls, text: str) -> str:
        if _place(text).kind == "query":
            raise ValueError("must be key, key.PART or header.NAME")
        return text

    @field_validator("override")
    @classmethod
    def _is_override(cls, text: str | None) -> str | None:
        if text is not None and _place(text).kind == "key":
            raise ValueError("must be header.NAME or query.NAME")
        return text

    @field_validator("slice")
    @classmethod
    def _holds_something(cls, part: Slice) -> Slice:
        if part[0] >= part[1]:
            raise ValueError(f"[{part[0]:g}, {part[1]:g}] holds nobody; write [from, to], both between 0 and 1")
        return part

    @model_validator(mode="after")
    def _adds_up(self) -> ExperimentTable:
        if self.start and self.end and self.end <= self.start:
            raise ValueError("end must be later than start")
        if sum(arm.share for arm in self.arms.values()) <= 0:
            raise ValueError("no arm has a share above 0")
        return self

    def build(self, name: str, audience: Audience) -> Experiment:
        """The experiment as the rest of the code sees it."""
        return Experiment(
            name=name,
            model=self.model,
            # Experiments of one model exclude each other, unless somebody thinks of something else.
            layer=self.layer or self.model,
            arms=tuple(Arm(arm, t.variant, t.version, t.share) for arm, t in self.arms.items()),
            unit=_place(self.unit),
            slice=self.slice,
            audience=audience,
            salt=self.salt or name,
            start_ms=_ms(self.start) or 0,
            end_ms=_ms(self.end),
            override=None if self.override is None else _place(self.override),
            sample=self.sample,
        )


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
