"""What one table of the project file says about another: the mistakes between tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass

from precompute import declarations
from precompute.context import RESERVED, ContextField
from precompute.errors import InvalidContext, InvalidKey
from precompute.models import (
    AUTO,
    ENTITY,
    Dependency,
    Feature,
    InputSpec,
    KeySource,
    Model,
    Policy,
    Variant,
    dependency,
)
from precompute.views import View


@dataclass(frozen=True, slots=True)
class ModelLinker:
    """One model beside the views it reads; `wrong` takes table, key and message of each mistake.

    Nothing is said about what refers to a broken view, one that is wrong in itself.
    """

    name: str
    table: declarations.ModelTable
    views: Mapping[str, View]
    broken: Set[str]
    wrong: Callable[[str, str, str], None]

    @property
    def _at(self) -> str:
        return f"models.{self.name}"

    def link(self) -> Model:
        """The model as declared; of no use when there are mistakes."""
        table = self.table
        dependencies = self._dependencies()
        model = Model(
            name=self.name,
            key=table.key,
            dependencies=dependencies,
            inputs=tuple(self._input(*item) for item in table.inputs.items()),
            variants={v: Variant(v, t.quality) for v, t in table.variants.items()},
            default_variant=self._default_variant(),
            context=tuple(self._context(*item) for item in table.context.items()),
            outputs=tuple(t.build(output) for output, t in table.outputs.items()),
            policy=self._policy(),
            all_keys=self._all_keys(dependencies),
            examples=table.examples,
            is_routed=self.table.routing == "auto",
        )
        self._check_examples(model)
        return model

    def _check_examples(self, model: Model) -> None:
        for text in model.examples:
            try:
                model.parse_key(text)
            except (InvalidKey, InvalidContext) as error:
                self.wrong(self._at, "examples", str(error))
                return

    def _templates(self) -> Mapping[str, str]:
        if self.table.views is not None:
            return self.table.views
        return {part: f"{{{part}}}" for part in self.table.key if part in {*self.views, *self.broken}}

    def _dependencies(self) -> tuple[Dependency, ...]:
        templates = self._templates()
        if self.table.views is None and not templates:
            what = f"no part is named like a view; add [{self._at}.views] with the view each part means"
            self.wrong(self._at, "key", what)
        found = []
        for view, template in templates.items():
            try:
                found.append(dependency(view, template, self.table.key))
            except InvalidKey as error:
                self.wrong(f"{self._at}.views", view, str(error))
            self._exists(f"{self._at}.views", view, view)
        return tuple(found)

    def _exists(self, table: str, key: str, view: str) -> bool:
        if view in self.views:
            return True
        if view not in self.broken:
            self.wrong(table, key, f"no view {view!r}; there are: {', '.join(self.views) or 'none'}")
        return False

    def _input(self, name: str, sources: str | list[str]) -> InputSpec:
        names = [sources] if isinstance(sources, str) else sources
        features = tuple(f for f in (self._feature(name, source) for source in names) if f)
        kinds = {self._kind(feature) for feature in features}
        if "string" in kinds and len(kinds) > 1:
            what = "mixes strings and numbers in one input; give the strings an input of their own"
            self.wrong(f"{self._at}.inputs", name, what)
        return InputSpec(name, features, stacked=not isinstance(sources, str))

    def _context(self, name: str, field: declarations.ContextTable) -> ContextField:
        if name in RESERVED:
            self.wrong(f"{self._at}.context", name, "the name is taken by requests themselves; choose another")
        return field.build(name)

    def _feature(self, name: str, source: str) -> Feature | None:
        at = f"{self._at}.inputs"
        view, _, field = source.partition(".")
        if view == "context":
            if field in self.table.context:
                return Feature(None, field)
            self.wrong(at, name, f"{source!r}: no such context; declare it in [{self._at}.context]")
        elif not field:
            self.wrong(at, name, f"{source!r} must be written as view.field")
        elif self._exists(at, name, view) and self._has_field(at, name, view, field):
            if view in self._templates():
                return Feature(view, field)
            self.wrong(at, name, f"{source!r}: [{self._at}.views] does not say which {view} a key means")
        return None

    def _has_field(self, table: str, key: str, view: str, field: str) -> bool:
        if self.views[view].field(field):
            return True
        fields = ", ".join(f.name for f in self.views[view].fields)
        self.wrong(table, key, f"view {view!r} has no field {field!r}; it has: {fields}")
        return False

    def _kind(self, feature: Feature) -> str:
        if feature.view is None:
            return self.table.context[feature.field].build(feature.field).kind
        return self.views[feature.view].of(feature.field).kind

    def _default_variant(self) -> str:
        variants = self.table.variants
        if AUTO in variants:
            self.wrong(f"{self._at}.variants", AUTO, "requests mean something else by it; choose another name")
        chosen = self.table.default_variant or ("default" if "default" in variants else next(iter(variants)))
        if chosen not in variants:
            self.wrong(self._at, "default_variant", f"no variant {chosen!r}; there are: {', '.join(variants)}")
        return chosen

    def _policy(self) -> Policy:
        policy = Policy(**self.table.policy.model_dump())
        for name in policy.default or ():
            if self.table.outputs and name not in self.table.outputs:
                what = f"{name!r} is no output of the model; there are: {', '.join(self.table.outputs)}"
                self.wrong(f"{self._at}.policy", "default", what)
        return policy

    def _all_keys(self, dependencies: tuple[Dependency, ...]) -> KeySource | None:
        key, source = self.table.key, self.table.all_keys
        if source is None:
            plain = [d for d in dependencies if d.template == f"{{{key[0]}}}"]
            return KeySource(plain[0].view, (ENTITY,)) if len(key) == 1 and plain else None
        at = f"{self._at}.all_keys"
        if set(source.parts) != set(key):
            self.wrong(at, "parts", f"must say where each part comes from: {', '.join(key)}")
        if self._exists(at, "view", source.view):
            self._check_parts(at, self.views[source.view], source.parts)
        return KeySource(source.view, tuple(source.parts.get(part, ENTITY) for part in key))

    def _check_parts(self, at: str, view: View, parts: Mapping[str, str]) -> None:
        for part, name in parts.items():
            field = view.field(name)
            if name != ENTITY and (field is None or field.kind != "string"):
                self.wrong(at, part, f"{name!r} is neither '{ENTITY}' nor a string field of view {view.name!r}")
