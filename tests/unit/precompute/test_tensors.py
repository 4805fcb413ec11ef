"""Input tensors equal what a plain loop over keys and features would fill, for any data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from precompute.errors import FeatureMissing, FeatureUnfit, PermanentError
from precompute.manifest import Project, parse
from precompute.models import Feature, Key, Model
from precompute.rows import STAMP, Layout
from precompute.signature import OutputSpec, Signature, TensorSpec
from precompute.tensors import Assembler
from precompute.view_rows import Rows
from precompute.views import Missing

PROJECT = parse("""
[project]
name = "p"

[views.user.fields]
age = { type = "int64", default = 30 }
score = { type = "float32", missing = "nan" }
weight = { type = "float32", default = 1.5 }
height = "float32"
name = { type = "string", default = "nobody" }
city = "string"
vip = { type = "bool", default = true }
taste = { type = "float32[3]", default = 0.25 }
strict = "float32[2]"
loose = { type = "float32[2]", missing = "nan" }

[views.shop.fields]
lat = { type = "float64", missing = "nan" }
photo = { type = "uint8[2,2]", default = 7 }
one = { type = "float32[1]", default = 0 }

[models.buy]
key = ["user", "shop"]
[models.buy.context]
hour = "int64"
device = "string"
share = "float32"
[models.buy.inputs]
x = ["user.score", "user.weight", "user.height", "shop.lat", "context.hour", "user.age", "user.taste", "context.share"]
names = ["user.city", "context.device", "user.name"]
name = "user.name"
vip = "user.vip"
photo = "shop.photo"
strict = "user.strict"
loose = ["user.loose"]
hour = "context.hour"
lat = "shop.lat"
one = "shop.one"
""")
BUY = PROJECT.model("buy")
SIGNATURE = Signature(
    (
        TensorSpec("x", "float32", (None, 10)),
        TensorSpec("names", "string", (None, 3)),
        TensorSpec("name", "string", (None,)),
        TensorSpec("vip", "bool", (None, 1)),
        TensorSpec("photo", "uint8", (None, 2, 2)),
        TensorSpec("strict", "float32", (None, 2)),
        TensorSpec("loose", "float64", (None, 2)),
        TensorSpec("hour", "int64", ()),
        TensorSpec("lat", "float64", (None, 1, 1)),
        TensorSpec("one", "float32", (None,)),
    ),
    (OutputSpec("y", "tensor", "float32", (None,)),),
)
LAYOUTS = {name: Layout(view) for name, view in PROJECT.views.items()}
F32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


def _maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), values)


USERS = st.fixed_dictionaries(
    {
        "age": _maybe(st.integers(-(2**63), 2**63 - 1)),
        "score": _maybe(F32),
        "weight": _maybe(F32),
        "height": F32,
        "name": _maybe(TEXT),
        "city": TEXT,
        "vip": _maybe(st.booleans()),
        "taste": _maybe(st.lists(_maybe(F32), min_size=3, max_size=3)),
        "strict": st.lists(F32, min_size=2, max_size=2),
        "loose": _maybe(st.lists(_maybe(F32), min_size=2, max_size=2)),
    }
)
SHOPS = st.fixed_dictionaries(
    {
        "lat": _maybe(st.floats(allow_nan=False, allow_infinity=False)),
        "photo": _maybe(st.lists(st.lists(st.integers(0, 255), min_size=2, max_size=2), min_size=2, max_size=2)),
        "one": _maybe(st.lists(F32, min_size=1, max_size=1)),
    }
)
#: Rows of up to four entities of a view, some of which are not there.
TABLES = st.tuples(
    st.lists(_maybe(USERS), min_size=1, max_size=4),
    st.lists(_maybe(SHOPS), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 23), TEXT, F32), max_size=12),
)


class Naive:
    """One feature of one key at a time, straight from the declaration."""

    def __init__(self, project: Project, model: Model) -> None:
        self.project, self.model = project, model

    def value(self, feature: Feature, rows: dict[str, dict[str, Any] | None], context: dict[str, Any]) -> Any:
        if feature.view is None:
            return context[feature.field]
        field = self.project.view(feature.view).of(feature.field)
        row = rows[feature.view]
        value = None if row is None else row[feature.field]
        if value is None and field.shape:
            value = np.full(field.shape, None, object).tolist()
        filled = self._filled(field.missing, field.default, value)
        if filled is None:
            raise FeatureMissing(feature.view, "any")
        return filled

    def _filled(self, missing: Missing, default: Any, value: Any) -> Any:
        if isinstance(value, list):
            parts = [self._filled(missing, default, part) for part in value]
            return None if any(part is None for part in parts) else parts
        if value is not None:
            return value
        return {Missing.ERROR: None, Missing.NAN: math.nan, Missing.DEFAULT: default}[missing]


def _rows(view: str, values: Sequence[dict[str, Any] | None], index: Sequence[int]) -> Rows:
    layout = LAYOUTS[view]
    packed = [None if row is None else STAMP.pack(1, 2, 3) + layout.encode(row) for row in values]
    own = list(index) == list(range(len(values)))
    return Rows([f"{view}{i}" for i in range(len(values))], packed, None if own else np.array(index, np.intp))


def _same(left: np.ndarray, right: np.ndarray) -> bool:
    numbers = left.dtype != object
    return left.dtype == right.dtype and np.array_equal(left, right, equal_nan=numbers)


@given(TABLES)
def test_tensors_equal_a_plain_loop(tables: tuple[list[Any], list[Any], list[Any]]) -> None:
    """Policies, missing rows, shared entities, strings, bools, vectors, images and context, in every mixture."""
    users, shops, asked = tables
    picks = [(u % len(users), s % len(shops)) for u, s, *_ in asked]
    keys = [Key("k", (), (hour, device, share)) for _, _, hour, device, share in asked]
    views = [_rows("user", users, [u for u, _ in picks]), _rows("shop", shops, [s for _, s in picks])]

    feeds, good, errors = Assembler(PROJECT, BUY, LAYOUTS, SIGNATURE).assemble(keys, views)

    wanted: list[dict[str, list[Any]]] = []
    computable = []
    for i, (key, (u, s)) in enumerate(zip(keys, picks, strict=True)):
        context = dict(zip(("hour", "device", "share"), key.context, strict=True))
        rows = {"user": users[u], "shop": shops[s]}
        try:
            wanted.append(
                {spec.name: [Naive(PROJECT, BUY).value(f, rows, context) for f in spec.features] for spec in BUY.inputs}
            )
            computable.append(i)
        except FeatureMissing:
            assert isinstance(errors[i], FeatureMissing)
    assert good.tolist() == computable
    assert set(errors) == set(range(len(keys))) - set(computable)
    for spec in SIGNATURE.inputs:
        shape = (len(wanted), *(size or 1 for size in spec.row_shape))
        flat = [v for row in wanted for value in row[spec.name] for v in np.array(value, object).reshape(-1)]
        dtype = object if spec.dtype == "string" else spec.dtype
        with np.errstate(over="ignore"):
            assert _same(feeds[spec.name], np.array(flat, dtype).reshape(shape)), spec.name


USER = {"age": 1, "score": 1.0, "weight": 1.0, "height": 1.0, "name": "a", "city": "b", "vip": False}
USER |= {"taste": [1.0] * 3, "strict": [1.0] * 2, "loose": [1.0] * 2}
SHOP = {"lat": 1.0, "photo": [[1, 2], [3, 4]], "one": [1.0]}


def _assemble(
    users: Sequence[dict[str, Any] | None], index: Sequence[int]
) -> tuple[dict[str, np.ndarray], list[int], dict[int, PermanentError]]:
    keys = [Key("k", (), (3, "phone", 0.5)) for _ in index]
    views = [_rows("user", users, index), _rows("shop", [SHOP], [0] * len(index))]
    feeds, good, errors = Assembler(PROJECT, BUY, LAYOUTS, SIGNATURE).assemble(keys, views)
    return feeds, good.tolist(), errors


def test_a_default_is_written_even_for_one_key() -> None:
    """A batch of one takes the same path: its bytes are not read-only."""
    feeds, _, errors = _assemble([USER | {"weight": None, "age": None, "taste": [None, 2.0, None]}], [0])

    assert not errors
    assert feeds["x"].tolist() == [[1.0, 1.5, 1.0, 1.0, 3.0, 30.0, 0.25, 2.0, 0.25, 0.5]]


def test_a_missing_row_costs_only_the_keys_that_mean_it() -> None:
    """The error names view and entity; every other key is computed."""
    feeds, good, errors = _assemble([USER, None], [0, 1, 0, 1])

    assert good == [0, 2]
    assert len(feeds["x"]) == 2
    assert {i: str(error) for i, error in errors.items()} == dict.fromkeys((1, 3), "no row for user 'user1'")


def test_a_missing_number_names_its_field() -> None:
    """A row that lacks one number is reported by view, field and entity."""
    lenient = Layout(parse(_policies("missing = 'nan'")).view("user"))
    strict = parse(_policies("missing = 'error'"))
    row = STAMP.pack(1, 2, 3) + lenient.encode({"x": None, "v": [1.0, None]})
    other = STAMP.pack(1, 2, 3) + lenient.encode({"x": 1.0, "v": [1.0, None]})
    rows = Rows(["a", "b"], [row, other], np.array([0, 1], np.intp))

    _, good, errors = _assembler(strict).assemble([Key("k", ())] * 2, [rows])

    assert good.tolist() == []
    assert [str(errors[i]) for i in (0, 1)] == ["no value for user.x of 'a'", "no value for user.v of 'b'"]


def _policies(policy: str) -> str:
    return f"""
