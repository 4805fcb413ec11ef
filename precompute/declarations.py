"""The TOML forms of views and models, as a person writes them, and the checks that need no other table."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    field_validator,
    model_validator,
)

from precompute import views
from precompute.context import ContextField, typed
from precompute.errors import InvalidContext
from precompute.experiment_table import ExperimentTable
from precompute.job_table import JobTable
from precompute.outputs import OutputRule
from precompute.user_tiers import TierSourceTable, TierTable

#: What views, fields, models, variants and key parts may be called; they stand in Redis keys and in URLs.
NAME = r"^[a-z][a-z0-9_-]{0,63}$"
_Name = Annotated[str, Field(pattern=NAME)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _long_form(value: object) -> object:
    return {"type": value} if isinstance(value, str) else value


# Not unions: pydantic would report one mistake once for each member.
def _scalar(value: object) -> views.Scalar:
    if isinstance(value, str | int | float):
        return value
    raise ValueError("must be a number, a string, true or false")


def _sources(value: object) -> str | list[str]:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(source, str) for source in value):
        return value
    raise ValueError('must be one feature, as "view.field", or a list of them')


_Scalar = Annotated[views.Scalar, PlainValidator(_scalar)]


def _of_kind(key: str, kind: str, value: views.Scalar) -> views.Scalar:
    """A value in the feature's type. Clients may write numbers as text, TOML has numbers."""
    found = typed(kind, value) if isinstance(value, str) == (kind == "string") else None
    if found is None:
        raise ValueError(f"{key} = {value!r} is not a {kind}")
    return found


class FieldTable(_Table):
    """`temp = "float32"` or `temp = { type = "float32", missing = "nan" }`."""

    type: str
    missing: Literal["error", "nan"] | None = None
    default: _Scalar | None = None

    @model_validator(mode="after")
    def _policy_fits_type(self) -> FieldTable:
        kind, _ = views.parse_type(self.type)
        if self.missing and self.default is not None:
            raise ValueError("has both `missing` and `default`; choose one")
        if self.missing == "nan" and not kind.startswith("float"):
            raise ValueError(f"missing = 'nan' needs a float type, not {kind}")
        if self.default is not None:
            _of_kind("default", kind, self.default)
        return self

    def build(self, name: str) -> views.Field:
        """The field as the rest of the code sees it."""
        kind, shape = views.parse_type(self.type)
        if self.default is None:
            return views.Field(name, kind, shape, views.Missing(self.missing or "error"))
        return views.Field(name, kind, shape, views.Missing.DEFAULT, _of_kind("default", kind, self.default))


class ViewTable(_Table):
    """`[views.NAME]`."""

    entity: str = ""
    max_age_s: _Positive | None = None
    max_skew_s: _NotNegative = 300.0
    sla_s: _Positive | None = None
    objective: Annotated[float, Field(gt=0, lt=1)] = 0.99
    fields: dict[_Name, Annotated[FieldTable, BeforeValidator(_long_form)]] = Field(min_length=1, max_length=4096)

    def build(self, name: str) -> views.View:
        """The view as the rest of the code sees it."""
        fields = tuple(table.build(field) for field, table in self.fields.items())
        named = self.entity or name
        return views.View(name, named, fields, self.max_age_s, self.max_skew_s, self.sla_s, self.objective)


class ContextTable(_Table):
    """`[models.NAME.context]`, one entry."""

    type: str
    default: _Scalar | None = None
    min: _Finite | None = None
    max: _Finite | None = None
    choices: tuple[_Scalar, ...] = Field(default=(), strict=False, max_length=256)

    @model_validator(mode="after")
    def _default_fits(self) -> ContextTable:
        kind, shape = views.parse_type(self.type)
        if shape:
            raise ValueError("a context feature is a scalar")
        if kind in ("string", "bool") and (self.min is not None or self.max is not None):
            raise ValueError(f"min and max need a number, not {kind}")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min = {self.min:g} is greater than max = {self.max:g}")
        if self.choices and kind == "bool":
            raise ValueError("choices need a string or a number, not bool")
        try:
            self.build("default")
        except InvalidContext as error:
            raise ValueError(str(error).removeprefix("context ")) from None
        return self

    def build(self, name: str) -> ContextField:
        """The field as the rest of the code sees it."""
        kind, _ = views.parse_type(self.type)
        field = ContextField(name, kind, None, self.min, self.max)
        field = replace(field, choices=tuple(field.parse(_of_kind("choices", kind, value)) for value in self.choices))
        if self.default is None:
            return field
        return replace(field, default=field.parse(_of_kind("default", kind, self.default)))


class OutputTable(_Table):
    """`[models.NAME.outputs]`, one entry."""

    from_: str = Field(alias="from")
    transform: Literal["identity", "softmax", "argmax", "sigmoid"] = "identity"
    pick: int | str | None = None
    labels: tuple[str, ...] | None = Field(default=None, strict=False)

    def build(self, name: str) -> OutputRule:
        """The rule as the rest of the code sees it."""
        return OutputRule(name, self.from_, self.transform, self.pick, self.labels)


class VariantTable(_Table):
    """`[models.NAME.variants]`, one entry."""

    quality: _NotNegative = 0.0


class PolicyTable(_Table):
    """`[models.NAME.policy]`; what each means is said at `models.Policy`."""

    ttl_s: _Positive = 3600.0
    ttl_jitter: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    stale_while_revalidate_s: _NotNegative = 0.0
    stale_if_error_s: _NotNegative = 0.0
    max_age_s: _NotNegative = 0.0
    max_lag_s: _Positive = 10.0
    negative_ttl_s: _NotNegative = 1.0
    default: dict[str, Any] | None = None
    refresh: Literal["value", "always", "never"] = "value"


class KeySourceTable(_Table):
    """`all_keys`: a view, and for each key part the field that spells it."""

    view: str
    parts: dict[str, str]


class ModelTable(_Table):
    """`[models.NAME]`."""

    key: tuple[_Name, ...] = Field(min_length=1, max_length=16, strict=False)
    all_keys: KeySourceTable | None = None
    views: dict[str, str] | None = None
    context: dict[_Name, Annotated[ContextTable, BeforeValidator(_long_form)]] = Field(default_factory=dict)
    inputs: dict[str, Annotated[str | list[str], PlainValidator(_sources)]] = Field(min_length=1)
    outputs: dict[str, OutputTable] = Field(default_factory=dict)
    variants: dict[_Name, VariantTable] = Field(default_factory=lambda: {"default": VariantTable()}, min_length=1)
    default_variant: str | None = None
    routing: Literal["fixed", "auto"] = "fixed"
    policy: PolicyTable = PolicyTable()
    examples: tuple[str, ...] = Field(default=(), strict=False, max_length=16)

    @field_validator("key")
    @classmethod
    def _parts_differ(cls, parts: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(parts)) != len(parts):
            raise ValueError("names a part twice")
        return parts


class ProjectTable(_Table):
    """`[project]`."""

    name: _Name


class Manifest(_Table):
    """The whole file."""

    project: ProjectTable
    views: dict[_Name, ViewTable] = Field(min_length=1)
    models: dict[_Name, ModelTable] = Field(default_factory=dict)
    jobs: dict[_Name, JobTable] = Field(default_factory=dict)
    experiments: dict[_Name, ExperimentTable] = Field(default_factory=dict)
    tiers: dict[_Name, TierTable] = Field(default_factory=dict, max_length=64)
    tier_source: TierSourceTable = TierSourceTable()