[project]
name = "p"
[views.user.fields]
x = {{ type = "float32", {policy} }}
v = {{ type = "float32[2]", {policy} }}
[models.m]
key = ["user"]
[models.m.inputs]
x = ["user.x", "user.v"]
"""


def _assembler(project: Project, *tensors: TensorSpec) -> Assembler:
    model = project.model("m")
    layouts = {name: Layout(view) for name, view in project.views.items()}
    signature = Signature(tensors or (TensorSpec("x", "float32", (None, 3)),), ())
    return Assembler(project, model, layouts, signature)


@pytest.mark.parametrize(
    ("value", "dtype", "fits"),
    [
        (2**31 - 1, "int32", True),
        (2**31, "int32", False),
        (-(2**31) - 1, "int32", False),
        (2**62, "float32", True),
        (-1, "int64", True),
    ],
)
def test_an_integer_is_never_wrapped(value: int, dtype: str, fits: bool) -> None:
    """A number the model's type cannot hold is an error of its key, not another number."""
    project = parse("""
[project]
name = "p"
[views.user.fields]
n = "int64"
[models.m]
key = ["user"]
context = { c = "int64" }
inputs = { a = ["user.n"], b = "context.c" }
""")
    assembler = _assembler(project, TensorSpec("a", dtype, (None, 1)), TensorSpec("b", dtype, (None,)))
    layout = Layout(project.view("user"))
    packed = [STAMP.pack(1, 2, 3) + layout.encode({"n": n}) for n in (5, value)]
    keys = [Key("k", (), (c,)) for c in (5, 5, value)]

    feeds, good, errors = assembler.assemble(keys, [Rows(["u5", "big"], packed, np.array([0, 1, 0], np.intp))])

    if fits:
        assert feeds["a"].reshape(-1).tolist() == np.array([5, value, 5], dtype).tolist()
        assert feeds["b"].tolist() == np.array([5, 5, value], dtype).tolist()
    else:
        assert good.tolist() == [0]
        assert {type(error) for error in errors.values()} == {FeatureUnfit}
        assert str(errors[1]) == f"user.n of 'big' is {value}, which the model's {dtype} cannot hold"
        assert str(errors[2]) == f"context c is {value}, which the model's {dtype} cannot hold"


def test_no_keys_are_no_rows() -> None:
    """An empty batch is a batch."""
    feeds, good, errors = _assemble([], [])

    assert (good, errors) == ([], {})
    assert all(len(feed) == 0 for feed in feeds.values())


def test_keys_may_have_rows_of_their_own() -> None:
    """Without an index the rows stand in the order of the keys; one that is missing costs its own key only."""
    feeds, good, errors = _assemble([USER | {"age": 7}, None, USER | {"age": 9}], [0, 1, 2])

    assert good == [0, 2]
    assert [row[5] for row in feeds["x"].tolist()] == [7.0, 9.0]
    assert list(errors) == [1]


def test_shared_entities_are_read_once() -> None:
    """Many keys of one entity get equal rows, from one read row."""
    feeds, good, _ = _assemble([USER], [0] * 1000)

    assert good == list(range(1000))
    assert (feeds["x"] == feeds["x"][0]).all()
